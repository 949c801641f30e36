"""One live server for all tests, clients of new accounts, and a receiver of webhooks; a dialect adds its own fixtures."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import Live

# Hooks of schemathesis, which runs as a program of its own: nothing to collect, and slow to import.
collect_ignore = ["fuzzing.py"]


@pytest.fixture(scope="session")
def settings() -> Settings:
    """A server's settings in memory: no limits of rates, and webhooks may reach this machine and come again soon."""
    return Settings(
        database_url="sqlite://",
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
        delivery_delays=(0.05, 0.1, 0.2),
        credentials_key=bytes(range(32)),
    )


@pytest.fixture(scope="session")
def live(onebrain_server: Live) -> Live:
    """The live server."""
    return onebrain_server


@pytest.fixture
def key(onebrain_api_key: str) -> str:
    """A key of a fresh account that may do everything."""
    return onebrain_api_key


@pytest.fixture
def keep_open() -> Iterator[Callable[[httpx.Client], httpx.Client]]:
    """Keep clients open until the end of the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def client_of(keep_open, onebrain_server: Live) -> Callable[[str], httpx.Client]:
    """Make clients, each with a key."""
    return lambda key: keep_open(
        httpx.Client(base_url=onebrain_server.url, headers={"authorization": f"ApiKey {key}"})
    )


@pytest.fixture
def client(client_of, key: str) -> httpx.Client:
    """A client of an account of its own."""
    return client_of(key)


@pytest.fixture
def stranger(client_of, onebrain_server: Live) -> httpx.Client:
    """A client of another account."""
    return client_of(onebrain_server.account(f"{uuid.uuid4().hex}@example.com"))


@pytest.fixture(scope="session")
def serving() -> Callable[[ThreadingHTTPServer], AbstractContextManager[None]]:
    """Let a server of the test's own answer until the end of a block."""

    @contextmanager
    def serve(server: ThreadingHTTPServer) -> Iterator[None]:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve


class Receiver:
    """Takes webhooks on a socket: answers with the statuses in `answers`, then with 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self._taken: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver._taken.put((dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def next(self) -> tuple[dict[str, str], bytes]:
        """Wait for the next delivery and return its headers and body."""
        return self._taken.get(timeout=180)

    @property
    def is_empty(self) -> bool:
        """Return True if nothing arrived beyond the results of `next`."""
        return self._taken.empty()


@pytest.fixture
def receiver(serving) -> Iterator[Receiver]:
    """A receiver of webhooks."""
    made = Receiver()
    with serving(made.server):
        yield made
