"""Every endpoint with the example requests and answers of the documentation, sync and async."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

TEXT = (
    "Our SLA guarantees 99.95% uptime for enterprise customers. Downtime is calculated monthly, excluding "
    "scheduled maintenance windows announced 72 hours in advance."
)
METADATA = {
    "category": "policy",
    "department": "legal",
    "tags": ["sla", "uptime", "enterprise"],
    "source": "legal-team",
}
STORED = {
    "id": "mem_8a2f4b6c9d1e3g5h",
    "status": "stored",
    "vault_id": "vlt_default",
    "workspace_id": "ws_engineering",
    "created_at": "2026-04-15T14:22:00Z",
    "content_hash": "sha256:a3f2b8c1d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0",
    "byte_size": 184,
    "metadata": METADATA,
    "processing": {"embedding_status": "pending", "entity_extraction_status": "pending"},
}
FOUND = {
    "query": "what is our uptime SLA for enterprise customers",
    "mode": "semantic",
    "results": [
        {
            "id": "mem_8a2f4b6c9d1e3g5h",
            "content": TEXT,
            "relevance_score": 0.96,
            "metadata": METADATA,
            "created_at": "2026-04-15T14:22:00Z",
            "highlights": [
                "Our <em>SLA</em> guarantees 99.95% <em>uptime</em> for <em>enterprise</em> customers."
            ],
        }
    ],
    "total": 1,
    "has_more": False,
    "next_cursor": None,
    "took_ms": 18,
}
READ = {
    "id": "mem_8a2f4b6c9d1e3g5h",
    "content": "Our SLA guarantees 99.95% uptime for enterprise customers...",
    "vault_id": "vlt_default",
    "workspace_id": "ws_engineering",
    "created_at": "2026-04-15T14:22:00Z",
    "updated_at": None,
    "metadata": {"category": "policy", "department": "legal", "tags": ["sla", "uptime", "enterprise"]},
    "processing": {
        "embedding_status": "completed",
        "entity_extraction_status": "completed",
        "entities": ["enterprise customers", "SLA", "99.95%", "72 hours"],
    },
}
AT = datetime(2026, 4, 15, 14, 22, tzinfo=UTC)
BEARER = "Bearer brr_test_0123456789"


def _without_key(body):
    assert body["idempotency_key"]
    return {name: value for name, value in body.items() if name != "idempotency_key"}


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": METADATA},
        {
            "category": "policy",
            "department": "legal",
            "tags": ["sla", "uptime", "enterprise"],
            "source": "legal-team",
        },
    ],
)
def test_a_memory_is_stored(client, stub, fields):
    stub.answer(STORED, status=201)
    stored = client(lambda c: c.memory.store(TEXT, ttl_seconds=31536000, **fields))
    got = stub.only
    assert (got.method, got.path, got.query) == ("POST", "/v1/memory/store", [])
    assert got.headers["authorization"] == BEARER
    assert _without_key(got.json) == {"content": TEXT, "metadata": METADATA, "ttl_seconds": 31536000}
    assert (stored.id, stored.status, stored.workspace_id) == (
        "mem_8a2f4b6c9d1e3g5h",
        "stored",
        "ws_engineering",
    )
    assert stored.created_at == AT
    assert stored.metadata == METADATA
    assert stored.processing.embedding_status == "pending"
    assert not stored.replayed


def test_a_workspace_and_a_key_of_ones_own_are_sent(client, stub):
    stub.answer(STORED, status=201)
    client(lambda c: c.memory.store("x", workspace_id="ws_1", idempotency_key="mine"))
    assert stub.only.json == {"content": "x", "workspace_id": "ws_1", "idempotency_key": "mine"}


def test_a_batch_is_stored(client, stub):
    stub.answer(
        {
            "stored": 2,
            "failed": 0,
            "results": [{"id": "mem_abc123", "status": "stored"}, {"id": "mem_def456", "status": "stored"}],
        },
        status=201,
    )
    result = client(
        lambda c: c.memory.batch(
            [
                {"content": "First memory content", "metadata": {"category": "notes"}},
                {"content": "Second memory content", "metadata": {"category": "procedures"}},
            ]
        )
    )
    assert (stub.only.method, stub.only.path) == ("POST", "/v1/memory/batch")
    assert [_without_key(body) for body in stub.only.json["memories"]] == [
        {"content": "First memory content", "metadata": {"category": "notes"}},
        {"content": "Second memory content", "metadata": {"category": "procedures"}},
    ]
    assert len({body["idempotency_key"] for body in stub.only.json["memories"]}) == 2
    assert (result.stored, result.failed) == (2, 0)
    assert [(item.id, item.status, item.index) for item in result.results] == [
        ("mem_abc123", "stored", 0),
        ("mem_def456", "stored", 1),
    ]


def test_memories_are_retrieved(client, stub):
    stub.answer(FOUND)
    found = client(
        lambda c: c.memory.retrieve(
            "what is our uptime SLA for enterprise customers", limit=5, min_relevance=0.5
        )
    )
    assert (stub.only.method, stub.only.path, stub.only.content) == ("GET", "/v1/memory/retrieve", b"")
    assert dict(stub.only.query) == {
        "q": "what is our uptime SLA for enterprise customers",
        "limit": "5",
        "min_relevance": "0.5",
    }
    (hit,) = found.results
    assert (hit.id, hit.content, hit.relevance_score, hit.created_at) == (STORED["id"], TEXT, 0.96, AT)
    assert hit.highlights[0].startswith("Our <em>SLA</em>")
    assert (found.mode, found.total, found.has_more, found.next_cursor, found.took_ms) == (
        "semantic",
        1,
        False,
        None,
        18,
    )


def test_every_filter_is_sent(client, stub):
    stub.answer({**FOUND, "results": []})
    client(
        lambda c: c.memory.retrieve(
            "q",
            keyword="k",
            limit=100,
            cursor="c2",
            category="policy",
            tags=["sla", "uptime"],
            department="legal",
            created_after=datetime(2026, 1, 1),
            created_before=AT,
            workspace_id="ws_1",
            min_relevance=0.0,
            mode="hybrid",
        )
    )
    assert dict(stub.only.query) == {
        "q": "q",
        "keyword": "k",
        "limit": "100",
        "cursor": "c2",
        "category": "policy",
        "tags": "sla,uptime",
        "department": "legal",
        "created_after": "2026-01-01T00:00:00+00:00",
        "created_before": "2026-04-15T14:22:00+00:00",
        "workspace_id": "ws_1",
        "min_relevance": "0.0",
        "mode": "hybrid",
    }


def test_all_pages_are_iterated(client, stub):
    hit = FOUND["results"][0]
    stub.answer({**FOUND, "results": [hit, {**hit, "id": "mem_2"}], "has_more": True, "next_cursor": "c2"})
    stub.answer({**FOUND, "results": [{**hit, "id": "mem_3"}]})
    hits = client(lambda c: c.memory.retrieve_all("uptime", page_size=2))
    assert [hit.id for hit in hits] == ["mem_8a2f4b6c9d1e3g5h", "mem_2", "mem_3"]
    assert [dict(got.query).get("cursor") for got in stub.got] == [None, "c2"]


def test_a_memory_is_read(client, stub):
    stub.answer(READ)
    memory = client(lambda c: c.memory.get("mem_8a2f4b6c9d1e3g5h"))
    assert (stub.only.method, stub.only.path) == ("GET", "/v1/memory/mem_8a2f4b6c9d1e3g5h")
    assert (memory.content, memory.updated_at, memory.vault_id) == (READ["content"], None, "vlt_default")
    assert memory.processing.entities == ("enterprise customers", "SLA", "99.95%", "72 hours")


def test_a_memory_is_deleted(client, stub):
    stub.answer({"id": "mem_8a2f4b6c9d1e3g5h", "status": "deleted", "deleted_at": "2026-04-15T16:00:00Z"})
    deleted = client(lambda c: c.memory.delete("mem_8a2f4b6c9d1e3g5h"))
    assert (stub.only.method, stub.only.path, stub.only.content) == (
        "DELETE",
        "/v1/memory/mem_8a2f4b6c9d1e3g5h",
        b"",
    )
    assert (deleted.status, deleted.deleted_at) == ("deleted", datetime(2026, 4, 15, 16, 0, tzinfo=UTC))


def test_a_key_is_revoked(client, stub):
    stub.answer(None, status=204)
    client(lambda c: c.keys.revoke("key/1"))
    assert (stub.only.method, stub.only.path) == ("DELETE", "/v1/auth/keys/key%2F1")


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_a_base_url_may_end_in_v1(client, stub, suffix):
    stub.answer(READ)
    client(lambda c: c.memory.get("mem_1"), base_url=stub.url + suffix)
    assert stub.only.path == "/v1/memory/mem_1"
