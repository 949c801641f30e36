"""Our client against our server: every method, sync and async, with real results."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from datetime import UTC, datetime, timedelta

import pytest

import onebrain
from onebrain.errors import (
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainValidationError,
)
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture(params=["sync", "async"])
def call(request, address, key):
    """Call a new sync or async client and return the result, iterators as lists."""

    def call_sync(what, **options):
        with onebrain.Brrain(**{"api_key": key, "base_url": address, **options}) as client:
            result = what(client)
            return list(result) if hasattr(result, "__next__") else result

    def call_async(what, **options):
        async def run():
            async with onebrain.AsyncBrrain(**{"api_key": key, "base_url": address, **options}) as client:
                result = what(client)
                if inspect.isawaitable(result):
                    return await result
                return [item async for item in result]

        return asyncio.run(run())

    return call_sync if request.param == "sync" else call_async


def test_store(call):
    before = datetime.now(UTC) - timedelta(seconds=1)
    stored = call(
        lambda c: c.memory.store(
            "the lighthouse",
            metadata={"year": 2026},
            category="policy",
            department="legal",
            tags=["a", "b"],
            source="me",
            workspace_id="ws_engineering",
            ttl_seconds=60,
        )
    )
    assert stored.id.startswith("mem_")
    assert (stored.status, stored.workspace_id, stored.vault_id) == (
        "stored",
        "ws_engineering",
        "vlt_default",
    )
    assert stored.metadata == {
        "year": 2026, "category": "policy", "department": "legal", "tags": ["a", "b"], "source": "me",
    }  # fmt: skip
    assert (stored.byte_size, stored.replayed) == (14, False)
    assert stored.content_hash == f"sha256:{hashlib.sha256(b'the lighthouse').hexdigest()}"
    assert before < stored.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert stored.processing.embedding_status == "completed"


def test_a_conflict_names_the_memory(call):
    id = call(lambda c: c.memory.store("the lighthouse")).id
    with pytest.raises(OneBrainConflictError) as caught:
        call(lambda c: c.memory.store("the lighthouse"))
    assert (caught.value.existing_id, caught.value.code) == (id, "duplicate_content")
    call(lambda c: c.memory.store("one", idempotency_key="k"))
    with pytest.raises(OneBrainConflictError) as caught:
        call(lambda c: c.memory.store("two", idempotency_key="k"))
    assert (caught.value.existing_id, caught.value.code) == (None, "idempotency_conflict")


def test_batch(call):
    done = []
    result = call(
        lambda c: c.memory.batch(
            [*(f"lighthouse {n}" for n in range(120)), {"content": "lighthouse 5"}], on_progress=done.append
        )
    )
    assert (result.stored, result.failed, done) == (120, 1, [100, 121])
    assert [item.index for item in result.results] == list(range(121))
    assert result.results[120].error.existing_id == result.results[5].id
    assert call(lambda c: c.memory.get(result.results[119].id)).content == "lighthouse 119"


def test_retrieve(call):
    id = call(
        lambda c: c.memory.store("the lighthouse", category="log", tags=["a", "b"], department="sea")
    ).id
    call(lambda c: c.memory.store("the harbour", category="log"))
    found = call(
        lambda c: c.memory.retrieve(
            "lighthouse",
            keyword="lighthouse",
            limit=5,
            category="log",
            tags=["a", "b"],
            department="sea",
            created_after=datetime(2020, 1, 1, tzinfo=UTC),
            created_before=datetime(2200, 1, 1, tzinfo=UTC),
            workspace_id="ws_default",
            min_relevance=0.01,
            mode="hybrid",
        )
    )
    [hit] = found.results
    assert (hit.id, hit.content, hit.highlights) == (id, "the lighthouse", ("the <em>lighthouse</em>",))
    assert 0.5 < hit.relevance_score <= 1
    assert (found.query, found.mode, found.total, found.has_more, found.next_cursor) == (
        "lighthouse", "hybrid", 1, False, None,
    )  # fmt: skip
    assert found.took_ms >= 0


def test_retrieve_all(call):
    result = call(lambda c: c.memory.batch([f"lighthouse {n}" for n in range(25)]))
    hits = call(lambda c: c.memory.retrieve_all("lighthouse", page_size=10, mode="keyword"))
    assert {hit.id for hit in hits} == {item.id for item in result.results}
    assert len(hits) == 25


def test_get(call):
    id = call(lambda c: c.memory.store("Maria works at Acme Labs", source="me")).id
    memory = call(lambda c: c.memory.get(id))
    assert (memory.content, memory.workspace_id, memory.updated_at) == (
        "Maria works at Acme Labs", "ws_default", None,
    )  # fmt: skip
    assert memory.metadata == {"source": "me"}
    assert memory.processing.entities == ("Maria", "Acme Labs")


def test_delete(call):
    id = call(lambda c: c.memory.store("the lighthouse")).id
    deleted = call(lambda c: c.memory.delete(id))
    assert (deleted.id, deleted.status) == (id, "deleted")
    assert abs(deleted.deleted_at - datetime.now(UTC)) < timedelta(minutes=1)
    for again in (lambda c: c.memory.get(id), lambda c: c.memory.delete(id)):
        with pytest.raises(OneBrainNotFoundError):
            call(again)
    assert call(lambda c: c.memory.retrieve("lighthouse")).results == ()


def test_revoke(call, client):
    made = client.post("/v1/auth/keys", json={"name": "old"}).json()
    assert call(lambda c: c.memory.retrieve("x"), api_key=made["key"]).results == ()
    assert call(lambda c: c.keys.revoke(made["id"])) is None
    with pytest.raises(OneBrainAuthenticationError):
        call(lambda c: c.memory.retrieve("x"), api_key=made["key"])


def test_errors_are_the_trees(call, minted, client):
    reader = client.post("/v1/auth/keys", json={"name": "r", "scope": "read"}).json()["key"]
    with pytest.raises(OneBrainPermissionError):
        call(lambda c: c.memory.store("x"), api_key=reader)
    with pytest.raises(OneBrainAuthenticationError):
        call(lambda c: c.memory.get("mem_1"), api_key="brr_live_nobody")
    with pytest.raises(OneBrainValidationError) as caught:
        call(lambda c: c.memory.store("x", metadata={"tags": "no list"}))
    assert "tags" in str(caught.value)
    assert caught.value.request_id


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_base_url_may_end_in_v1(call, address, suffix):
    assert call(lambda c: c.memory.store("x"), base_url=address + suffix).status == "stored"


def test_the_limit_is_read():
    settings = Settings(database_url="sqlite://", log_level="error")
    with (
        live_server(settings) as live,
        onebrain.Brrain(base_url=live.url + "/compat/brrain", api_key=live.key) as client,
    ):
        before = datetime.now(UTC)
        client.memory.retrieve("x")
        after = datetime.now(UTC)
        limit = client.rate_limit
    assert limit is not None
    assert (limit.limit, limit.scope) == (600, "token")
    assert 0 <= limit.remaining < 600
    # The window is a minute, so that the next one begins within a minute.
    assert before - timedelta(seconds=2) <= limit.reset <= after + timedelta(seconds=62)
