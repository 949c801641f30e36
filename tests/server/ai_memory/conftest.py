"""Who speaks to the live server at ai-memory's address."""

from __future__ import annotations

import httpx
import pytest

from onebrain import AiMemoryClient

DIALECT = "/compat/ai-memory"


@pytest.fixture
def base(live):
    """The address that a client is told."""
    return live.url + DIALECT


@pytest.fixture
def client_of(base, keep_open):
    """Make HTTP clients, each with a key, as an agent if need be."""

    def make(key, agent=None):
        headers = {"x-api-key": key} | ({"x-agent-id": agent} if agent else {})
        return keep_open(httpx.Client(base_url=base + "/api/v1", headers=headers))

    return make


@pytest.fixture
def http(client_of, key):
    """An HTTP client of the account."""
    return client_of(key)


@pytest.fixture
def client(base, key):
    """Our client of the account."""
    with AiMemoryClient(base, api_key=key) as found:
        yield found


@pytest.fixture
def agent(http, client_of):
    """Open an HTTP client with a key that is tied to an agent."""

    def make(name, permission="write"):
        made = http.post("/keys", json={"agent_id": name, "permission": permission})
        assert made.status_code == 201, made.text
        return client_of(made.json()["api_key"])

    return make


@pytest.fixture
def store(http):
    """Store a memory and return the answer."""

    def make(title, content="Some text", **fields):
        made = fields.pop("by", http).post("/memories", json={"title": title, "content": content, **fields})
        assert made.status_code == 201, made.text
        return made.json()

    return make
