"""Work that a synchronous program does in the background: one thread, in order, to the end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final

from onebrain.errors import OneBrainValidationError

_log = logging.getLogger("onebrain")

# Both modes say this.
ITSELF: Final = "work in the background cannot wait for its own end; call finish_background and close outside of the model"


class Background:
    """Calls functions one after the other in a thread of its own; a program that ends waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._waiting: set[Future[Any]] = set()
        self._thread: int | None = None

    def begin(self, function: Callable[[], object]) -> None:
        """Call a function in the background."""
        with self._lock:
            # A forked child has the object, but not its thread.
            if self._executor is None or self._process != os.getpid():
                self._executor, self._process = ThreadPoolExecutor(1, "onebrain-background"), os.getpid()
                self._waiting = set()
            future = self._executor.submit(self._run, function)
            self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def _run(self, function: Callable[[], object]) -> None:
        self._thread = threading.get_ident()
        try:
            function()
        except BaseException as error:
            # Nobody asks the future for it, and its text may quote what the work is about.
            _log.error("work in the background ended with %s", type(error).__name__)
            raise

    def finish(self) -> None:
        """Wait for the end of all that was begun in this process.

        Raises:
            OneBrainValidationError: The work in the background itself asks for it, and would wait for its own end.
        """
        if self._process == os.getpid() and self._thread == threading.get_ident():
            raise OneBrainValidationError(ITSELF)
        if self._process == os.getpid():
            while waiting := list(self._waiting):
                wait(waiting)
