"""Clients of the RememberOS dialect, each of an account of its own."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

import httpx
import pytest

import onebrain
from onebrain_server.testing import Live


@pytest.fixture(scope="session")
def url(live: Live) -> str:
    return f"{live.url}/compat/rememberos"


@pytest.fixture(scope="session")
def until() -> Callable[..., dict]:
    """Ask again until an answer has a field that is true, and return it."""

    def ask(client: httpx.Client, path: str, field: str) -> dict:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            found = client.get(path).json()
            if found[field]:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{field} never came: {found}")

    return ask


@pytest.fixture
def client_of(url: str, keep_open) -> Callable[[str], httpx.Client]:
    """Make clients, each with a key."""
    return lambda key: keep_open(
        httpx.Client(base_url=f"{url}/v1", headers={"authorization": f"Bearer {key}"}, timeout=180)
    )


@pytest.fixture
def agent(client: httpx.Client, client_of: Callable[[str], httpx.Client]) -> Callable[..., httpx.Client]:
    """Make an agent's key and return its client, whose `agent_id` names it."""

    def make(label: str = "bot", *, read_only: bool = False) -> httpx.Client:
        made = client.post("/memory/keys", json={"label": label, "read_only": read_only}).json()
        opened = client_of(made["key"])
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


@pytest.fixture(params=["sync", "async"])
def ask(request, url, key):
    """Call a sync or an async client: ``ask(lambda c: c.agents())``. Lists are read to their end."""
    if request.param == "sync":
        with onebrain.RememberOS(api_key=key, base_url=url) as client:
            yield lambda what: _whole(what(client))
        return

    async def call(what):
        async with onebrain.AsyncRememberOS(api_key=key, base_url=url) as client:
            found = what(client)
            if inspect.isawaitable(found):
                return await found
            return [row async for row in found]

    yield lambda what: asyncio.run(call(what))


def _whole(found):
    return list(found) if inspect.isgenerator(found) or hasattr(found, "__next__") else found
