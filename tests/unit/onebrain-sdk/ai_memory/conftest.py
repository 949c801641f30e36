from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import unicodedata
import uuid
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from onebrain import AiMemoryClient, AsyncAiMemoryClient, Brain
from onebrain._core.retry import RetryPolicy
from onebrain._core.transport import Response
from onebrain.services.ai_memory.driver import AiMemoryDriver


@pytest.fixture
def ask(in_colour, stub):
    """Call a sync or an async client of the stub."""

    def run(call, **options):
        at_once = RetryPolicy(max_retries=2, base_delay=0, max_delay=0)
        return in_colour(
            AiMemoryClient, AsyncAiMemoryClient, {"base_url": stub.url, "retry": at_once, **options}, call
        )

    return run


def sanitized(text, joiner):
    """The full-text query that the daemon makes of plain words."""
    tokens = ("".join(c for c in word if c not in '"*^{}():|+') for word in text.split())
    words = [f'"{token}"' for token in tokens if token and token.upper() not in ("AND", "OR", "NOT", "NEAR")]
    return joiner.join(words) or '"_empty_"'


def refusal(row):
    """Return the daemon's validation error, for the rules that a driver can meet. Returns None if the request is valid."""
    for name, limit in (("title", 512), ("content", None)):
        text = row[name]
        if not text.strip():
            return f"{name} cannot be empty"
        if any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in text):
            return f"{name} contains invalid characters"
        if limit and len(text.strip()) > limit:
            return f"{name} exceeds max length of {limit} characters"
    if len(row["content"].encode()) > 65_536:
        return "content exceeds max size of 65536 bytes"
    parts = row["namespace"].split("/")
    if " " in row["namespace"] or "\\" in row["namespace"] or {"", ".", ".."} & set(parts) or len(parts) > 8:
        return "invalid namespace"
    if len(row["tags"]) > 50 or any(
        not tag.strip() or len(tag.strip().encode()) > 128 for tag in row["tags"]
    ):
        return "invalid tags"
    if len(json.dumps(row["metadata"], ensure_ascii=False, separators=(",", ":")).encode()) > 65_536:
        return "metadata exceeds max size of 65536 bytes"
    return None


class StandIn:
    """The routes of the daemon, version 0.6.4 in its keyword tier, that the driver uses, over SQLite as the daemon is.

    The same suite runs on the real daemon in tests/live.
    """

    COLUMNS: ClassVar = [
        "id",
        "tier",
        "namespace",
        "title",
        "content",
        "tags",
        "priority",
        "confidence",
        "source",
        "access_count",
        "created_at",
        "updated_at",
        "expires_at",
        "metadata",
    ]

    def __init__(self, *, embedder_ready=False, import_embeds=False):
        self.embedder_ready = embedder_ready
        # As OneBrain's own server does.
        self.import_embeds = import_embeds
        self.embedded = []
        self.lock = threading.Lock()
        self.db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(
            f"CREATE TABLE memories ({', '.join(self.COLUMNS)}, PRIMARY KEY (id), UNIQUE (title, namespace));"
            "CREATE VIRTUAL TABLE words USING fts5(title, content, tags);"
        )
        self.links = {}

    def answer(self, request):
        url = urlsplit(request.url)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = json.loads(request.content) if request.content else None
        path = [unquote(part) for part in url.path.split("/")[3:]]
        with self.lock:
            status, said = getattr(self, f"{request.method.lower()}_{path[0]}")(path[1:], query, body)
        return Response(status, {"content-type": "application/json"}, json.dumps(said).encode())

    def now(self):
        return datetime.now(UTC).isoformat()

    def out(self, row):
        row = {name: row[name] for name in self.COLUMNS}
        row |= {"tags": json.loads(row["tags"]), "metadata": json.loads(row["metadata"])}
        if row["expires_at"] is None:
            del row["expires_at"]
        return row

    def find(self, id):
        rows = self.db.execute("SELECT rowid, * FROM memories WHERE id = ?", [id]).fetchall()
        rows = rows or [r for r in self.db.execute("SELECT rowid, * FROM memories") if r["id"].startswith(id)]
        return rows[0] if len(rows) == 1 else None

    def write(self, row):
        """The daemon's upsert: by title and namespace; another row of the same id is an error."""
        old = self.db.execute(
            "SELECT rowid, * FROM memories WHERE title = ? AND namespace = ?",
            [row["title"], row["namespace"]],
        ).fetchone()
        if old is not None:
            row = {
                **row,
                "id": old["id"],
                "created_at": old["created_at"],
                "access_count": old["access_count"],
            }
            row["priority"] = max(row["priority"], old["priority"])
            if "long" in (row["tier"], old["tier"]):
                row |= {"tier": "long", "expires_at": None}
            self.erase(old)
        stored = {**row, "tags": json.dumps(row["tags"]), "metadata": json.dumps(row["metadata"])}
        marks = ", ".join("?" * len(self.COLUMNS))
        values = [stored.get(name) for name in self.COLUMNS]
        done = self.db.execute(f"INSERT INTO memories ({', '.join(self.COLUMNS)}) VALUES ({marks})", values)
        words = [row["title"], row["content"], stored["tags"]]
        self.db.execute(
            "INSERT INTO words (rowid, title, content, tags) VALUES (?, ?, ?, ?)", [done.lastrowid, *words]
        )
        return row["id"]

    def erase(self, row):
        self.db.execute("DELETE FROM memories WHERE rowid = ?", [row["rowid"]])
        self.db.execute("DELETE FROM words WHERE rowid = ?", [row["rowid"]])

    def get_health(self, path, query, body):
        health = {"status": "ok", "version": "0.6.4", "embedder_ready": self.embedder_ready}
        return 200, health | ({"import_embeds": True} if self.import_embeds else {})

    def post_memories(self, path, query, body):
        # Promote.
        if path:
            row = self.find(path[0])
            self.db.execute("UPDATE memories SET tier = 'long', expires_at = NULL WHERE id = ?", [row["id"]])
            return 200, {"promoted": True, "id": row["id"], "tier": "long"}
        now = self.now()
        metadata = {**body.get("metadata", {}), "agent_id": body.get("agent_id", "anonymous:req-1a2b3c4d")}
        row = {
            "id": str(uuid.uuid4()),
            "tier": body.get("tier", "mid"),
            "namespace": body.get("namespace", "global"),
            "title": body["title"],
            "content": body["content"],
            "tags": body.get("tags", []),
            "priority": body.get("priority", 5),
            "confidence": body.get("confidence", 1.0),
            "source": body.get("source", "api"),
            "access_count": 0,
            "created_at": now,
            "updated_at": now,
            "expires_at": body.get("expires_at"),
            "metadata": metadata,
        }
        problem = refusal(row)
        if problem:
            return 400, {"error": problem}
        self.embedded.append(row["id"])
        return 201, {
            "id": self.write(row),
            "tier": row["tier"],
            "namespace": row["namespace"],
            "title": row["title"],
        }

    def post_import(self, path, query, body):
        assert len(body["memories"]) <= 1000
        imported, errors = 0, []
        for row in body["memories"]:
            problem = refusal(row)
            try:
                if problem is None:
                    self.write({"expires_at": None, **row})
                    imported += 1
            except sqlite3.IntegrityError as error:
                problem = str(error)
            if problem:
                errors.append(f"{row['id']}: {problem}")
        return 200, {"imported": imported, "errors": errors}

    def get_memories(self, path, query, body):
        if path:
            row = self.find(path[0])
            return (
                (404, {"error": "not found"})
                if row is None
                else (200, {"memory": self.out(row), "links": []})
            )
        limit, offset = min(int(query.get("limit", 20)), 1000), int(query.get("offset", 0))
        sql, values = self.where(query)
        found = self.db.execute(
            f"SELECT * FROM memories m WHERE {sql} ORDER BY priority DESC, updated_at DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        rows = [self.out(row) for row in found]
        return 200, {"memories": rows, "count": len(rows)}

    def put_memories(self, path, query, body):
        row = self.find(path[0])
        if row is None:
            return 404, {"error": "not found"}
        old = {**self.out(row), "expires_at": row["expires_at"]}
        new = {
            **old,
            **{name: value for name, value in body.items() if value is not None},
            "updated_at": self.now(),
        }
        if old["tier"] == "long":
            new["tier"] = "long"
        if "agent_id" in old["metadata"]:
            new["metadata"] = {**new["metadata"], "agent_id": old["metadata"]["agent_id"]}
        problem = refusal(new)
        if problem:
            return 400, {"error": problem}
        if "title" in body or "content" in body:
            self.embedded.append(row["id"])
        self.erase(row)
        self.write(new)
        return 200, self.out(self.find(path[0]))

    def delete_memories(self, path, query, body):
        row = self.find(path[0])
        if row is None:
            return 404, {"error": "not found"}
        self.erase(row)
        return 200, {"deleted": True}

    def post_links(self, path, query, body):
        ends = body["source_id"], body["target_id"]
        if not all(self.db.execute("SELECT 1 FROM memories WHERE id = ?", [id]).fetchone() for id in ends):
            return 500, {"error": "FOREIGN KEY constraint failed"}
        self.links.setdefault(ends, body["relation"])
        return 201, {"linked": True}

    def delete_links(self, path, query, body):
        return 200, {"deleted": self.links.pop((body["source_id"], body["target_id"]), None) is not None}

    def where(self, asked):
        sql, values = "(m.expires_at IS NULL OR m.expires_at > ?)", [self.now()]
        if asked.get("namespace"):
            # A recall in a hierarchical namespace looks into the ones above it.
            parts = asked["namespace"].split("/") if "context" in asked else [asked["namespace"]]
            names = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
            sql += f" AND m.namespace IN ({', '.join('?' * len(names))})"
            values += names
        if asked.get("tags"):
            sql += " AND EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value = ?)"
            values.append(asked["tags"])
        return sql, values

    def post_recall(self, path, query, body):
        if "\0" in body["context"]:
            return 500, {"error": "internal server error"}
        sql, values = self.where(body)
        found = self.db.execute(
            "SELECT m.*, -words.rank + m.priority * 0.5 + min(m.access_count, 50) * 0.1 + m.confidence * 2.0"
            " + CASE m.tier WHEN 'long' THEN 3.0 WHEN 'mid' THEN 1.0 ELSE 0.0 END + 1.0 AS score"
            f" FROM words JOIN memories m ON m.rowid = words.rowid WHERE words MATCH ? AND {sql}"
            " ORDER BY score DESC LIMIT ?",
            [sanitized(body["context"], " OR "), *values, min(body.get("limit", 10), 50)],
        ).fetchall()
        for row in found:
            self.db.execute("UPDATE memories SET access_count = access_count + 1 WHERE id = ?", [row["id"]])
        rows = [{**self.out(row), "score": round(row["score"], 3)} for row in found]
        mode = "hybrid" if self.embedder_ready else "keyword"
        if self.embedder_ready:
            rows = [{**row, "score": row["score"] / 20} for row in rows]
        return 200, {"memories": rows, "count": len(rows), "tokens_used": 0, "mode": mode}

    def get_search(self, path, query, body):
        sql, values = self.where(query)
        found = self.db.execute(
            f"SELECT m.* FROM words JOIN memories m ON m.rowid = words.rowid WHERE words MATCH ? AND {sql}"
            " ORDER BY words.rank LIMIT ?",
            [sanitized(query["q"], " "), *values, int(query["limit"])],
        )
        rows = [self.out(row) for row in found]
        return 200, {"results": rows, "count": len(rows), "query": query["q"]}


class Line:
    """A transport to a stand-in, synchronous."""

    def __init__(self, service):
        self.service = service

    def send(self, request):
        return self.service.answer(request)

    def close(self):
        pass


class AsyncLine(Line):
    async def send(self, request):
        # Others may run, as with a real one.
        await asyncio.sleep(0)
        return self.service.answer(request)

    async def close(self):
        pass


class LocalAiMemory(AiMemoryDriver):
    """The driver, with the stand-in instead of a network."""

    def __init__(self, service, **options):
        super().__init__("http://ai-memory.test", **options)
        self.service = service

    def transports(self):
        return Line(self.service), AsyncLine(self.service)


@pytest.fixture
def daemon_like():
    made = []

    def make(**options):
        made.append(StandIn(**options))
        return made[-1]

    yield make
    for service in made:
        service.db.close()


@pytest.fixture
def local_brain():
    return lambda service, **options: Brain(LocalAiMemory(service, **options))
