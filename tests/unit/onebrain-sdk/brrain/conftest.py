"""A host that keeps memories as bRRAIn documents it, on a real socket; every key is a vault of its own.

It stands in for the service where the driver is proved. Set ONEBRAIN_TEST_BRRAIN_URL to prove it against another host,
which must open a new vault for every key that it has not seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

import onebrain


class Refused(Exception):
    def __init__(self, status: int, code: str, **more: Any) -> None:
        self.status = status
        self.body = {
            "error": {"code": code, "message": code, "request_id": "req_1", "status": status, **more}
        }


class Host:
    """The vaults: memories by key. Embeddings are made at the first read, as a queue would some time later."""

    def __init__(self) -> None:
        self.vaults: dict[str, dict[str, dict[str, Any]]] = {}
        self.lock = threading.RLock()
        self.url = ""
        # How many of the next stores are stored without an answer.
        self.lost = 0

    def ask(self, method: str, path: str, query: dict[str, str], body: Any, key: str) -> tuple[int, Any]:
        with self.lock:
            vault = self.vaults.setdefault(key, {})
            match method, path.removeprefix("/v1/memory/"):
                case "POST", "store":
                    return 201, self.store(vault, body)
                case "POST", "batch":
                    return self.batch(vault, body["memories"])
                case "GET", "retrieve":
                    return 200, self.retrieve(vault, query)
                case _, id if unquote(id) in vault:
                    return 200, self.one(method, vault, unquote(id))
            raise Refused(404, "not_found")

    def store(self, vault: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if not body["content"] or len(body["content"].encode()) > 1_048_576 or "\x00" in body["content"]:
            raise Refused(400, "validation_error")
        workspace = body.get("workspace_id", "ws_default")
        digest = hashlib.sha256(body["content"].encode()).hexdigest()
        for row in vault.values():
            if row["idempotency_key"] == body["idempotency_key"] or (
                (row["workspace_id"], row["content_hash"]) == (workspace, f"sha256:{digest}")
            ):
                raise Refused(409, "conflict", existing_id=row["id"])
        now = datetime.now(UTC)
        ttl = body.get("ttl_seconds")
        row = {
            "id": f"mem_{uuid.uuid4().hex[:16]}g",
            "status": "stored",
            "vault_id": "vlt_default",
            "workspace_id": workspace,
            "created_at": now.isoformat(),
            "updated_at": None,
            "content_hash": f"sha256:{digest}",
            "byte_size": len(body["content"].encode()),
            "metadata": body.get("metadata", {}),
            "processing": {"embedding_status": "pending", "entity_extraction_status": "pending"},
            "content": body["content"],
            "idempotency_key": body["idempotency_key"],
            "archived_from": None if ttl is None else now + timedelta(seconds=ttl),
        }
        vault[row["id"]] = row
        return _shown(row, "content", "updated_at")

    def batch(self, vault: dict[str, Any], bodies: list[dict[str, Any]]) -> tuple[int, Any]:
        if not 1 <= len(bodies) <= 100:
            raise Refused(400, "validation_error")
        results: list[dict[str, Any]] = []
        for index, body in enumerate(bodies):
            try:
                results.append({"id": self.store(vault, body)["id"], "status": "stored"})
            except Refused as refused:
                results.append({"status": "failed", "error": refused.body["error"], "index": index})
        failed = sum(item["status"] == "failed" for item in results)
        answer = {"stored": len(results) - failed, "failed": failed, "results": results}
        return 200 if failed else 201, answer

    def one(self, method: str, vault: dict[str, Any], id: str) -> dict[str, Any]:
        if method == "DELETE":
            del vault[id]
            return {"id": id, "status": "deleted", "deleted_at": datetime.now(UTC).isoformat()}
        row = vault[id]
        answer = _shown(row, "status", "content_hash", "byte_size")
        row["processing"] = {"embedding_status": "completed", "entity_extraction_status": "completed"}
        return answer

    def retrieve(self, vault: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        mode = query.get("mode", "semantic")
        text = query.get("keyword" if mode == "keyword" else "q", query.get("q", query.get("keyword", "")))
        limit = int(query.get("limit", "10"))
        assert 1 <= limit <= 100
        words, tags = _words(text), set(filter(None, query.get("tags", "").split(",")))
        rows = []
        for row in vault.values():
            archived = row["archived_from"] is not None and row["archived_from"] <= datetime.now(UTC)
            pending = row["processing"]["embedding_status"] == "pending" and mode != "keyword"
            elsewhere = query.get("workspace_id") not in (None, row["workspace_id"])
            if archived or pending or elsewhere or not tags <= set(row["metadata"].get("tags", [])):
                continue
            score = len(words & _words(row["content"])) / max(1, len(words))
            # Of meaning, every memory has some: the documented limit of relevance is 0.
            if score > 0 or mode == "semantic":
                hit = {name: row[name] for name in ("id", "content", "metadata", "created_at")}
                rows.append({**hit, "relevance_score": score, "highlights": []})
        rows.sort(key=lambda row: -row["relevance_score"])
        start = int(query.get("cursor", "0"))
        more = start + limit < len(rows)
        return {
            "query": text,
            "mode": mode,
            "results": rows[start : start + limit],
            "total": len(rows),
            "has_more": more,
            "next_cursor": str(start + limit) if more else None,
            "took_ms": 1,
        }


def _shown(row: dict[str, Any], *hidden: str) -> dict[str, Any]:
    hidden = (*hidden, "idempotency_key", "archived_from")
    return {name: value for name, value in row.items() if name not in hidden}


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # The suite opens dozens of connections at once.
    request_queue_size = 256


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def reply(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            split = urlsplit(self.path)
            query = {
                name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()
            }
            body = json.loads(content) if content else None
            try:
                status, answer = host.ask(
                    self.command, split.path, query, body, self.headers["authorization"]
                )
            except Refused as refused:
                status, answer = refused.status, refused.body
            if self.command == "POST" and host.lost:
                host.lost -= 1
                self.close_connection = True
                return
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_DELETE = reply

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    yield host
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def host_url(request: pytest.FixtureRequest) -> str:
    return os.environ.get("ONEBRAIN_TEST_BRRAIN_URL") or request.getfixturevalue("host").url


@pytest.fixture
def api_key() -> str:
    return f"brr_test_{uuid.uuid4().hex}"


@pytest.fixture
def brain_of(host_url, api_key) -> Callable[[], onebrain.Brain]:
    """Open another brain of the same vault."""
    return lambda: onebrain.connect(f"brrain+{host_url}", api_key=api_key)


@pytest.fixture
def brrain(host_url, api_key) -> Iterator[onebrain.Brrain]:
    """The typed client of the same vault: another program, as the brain sees it."""
    with onebrain.Brrain(base_url=host_url, api_key=api_key) as client:
        yield client
