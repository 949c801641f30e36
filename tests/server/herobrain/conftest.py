"""Clients of fresh accounts at HeroBrain's address."""

from __future__ import annotations

import httpx
import pytest

PATH = "/compat/herobrain"


@pytest.fixture(scope="session")
def address(live):
    return live.url + PATH


@pytest.fixture
def client_of(address, keep_open):
    """Make clients, each with a key."""
    return lambda key: keep_open(httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}))


@pytest.fixture
def minted(client, client_of):
    """Return a function that makes a key of the service's own, and a client that has it."""

    def mint(*scopes, **fields):
        body = {"name": "minted", **fields, **({"scopes": list(scopes)} if scopes else {})}
        return client_of(data(client.post("/api/v1/api-keys", json=body), 201)["plainKey"])

    return mint


@pytest.fixture
def create():
    """Return a function that stores a memory by a client."""

    def make(client, content="Met with Sarah about Q4 goals", type="episodic", **fields):
        body = {"content": content, "type": type, **fields}
        return data(client.post("/api/v1/memories", json=body), 201)

    return make


def data(answer, status=200):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is True
    assert set(body) == {"success", "data", "metadata"}
    assert body["metadata"]["version"] == "v1"
    assert body["metadata"]["request_id"] == answer.headers["x-request-id"]
    return body["data"]


def errors(answer, status):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is False
    assert set(body) == {"success", "errors", "metadata"}
    assert body["metadata"]["request_id"] == answer.headers["x-request-id"]
    return [(error["code"], error.get("field")) for error in body["errors"]]


@pytest.fixture(name="data", scope="session")
def data_of():
    """Return the content of the envelope of a success."""
    return data


@pytest.fixture(name="errors", scope="session")
def errors_of():
    """Return code and field of all errors in the envelope of a failure."""
    return errors
