"""Several processes behind one address: each answers by itself, and this one starts them, watches them and stops them.

They are replicas on one machine: all that they share is the database, PostgreSQL or an SQLite file with the locks beside it. Where the system can spread connections over sockets of
one address (Linux), each has a socket of its own, else they share one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from prometheus_client.multiprocess import mark_process_dead  # pyright: ignore[reportUnknownVariableType]

from onebrain_server.metrics import SHARED
from onebrain_server.settings import Settings

_SPREADS: Final = sys.platform == "linux"
# Seconds within which so many ends in a row mean that starting again is of no use.
_SOON, _PATIENCE = 5.0, 3
# Seconds that the first start may take.
_READY: Final = 60.0
# Seconds that requests in flight may take at the end.
_STOP: Final = 45.0

# A fork would copy locks and connections.
_context = multiprocessing.get_context("spawn")


def supervise(settings: Settings, announce: Callable[[int], None]) -> None:
    """Serve with `settings.workers` processes until this one is told to stop.

    Args:
        settings: How each of them is configured.
        announce: Called with the port once all of them answer.
    """
    stopped = threading.Event()
    with ExitStack() as stack:
        # Fails where another server is there, which sharing would not.
        with listening(settings) as alone:
            port: int = alone.getsockname()[1]
        settings = replace(settings, port=port)
        held = stack.enter_context(listening(settings, spread=_SPREADS))

        def stop(*_: object) -> None:
            stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, stop))
        shared = None if _SPREADS else held
        # The processes find it in their environment.
        if SHARED not in os.environ:
            os.environ[SHARED] = stack.enter_context(tempfile.TemporaryDirectory(prefix="onebrain-metrics-"))
            stack.callback(os.environ.pop, SHARED)
        workers = [_Worker(settings, shared) for _ in range(settings.workers)]
        stack.callback(_stop, workers)
        for worker in workers:
            worker.start()
        if all(worker.is_ready(stopped) for worker in workers) and not stopped.is_set():
            announce(port)
            while not stopped.wait(0.1):
                for worker in workers:
                    worker.look()


def listening(settings: Settings, *, spread: bool = False) -> socket.socket:
    """Return a socket bound to the server's address; with `spread` others may be bound to it, too.

    Raises:
        SystemExit: The address is taken, or not this machine's.
    """
    found = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if spread:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as error:
        found.close()
        raise SystemExit(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port"
        ) from None
    return found


class _Worker:
    """One of the processes, started again when it ends."""

    def __init__(self, settings: Settings, shared: socket.socket | None) -> None:
        self._settings = settings
        self._shared = shared
        self._process: BaseProcess | None = None
        self._ready: Connection | None = None
        self._started = 0.0
        self._failures = 0

    def start(self) -> None:
        """Start the process."""
        self._ready, ready = _context.Pipe(duplex=False)
        self._started = time.monotonic()
        self._process = _context.Process(
            target=_work, args=(self._settings, self._shared, ready), name="onebrain-worker"
        )
        self._process.start()
        # The process has its own.
        ready.close()

    def is_ready(self, stopped: threading.Event) -> bool:
        """Wait until the process answers; return whether it does."""
        while not self._said_so():
            if stopped.is_set():
                return False
            if time.monotonic() - self._started > _READY:
                raise SystemExit("a worker did not start within a minute; its errors stand above")
            self.look()
        return True

    def _said_so(self) -> bool:
        assert self._ready is not None
        try:
            return self._ready.poll(0.1) and bool(self._ready.recv())
        except EOFError:
            # It has ended.
            time.sleep(0.1)
            return False

    def look(self) -> None:
        """Start the process again where it has ended.

        Raises:
            SystemExit: It ends again and again as soon as it is started.
        """
        process = self._process
        if process is None or process.is_alive():
            return
        self._failures = self._failures + 1 if time.monotonic() - self._started < _SOON else 1
        if self._failures >= _PATIENCE:
            raise SystemExit(
                f"a worker ended {_PATIENCE} times as soon as it was started; its errors stand above"
            )
        mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
        print(
            f"a worker ended with code {process.exitcode} and is started again", file=sys.stderr, flush=True
        )
        self.start()

    def tell(self) -> None:
        """Tell the process to finish requests in flight and end."""
        if self._process is not None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the process to end; kill it at the deadline."""
        if self._process is not None:
            self._process.join(max(0.0, deadline - time.monotonic()))
            if self._process.is_alive():
                self._process.kill()
                self._process.join()


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.tell()
    deadline = time.monotonic() + _STOP
    for worker in workers:
        worker.end(deadline)


def _work(settings: Settings, shared: socket.socket | None, ready: Connection) -> None:
    """Serve in a process of its own until it, or the one that started it, ends."""
    from onebrain_server.serve import serve

    # A terminal tells all of a group: the first process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, name="onebrain-parent", daemon=True).start()
    here = listening(settings, spread=True) if shared is None else shared
    serve(settings, here, ready=lambda: ready.send(True))


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    with suppress(OSError):
        os.kill(os.getpid(), signal.SIGTERM)
