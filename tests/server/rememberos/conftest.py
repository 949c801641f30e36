"""A live server, and clients of its RememberOS dialect: each test has an account of its own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import ThreadingHTTPServer

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import Live, live_server

SETTINGS = Settings(
    database_url="sqlite://",
    rate_limit_max=0,
    log_level="error",
    private_addresses=True,
    delivery_delays=(0.05, 0.1, 0.2),
)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    with live_server(SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def url(live: Live) -> str:
    return f"{live.url}/compat/rememberos"


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


@pytest.fixture(scope="session")
def until() -> Callable[..., dict]:
    """Ask again until an answer has a field that is true, and return it."""

    def ask(client: httpx.Client, path: str, field: str) -> dict:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = client.get(path).json()
            if found[field]:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{field} never came: {found}")

    return ask


@pytest.fixture
def key(live: Live) -> str:
    """A key of a fresh account's own."""
    return live.account(f"{uuid.uuid4().hex}@example.com")


@pytest.fixture
def api(url: str) -> Iterator[Callable[[str], httpx.Client]]:
    """Open a client with a key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(
            httpx.Client(base_url=f"{url}/v1", headers={"authorization": f"Bearer {key}"}, timeout=30)
        )


@pytest.fixture
def client(api: Callable[[str], httpx.Client], key: str) -> httpx.Client:
    return api(key)


@pytest.fixture
def stranger(live: Live, api: Callable[[str], httpx.Client]) -> httpx.Client:
    """A client of another account."""
    return api(live.account(f"{uuid.uuid4().hex}@example.com"))


@pytest.fixture
def agent(client: httpx.Client, api: Callable[[str], httpx.Client]) -> Callable[..., httpx.Client]:
    """Make an agent's key and return its client, whose `agent_id` names it."""

    def make(label: str = "bot", *, read_only: bool = False) -> httpx.Client:
        made = client.post("/memory/keys", json={"label": label, "read_only": read_only}).json()
        opened = api(made["key"])
        opened.agent_id = made["id"]  # type: ignore[attr-defined]
        return opened

    return make


@pytest.fixture
def add(client: httpx.Client) -> Callable[..., dict]:
    """Store a memory in the collection "notes"."""

    def store(text: str, collection: str = "notes", **fields: object) -> dict:
        answer = client.post(f"/memory/collections/{collection}/memories", json={"text": text, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return store
