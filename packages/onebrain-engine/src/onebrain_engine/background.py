"""A thread for work that nobody should wait for."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable

from onebrain.errors import OneBrainError

_log = logging.getLogger("onebrain_engine")


class Background:
    """Does jobs one after the other in a thread of its own, which starts with the first one.

    A job is given the event that tells it to stop, and is done once at a time: one that waits already is not added again.
    One that fails with an error of ours is logged, without a memory's text, and forgotten: whoever needs it asks again.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, Callable[[threading.Event], None]] = {}
        self._busy = False
        self._thread: threading.Thread | None = None

    def do(self, name: Hashable, job: Callable[[threading.Event], None]) -> None:
        """Do a job soon; after `stop`, never."""
        if self._pid != os.getpid():  # threads do not survive a fork
            self._start()
        with self._changed:
            if self._stop.is_set():
                return
            self._waiting.setdefault(name, job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="onebrain-upkeep", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Wait for all jobs to end, at most `timeout` seconds; return whether they did."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (self._waiting or self._busy) and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            return not self._waiting and not self._busy

    def stop(self) -> None:
        """Tell the present job to stop, forget the others, and wait for the thread to end."""
        if self._pid != os.getpid():
            return
        self._stop.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._waiting and not self._stop.is_set():
                    self._changed.wait()
                if self._stop.is_set():
                    return
                job = self._waiting.pop(next(iter(self._waiting)))
                self._busy = True
            try:
                job(self._stop)
            except OneBrainError as error:
                _log.warning("upkeep: %s", error)
            except (
                BaseException
            ) as error:  # never the end of the thread, not even by a SystemExit of somebody's embedder
                _log.error("upkeep failed: %s", type(error).__name__)
