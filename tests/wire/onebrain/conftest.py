"""A local server that answers with the recorded exchanges and refuses every request that differs from them."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

HERE = Path(__file__).parent
HOP = {"content-length", "transfer-encoding", "connection", "content-encoding"}


@dataclass
class Exchanges:
    """The remaining exchanges, and the differences of the received requests."""

    due: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    url: str = ""

    def check(self, handler: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
        if not self.due:
            self.wrong.append(f"unexpected {handler.command} {handler.path}")
            return {"status": 599, "response": None, "response_headers": {}}
        exchange = self.due.pop(0)
        got, want = urlsplit(handler.path), urlsplit(exchange["path"])
        pairs = [
            ("method", handler.command, exchange["method"]),
            ("path", got.path, want.path),
            ("query", sorted(parse_qsl(got.query)), sorted(parse_qsl(want.query))),
            ("authorization", handler.headers.get("authorization"), exchange["auth"]),
            (
                "body",
                json.loads(body) if body else None,
                exchange["body"] or None if exchange["body"] != {} else {},
            ),
        ]
        for name, value in exchange["headers"].items():
            pairs.append((name, (handler.headers.get(name) or "").lower(), value.lower()))
        if not body and exchange["body"] is None:
            pairs.append(("content-type", handler.headers.get("content-type"), None))
        if "Accept" not in exchange["headers"]:
            pairs.append(
                (
                    "accept",
                    "application/json" in handler.headers["accept"] or handler.headers["accept"] == "*/*",
                    True,
                )
            )
        self.wrong += [f"n={exchange['n']} {name}: {a!r} instead of {b!r}" for name, a, b in pairs if a != b]
        return exchange


@pytest.fixture(scope="session")
def exchanges() -> dict[int, dict[str, Any]]:
    lines = (HERE / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()
    return {exchange["n"]: exchange for exchange in map(json.loads, lines)}


@pytest.fixture(scope="session")
def replay_server() -> Iterator[Exchanges]:
    state = Exchanges()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            exchange = state.check(self, body)
            said = exchange["response"]
            plain = isinstance(said, str)
            payload = b"" if said is None else (said if plain else json.dumps(said)).encode()
            self.send_response(exchange["status"])
            for name, value in exchange["response_headers"].items():
                if name not in HOP:
                    self.send_header(name, value)
            if exchange["status"] != 204:
                self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def replay(replay_server: Exchanges, exchanges: dict[int, dict[str, Any]]) -> Any:
    """Return a context: within it the server expects exactly the given exchanges, in order."""

    @contextmanager
    def expecting(*numbers: int) -> Iterator[str]:
        replay_server.due = [exchanges[number] for number in numbers]
        replay_server.wrong = []
        yield replay_server.url
        assert replay_server.wrong == []
        assert replay_server.due == [], "not every recorded request was sent"

    return expecting


# ---- a server with a memory -----------------------------------------------------------------------------------------


def _hosted() -> Any:
    """Load hosted.py beside this file: test modules cannot import each other."""
    spec = importlib.util.spec_from_file_location("onebrain_hosted_server", HERE / "hosted.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def hosted_module() -> Any:
    return _hosted()


@pytest.fixture(scope="session")
def serving(hosted_module: Any) -> Iterator[Any]:
    server = hosted_module.Serving()
    yield server
    server.close()


@pytest.fixture
def hosted(serving: Any, hosted_module: Any) -> Any:
    """A fresh account on a server like the hosted one; its ``url`` and ``key`` are where a client connects."""
    serving.account = hosted_module.Hosted()
    serving.account.url = serving.url
    return serving.account


@pytest.fixture
def additions(serving: Any, hosted_module: Any) -> Any:
    """A fresh account on a server that has the additions of docs/http-api.md, too."""
    serving.account = hosted_module.Additions()
    serving.account.url = serving.url
    return serving.account
