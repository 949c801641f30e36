"""Every call sends the documented request and reads the documented answer, sync and async."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from onebrain import HeroBrain, OneBrainAuthenticationError
from onebrain.services.herobrain import MemoryType, WebhookEvent

ENVELOPE = {"request_id": "req_1234567890", "timestamp": "2025-11-19T10:00:00Z", "version": "v1"}
# The bodies below are those of the API reference, letter by letter.
MEMORY = {
    "id": "mem_abc123def456",
    "content": "Met with Sarah Chen about Q4 goals. Focus on revenue growth.",
    "type": "episodic",
    "importance": 0.8,
    "tags": ["meeting", "q4"],
    "metadata": {"source": "meeting", "contact_name": "Sarah Chen", "sentiment": "positive"},
    "createdAt": "2025-11-19T10:00:00Z",
    "updatedAt": "2025-11-19T10:00:00Z",
}
ROW = {
    "id": "mem_abc123def456",
    "content": "Met with Sarah Chen about Q4 goals...",
    "type": "episodic",
    "importance": 0.8,
    "createdAt": "2025-11-19T10:00:00Z",
}
PAGINATION = {"page": 1, "limit": 20, "total": 150, "pages": 8, "hasNext": True, "hasPrevious": False}
KEY = {
    "id": "key_abc123def456",
    "name": "Production API Key",
    "keyPrefix": "hb_prod_abc123",
    "plainKey": "hb_prod_abc123def456789012345678901234567890",
    "environment": "production",
    "scopes": ["read:memories", "write:memories"],
    "rateLimit": {"requestsPerMinute": 60, "requestsPerHour": 1000, "requestsPerDay": 10000},
    "createdAt": "2025-11-19T10:00:00Z",
}
WEBHOOK = {
    "id": "wh_1",
    "name": "Memory Sync",
    "url": "https://your-app.com/webhooks/herobrain",
    "events": ["memory.created", "memory.updated"],
    "status": "active",
}
TENANT = {"tenantId": "user_12345"}


class Case(NamedTuple):
    """A call, the request that it must send, the documented data, and what must be read from it."""

    call: Any
    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    data: Any
    read: Any


CASES = {
    "create as in the reference": Case(
        lambda hb: hb.memories.create(
            content="Met with Sarah Chen about Q4 goals. Focus on revenue growth.",
            type="episodic",
            importance=0.8,
            tags=["meeting", "q4"],
            metadata={"source": "meeting", "contact_name": "Sarah Chen", "sentiment": "positive"},
        ),
        *("POST", "/api/v1/memories", {}),
        {
            "content": "Met with Sarah Chen about Q4 goals. Focus on revenue growth.",
            "type": "episodic",
            "importance": 0.8,
            "tags": ["meeting", "q4"],
            "metadata": {"source": "meeting", "contact_name": "Sarah Chen", "sentiment": "positive"},
            "tenantId": "user_12345",
        },
        201,
        MEMORY,
        lambda r: (
            r.id == "mem_abc123def456"
            and r.type is MemoryType.EPISODIC
            and r.created_at == datetime(2025, 11, 19, 10, tzinfo=UTC)
            and r["createdAt"] == r["created_at"]
            and r.metadata["contact_name"] == "Sarah Chen"
        ),
    ),
    "create as in the Python preview": Case(
        lambda hb: hb.memories.create(
            content="Met with Sarah about Q4 goals", type="episodic", importance=0.8
        ),
        *("POST", "/api/v1/memories", {}),
        {"content": "Met with Sarah about Q4 goals", "type": "episodic", "importance": 0.8, **TENANT},
        200,
        MEMORY,
        lambda r: r.tags == ("meeting", "q4"),
    ),
    "create for another tenant": Case(
        lambda hb: hb.memories.create("c", MemoryType.TASK, tenant_id="other"),
        *("POST", "/api/v1/memories", {}, {"content": "c", "type": "task", "tenantId": "other"}, 201),
        MEMORY,
        lambda r: r.importance == 0.8,
    ),
    "get": Case(
        lambda hb: hb.memories.get("mem_abc123def456"),
        *("GET", "/api/v1/memories/mem_abc123def456", TENANT, None, 200, MEMORY),
        lambda r: r.content.endswith("growth."),
    ),
    "page as in the reference": Case(
        lambda hb: hb.memories.page(page=1, limit=20, type="episodic", sort="importance", order="desc"),
        *("GET", "/api/v1/memories"),
        {
            **TENANT,
            "page": "1",
            "limit": "20",
            "type": "episodic",
            "sort": "importance",
            "order": "desc",
        },
        None,
        200,
        {"memories": [ROW], "pagination": PAGINATION},
        lambda r: (
            (r.pagination.total, r.pagination.has_next, r.pagination.has_previous) == (150, True, False)
            and [memory.id for memory in r] == ["mem_abc123def456"]
            and r[0].tags == ()
        ),
    ),
    "list by tags": Case(
        lambda hb: hb.memories.list(tags=["a", "b"], limit=5),
        *("GET", "/api/v1/memories", {**TENANT, "page": "1", "limit": "5", "tags": "a,b"}, None, 200),
        {"memories": [ROW], "pagination": {**PAGINATION, "hasNext": False}},
        lambda r: [memory.content for memory in r] == ["Met with Sarah Chen about Q4 goals..."],
    ),
    "update as in the reference": Case(
        lambda hb: hb.memories.update(
            "mem_abc123def456", importance=0.9, tags=["meeting", "q4", "important"]
        ),
        *("PATCH", "/api/v1/memories/mem_abc123def456", TENANT),
        {"importance": 0.9, "tags": ["meeting", "q4", "important"]},
        200,
        {**MEMORY, "importance": 0.9},
        lambda r: r.importance == 0.9,
    ),
    "update nothing": Case(
        lambda hb: hb.memories.update("m"),
        *("PATCH", "/api/v1/memories/m", TENANT, {}, 200, MEMORY),
        lambda r: r.id == "mem_abc123def456",
    ),
    "delete": Case(
        lambda hb: hb.memories.delete("mem_abc123def456"),
        *("DELETE", "/api/v1/memories/mem_abc123def456", TENANT, None, 200),
        {"id": "mem_abc123def456", "deleted": True},
        lambda r: r.deleted and r.id == "mem_abc123def456",
    ),
    "search as in the reference": Case(
        lambda hb: hb.memories.search("Q4 planning meetings", limit=10, min_relevance=0.7),
        *("POST", "/api/v1/memories/search", {}),
        {"query": "Q4 planning meetings", "tenantId": "user_12345", "limit": 10, "minRelevance": 0.7},
        200,
        {"results": [{**ROW, "relevance": 0.89}], "query": "Q4 planning meetings", "latency": 145},
        lambda r: (
            (r[0].relevance, r[0].score, r.latency, r.query) == (0.89, 0.89, 145, "Q4 planning meetings")
            and len(r) == 1
        ),
    ),
    "search by type and tags, best first": Case(
        lambda hb: hb.memories.search(query="q", type=MemoryType.SEMANTIC, tags=["a", "b"]),
        *("POST", "/api/v1/memories/search", {}),
        {"query": "q", "tenantId": "user_12345", "limit": 20, "type": "semantic", "tags": ["a", "b"]},
        200,
        {"results": [{**ROW, "relevance": 0.1}, {**ROW, "relevance": 0.9}], "query": "q", "latency": 1},
        lambda r: [row.relevance for row in r] == [0.9, 0.1],
    ),
    "api_keys.create as in the reference": Case(
        lambda hb: hb.api_keys.create(
            "Production API Key", environment="production", scopes=["read:memories", "write:memories"]
        ),
        *("POST", "/api/v1/api-keys", {}),
        {
            "name": "Production API Key",
            "tenantId": "user_12345",
            "environment": "production",
            "scopes": ["read:memories", "write:memories"],
        },
        201,
        KEY,
        lambda r: (
            r.plain_key == KEY["plainKey"]
            and r.rate_limit.requests_per_day == 10000
            and KEY["plainKey"] not in repr(r)
        ),
    ),
    "api_keys.create that expires": Case(
        lambda hb: hb.api_keys.create("k", expires_at=datetime(2030, 1, 1, tzinfo=UTC)),
        *("POST", "/api/v1/api-keys", {}),
        {"name": "k", "tenantId": "user_12345", "expiresAt": 1893456000000},
        201,
        {**KEY, "expiresAt": 1893456000},
        lambda r: r.expires_at == datetime(2030, 1, 1, tzinfo=UTC),
    ),
    "api_keys.list": Case(
        lambda hb: hb.api_keys.list(),
        *("GET", "/api/v1/api-keys", TENANT, None, 200),
        {"keys": [{**KEY, "expiresAt": 1893456000000}]},
        lambda r: r[0].key_prefix == "hb_prod_abc123" and r[0].expires_at.year == 2030,
    ),
    "api_keys.list as an array": Case(
        lambda hb: hb.api_keys.list(),
        *("GET", "/api/v1/api-keys", TENANT, None, 200, [KEY]),
        lambda r: len(r) == 1,
    ),
    "api_keys.revoke": Case(
        lambda hb: hb.api_keys.revoke("key_abc123def456"),
        *("POST", "/api/v1/api-keys/revoke", {}, {"keyId": "key_abc123def456", **TENANT}, 200, {}),
        lambda r: r is None,
    ),
    "api_keys.usage": Case(
        lambda hb: hb.api_keys.usage("key_1", days=7),
        *("GET", "/api/v1/api-keys/usage", {"keyId": "key_1", "days": "7", **TENANT}, None, 200, {"n": 1}),
        lambda r: r == {"n": 1},
    ),
    "webhooks.create as in the reference": Case(
        lambda hb: hb.webhooks.create(
            name="Memory Sync",
            url="https://your-app.com/webhooks/herobrain",
            events=["memory.created", WebhookEvent.MEMORY_UPDATED],
            secret="your-webhook-secret",
        ),
        *("POST", "/api/v1/webhooks", {}),
        {
            "name": "Memory Sync",
            "url": "https://your-app.com/webhooks/herobrain",
            "events": ["memory.created", "memory.updated"],
            "secret": "your-webhook-secret",
        },
        201,
        WEBHOOK,
        lambda r: r.id == "wh_1" and r.events == (WebhookEvent.MEMORY_CREATED, WebhookEvent.MEMORY_UPDATED),
    ),
    "webhooks.list": Case(
        lambda hb: hb.webhooks.list(),
        *("GET", "/api/v1/webhooks", {}, None, 200, [WEBHOOK]),
        lambda r: r[0].name == "Memory Sync",
    ),
    "webhooks.list as an object": Case(
        lambda hb: hb.webhooks.list(),
        *("GET", "/api/v1/webhooks", {}, None, 200, {"webhooks": [WEBHOOK]}),
        lambda r: r[0].status == "active",
    ),
    "webhooks.test": Case(
        lambda hb: hb.webhooks.test("wh_1"),
        *("POST", "/api/v1/webhooks/wh_1/test", {}, None, 200, {"delivered": True}),
        lambda r: r.delivered,
    ),
    "webhooks.delete": Case(
        lambda hb: hb.webhooks.delete("wh_1"),
        *("DELETE", "/api/v1/webhooks/wh_1", {}, None, 200, {"id": "wh_1", "deleted": True}),
        lambda r: r.deleted,
    ),
    "intelligence.decision_chain as in the reference": Case(
        lambda hb: hb.intelligence.decision_chain(
            "Q4 strategy",
            since=datetime(2025, 10, 1, tzinfo=UTC),
            until="2025-11-19T23:59:59Z",
        ),
        *("POST", "/api/v1/intelligence/decision-chain", {}),
        {
            "topic": "Q4 strategy",
            "tenantId": "user_12345",
            "timeRange": {"from": "2025-10-01T00:00:00Z", "to": "2025-11-19T23:59:59Z"},
        },
        200,
        {"chain": [{"step": 1}]},
        lambda r: r.chain == ({"step": 1},),
    ),
    "intelligence.decision_chain in the wire's words": Case(
        lambda hb: hb.intelligence.decision_chain("t", time_range={"from": "2025-10-01T00:00:00Z"}),
        *("POST", "/api/v1/intelligence/decision-chain", {}),
        {"topic": "t", "tenantId": "user_12345", "timeRange": {"from": "2025-10-01T00:00:00Z"}},
        *(200, {"chain": []}),
        lambda r: r.chain == (),
    ),
    "intelligence.implicit_patterns": Case(
        lambda hb: hb.intelligence.implicit_patterns(min_occurrences=5),
        *("POST", "/api/v1/intelligence/implicit-patterns", {}),
        {"tenantId": "user_12345", "minOccurrences": 5},
        *(200, {"patterns": [{"pattern": "x"}]}),
        lambda r: r.patterns[0]["pattern"] == "x",
    ),
    "usage.metrics as in the reference": Case(
        lambda hb: hb.usage.metrics(),
        *("GET", "/api/v1/usage/metrics/user_12345", {}, None, 200),
        {
            "apiCalls": {"today": 150, "thisMonth": 3200, "limit": 100000},
            "memories": {"count": 1250, "limit": 1000000},
            "storage": {"used": 52428800, "limit": 1073741824},
        },
        lambda r: (r.api_calls.this_month, r.memories.count, r.storage.limit) == (3200, 1250, 1073741824),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_sends_the_documented_request_and_reads_the_documented_answer(ask, stub, name):
    case = CASES[name]
    stub.answer({"success": True, "data": case.data, "metadata": ENVELOPE}, case.status)
    result = ask(case.call)
    [sent] = stub.requests
    assert (sent.method, sent.path, sent.query, sent.body) == (case.method, case.path, case.query, case.body)
    assert sent.headers["authorization"] == "Bearer hb_prod_key123"
    assert ("content-type" in sent.headers) is (case.body is not None)
    assert case.read(result)


@pytest.mark.parametrize("call", [lambda hb: hb.memories.delete("m"), lambda hb: hb.webhooks.delete("m")])
def test_a_deletion_may_be_answered_with_nothing(ask, stub, call):
    stub.answer(None, 204)
    assert ask(call).id == "m"
    stub.answer(None, 200)
    assert ask(call).deleted


def test_a_list_walks_all_pages_of_one_size(ask, stub):
    for number, more in ((1, True), (2, False)):
        rows = [{**ROW, "id": f"mem_{number}_{n}"} for n in range(100 if more else 20)]
        where = {
            "page": number,
            "limit": 100,
            "total": 120,
            "pages": 2,
            "hasNext": more,
            "hasPrevious": not more,
        }
        data = {"memories": rows, "pagination": where}
        stub.answer({"success": True, "data": data, "metadata": ENVELOPE})
    found = ask(lambda hb: hb.memories.list(limit=110))
    assert len(found) == 110
    assert [(sent.query["page"], sent.query["limit"]) for sent in stub.requests] == [
        ("1", "100"),
        ("2", "100"),
    ]


def test_key_and_tenant_come_from_the_environment(stub, monkeypatch):
    monkeypatch.setenv("HEROBRAIN_API_KEY", "hb_dev_fromenv")
    monkeypatch.setenv("HEROBRAIN_TENANT_ID", "tenant-env")
    monkeypatch.setenv("HEROBRAIN_BASE_URL", stub.url)
    stub.answer({"success": True, "data": MEMORY, "metadata": ENVELOPE})
    with HeroBrain() as hb:
        hb.memories.get("m")
    assert stub.last.query == {"tenantId": "tenant-env"}
    assert stub.last.headers["authorization"] == "Bearer hb_dev_fromenv"


def test_without_a_key_nothing_starts(monkeypatch):
    monkeypatch.delenv("HEROBRAIN_API_KEY", raising=False)
    with pytest.raises(OneBrainAuthenticationError, match="HEROBRAIN_API_KEY"):
        HeroBrain(tenant_id="t")


def test_a_key_is_in_no_repr():
    with HeroBrain("hb_prod_verysecret", "t") as hb:
        assert "verysecret" not in f"{hb!r} {hb.memories!r} {vars(hb)!r}"


def test_the_rate_limit_is_shown(stub):
    headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999", "X-RateLimit-Reset": "1638360000"}
    stub.answer({"success": True, "data": MEMORY, "metadata": ENVELOPE}, headers=headers)
    with HeroBrain("hb_k", "t", base_url=stub.url) as hb:
        hb.memories.get("m")
        limit = hb.rate_limit
    assert (limit.limit, limit.remaining) == (1000, 999)
    assert limit.reset == datetime(2021, 12, 1, 12, tzinfo=UTC)
