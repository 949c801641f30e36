"""A server on a real socket that returns the answers of a test and records every request."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest

LOST = object()
Colour = Literal["sync", "async"]


@dataclass(frozen=True)
class Got:
    """One request as it came over the wire."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.content)

    @property
    def form(self) -> list[tuple[str, str | None, str, bytes]]:
        """The parts of a form: name, file name, media type, content."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        parts = []
        for part in self.content.split(b"--" + boundary)[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
            said = head.decode()
            name, filename, kind = (
                re.search(pattern, said, re.IGNORECASE)
                for pattern in (r'\bname="([^"]*)"', r'filename="([^"]*)"', r"content-type: (\S+)")
            )
            assert name is not None
            parts.append((name[1], filename and filename[1], kind[1] if kind else "", content))
        return parts


@dataclass
class Stub:
    """The next answers and the recorded requests. `lost` closes the connection instead of an answer."""

    lost: ClassVar[object] = LOST
    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)

    def answer(
        self, body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next request: JSON, bytes as they are, nothing for None, `lost`, or a function of the request."""
        self.answers.append((status, body, dict(headers or {})))

    @property
    def only(self) -> Got:
        (request,) = self.got
        return request


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def reply(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            split = urlsplit(self.path)
            request = Got(
                self.command,
                split.path,
                parse_qsl(split.query, keep_blank_values=True),
                {name.lower(): value for name, value in self.headers.items()},
                content,
            )
            stub.got.append(request)
            status, body, headers = stub.answers.pop(0) if stub.answers else (599, None, {})
            if callable(body):
                body = body(request)
            if body is LOST:
                self.close_connection = True
                return
            payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if body is not None and not isinstance(body, bytes):
                self.send_header("content-type", "application/json")
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="session")
def stub_server() -> Iterator[Stub]:
    stub = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub))
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stub(stub_server: Stub) -> Iterator[Stub]:
    stub_server.answers.clear()
    stub_server.got.clear()
    yield stub_server
    assert stub_server.answers == [], "an answer was never asked for"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    return request.param


@pytest.fixture
def run(colour: Colour) -> Callable[..., Any]:
    """Call the sync or the async client and return the result, iterators as lists."""

    def run_sync(make: Callable[[], Any], call: Callable[[Any], Any]) -> Any:
        with make() as client:
            result = call(client)
            return list(result) if isinstance(result, Iterator) else result

    def run_async(make: Callable[[], Any], call: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            async with make() as client:
                result = call(client)
                if isinstance(result, AsyncIterator):
                    return [row async for row in result]
                return await result if isinstance(result, Coroutine) else result

        return asyncio.run(main())

    return run_sync if colour == "sync" else run_async
