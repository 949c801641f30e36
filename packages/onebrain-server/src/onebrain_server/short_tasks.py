"""A worker for short tasks: on SQLite more threads than one only take the interpreter from each other.

Where a moment becomes longer, because an index has to be read first or another process holds the database, another thread
takes over the waiting tasks, and the one that is held up ends when it is done.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

# Seconds after which another thread takes over.
PATIENCE: Final = 0.05
# Results that are gathered before a loop is told, for each call into a loop takes the interpreter from the worker.
_TOGETHER, _TOGETHER_SECONDS = 8, 0.002

_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]
_Work = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class ShortTaskWorker:
    """Runs functions for event loops, one after the other.

    Args:
        most: How many threads there may be when those before are held up.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        # The thread whose turn it is.
        self._driver: threading.Thread | None = None
        # The start of the present task; 0 while it waits for one.
        self._since = 0.0
        # Results that no loop was told of yet.
        self._done: deque[_Done] = deque()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function that may block for a moment, and return its result."""
        if self._driver is None:
            self._take_over()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put((future, function, arguments))
        watch = loop.call_later(PATIENCE, lambda: look())

        def look() -> None:
            nonlocal watch
            self._watch()
            watch = loop.call_later(PATIENCE, look)

        try:
            return await future
        finally:
            watch.cancel()

    def close(self) -> None:
        """Finish the waiting tasks, and end the threads."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()
        self._driver = None

    def _watch(self) -> None:
        since = self._since
        if since and time.monotonic() - since >= PATIENCE:
            # Results so far.
            self._tell()
            self._take_over()

    def _take_over(self) -> None:
        with self._lock:
            if len(self._threads) >= self._most:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
            self._driver, self._since = thread, 0.0
        thread.start()

    def _run(self) -> None:
        me = threading.current_thread()
        # When the last work was done that loops know of.
        told = 0.0
        while True:
            work = self._queue.get()
            if work is None:
                self._tell()
                break
            future, function, arguments = work
            began = time.monotonic()
            if self._driver is me:
                self._since = began
            if not self._done:
                told = began
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function(*arguments)
            except BaseException as error:
                failure = error
            self._done.append((future, result, failure))
            if (
                self._queue.empty()
                or len(self._done) >= _TOGETHER
                or time.monotonic() - told >= _TOGETHER_SECONDS
            ):
                self._tell()
            # Nothing of a request outlives it here.
            del work, future, function, arguments, result, failure
            # Another one has taken over.
            if self._driver is not me:
                self._tell()
                break
            self._since = 0.0
        with self._lock:
            self._threads.discard(me)

    def _tell(self) -> None:
        """Tell each loop of its results; do nothing if all have been told."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Done]] = {}
        with suppress(IndexError):
            while True:
                done = self._done.popleft()
                by_loop.setdefault(done[0].get_loop(), []).append(done)
        for loop, results in by_loop.items():
            # The loop has ended meanwhile, and nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, results)


def _settle(results: Sequence[_Done]) -> None:
    for future, result, failure in results:
        # The client has left.
        if future.done():
            continue
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
