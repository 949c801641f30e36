"""Clients of fresh accounts at bRRAIn's address."""

from __future__ import annotations

import httpx
import pytest

import onebrain

PATH = "/compat/brrain"


class Client(httpx.Client):
    """A client of one key, with the words in which the tests are written."""

    def stored(self, content, **fields):
        """Store a memory and return its id."""
        answer = self.post("/v1/memory/store", json={"content": content, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def retrieve(self, q=None, **parameters):
        """Search and return the answer, whatever it is."""
        given = {"q": q, **parameters}
        params = {name: value for name, value in given.items() if value is not None}
        return self.get("/v1/memory/retrieve", params=params)

    def found(self, q=None, **parameters):
        """Search and return the ids that were found, best first."""
        answer = self.retrieve(q, **parameters)
        assert answer.status_code == 200, answer.text
        return [hit["id"] for hit in answer.json()["results"]]


@pytest.fixture(scope="session")
def address(live):
    return live.url + PATH


@pytest.fixture
def client_of(address, keep_open):
    """Make clients, each with a key."""
    return lambda key: keep_open(Client(base_url=address, headers={"authorization": f"Bearer {key}"}))


@pytest.fixture
def minted(client, client_of):
    """Return a function that makes a key of the service's own, and a client that has it."""

    def mint(scope="read-write", **fields):
        answer = client.post("/v1/auth/keys", json={"name": "minted", "scope": scope, **fields})
        assert answer.status_code == 201, answer.text
        return client_of(answer.json()["key"])

    return mint


@pytest.fixture
def tenant(live, key):
    """The engine's tenant that has the account's memories."""
    account = live.server.accounts.by_key(key).account.id
    return live.server.engine.tenant(f"{account}/brrain")


@pytest.fixture
def brrain(address, key):
    """Our own client of the account."""
    with onebrain.Brrain(base_url=address, api_key=key) as client:
        yield client


@pytest.fixture
def refused():
    """Return a function that checks an answer that failed, in the documented shape, and returns its error."""

    def check(answer, status, code):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        error = answer.json()["error"]
        assert (error["code"], error["status"]) == (code, status)
        assert error["request_id"] == answer.headers["x-request-id"]
        assert error["message"]
        return error

    return check
