"""A lock for plans, in either colour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from onebrain._core.steps import Sleep, Steps

T = TypeVar("T")


class KeyedLock:
    """Lets plans of one driver change one memory after the other, where the service has no atomic change.

    Nothing is blocked: a plan that has to wait sleeps, in its own colour. Other processes are not kept out.
    """

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def hold(self, key: str, plan: Callable[[], Steps[T]]) -> Steps[T]:
        """Run a plan while no other plan works on `key`."""
        pause = 0.001
        while not self._enter(key):
            yield Sleep(pause)
            pause = min(2 * pause, 0.02)
        with self._leave(key):
            return (yield from plan())

    def _enter(self, key: str) -> bool:
        with self._lock:
            if key in self._busy:
                return False
            self._busy.add(key)
            return True

    @contextmanager
    def _leave(self, key: str) -> Generator[None, None, None]:
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(key)
