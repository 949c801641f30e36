"""Every call sends what the daemon documents and reads what it answers, sync and async."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from onebrain import Tier
from onebrain.services.ai_memory import (
    CreateMemory,
    NotifyRequest,
    Relation,
    SubscriptionRequest,
    UpdateMemory,
)

ID = "b2a14b5c-406d-4974-86be-7defb8bcfdc7"
OTHER = "a9df891c-1fe5-427a-9205-f7e91bdc5da0"
WHEN = "2026-05-04T10:11:12.123456789+00:00"
MEMORY = {
    "id": ID,
    "tier": "long",
    "namespace": "global",
    "title": "BIND9 build notes",
    "content": "Use --with-openssl=/opt/openssl, disable DoH for the lab.",
    "tags": ["dns", "bind9"],
    "priority": 5,
    "confidence": 1.0,
    "source": "api",
    "access_count": 0,
    "created_at": WHEN,
    "updated_at": WHEN,
    "metadata": {"agent_id": "ai:claude"},
}
LINK = {"source_id": ID, "target_id": OTHER, "relation": "supersedes", "created_at": WHEN}
SUBSCRIPTION = {
    "id": "s-1",
    "url": "https://example.com/hook",
    "events": "memory_delete,memory_promote",
    "namespace": None,
    "namespace_filter": "team",
    "agent_filter": None,
    "agent_id": "ai:claude",
    "created_by": "ai:claude",
    "created_at": WHEN,
    "dispatch_count": 3,
    "failure_count": 1,
}


class Case(NamedTuple):
    """A call, the request that it must send, the documented answer, and what must be read from it."""

    call: Any
    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    answer: Any
    read: Any


CASES = {
    "health": Case(
        lambda c: c.health(),
        *("GET", "/api/v1/health", {}, None, 200),
        {
            "status": "ok",
            "service": "ai-memory",
            "version": "0.6.4",
            "embedder_ready": False,
            "federation_enabled": False,
        },
        lambda r: (r.status, r.version, r.embedder_ready) == ("ok", "0.6.4", False),
    ),
    "metrics": Case(
        lambda c: c.metrics(),
        *("GET", "/api/v1/metrics", {}, None, 200),
        "# HELP ai_memory_x x\nai_memory_x 1\n",
        lambda r: r.endswith("ai_memory_x 1\n"),
    ),
    "store as in the quickstart": Case(
        lambda c: c.memories.store(
            title="BIND9 build notes",
            content="Use --with-openssl=/opt/openssl, disable DoH for the lab.",
            tier=Tier.LONG,
            tags=["dns", "bind9"],
        ),
        *("POST", "/api/v1/memories", {}),
        {
            "title": "BIND9 build notes",
            "content": "Use --with-openssl=/opt/openssl, disable DoH for the lab.",
            "tier": "long",
            "tags": ["dns", "bind9"],
            "on_conflict": "merge",
        },
        201,
        {
            "id": ID,
            "tier": "long",
            "namespace": "global",
            "title": "BIND9 build notes",
            "agent_id": "anonymous:req-1a2b3c4d",
        },
        lambda r: r["id"] == r.id == ID and r.tier is Tier.LONG and dict(r)["namespace"] == "global",
    ),
    "store with everything": Case(
        lambda c: c.memories.store(
            "t",
            "c",
            tier="mid",
            namespace="team/project",
            tags=["x"],
            priority=9,
            confidence=0.5,
            source="user",
            expires_at=datetime(2030, 1, 2, 3, tzinfo=UTC),
            ttl_secs=60,
            metadata={"k": [1]},
            agent_id="ai:claude@host",
            scope="team",
            on_conflict="version",
        ),
        *("POST", "/api/v1/memories", {}),
        {
            "title": "t",
            "content": "c",
            "tier": "mid",
            "namespace": "team/project",
            "tags": ["x"],
            "priority": 9,
            "confidence": 0.5,
            "source": "user",
            "expires_at": "2030-01-02T03:00:00+00:00",
            "ttl_secs": 60,
            "metadata": {"k": [1]},
            "agent_id": "ai:claude@host",
            "scope": "team",
            "on_conflict": "version",
        },
        201,
        {
            "id": ID,
            "tier": "mid",
            "namespace": "n",
            "title": "t",
            "agent_id": "a",
            "potential_contradictions": [OTHER],
            "quorum_acks": 2,
        },
        lambda r: r.potential_contradictions == (OTHER,) and r.quorum_acks == 2,
    ),
    "store that waits for approval": Case(
        lambda c: c.memories.store("t", "c"),
        *("POST", "/api/v1/memories", {}, {"title": "t", "content": "c", "on_conflict": "merge"}, 202),
        {
            "status": "pending",
            "pending_id": "p-1",
            "reason": "governance requires approval",
            "action": "store",
            "namespace": "global",
        },
        lambda r: type(r).__name__ == "Pending" and (r.id, r.action) == ("p-1", "store"),
    ),
    "bulk_store": Case(
        lambda c: c.memories.bulk_store(
            [
                {"title": "a", "content": "1"},
                CreateMemory(title="b", content="2", tags=["x"], agent_id="bob", scope="team"),
            ]
        ),
        *("POST", "/api/v1/memories/bulk", {}),
        [
            {"title": "a", "content": "1"},
            {"title": "b", "content": "2", "tags": ["x"], "metadata": {"agent_id": "bob", "scope": "team"}},
        ],
        200,
        {"created": 1, "errors": ["b: tags cannot contain empty strings"]},
        lambda r: (r.created, r.errors) == (1, ("b: tags cannot contain empty strings",)),
    ),
    "get in its envelope": Case(
        lambda c: c.memories.get(ID),
        *("GET", f"/api/v1/memories/{ID}", {}, None, 200),
        {"memory": MEMORY, "links": [LINK]},
        lambda r: (
            r.title == "BIND9 build notes"
            and r.tier is Tier.LONG
            and r.tags == ("dns", "bind9")
            and r.created_at == datetime(2026, 5, 4, 10, 11, 12, 123456, UTC)
            and r.expires_at is None
        ),
    ),
    "get of a bare object": Case(
        lambda c: c.memories.get(ID),
        *("GET", f"/api/v1/memories/{ID}", {}, None, 200),
        MEMORY,
        lambda r: r["content"].startswith("Use"),
    ),
    "update with an object": Case(
        lambda c: c.memories.update(ID, UpdateMemory(content="new", tags=["a"])),
        *("PUT", f"/api/v1/memories/{ID}", {}, {"content": "new", "tags": ["a"]}, 200),
        {**MEMORY, "content": "new"},
        lambda r: r.content == "new",
    ),
    "update with arguments": Case(
        lambda c: c.memories.update(
            ID, priority=7, expires_at=datetime(2030, 1, 1, tzinfo=UTC), tier=Tier.MID
        ),
        *("PUT", f"/api/v1/memories/{ID}", {}),
        {"priority": 7, "expires_at": "2030-01-01T00:00:00+00:00", "tier": "mid"},
        200,
        {**MEMORY, "priority": 7},
        lambda r: r.priority == 7,
    ),
    "update to null": Case(
        lambda c: c.memories.update(ID, expires_at=None),
        *("PUT", f"/api/v1/memories/{ID}", {}, {"expires_at": None}, 200),
        MEMORY,
        lambda r: r.expires_at is None,
    ),
    "delete": Case(
        lambda c: c.memories.delete(ID),
        *("DELETE", f"/api/v1/memories/{ID}", {}, None, 200, {"deleted": True}),
        lambda r: r.deleted is True,
    ),
    "promote": Case(
        lambda c: c.memories.promote(ID),
        *("POST", f"/api/v1/memories/{ID}/promote", {}, None, 200),
        {"promoted": True, "id": ID, "tier": "long"},
        lambda r: r.promoted and r.tier is Tier.LONG,
    ),
    "page": Case(
        lambda c: c.memories.page(
            namespace="team",
            tier=Tier.LONG,
            tags="dns",
            agent_id="bob",
            min_priority=3,
            since=datetime(2026, 1, 1, tzinfo=UTC),
            until="2026-12-31T00:00:00+00:00",
            limit=5,
            offset=10,
        ),
        *("GET", "/api/v1/memories"),
        {
            "namespace": "team",
            "tier": "long",
            "tags": "dns",
            "agent_id": "bob",
            "min_priority": "3",
            "since": "2026-01-01T00:00:00+00:00",
            "until": "2026-12-31T00:00:00+00:00",
            "limit": "5",
            "offset": "10",
        },
        None,
        200,
        {"memories": [MEMORY], "count": 1},
        lambda r: len(r) == 1 and r[0].id == ID and r.count == 1 and r["memories"][0].id == ID,
    ),
    "list": Case(
        lambda c: c.memories.list(namespace="team", limit=3),
        *("GET", "/api/v1/memories", {"namespace": "team", "limit": "3"}, None, 200),
        {"memories": [MEMORY], "count": 1},
        lambda r: [memory.id for memory in r] == [ID],
    ),
    "search": Case(
        lambda c: c.memories.search("bind9 & dns", namespace="team", as_agent="org/team", limit=7),
        *("GET", "/api/v1/search"),
        {"q": "bind9 & dns", "namespace": "team", "as_agent": "org/team", "limit": "7"},
        None,
        200,
        {"results": [MEMORY], "count": 1, "query": "bind9 & dns"},
        lambda r: r.results == r.memories and r[0].id == ID and r.query == "bind9 & dns",
    ),
    "search as the SDK expects it": Case(
        lambda c: c.memories.search("x"),
        *("GET", "/api/v1/search", {"q": "x", "limit": "20"}, None, 200),
        {"memories": [MEMORY], "count": 1},
        lambda r: [memory.id for memory in r] == [ID],
    ),
    "recall as in the quickstart": Case(
        lambda c: c.memories.recall(context="how do I build BIND9?"),
        *("POST", "/api/v1/recall", {}, {"context": "how do I build BIND9?", "limit": 10}, 200),
        {"memories": [{**MEMORY, "score": 8.5}], "count": 1, "tokens_used": 14, "mode": "keyword"},
        lambda r: (
            [(memory.title, memory.confidence) for memory in r.memories] == [("BIND9 build notes", 1.0)]
            and (r.memories[0].score, r.mode, r.tokens_used, r.meta) == (8.5, "keyword", 14, None)
        ),
    ),
    "recall within a budget": Case(
        lambda c: c.memories.recall("x", namespace="a/b", tags="dns", limit=50, budget_tokens=0),
        *("POST", "/api/v1/recall", {}),
        {"context": "x", "namespace": "a/b", "tags": "dns", "limit": 50, "budget_tokens": 0},
        200,
        {
            "memories": [],
            "count": 0,
            "tokens_used": 0,
            "mode": "hybrid",
            "budget_tokens": 0,
            "meta": {
                "budget_tokens_used": 0,
                "budget_tokens_remaining": 0,
                "memories_dropped": 4,
                "budget_overflow": False,
            },
        },
        lambda r: r.meta.memories_dropped == 4 and r.mode == "hybrid" and list(r) == [],
    ),
    "forget": Case(
        lambda c: c.memories.forget(namespace="team", pattern="old", tier="short"),
        *("POST", "/api/v1/forget", {}, {"namespace": "team", "pattern": "old", "tier": "short"}, 200),
        {"deleted": 3},
        lambda r: r.deleted == 3,
    ),
    "link": Case(
        lambda c: c.links.create(ID, OTHER, Relation.SUPERSEDES),
        *("POST", "/api/v1/links", {}),
        {"source_id": ID, "target_id": OTHER, "relation": "supersedes"},
        *(201, {"linked": True, "attest_level": "unsigned"}),
        lambda r: r.linked and r.attest_level == "unsigned",
    ),
    "unlink": Case(
        lambda c: c.links.delete(ID, OTHER),
        *("DELETE", "/api/v1/links", {}, {"source_id": ID, "target_id": OTHER}, 200, {"deleted": False}),
        lambda r: r is False,
    ),
    "get_links": Case(
        lambda c: c.links.list(ID),
        *("GET", f"/api/v1/links/{ID}", {}, None, 200, {"links": [LINK]}),
        lambda r: r[0].relation is Relation.SUPERSEDES and r[0].target_id == OTHER,
    ),
    "stats": Case(
        lambda c: c.stats(),
        *("GET", "/api/v1/stats", {}, None, 200),
        {
            "total": 4,
            "by_tier": [{"tier": "long", "count": 4}],
            "by_namespace": [{"namespace": "global", "count": 4}],
            "expiring_soon": 0,
            "links_count": 1,
            "db_size_bytes": 4096,
            "dim_violations": 0,
            "index_evictions_total": 0,
        },
        lambda r: (r.total, r.by_tier[0].count, r["dim_violations"]) == (4, 4, 0),
    ),
    "namespaces": Case(
        lambda c: c.namespaces(),
        *("GET", "/api/v1/namespaces", {}, None, 200, {"namespaces": [{"namespace": "global", "count": 4}]}),
        lambda r: [(row.namespace, row.count) for row in r] == [("global", 4)],
    ),
    "gc": Case(
        lambda c: c.gc(),
        *("POST", "/api/v1/gc", {}, None, 200, {"expired_deleted": 2}),
        lambda r: r.expired_deleted == 2,
    ),
    "export": Case(
        lambda c: c.transfer.export(),
        *("GET", "/api/v1/export", {}, None, 200),
        {"memories": [MEMORY], "links": [LINK], "count": 1, "exported_at": WHEN},
        lambda r: r.memories[0].id == ID and r.links[0].source_id == ID and r.count == 1,
    ),
    "import": Case(
        lambda c: c.transfer.import_([MEMORY]),
        *("POST", "/api/v1/import", {}, {"memories": [MEMORY]}, 200),
        {"imported": 0, "errors": [f"{ID}: title cannot be empty"]},
        lambda r: r.imported == 0 and r.errors == (f"{ID}: title cannot be empty",),
    ),
    "subscribe with a list": Case(
        lambda c: c.subscriptions.create(
            url="https://example.com/hook",
            events=["memory_delete", "memory_promote"],
            secret="shh",
            namespace_filter="team",
        ),
        *("POST", "/api/v1/subscriptions", {}),
        {
            "url": "https://example.com/hook",
            "events": "memory_delete,memory_promote",
            "secret": "shh",
            "namespace_filter": "team",
        },
        201,
        {key: SUBSCRIPTION[key] for key in ("id", "url", "events", "created_by", "agent_id")},
        lambda r: r.events == ("memory_delete", "memory_promote") and r.id == "s-1",
    ),
    "subscribe with an object": Case(
        lambda c: c.subscriptions.create(SubscriptionRequest(namespace="team", events="*")),
        *("POST", "/api/v1/subscriptions", {}, {"namespace": "team", "events": "*"}, 201),
        {**SUBSCRIPTION, "events": ["memory_delete"]},
        lambda r: r.events == ("memory_delete",),
    ),
    "unsubscribe": Case(
        lambda c: c.subscriptions.delete("s 1"),
        *("DELETE", "/api/v1/subscriptions", {"id": "s 1"}, None, 200, {"id": "s 1", "removed": True}),
        lambda r: r.removed,
    ),
    "subscriptions": Case(
        lambda c: c.subscriptions.list(agent_id="ai:claude"),
        *("GET", "/api/v1/subscriptions", {"agent_id": "ai:claude"}, None, 200),
        {"count": 1, "subscriptions": [SUBSCRIPTION]},
        lambda r: (r[0].events, r[0].failure_count) == (("memory_delete", "memory_promote"), 1),
    ),
    "notify": Case(
        lambda c: c.messages.send(to="bob", subject="hi", body="there", priority=9, tier=Tier.LONG),
        *("POST", "/api/v1/notify", {}),
        {"target_agent_id": "bob", "title": "hi", "payload": "there", "priority": 9, "tier": "long"},
        201,
        {
            "id": ID,
            "from": "ai:alice@host:pid-1",
            "to": "bob",
            "namespace": "_messages/bob",
            "tier": "long",
            "delivered_at": WHEN,
        },
        lambda r: (r.sender, r["from"], r.to) == ("ai:alice@host:pid-1", "ai:alice@host:pid-1", "bob"),
    ),
    "notify in the daemon's names": Case(
        lambda c: c.messages.send({"target_agent_id": "bob", "title": "hi", "payload": "there"}),
        *("POST", "/api/v1/notify", {}, {"target_agent_id": "bob", "title": "hi", "payload": "there"}, 201),
        {"id": ID, "from": "a", "to": "bob", "namespace": "n", "tier": "mid", "delivered_at": WHEN},
        lambda r: r.tier is Tier.MID,
    ),
    "notify with an object": Case(
        lambda c: c.messages.send(NotifyRequest(to="bob", subject="hi", body="there")),
        *("POST", "/api/v1/notify", {}, {"target_agent_id": "bob", "title": "hi", "payload": "there"}, 201),
        {"id": ID, "from": "a", "to": "bob", "namespace": "n", "tier": "mid", "delivered_at": WHEN},
        lambda r: r.id == ID,
    ),
    "inbox": Case(
        lambda c: c.messages.inbox(agent_id="bob", unread_only=True, limit=5),
        *("GET", "/api/v1/inbox", {"agent_id": "bob", "unread_only": "true", "limit": "5"}, None, 200),
        {
            "agent_id": "bob",
            "namespace": "_messages/bob",
            "count": 1,
            "unread_only": True,
            "messages": [
                {
                    "id": ID,
                    "from": "ai:alice",
                    "title": "hi",
                    "payload": "there",
                    "priority": 5,
                    "tier": "mid",
                    "created_at": WHEN,
                    "read": False,
                    "access_count": 0,
                }
            ],
        },
        lambda r: (
            (r[0].subject, r[0].body, r[0].to, r[0].sender) == ("hi", "there", "bob", "ai:alice")
            and (r[0].title, r[0].payload, r[0].received_at) == ("hi", "there", r[0].created_at)
            and len(r) == 1
        ),
    ),
    "agents": Case(
        lambda c: c.agents.list(),
        *("GET", "/api/v1/agents", {}, None, 200),
        {
            "count": 1,
            "agents": [
                {
                    "agent_id": "bob",
                    "agent_type": "human",
                    "capabilities": ["x"],
                    "registered_at": WHEN,
                    "last_seen_at": WHEN,
                }
            ],
        },
        lambda r: (r[0].agent_id, r[0].capabilities) == ("bob", ("x",)),
    ),
    "register_agent": Case(
        lambda c: c.agents.register("bob", "ai:claude", ["recall"]),
        *("POST", "/api/v1/agents", {}),
        {"agent_id": "bob", "agent_type": "ai:claude", "capabilities": ["recall"]},
        201,
        {
            "registered": True,
            "id": ID,
            "agent_id": "bob",
            "agent_type": "ai:claude",
            "capabilities": ["recall"],
        },
        lambda r: r.registered and r.capabilities == ("recall",),
    ),
    "grant": Case(
        lambda c: c.memories.grant(ID, "bob"),
        *("POST", f"/api/v1/memories/{ID}/grant", {}, {"agent_id": "bob", "permission": "read"}, 200),
        {"granted": True, "id": ID, "agent_id": "bob", "permission": "read"},
        lambda r: r.granted and r.permission == "read",
    ),
    "revoke": Case(
        lambda c: c.memories.revoke(ID, "bob"),
        *("POST", f"/api/v1/memories/{ID}/revoke", {}, {"agent_id": "bob"}, 200),
        {"revoked": True, "id": ID, "agent_id": "bob"},
        lambda r: r.revoked,
    ),
    "cluster": Case(
        lambda c: c.cluster({"peers": ["x"]}),
        *("POST", "/api/v1/cluster", {}, {"peers": ["x"]}, 200, {"ok": True}),
        lambda r: r == {"ok": True},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_sends_the_documented_request_and_reads_the_documented_answer(ask, stub, name):
    case = CASES[name]
    stub.answer(case.answer, case.status)
    result = ask(case.call)
    [sent] = stub.requests
    assert (sent.method, sent.path, sent.query, sent.body) == (case.method, case.path, case.query, case.body)
    assert ("content-type" in sent.headers) is (case.body is not None)
    assert case.read(result)


@pytest.mark.filterwarnings("ignore:.* is the spelling of an earlier version:DeprecationWarning")
def test_every_call_of_the_sdk_is_there():
    from onebrain import AiMemoryClient, AsyncAiMemoryClient

    names = [
        "health",
        "metrics",
        "store",
        "bulk_store",
        "get",
        "update",
        "delete",
        "promote",
        "list",
        "search",
        "recall",
        "forget",
        "link",
        "get_links",
        "stats",
        "namespaces",
        "gc",
        "export",
        "import_",
        "subscribe",
        "unsubscribe",
        "subscriptions",
        "notify",
        "inbox",
        "grant",
        "revoke",
        "cluster",
        "agents",
        "register_agent",
    ]
    for kind in (AiMemoryClient, AsyncAiMemoryClient):
        assert [name for name in names if not callable(getattr(kind(), name))] == []


def test_key_and_agent_travel_with_every_request(ask, stub):
    stub.answer({"status": "ok"})
    ask(lambda c: c.health(), api_key="sk-secret-key", agent_id="ai:claude-opus-4.7@host")
    assert stub.last.headers["x-api-key"] == "sk-secret-key"
    assert stub.last.headers["x-agent-id"] == "ai:claude-opus-4.7@host"


def test_without_a_key_no_such_header_is_sent(ask, stub, monkeypatch):
    monkeypatch.delenv("AI_MEMORY_API_KEY", raising=False)
    stub.answer({"status": "ok"})
    ask(lambda c: c.health())
    assert not {"x-api-key", "x-agent-id"} & stub.last.headers.keys()


def test_the_clients_agent_signs_bulk_rows_which_the_daemon_would_not(ask, stub):
    stub.answer({"created": 1, "errors": []})
    ask(lambda c: c.memories.bulk_store([{"title": "a", "content": "1"}]), agent_id="bob")
    assert stub.last.body == [{"title": "a", "content": "1", "metadata": {"agent_id": "bob"}}]


def test_a_list_walks_all_pages(ask, stub):
    rows = [{**MEMORY, "id": f"{number:036d}"} for number in range(1500)]
    stub.answer({"memories": rows[:1000], "count": 1000})
    stub.answer({"memories": rows[1000:], "count": 500})
    found = ask(lambda c: c.memories.list())
    assert [memory.id for memory in found] == [row["id"] for row in rows]
    assert [sent.query for sent in stub.requests] == [{"limit": "1000"}, {"limit": "1000", "offset": "1000"}]


def test_several_tags_are_all_required(ask, stub):
    rows = [{**MEMORY, "tags": tags} for tags in (["a"], ["a", "b"], ["b", "c", "a"])]
    stub.answer({"memories": rows, "count": 3})
    found = ask(lambda c: c.memories.list(tags=["a", "b"]))
    assert [memory.tags for memory in found] == [("a", "b"), ("b", "c", "a")]
    assert stub.last.query == {"tags": "a", "limit": "1000"}


def test_the_rate_limit_of_a_server_that_states_one_is_shown(stub):
    from onebrain import AiMemoryClient

    stub.answer({"status": "ok"}, headers={"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59"})
    with AiMemoryClient(stub.url) as client:
        assert client.rate_limit is None
        client.health()
        assert (client.rate_limit.limit, client.rate_limit.remaining) == (60, 59)
