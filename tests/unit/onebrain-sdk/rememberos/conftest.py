"""A host that keeps memories as RememberOS documents it, on a real socket; every key is a tenant of its own.

It stands in for the service where the driver is proved. Set ONEBRAIN_TEST_REMEMBEROS_URL to prove it against another
host, which must open a new tenant for every key that it has not seen.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

import onebrain


class Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail


class Host:
    """The tenants: collections of memories, by key."""

    def __init__(self) -> None:
        self.tenants: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        self.lock = threading.RLock()
        self.clock = itertools.count()

    def ask(self, method: str, path: str, query: dict[str, str], body: Any, key: str) -> tuple[int, Any]:
        with self.lock:
            tenant = self.tenants.setdefault(key, {})
            parts = [unquote(part) for part in path.removeprefix("/v1/memory/").split("/")]
            match method, parts:
                case "GET", ["collections"]:
                    return 200, [{"name": name, "memory_count": len(rows)} for name, rows in tenant.items()]
                case "POST", ["search"]:
                    rows = [{**row, "collection": name} for name in tenant for row in tenant[name].values()]
                    return 200, self.search(rows, body)
                case "POST", ["collections", name, "search"]:
                    return 200, self.search(list(self.collection(tenant, name).values()), body)
                case "POST", ["collections", name, "memories"]:
                    return 201, self.create(tenant.setdefault(name, {}), body)
                case "POST", ["collections", name, "memories", "bulk"]:
                    if not 1 <= len(body) <= 100:
                        raise Refused(422, "1 to 100 memories")
                    for item in body:
                        self.check(item)
                    rows = [self.create(tenant.setdefault(name, {}), item) for item in body]
                    return 201, {"created": len(rows), "ids": [row["id"] for row in rows]}
                case "GET", ["collections", name, "memories"]:
                    limit, offset = int(query["limit"]), int(query["offset"])
                    assert limit <= 200
                    rows = [
                        row
                        for row in self.collection(tenant, name).values()
                        if query.get("include_archived") == "true" or not row["archived"]
                    ]
                    rows.sort(key=lambda row: (row["pinned"], row["at"]), reverse=True)
                    return 200, rows[offset : offset + limit]
                case _, ["collections", name, "memories", id, *rest]:
                    rows = self.collection(tenant, name)
                    if id not in rows:
                        raise Refused(404, "Memory not found")
                    return self.one(method, rows, id, rest, body)
            raise AssertionError(f"the driver asked for {method} {path}")

    def collection(self, tenant: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
        if name not in tenant:
            raise Refused(404, "Collection not found")
        return tenant[name]

    def check(self, body: dict[str, Any]) -> None:
        if not 1 <= len(body.get("text", "x")) <= 10_000 or "\\u0000" in json.dumps(body):
            raise Refused(422, "text: 1 to 10000 characters, none of them NUL")

    def create(self, rows: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        self.check(body)
        number = next(self.clock)
        now = datetime.now(UTC).isoformat()
        row = {
            "id": str(uuid.uuid4()),
            "importance": 0.7,
            "category": "other",
            "source": "api",
            "metadata": {},
            "container_tag": None,
            "images": [],
            "created_by": {"id": "k1", "label": "test"},
            "pinned": False,
            "archived": False,
            **body,
            "created_at": now,
            "updated_at": now,
            "at": number,
        }
        rows[row["id"]] = row
        return row

    def one(self, method: str, rows: dict[str, Any], id: str, rest: list[str], body: Any) -> tuple[int, Any]:
        row = rows[id]
        if method == "DELETE":
            del rows[id]
            return 200, {"deleted": True}
        if method == "PATCH":
            assert body.keys() <= {"text", "importance", "category", "metadata"}
            self.check(body)
            row |= body
        elif method == "POST" and rest in (["pin"], ["archive"]):
            row |= body
        if method != "GET":
            row["updated_at"] = datetime.now(UTC).isoformat()
        return 200, row

    def search(self, rows: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        assert 1 <= body["limit"] <= 50
        words = _words(body["query"])
        found = []
        for row in rows:
            if row["archived"] and not body.get("include_archived"):
                continue
            if body.get("container_tag") not in (None, row["container_tag"]):
                continue
            if not _contains(row["metadata"], body.get("metadata_filter") or {}):
                continue
            score = len(words & _words(row["text"])) / max(1, len(words))
            if score > 0:
                hidden = ("container_tag", "at")
                shown = {name: value for name, value in row.items() if name not in hidden}
                found.append({**shown, "score": score})
        found.sort(key=lambda row: -row["score"])
        return {
            "results": found[: body["limit"]],
            "query_embedding_ms": 0.1,
            "search_ms": 0.1,
            "cached": False,
            **({"reranked": True} if body.get("rerank") else {}),
        }


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _contains(stored: Any, wanted: Any) -> bool:
    """JSONB containment."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(
            key in stored and _contains(stored[key], item) for key, item in wanted.items()
        )
    return type(stored) is type(wanted) and stored == wanted


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # The suite opens dozens of connections at once.
    request_queue_size = 256


@pytest.fixture(scope="session")
def host_url() -> Iterator[str]:
    if url := os.environ.get("ONEBRAIN_TEST_REMEMBEROS_URL"):
        yield url
        return
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def reply(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            split = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            try:
                status, answer = host.ask(
                    self.command,
                    split.path,
                    query,
                    json.loads(content) if content else None,
                    self.headers["authorization"],
                )
            except Refused as refused:
                status, answer = refused.status, {"detail": refused.detail}
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api_key() -> str:
    return f"mv_{uuid.uuid4().hex}"


@pytest.fixture
def brain_of(host_url, api_key) -> Callable[[], onebrain.Brain]:
    """Open another brain of the same tenant."""
    return lambda: onebrain.connect(f"rememberos+{host_url}", api_key=api_key)


@pytest.fixture
def rememberos(host_url, api_key) -> Iterator[onebrain.RememberOS]:
    """The typed client of the same tenant: another program, as the brain sees it."""
    with onebrain.RememberOS(base_url=host_url, api_key=api_key) as client:
        yield client
