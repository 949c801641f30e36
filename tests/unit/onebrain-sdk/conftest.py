"""A server on a real socket that returns prepared answers and records its requests; and calls of sync and async clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import isawaitable
from urllib.parse import parse_qsl, urlsplit

import pytest

from onebrain._core.retry import RetryPolicy

AT_ONCE = RetryPolicy(max_retries=2, base_delay=0, max_delay=0)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; `path` is still percent-encoded."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def body(self):
        return json.loads(self.content) if self.content else None


@dataclass
class Stub:
    """Answers in the order in which `answer` was called, then 599."""

    url: str = ""
    requests: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, bytes | None, dict[str, str]]] = field(default_factory=list)

    def answer(self, body=None, status=200, headers=None):
        """Queue an answer: JSON, text or bytes as they are, None for an empty body."""
        kind = "text/plain; charset=utf-8" if isinstance(body, str | bytes) else "application/json"
        if isinstance(body, str):
            body = body.encode()
        elif body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        typed = {} if body is None else {"content-type": kind}
        self.answers.append((status, body, {**typed, **(headers or {})}))

    def hang_up(self):
        """Queue a connection that is closed without an answer."""
        self.answers.append((0, None, {}))

    @property
    def last(self):
        return self.requests[-1]


@pytest.fixture
def stub():
    state = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append(Asked(self.command, url.path, query, headers, content))
            status, body, headers = state.answers.pop(0) if state.answers else (599, None, {})
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def in_colour(colour):
    """Return a function that calls a sync or an async client, as the test demands, and returns the result."""

    def run(sync_class, async_class, options, call):
        if colour == "sync":
            with sync_class(**options) as client:
                result = call(client)
                return list(result) if isinstance(result, Iterator) else result

        async def main():
            async with async_class(**options) as client:
                result = call(client)
                if isinstance(result, AsyncIterator):
                    return [row async for row in result]
                return await result if isawaitable(result) else result

        return asyncio.run(main())

    return run
