"""Running the server: one command, no configuration, and a first key that is printed once."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onebrain_server.app import create_app
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.workers import listening, supervise

# Connections that wait to be taken.
_BACKLOG: Final = 2048
# How long the head of a request may take to arrive.
HEADER_SECONDS = 10.0


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose clients must send a whole head in time: connections that only wait cost others theirs."""

    def connection_made(self, transport: Any) -> None:
        """Give the first request its time."""
        super().connection_made(transport)
        self._head: asyncio.TimerHandle | None = None
        # Whether a head is expected, or has come in part.
        self._heading = True
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Give a head that has come in part the rest of its time; most come whole, and need no timer."""
        super().data_received(data)
        if self._heading:
            if self._head is None:
                self._wait()
        elif self._head is not None:
            self._arrived()

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        self._heading = True

    def on_headers_complete(self) -> None:
        """Expect none: it is there."""
        self._heading = False
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting: nobody is there."""
        self._arrived()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._head = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _arrived(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


def run(settings: Settings, *, print_key: bool = True) -> None:
    """Serve until the process is told to stop; requests in flight are finished first.

    Args:
        settings: How the server is configured.
        print_key: Whether the first key of an empty database is printed, which is the only time it is shown.
    """
    for warning in Settings.absent():
        print(f"warning: {warning}", file=sys.stderr)
    server = Server(settings)
    try:
        key = server.accounts.first_key() if print_key else None
        if settings.workers == 1:
            here = listening(settings)
            # From here on clients wait instead of being refused.
            here.listen(_BACKLOG)
            _announce(settings, here.getsockname()[1], key)
            _answer(server, here)
            return
    finally:
        server.close()
    supervise(settings, lambda port: _announce(settings, port, key))


def serve(settings: Settings, here: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve on a socket until the process is told to stop; `ready` is called when clients can connect."""
    server = Server(settings)
    try:
        here.listen(_BACKLOG)
        ready()
        _answer(server, here)
    finally:
        server.close()


def _answer(server: Server, here: socket.socket) -> None:
    app = create_app(server=server)
    _rest_the_collector()
    uvicorn.Server(configuration(app)).run(sockets=[here])


def _announce(settings: Settings, port: int, key: str | None) -> None:
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"OneBrain server at http://{shown}:{port}", flush=True)
    if key is not None:
        print(f"First API key, shown this once:\n\n    {key}\n", flush=True)


def _rest_the_collector() -> None:
    """Let the garbage collector look rarely: the server's objects live for ever, and requests leave hardly any cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def configuration(app: Any) -> uvicorn.Config:
    """Return how uvicorn runs the application; who sends a request is believed of the proxies that are named, and of no other."""
    proxies = list(app.state.server.settings.proxies)
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=30,
        backlog=_BACKLOG,
    )
