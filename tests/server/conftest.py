"""One live server for all tests, one with a language model, clients of new accounts, and a receiver of webhooks.

A dialect adds its own fixtures.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import Live, live_server

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


class Model:
    """Returns the answers of the test in order, and 500 if none is left."""

    def __init__(self) -> None:
        self.says: list[object] = []
        self.heard: list[str] = []
        self.asked: list[dict] = []
        self.keys: list[str | None] = []
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                model.heard.append(asked["messages"][-1]["content"])
                model.asked.append(asked)
                model.keys.append(self.headers["authorization"])
                said = model.says.pop(0) if model.says else None
                text = said if isinstance(said, str) else json.dumps(said)
                message = {"role": "assistant", "content": text}
                answer = {
                    "id": "chatcmpl-1", "object": "chat.completion", "model": asked["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"total_tokens": 9},
                }  # fmt: skip
                body = json.dumps(answer).encode()
                self.send_response(500 if said is None else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture(scope="session")
def running(serving) -> Iterator[Model]:
    model = Model()
    with serving(model.server):
        yield model


@pytest.fixture(scope="session")
def clever(running, settings) -> Iterator[Live]:
    """A live server with a language model."""
    with live_server(replace(settings, model_url=running.url)) as live:
        yield live


@pytest.fixture
def model(running) -> Model:
    running.says, running.heard, running.asked, running.keys = [], [], [], []
    return running


@pytest.fixture
def unanswering() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
