"""A live server, clients of fresh accounts at HeroBrain's address, and a receiver of webhooks on a socket."""

from __future__ import annotations

import http.server
import queue
import threading
import uuid
from dataclasses import dataclass, field

import httpx
import pytest

PATH = "/compat/herobrain"


@pytest.fixture(scope="session")
def address(live):
    return live.url + PATH


@pytest.fixture
def key(live):
    """A key of a fresh account, which is empty."""
    return live.account(f"{uuid.uuid4().hex}@example.com")


@pytest.fixture
def client_of(address):
    """Make clients, each with a key."""
    made = []

    def client(key):
        made.append(httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def client(client_of, key):
    """A client of an account of its own."""
    return client_of(key)


@pytest.fixture
def stranger(client_of, live):
    """A client of another account."""
    return client_of(live.account(f"{uuid.uuid4().hex}@example.com"))


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
    """Return what the envelope of a success holds."""
    return data


@pytest.fixture(name="errors", scope="session")
def errors_of():
    """Return code and field of all errors in the envelope of a failure."""
    return errors


@dataclass
class Receiver:
    """Takes webhooks; answers with the statuses in `statuses`, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    arrived: queue.Queue = field(default_factory=queue.Queue)

    def take(self):
        """Wait for the next delivery and return its headers and body."""
        return self.arrived.get(timeout=10)

    @property
    def is_empty(self):
        return self.arrived.empty()


@pytest.fixture
def receiver():
    state = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status = state.statuses.pop(0) if state.statuses else 200
            state.arrived.put((dict(self.headers.items()), body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
