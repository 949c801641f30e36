"""A live server, an account of its own for each test, and who speaks to it."""

from __future__ import annotations

import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from onebrain import AiMemoryClient

DIALECT = "/compat/ai-memory"


@pytest.fixture
def base(live):
    """The address that a client is told."""
    return live.url + DIALECT


@pytest.fixture
def key(live):
    """A key of a fresh account that may do everything."""
    return live.account(f"{uuid.uuid4().hex}@example.com")


@pytest.fixture
def speak(base):
    """Open an HTTP client with a key, as an agent if need be."""
    opened = []

    def make(key, agent=None):
        headers = {"x-api-key": key} | ({"x-agent-id": agent} if agent else {})
        opened.append(httpx.Client(base_url=base + "/api/v1", headers=headers))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def http(speak, key):
    """An HTTP client of the account."""
    return speak(key)


@pytest.fixture
def stranger(speak, live):
    """An HTTP client of another account."""
    return speak(live.account(f"{uuid.uuid4().hex}@example.com"))


@pytest.fixture
def client(base, key):
    """Our client of the account."""
    with AiMemoryClient(base, api_key=key) as found:
        yield found


@pytest.fixture
def agent(http, speak):
    """Open an HTTP client with a key that is tied to an agent."""

    def make(name, permission="write"):
        made = http.post("/keys", json={"agent_id": name, "permission": permission})
        assert made.status_code == 201, made.text
        return speak(made.json()["api_key"])

    return make


@pytest.fixture
def store(http):
    """Store a memory and return what the answer says."""

    def make(title, content="Some text", **fields):
        made = fields.pop("by", http).post("/memories", json={"title": title, "content": content, **fields})
        assert made.status_code == 201, made.text
        return made.json()

    return make


class Receiver:
    """What a subscriber received; it fails as often as it is told to before it takes anything."""

    def __init__(self):
        self.deliveries = []
        self.failures = 0
        self.arrived = threading.Condition()

    def take(self, headers, body):
        with self.arrived:
            self.deliveries.append((headers, body))
            self.arrived.notify_all()
            if self.failures:
                self.failures -= 1
                return 503
            return 200

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.deliveries) >= count, timeout=20), (
                f"{len(self.deliveries)} of {count} deliveries came"
            )
            return list(self.deliveries)


@pytest.fixture
def receiver():
    """A subscriber on a socket."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(found.take(dict(self.headers), body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
