"""A live server, and clients of its RememberOS dialect: each test has an account of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

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
