"""Work that a synchronous program does in the background: one thread, in order, to the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class Background:
    """Calls functions one after the other in a thread of its own; a program that ends waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._waiting: set[Future[Any]] = set()

    def begin(self, function: Callable[[], object]) -> None:
        """Call a function in the background."""
        with self._lock:
            # A forked child has the object, but not its thread.
            if self._executor is None or self._process != os.getpid():
                self._executor, self._process = ThreadPoolExecutor(1, "onebrain-background"), os.getpid()
                self._waiting = set()
            future = self._executor.submit(function)
            self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def finish(self) -> None:
        """Wait for the end of all that was begun in this process."""
        if self._process == os.getpid():
            while waiting := list(self._waiting):
                wait(waiting)
