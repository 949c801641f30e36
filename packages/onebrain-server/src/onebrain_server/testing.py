"""A server on a real socket, in a thread of this process: for tests of clients."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import uvicorn

from onebrain_server.app import create_app
from onebrain_server.serve import configuration
from onebrain_server.server import Server
from onebrain_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Live:
    """A running server.

    Attributes:
        url: Its address.
        key: The owner's key, which may do everything.
        server: Its parts.
    """

    url: str
    key: str
    server: Server

    def account(self, email: str, *, plan: str = "team", trust: str = "trusted") -> str:
        """Make another account and return a key of its own that may do everything."""
        from onebrain_server.security.scopes import SCOPES

        made = self.server.accounts.register(email, None, None, "en", plan=plan)
        return self.server.accounts.create_key(made.id, "test", SCOPES, trust=trust)[1]


@contextmanager
def live_server(settings: Settings | None = None) -> Generator[Live, None, None]:
    """Run a server until the end of the block, on a free port of this machine.

    Args:
        settings: How it is configured; by default in memory and without rate limits.

    Example:
        >>> import httpx
        >>> with live_server() as live:
        ...     httpx.get(live.url + "/health").json()["data"]["status"]
        'ok'
    """
    settings = settings or Settings(database_url="sqlite://", rate_limit_max=0, log_level="error")
    server = Server(replace(settings, port=0))
    key = server.accounts.first_key() or ""
    runner = uvicorn.Server(configuration(create_app(server=server)))
    listening = socket.socket()
    listening.bind((settings.host, 0))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, name="onebrain-live")
    thread.start()
    try:
        while not runner.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        yield Live(f"http://{settings.host}:{listening.getsockname()[1]}", key, server)
    finally:
        runner.should_exit = True
        thread.join()
        listening.close()
        server.close()
