"""Every endpoint of the API reference: an equal request, and the documented answer read, sync and async."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

# What the reference shows or names, with values where it shows none.
MEMORY = {
    "id": "6f1c",
    "text": "Maria prefers window seats",
    "importance": 0.7,
    "category": "other",
    "source": "api",
    "metadata": {},
    "images": [],
    "created_at": "2026-04-15T14:22:00Z",
    "updated_at": "2026-04-15T14:22:00Z",
}
FULL = {**MEMORY, "created_by": {"id": "k1", "label": "support"}, "pinned": True, "archived": False}
HIT = {name: MEMORY[name] for name in MEMORY if name != "updated_at"} | {
    "score": 0.031,
    "collection": "notes",
}
FOUND = {"results": [HIT], "query_embedding_ms": 12.3, "search_ms": 4.5, "cached": False}
COLLECTION = {"name": "notes", "description": "d", "metadata": {"a": 1}, "memory_count": 3}
CONNECTION = {
    "id": "c1",
    "provider": "slack",
    "name": "Slack",
    "collection": "notes",
    "container_tag": "maria",
    "config": {"channel_id": "C1"},
    "status": "active",
    "last_error": None,
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "A window seat."}, "finish_reason": "stop"}
    ],
    "usage": {"total_tokens": 9},
    "longmem": {"memories_used": 2, "stored": True},
}
AT = datetime(2026, 4, 15, 14, 22, tzinfo=UTC)

C = "/v1/memory/collections"
M = "/v1/memory"


@dataclass(frozen=True)
class Case:
    call: Callable[[Any], Any]
    endpoint: str
    answer: Any
    reads: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 200
    public: bool = False
    # The path, where the endpoint has ids in it.
    at: str = ""

    @property
    def method(self) -> str:
        return self.endpoint.split()[0]

    @property
    def path(self) -> str:
        return self.at or self.endpoint.split()[1]


CASES = [
    # collections
    Case(
        lambda c: c.collections.list(), f"GET {C}", [COLLECTION], {"[0].name": "notes", "[0].memory_count": 3}
    ),
    Case(
        lambda c: c.collections.create("notes", description="d", metadata={"a": 1}),
        f"POST {C}",
        COLLECTION,
        {"name": "notes", "metadata": {"a": 1}},
        body={"name": "notes", "description": "d", "metadata": {"a": 1}},
        status=201,
    ),
    Case(lambda c: c.collections.get("a/b"), f"GET {C}/{{}}", COLLECTION, {"name": "notes"}, at=f"{C}/a%2Fb"),
    Case(
        lambda c: c.collections.update("notes", description=None),
        f"PUT {C}/{{}}",
        COLLECTION,
        {"description": "d"},
        body={"description": None},
        at=f"{C}/notes",
    ),
    Case(lambda c: c.collections.delete("notes"), f"DELETE {C}/{{}}", {"deleted": True}, at=f"{C}/notes"),
    # memories
    Case(
        lambda c: c.memories.create(
            "Maria prefers window seats",
            collection="notes",
            importance=0.7,
            category="other",
            source="api",
            metadata={},
            container_tag="maria",
        ),
        f"POST {C}/{{}}/memories",
        MEMORY,
        {
            "id": "6f1c",
            "text": "Maria prefers window seats",
            "created_at": AT,
            "pinned": False,
            "created_by": None,
        },
        body={
            "text": "Maria prefers window seats",
            "importance": 0.7,
            "category": "other",
            "source": "api",
            "metadata": {},
            "container_tag": "maria",
        },
        status=201,
        at=f"{C}/notes/memories",
    ),
    Case(
        lambda c: c.memories.page(collection="notes", limit=20, offset=40, include_archived=True),
        f"GET {C}/{{}}/memories",
        [FULL],
        {"[0].pinned": True, "[0].created_by.label": "support"},
        query={"limit": "20", "offset": "40", "include_archived": "true"},
        at=f"{C}/notes/memories",
    ),
    Case(
        lambda c: c.memories.get("6f1c", collection="notes"),
        f"GET {C}/{{}}/memories/{{}}",
        FULL,
        {"id": "6f1c", "created_by.id": "k1", "archived": False},
        at=f"{C}/notes/memories/6f1c",
    ),
    Case(
        lambda c: c.memories.related("6f1c", collection="notes"),
        f"GET {C}/{{}}/memories/{{}}/related",
        {"results": [HIT]},
        {"[0].score": 0.031},
        query={"limit": "5", "min_score": "0.0"},
        at=f"{C}/notes/memories/6f1c/related",
    ),
    Case(
        lambda c: c.memories.update("6f1c", collection="notes", text="new", metadata={"a": 1}),
        f"PATCH {C}/{{}}/memories/{{}}",
        FULL,
        {"id": "6f1c"},
        body={"text": "new", "metadata": {"a": 1}},
        at=f"{C}/notes/memories/6f1c",
    ),
    Case(
        lambda c: c.memories.move("6f1c", to="other", collection="notes"),
        f"POST {C}/{{}}/memories/{{}}/move",
        FULL,
        {"id": "6f1c"},
        body={"to_collection": "other"},
        at=f"{C}/notes/memories/6f1c/move",
    ),
    Case(
        lambda c: c.memories.delete("6f1c", collection="notes"),
        f"DELETE {C}/{{}}/memories/{{}}",
        None,
        status=204,
        at=f"{C}/notes/memories/6f1c",
    ),
    Case(
        lambda c: c.memories.create_many(["one", {"text": "two", "importance": 1}], collection="notes"),
        f"POST {C}/{{}}/memories/bulk",
        {"created": 2, "ids": ["a", "b"]},
        {"created": 2, "ids": ("a", "b")},
        body=[{"text": "one"}, {"text": "two", "importance": 1}],
        status=201,
        at=f"{C}/notes/memories/bulk",
    ),
    Case(
        lambda c: c.memories.detach("6f1c", 2, collection="notes"),
        f"DELETE {C}/{{}}/memories/{{}}/images/{{}}",
        {},
        at=f"{C}/notes/memories/6f1c/images/2",
    ),
    Case(
        lambda c: c.memories.forget("seats", collection="notes"),
        f"POST {C}/{{}}/forget",
        {"deleted": 3},
        {"deleted": 3},
        body={"query": "seats", "min_score": 0.5, "limit": 10},
        at=f"{C}/notes/forget",
    ),
    # search
    Case(
        lambda c: c.search("where does Maria sit?", collection="notes"),
        f"POST {C}/{{}}/search",
        FOUND,
        {"results[0].score": 0.031, "query_embedding_ms": 12.3, "search_ms": 4.5, "cached": False},
        body={
            "query": "where does Maria sit?",
            "limit": 5,
            "min_score": 0.3,
            "mode": "hybrid",
            "rewrite": False,
            "rerank": False,
        },
        at=f"{C}/notes/search",
    ),
    Case(
        lambda c: c.search(
            "where?",
            limit=50,
            min_score=0,
            mode="text",
            category="travel",
            metadata_filter={"year": 2026},
            container_tag="maria",
            rewrite=True,
            rerank=True,
            include_archived=True,
        ),
        f"POST {M}/search",
        FOUND,
        {"results[0].collection": "notes"},
        body={
            "query": "where?",
            "limit": 50,
            "min_score": 0,
            "mode": "text",
            "category": "travel",
            "metadata_filter": {"year": 2026},
            "container_tag": "maria",
            "rewrite": True,
            "rerank": True,
            "include_archived": True,
        },
    ),
    # graph memory
    Case(
        lambda c: c.graph.remember("Maria moved to Porto", collection="notes", importance=0.9),
        f"POST {C}/{{}}/remember",
        {
            "created": 1,
            "memories": [{"id": "f1", "text": "Maria lives in Porto", "type": "fact", "relation": "updates"}],
        },
        {"created": 1, "memories[0].relation": "updates", "job_id": None, "state": "done"},
        query={"sync": "true"},
        body={"content": "Maria moved to Porto", "importance": 0.9},
        at=f"{C}/notes/remember",
    ),
    Case(
        lambda c: c.graph.job("j/1"),
        f"GET {M}/extract/job/{{}}",
        {"state": "processing", "facts": 2, "complete": False},
        {"state": "processing", "facts": 2, "finished": False},
        at=f"{M}/extract/job/j%2F1",
    ),
    Case(
        lambda c: c.graph.profile("notes"),
        f"GET {C}/{{}}/profile",
        {"profile": "Maria lives in Porto.", "based_on": 4},
        {"profile": "Maria lives in Porto.", "based_on": 4},
        at=f"{C}/notes/profile",
    ),
    # files
    Case(
        lambda c: c.files.presign(
            [{"filename": "a.txt", "content_type": "text/plain", "size": 5}], collection="notes"
        ),
        f"POST {C}/{{}}/drop/presign",
        [{"filename": "a.txt", "key": "t/a", "url": "https://s3/put"}],
        {"[0].key": "t/a", "[0].url": "https://s3/put", "[0].oversize": False},
        body=[{"filename": "a.txt", "content_type": "text/plain", "size": 5}],
        at=f"{C}/notes/drop/presign",
    ),
    Case(
        lambda c: c.files.complete(
            [{"key": "t/a", "filename": "a.txt", "mime": "text/plain", "size": 5}], collection="notes"
        ),
        f"POST {C}/{{}}/drop/complete",
        {"batch_id": "b1", "queued": 1, "failed": []},
        {"batch_id": "b1", "queued": 1},
        body=[{"key": "t/a", "filename": "a.txt", "mime": "text/plain", "size": 5}],
        status=202,
        at=f"{C}/notes/drop/complete",
    ),
    Case(
        lambda c: c.files.batch("b1"),
        f"GET {M}/ingest/batch/{{}}",
        {"total": 3, "done": 1, "failed": 1, "pending": 1, "complete": False},
        {"total": 3, "done": 1, "failed": 1, "pending": 1, "complete": False},
        at=f"{M}/ingest/batch/b1",
    ),
    # account and keys
    Case(
        lambda c: c.account.me(),
        f"GET {M}/admin/me",
        {"name": "Acme", "email": "a@b.example", "tier": "free", "limits": {"memories": 1000}},
        {"name": "Acme", "tier": "free", "limits": {"memories": 1000}},
    ),
    Case(
        lambda c: c.account.stats(),
        f"GET {M}/admin/stats",
        {"collections": 2, "memories": 10, "storage_bytes": 9, "added_7d": 1, "added_30d": 4},
        {"collections": 2, "memories": 10, "storage": 9, "added_7d": 1, "added_30d": 4},
    ),
    Case(
        lambda c: c.account.rotate_key(),
        f"POST {M}/admin/rotate-key",
        {"api_key": "mv_new_key_1234"},
        {"key.get_secret_value()": "mv_new_key_1234"},
    ),
    Case(
        lambda c: c.account.export(),
        f"GET {M}/admin/export",
        {"tenant": {"name": "Acme"}, "collections": [{"name": "notes"}], "memories": [{"text": "x"}]},
        {"tenant": {"name": "Acme"}, "memories": ({"text": "x"},)},
    ),
    Case(
        lambda c: c.account.restore([{"text": "x", "collection": "notes"}], into_collection="all"),
        f"POST {M}/admin/import",
        {"imported": 1, "skipped": 0, "collections": 1},
        {"imported": 1, "skipped": 0},
        body={"memories": [{"text": "x", "collection": "notes"}], "into_collection": "all"},
    ),
    Case(
        lambda c: c.account.delete_account(confirm="Acme"),
        f"POST {M}/admin/delete-account",
        {"deleted": True},
        body={"confirm": "Acme"},
    ),
    Case(
        lambda c: c.account.recover_key("a@b.example"),
        f"POST {M}/recover-key",
        {"ok": True},
        {"['ok']": True},
        body={"email": "a@b.example"},
        public=True,
    ),
    Case(
        lambda c: c.account.reveal("tok"),
        f"GET {M}/reveal/{{}}",
        {"key": "mv_revealed_1"},
        {"key.get_secret_value()": "mv_revealed_1"},
        public=True,
        at=f"{M}/reveal/tok",
    ),
    # email
    Case(
        lambda c: c.email.address(),
        f"GET {M}/email/address",
        {"address": "x@drop.example"},
        {"address": "x@drop.example"},
    ),
    Case(
        lambda c: c.email.rotate_address(),
        f"POST {M}/email/address/rotate",
        {"address": "y@drop.example"},
        {"address": "y@drop.example"},
    ),
    Case(
        lambda c: c.email.senders(),
        f"GET {M}/email/senders",
        {"senders": ["a@b.example"]},
        {"[0]": "a@b.example"},
    ),
    Case(
        lambda c: c.email.set_senders(["a@b.example"]),
        f"PUT {M}/email/senders",
        {},
        body={"senders": ["a@b.example"]},
    ),
    # configuration
    Case(
        lambda c: c.configuration.storage.get(),
        f"GET {M}/storage/config",
        {"backend": "s3", "bucket": "b"},
        {"bucket": "b"},
    ),
    Case(
        lambda c: c.configuration.storage.set(
            bucket="b", access_key="AK", secret_key="SK", endpoint_url="https://s3.example", region="eu"
        ),
        f"PUT {M}/storage/config",
        {"backend": "s3", "bucket": "b"},
        {"backend": "s3"},
        body={
            "backend": "s3",
            "endpoint_url": "https://s3.example",
            "bucket": "b",
            "region": "eu",
            "access_key": "AK",
            "secret_key": "SK",
        },
    ),
    Case(lambda c: c.configuration.storage.delete(), f"DELETE {M}/storage/config", {}),
    Case(
        lambda c: c.configuration.database.get(),
        f"GET {M}/database/config",
        {"custom": True},
        {"['custom']": True},
    ),
    Case(
        lambda c: c.configuration.database.set("postgresql://u:p@h/d"),
        f"PUT {M}/database/config",
        {},
        body={"dsn": "postgresql://u:p@h/d"},
    ),
    Case(lambda c: c.configuration.database.delete(), f"DELETE {M}/database/config", {}),
    Case(
        lambda c: c.configuration.extraction.get(),
        f"GET {M}/extraction/config",
        {"provider": "custom", "model": "m"},
        {"model": "m"},
    ),
    Case(
        lambda c: c.configuration.extraction.set(base_url="https://llm.example/v1", model="m", api_key="k"),
        f"PUT {M}/extraction/config",
        {"provider": "custom", "model": "m"},
        {"provider": "custom"},
        body={"provider": "custom", "base_url": "https://llm.example/v1", "model": "m", "api_key": "k"},
    ),
    Case(lambda c: c.configuration.extraction.delete(), f"DELETE {M}/extraction/config", {}),
    # connections
    Case(
        lambda c: c.connections.create(
            "slack",
            collection="notes",
            credentials={"token": "xoxb"},
            config={"channel_id": "C1"},
            name="Slack",
            container_tag="maria",
        ),
        f"POST {M}/connections",
        CONNECTION,
        {"id": "c1", "status": "active", "config": {"channel_id": "C1"}},
        body={
            "provider": "slack",
            "name": "Slack",
            "collection": "notes",
            "container_tag": "maria",
            "config": {"channel_id": "C1"},
            "credentials": {"token": "xoxb"},
        },
        status=201,
    ),
    Case(lambda c: c.connections.list(), f"GET {M}/connections", [CONNECTION], {"[0].id": "c1"}),
    Case(
        lambda c: c.connections.get("c1"),
        f"GET {M}/connections/{{}}",
        CONNECTION,
        {"provider": "slack"},
        at=f"{M}/connections/c1",
    ),
    Case(lambda c: c.connections.delete("c1"), f"DELETE {M}/connections/{{}}", {}, at=f"{M}/connections/c1"),
    Case(
        lambda c: c.connections.sync("c1"),
        f"POST {M}/connections/{{}}/sync",
        {"synced": 3, "cursor": "2026", "status": "active"},
        {"synced": 3, "cursor": "2026", "status": "active"},
        at=f"{M}/connections/c1/sync",
    ),
    Case(
        lambda c: c.connections.runs("c1"),
        f"GET {M}/connections/{{}}/runs",
        [{"status": "error", "synced_count": 0, "error": "revoked", "created_at": "2026-04-15T14:22:00Z"}],
        {"[0].status": "error", "[0].created_at": AT},
        query={"limit": "20"},
        at=f"{M}/connections/c1/runs",
    ),
    Case(
        lambda c: c.connections.oauth_start("notion", collection="notes", name="N"),
        f"GET {M}/connections/oauth/{{}}/start",
        {"authorize_url": "https://notion.example/authorize"},
        {"authorize_url": "https://notion.example/authorize"},
        query={"collection": "notes", "name": "N"},
        at=f"{M}/connections/oauth/notion/start",
    ),
    Case(
        lambda c: c.connections.oauth_callback("notion", code="abc", state="xyz"),
        f"GET {M}/connections/oauth/{{}}/callback",
        b"<html>",
        query={"code": "abc", "state": "xyz"},
        public=True,
        at=f"{M}/connections/oauth/notion/callback",
    ),
    # agents and grants
    Case(
        lambda c: c.agents(),
        f"GET {M}/agents",
        [{"id": "k1", "label": "support", "read_only": False, "created_at": "2026-04-15T14:22:00Z"}],
        {"[0].label": "support", "[0].created_at": AT},
    ),
    Case(
        lambda c: c.grants.put("notes", agent_key_id="k1", can_write=True),
        f"PUT {C}/{{}}/grants",
        {"ok": True},
        body={"agent_key_id": "k1", "can_read": True, "can_write": True},
        at=f"{C}/notes/grants",
    ),
    Case(
        lambda c: c.grants.list("notes"),
        f"GET {C}/{{}}/grants",
        {"restricted": True, "grants": [{"agent_key_id": "k1", "can_read": True, "can_write": False}]},
        {"restricted": True, "grants[0].agent_key_id": "k1", "grants[0].can_write": False},
        at=f"{C}/notes/grants",
    ),
    Case(
        lambda c: c.grants.revoke("notes", "k1"),
        f"DELETE {C}/{{}}/grants/{{}}",
        {},
        at=f"{C}/notes/grants/k1",
    ),
    # intelligent memory
    Case(
        lambda c: c.intelligence.dedup("notes"),
        f"POST {C}/{{}}/dedup",
        {"clusters": [{"keeper": MEMORY, "duplicates": [MEMORY]}]},
        {"clusters[0].keeper.id": "6f1c", "clusters[0].duplicates[0].id": "6f1c", "deleted": None},
        body={"threshold": 0.95, "dry_run": True},
        at=f"{C}/notes/dedup",
    ),
    Case(
        lambda c: c.intelligence.contradictions("notes"),
        f"GET {C}/{{}}/contradictions",
        [{"current": MEMORY, "superseded": MEMORY}],
        {"[0].current.id": "6f1c", "[0].superseded.text": "Maria prefers window seats"},
        at=f"{C}/notes/contradictions",
    ),
    Case(
        lambda c: c.intelligence.pin("6f1c", collection="notes"),
        f"POST {C}/{{}}/memories/{{}}/pin",
        FULL,
        {"pinned": True},
        body={"pinned": True},
        at=f"{C}/notes/memories/6f1c/pin",
    ),
    Case(
        lambda c: c.intelligence.archive("6f1c", archived=False, collection="notes"),
        f"POST {C}/{{}}/memories/{{}}/archive",
        FULL,
        {"archived": False},
        body={"archived": False},
        at=f"{C}/notes/memories/6f1c/archive",
    ),
    Case(
        lambda c: c.intelligence.archive_stale("notes", dry_run=False),
        f"POST {C}/{{}}/archive-stale",
        {"archived": 4},
        {"archived": 4, "would_archive": None},
        body={"older_than_days": 90, "dry_run": False},
        at=f"{C}/notes/archive-stale",
    ),
    Case(
        lambda c: c.intelligence.health("notes"),
        f"GET {C}/{{}}/health",
        {
            "total": 9,
            "current": 6,
            "archived": 1,
            "pinned": 1,
            "stale": 1,
            "expired": 0,
            "supersessions": 2,
            "categories": {"other": 9},
            "needs_attention": 3,
        },
        {"exists": True, "total": 9, "categories": {"other": 9}, "needs_attention": 3},
        query={"stale_days": "90"},
        at=f"{C}/notes/health",
    ),
    Case(
        lambda c: c.intelligence.summary("notes"),
        f"GET {C}/{{}}/summary",
        {"summary": "s", "themes": ["t"], "based_on": 9, "generated_at": "2026-04-15T14:22:00Z"},
        {"summary": "s", "themes": ("t",), "generated_at": AT},
        query={"limit": "50"},
        at=f"{C}/notes/summary",
    ),
    # operator
    Case(
        lambda c: c.operator.metrics(reset=True),
        f"GET {M}/admin/metrics",
        {"routes": {}, "stages": {"embed": {"p50": 1}}, "counters": {"search_cache_hit": 2}},
        {"counters": {"search_cache_hit": 2}, "stages": {"embed": {"p50": 1}}},
        query={"reset": "true"},
    ),
    Case(
        lambda c: c.operator.audit(),
        f"GET {M}/admin/audit",
        [{"action": "write", "created_at": "2026-04-15T14:22:00Z"}],
        {"[0].action": "write"},
        query={"days": "30", "limit": "200"},
    ),
    Case(
        lambda c: c.operator.usage(),
        f"GET {M}/admin/usage",
        {"total": {"db_bytes": 1}},
        {"['total']": {"db_bytes": 1}},
        query={"days": "30"},
    ),
    Case(
        lambda c: c.operator.connectors(),
        f"GET {M}/admin/connectors",
        {"slack": {"runs": 2, "errors": 1, "last_run": None}},
        {"['slack']": {"runs": 2, "errors": 1, "last_run": None}},
        query={"hours": "24"},
    ),
    Case(
        lambda c: c.operator.connection_counts(),
        f"GET {M}/admin/connectors/status",
        [{"status": "paused", "n": 2}],
        {"[0].status": "paused", "[0].n": 2},
    ),
    Case(
        lambda c: c.operator.memory_health(),
        f"GET {M}/admin/memory-health",
        {
            "total": 9,
            "current": 8,
            "archived": 1,
            "stale": 0,
            "expired": 0,
            "supersessions": 0,
            "needs_attention": 0,
        },
        {"total": 9, "current": 8},
    ),
    Case(
        lambda c: c.operator.analytics(),
        f"GET {M}/admin/analytics",
        {"funnel": {"signups": 1}},
        {"['funnel']": {"signups": 1}},
        query={"days": "7"},
    ),
    # misc
    Case(lambda c: c.health(), f"GET {M}/health", {"status": "healthy"}, {"status": "healthy"}, public=True),
    Case(
        lambda c: c.chat([{"role": "user", "content": "Where do I sit?"}], collection="notes", temperature=0),
        "POST /v1/proxy/chat/completions",
        COMPLETION,
        {
            "choices[0].message.content": "A window seat.",
            "longmem.memories_used": 2,
            "longmem.stored": True,
            "usage": {"total_tokens": 9},
        },
        body={
            "messages": [{"role": "user", "content": "Where do I sit?"}],
            "collection": "notes",
            "memory_limit": 5,
            "store": True,
            "temperature": 0,
        },
    ),
    Case(lambda c: c.status(), "GET /v1/status", {"state": "up"}, {"['state']": "up"}, public=True),
    Case(
        lambda c: c.pulse("/docs", referrer="https://r.example"),
        "POST /v1/pulse",
        None,
        body={"path": "/docs", "referrer": "https://r.example"},
        status=204,
        public=True,
    ),
    Case(
        lambda c: c.account.signup("a@b.example"),
        f"POST {M}/signup",
        {"ok": True},
        {"['ok']": True},
        body={"email": "a@b.example"},
        public=True,
    ),
    Case(
        lambda c: c.keys.list(),
        f"GET {M}/keys",
        [{"id": "k1", "label": "support", "key": "mv_…abcd", "read_only": True}],
        {"[0].id": "k1", "[0].read_only": True, "[0]['key']": "mv_…abcd"},
    ),
    Case(
        lambda c: c.keys.create(label="support", read_only=True),
        f"POST {M}/keys",
        {"id": "k2", "key": "mv_created_1", "label": "support", "read_only": True},
        {"id": "k2", "key.get_secret_value()": "mv_created_1"},
        body={"label": "support", "read_only": True},
    ),
    Case(lambda c: c.keys.revoke("k2"), f"DELETE {M}/keys", {}, at=f"{M}/keys/k2"),
    Case(lambda c: c.spend_cap.get(), f"GET {M}/spend-cap", {"monthly_usd": 5.0}, {"monthly_usd": 5.0}),
    Case(
        lambda c: c.spend_cap.set(None),
        f"PUT {M}/spend-cap",
        {"monthly_usd": None},
        {"monthly_usd": None},
        body={"monthly_usd": None},
    ),
    Case(
        lambda c: c.webhook.get(),
        f"GET {M}/webhook/config",
        {"url": "https://me.example/hook"},
        {"url": "https://me.example/hook", "secret": None},
    ),
    Case(
        lambda c: c.webhook.set("https://me.example/hook"),
        f"PUT {M}/webhook/config",
        {"url": "https://me.example/hook", "secret": "s3cr3t"},
        {"secret.get_secret_value()": "s3cr3t"},
        body={"url": "https://me.example/hook"},
    ),
    Case(lambda c: c.webhook.delete(), f"DELETE {M}/webhook/config", {}),
    Case(
        lambda c: c.billing.checkout({"plan": "pro"}),
        f"POST {M}/stripe/checkout/create",
        {"url": "https://pay.example/1"},
        {"url": "https://pay.example/1"},
        body={"plan": "pro"},
    ),
    Case(
        lambda c: c.billing.portal(),
        f"POST {M}/stripe/portal",
        {"url": "https://pay.example/2"},
        {"url": "https://pay.example/2"},
    ),
]
# Proved in test_files.py and test_mcp.py, where more than one request and a JSON body is to be looked at.
ELSEWHERE = {
    f"POST {C}/{{}}/memories/upload",
    f"POST {C}/{{}}/memories/folder",
    f"POST {C}/{{}}/memories/{{}}/images",
    f"POST {C}/{{}}/drop",
    "POST /v1/mcp",
}


def look_up(result: Any, where: str) -> Any:
    """Follow a path such as ``results[0].score`` or ``['key']``."""
    for step in re.findall(r"\[(?:'[^']*'|\d+)\]|[^.\[\]]+", where):
        if step.startswith("["):
            key = step[1:-1]
            result = result[key.strip("'") if key.startswith("'") else int(key)]
        elif step.endswith("()"):
            result = getattr(result, step[:-2])()
        else:
            result = getattr(result, step)
    return result


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.endpoint.replace("/v1/memory", "M"))
def test_an_endpoint_is_asked_and_answered_as_documented(case, client, stub):
    stub.answer(case.answer, status=case.status)
    result = client(case.call)
    got = stub.only
    assert (got.method, got.path, dict(got.query)) == (case.method, case.path, case.query)
    assert got.headers.get("authorization") == (None if case.public else "Bearer mv_0123456789abcdef")
    if case.body is None:
        assert got.content == b""
        assert "content-type" not in got.headers
    else:
        assert got.json == case.body
    assert {where: look_up(result, where) for where in case.reads} == case.reads


def test_all_ninety_endpoints_are_proved():
    endpoints = {case.endpoint for case in CASES} | ELSEWHERE
    assert len(endpoints) == 90


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.memories.move("6f1c", to="other", collection="notes"),
        lambda c: c.memories.update("6f1c", collection="other", importance=0.1),
        lambda c: c.intelligence.pin("6f1c", collection="other"),
        lambda c: c.intelligence.archive("6f1c", collection="other"),
    ],
)
def test_a_change_that_is_answered_by_a_receipt_is_read_again(call, client, stub):
    stub.answer({"ok": True})
    stub.answer(FULL)
    assert client(call).created_by.label == "support"
    assert (stub.got[1].method, stub.got[1].path) == ("GET", f"{C}/other/memories/6f1c")


def test_listing_goes_on_until_a_page_is_short(client, stub):
    stub.answer([{**MEMORY, "id": "1"}, {**MEMORY, "id": "2"}])
    stub.answer([{**MEMORY, "id": "3"}])
    rows = client(lambda c: c.memories.list(collection="notes", page_size=2))
    assert [row.id for row in rows] == ["1", "2", "3"]
    assert [dict(request.query) for request in stub.got] == [
        {"limit": "2", "offset": "0"},
        {"limit": "2", "offset": "2"},
    ]


def test_what_a_host_adds_is_kept(client, stub):
    stub.answer({**FULL, "sentiment": "calm"})
    memory = client(lambda c: c.memories.get("6f1c", collection="notes"))
    assert memory["sentiment"] == "calm"


def test_a_health_check_of_no_collection_is_no_error(client, stub):
    stub.answer({"exists": False})
    assert client(lambda c: c.intelligence.health("nothing")).exists is False


def test_grants_may_come_as_a_bare_list(client, stub):
    stub.answer([])
    assert client(lambda c: c.grants.list("notes")).restricted is False


def test_a_key_can_be_revoked_by_query(client, stub):
    stub.answer({})
    client(lambda c: c.keys.revoke("k 1", placed="query"))
    assert (stub.only.path, stub.only.query) == (f"{M}/keys", [("id", "k 1")])


def test_an_export_is_imported_as_it_came(client, stub):
    dump = {
        "tenant": {},
        "collections": [{"name": "notes"}],
        "memories": [{"text": "x", "collection": "notes"}],
    }
    stub.answer(dump)
    export = client(lambda c: c.account.export())
    stub.answer({"imported": 1, "skipped": 0, "collections": 1})
    client(lambda c: c.account.restore(export))
    assert stub.got[1].json == {"memories": dump["memories"], "collections": dump["collections"]}


def test_a_key_in_an_unknown_field_is_not_lost(client, stub):
    stub.answer({"message": "rotated", "replacement": "mv_only_copy_1"})
    new = client(lambda c: c.account.rotate_key())
    assert new.key.get_secret_value() == "mv_only_copy_1"
    assert "mv_only_copy_1" not in repr(new)


def test_the_callback_returns_where_a_browser_would_go(client, stub):
    stub.answer(None, status=302, headers={"location": "/dashboard?connected=notion"})
    assert client(lambda c: c.connections.oauth_callback("notion", code="abcdef", state="xyz1")) == (
        "/dashboard?connected=notion"
    )
    assert len(stub.got) == 1
