"""Our client against this dialect: every method, sync and async, with real results."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from onebrain import AiMemoryClient, AsyncAiMemoryClient
from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError, UnsupportedByServer
from onebrain.services.ai_memory import CreateMemory, Relation, Tier, UpdateMemory


@pytest.fixture(params=["sync", "async"])
def call(request, base, key):
    """Call a new sync or async client and return the result, iterators as lists."""

    def call_sync(what, **options):
        with AiMemoryClient(base, **{"api_key": key, **options}) as client:
            result = what(client)
            return list(result) if hasattr(result, "__next__") else result

    def call_async(what, **options):
        async def run():
            async with AsyncAiMemoryClient(base, **{"api_key": key, **options}) as client:
                result = what(client)
                if inspect.isawaitable(result):
                    return await result
                return [item async for item in result]

        return asyncio.run(run())

    return call_sync if request.param == "sync" else call_async


def about(days):
    """Whether a moment is about so many days from now."""
    low = datetime.now(UTC) + timedelta(days=days, minutes=-5)
    return lambda moment: low < moment < low + timedelta(minutes=10)


def test_health(call):
    health = call(lambda c: c.health())
    assert (health.status, health.service, health.version) == ("ok", "ai-memory", "0.6.4")
    assert (health.embedder_ready, health.import_embeds, health.federation_enabled) == (True, True, False)


def test_metrics(call):
    assert "_total" in call(lambda c: c.metrics())


def test_store_and_get(call):
    created = call(
        lambda c: c.memories.store(
            "A title",
            "Some text",
            tier=Tier.SHORT,
            namespace="team/project",
            tags=["x", "y"],
            priority=7,
            confidence=0.5,
            source="user",
            ttl_secs=86400,
            metadata={"year": 2026},
            agent_id="ai:me",
            scope="team",
        )
    )
    assert (created.tier, created.namespace, created.title) == (Tier.SHORT, "team/project", "A title")
    assert created.agent_id == "ai:me"
    memory = call(lambda c: c.memories.get(created.id))
    assert (memory.content, memory.tags, memory.source) == ("Some text", ("x", "y"), "user")
    assert (memory.priority, memory.confidence, memory.access_count) == (7, 0.5, 0)
    assert memory.metadata == {"year": 2026, "agent_id": "ai:me", "scope": "team"}
    assert about(days=1)(memory.expires_at)
    assert about(days=0)(memory.created_at)


def test_store_with_a_title_that_is_taken(call):
    first = call(lambda c: c.memories.store("Same", "one"))
    assert call(lambda c: c.memories.store("Same", "two")).id == first.id
    with pytest.raises(OneBrainConflictError) as conflict:
        call(lambda c: c.memories.store("Same", "three", on_conflict="error"))
    assert conflict.value.existing_id == first.id
    beside = call(lambda c: c.memories.store("Same", "four", on_conflict="version"))
    assert beside.title == "Same (2)"
    assert call(lambda c: c.memories.get(first.id)).content == "two"


def test_bulk_store(call):
    rows = [
        CreateMemory(title="a", content="1", agent_id="ai:me"),
        {"title": "b", "content": "2", "source": "api"},
    ]
    done = call(lambda c: c.memories.bulk_store(rows))
    assert (done.created, done.errors) == (2, ())
    found = {memory.title: memory for memory in call(lambda c: c.memories.list())}
    assert found["a"].metadata["agent_id"] == "ai:me"
    assert found["b"].content == "2"


def test_update(call):
    id = call(lambda c: c.memories.store("Old", "Text", tags=["x"], metadata={"a": 1})).id
    changed = call(lambda c: c.memories.update(id, UpdateMemory(title="New", metadata={"b": 2})))
    assert (changed.title, changed.content, changed.tags) == ("New", "Text", ("x",))
    assert changed.metadata["b"] == 2
    assert "a" not in changed.metadata
    moved = call(lambda c: c.memories.update(id, namespace="elsewhere", content="Other text", priority=9))
    assert (moved.namespace, moved.content, moved.priority) == ("elsewhere", "Other text", 9)
    assert call(lambda c: c.memories.get(id)) == moved
    assert call(lambda c: c.memories.page(namespace="global")).count == 0
    assert call(lambda c: c.memories.update(id, expires_at=None)).expires_at is None


def test_delete(call):
    id = call(lambda c: c.memories.store("Old", "Text")).id
    assert call(lambda c: c.memories.delete(id)).deleted
    with pytest.raises(OneBrainNotFoundError):
        call(lambda c: c.memories.get(id))


def test_promote(call):
    id = call(lambda c: c.memories.store("Old", "Text")).id
    done = call(lambda c: c.memories.promote(id))
    assert (done.id, done.tier) == (id, Tier.LONG)
    assert call(lambda c: c.memories.get(id)).expires_at is None


def test_list_and_page(call):
    rows = [
        {"title": f"t{n}", "content": "x", "priority": n % 10 + 1, "tags": ["all", f"n{n % 2}"]}
        for n in range(25)
    ]
    call(lambda c: c.memories.bulk_store(rows))
    found = call(lambda c: c.memories.list())
    assert [memory.priority for memory in found] == sorted((n % 10 + 1 for n in range(25)), reverse=True)
    page = call(lambda c: c.memories.page(limit=10, offset=20))
    assert page.count == 5
    assert [memory.id for memory in page] == [memory.id for memory in found[20:]]
    assert len(call(lambda c: c.memories.page(tags=["all", "n1"], limit=100))) == 12
    assert call(lambda c: c.memories.page(tags="all,n1")).count == 12
    assert call(lambda c: c.memories.page(min_priority=9)).count == 4
    assert call(lambda c: c.memories.page(tier="long")).count == 0
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert call(lambda c: c.memories.page(since=tomorrow)).count == 0
    assert call(lambda c: c.memories.page(until=tomorrow, limit=1000)).count == 25


def test_search(call):
    call(lambda c: c.memories.store("Red lighthouse", "by the sea", tags=["coast"]))
    call(lambda c: c.memories.store("Red house", "in town"))
    found = call(lambda c: c.memories.search("lighthouses coast"))
    assert [memory.title for memory in found] == ["Red lighthouse"]
    assert found.query == "lighthouses coast"
    assert call(lambda c: c.memories.search("red")).count == 2
    assert call(lambda c: c.memories.search("red", limit=1)).count == 1
    assert call(lambda c: c.memories.search("red", tags="coast")).count == 1


def test_recall(call):
    call(lambda c: c.memories.store("Travel", "Maria prefers window seats"))
    call(lambda c: c.memories.store("Food", "The cat eats figs"))
    found = call(lambda c: c.memories.recall("where does Maria like to sit?", limit=1))
    assert [memory.title for memory in found] == ["Travel"]
    assert 0 < found[0].score <= 1
    assert (found.mode, found.count) == ("hybrid", 1)
    assert found.tokens_used > 0
    assert call(lambda c: c.memories.get(found[0].id)).access_count == 1


def test_recall_within_a_budget(call):
    call(
        lambda c: c.memories.bulk_store([{"title": f"t{n}", "content": "lighthouse " * 4} for n in range(3)])
    )
    whole = call(lambda c: c.memories.recall("lighthouse"))
    cost = whole.tokens_used // 3
    some = call(lambda c: c.memories.recall("lighthouse", budget_tokens=2 * cost + 1))
    assert (some.count, some.budget_tokens, some.tokens_used) == (2, 2 * cost + 1, 2 * cost)
    assert (some.meta.memories_dropped, some.meta.budget_tokens_remaining) == (1, 1)
    least = call(lambda c: c.memories.recall("lighthouse", budget_tokens=1))
    assert (least.count, least.meta.budget_overflow) == (1, True)
    nothing = call(lambda c: c.memories.recall("lighthouse", budget_tokens=0))
    assert (nothing.count, nothing.meta.memories_dropped) == (0, 3)


def test_forget(call):
    call(lambda c: c.memories.store("a", "red sea", namespace="one"))
    call(lambda c: c.memories.store("b", "blue sky", namespace="one", tier="long"))
    call(lambda c: c.memories.store("c", "red sky", namespace="two"))
    assert call(lambda c: c.memories.forget(namespace="one", pattern="red yellow")).deleted == 1
    assert call(lambda c: c.memories.forget(tier="long", namespace="two")).deleted == 0
    assert call(lambda c: c.memories.forget(pattern="sky")).deleted == 2
    assert call(lambda c: c.memories.list()) == []


def test_links(call):
    one, two = (call(lambda c, t=title: c.memories.store(t, "x")).id for title in ("one", "two"))
    assert call(lambda c: c.links.create(one, two, "supersedes")).linked
    [link] = call(lambda c: c.links.list(two))
    assert (link.source_id, link.target_id, link.relation) == (one, two, Relation.SUPERSEDES)
    with pytest.raises(OneBrainNotFoundError):
        call(lambda c: c.links.create(one, str(uuid.uuid4())))
    assert call(lambda c: c.links.delete(one, two)) is True
    assert call(lambda c: c.links.delete(one, two)) is False
    assert list(call(lambda c: c.links.list(one))) == []


def test_stats_and_namespaces(call):
    call(lambda c: c.memories.store("a", "x", namespace="one", ttl_secs=60))
    call(lambda c: c.memories.store("b", "x", namespace="one", tier="long"))
    stats = call(lambda c: c.stats())
    assert (stats.total, stats.expiring_soon, stats.links_count) == (2, 1, 0)
    assert {row.tier: row.count for row in stats.by_tier} == {"short": 0, "mid": 1, "long": 1}
    [namespace] = call(lambda c: c.namespaces())
    assert (namespace.namespace, namespace.count) == ("one", 2)


def test_gc(call):
    call(lambda c: c.memories.store("lives", "x"))
    past = {"id": str(uuid.uuid4()), "title": "t", "content": "x", "expires_at": "2020-01-01T00:00:00+00:00"}
    assert call(lambda c: c.transfer.import_([past])).imported == 1
    assert call(lambda c: c.gc()).expired_deleted == 1
    assert call(lambda c: c.gc()).expired_deleted == 0
    assert len(call(lambda c: c.memories.list())) == 1


def test_export_and_import(call, live):
    one, two = (call(lambda c, t=title: c.memories.store(t, "x")).id for title in ("one", "two"))
    call(lambda c: c.links.create(one, two))
    whole = call(lambda c: c.transfer.export())
    assert (whole.count, len(whole.links)) == (2, 1)
    other = live.account(f"{uuid.uuid4().hex}@example.com")
    done = call(lambda c: c.transfer.import_(whole), api_key=other)
    assert (done.imported, done.errors) == (2, ())
    moved = call(lambda c: c.transfer.export(), api_key=other)
    assert [memory.id for memory in moved.memories] == [one, two]
    assert moved.links == whole.links


def test_subscriptions(call, receiver):
    made = call(
        lambda c: c.subscriptions.create(
            url=receiver.url,
            events=["memory_store", "memory_delete"],
            secret="correct horse",
            namespace_filter="team",
            agent_filter="ai:bob",
            agent_id="ai:me",
        )
    )
    assert (made.url, made.events) == (receiver.url, ("memory_store", "memory_delete"))
    assert (made.namespace_filter, made.agent_filter, made.agent_id) == ("team", "ai:bob", "ai:me")
    [found] = call(lambda c: c.subscriptions.list(agent_id="ai:me"))
    assert (found.id, found.dispatch_count, found.failure_count) == (made.id, 0, 0)
    assert list(call(lambda c: c.subscriptions.list(agent_id="ai:other"))) == []
    assert [agent.agent_id for agent in call(lambda c: c.agents.list())] == ["ai:me"]
    assert call(lambda c: c.subscriptions.delete(made.id)).removed
    with pytest.raises(OneBrainNotFoundError):
        call(lambda c: c.subscriptions.delete(made.id))


def test_notify_and_inbox(call):
    sent = call(
        lambda c: c.messages.send(to="ai:bob", subject="Hello", body="Read this"), agent_id="ai:alice"
    )
    assert (sent.sender, sent.to, sent.tier) == ("ai:alice", "ai:bob", Tier.MID)
    found = call(lambda c: c.messages.inbox(), agent_id="ai:bob")
    [message] = found
    assert (message.subject, message.body, message.sender) == ("Hello", "Read this", "ai:alice")
    assert (message.id, message.to, message.read) == (sent.id, "ai:bob", False)
    assert call(lambda c: c.messages.inbox(agent_id="ai:carol")).count == 0


def test_agents(call):
    made = call(lambda c: c.agents.register("ai:me", "ai:claude", ["recall"]))
    again = call(lambda c: c.agents.register("ai:me", "system"))
    assert (made.id, made.capabilities) == (again.id, ("recall",))
    [found] = call(lambda c: c.agents.list())
    assert (found.agent_id, found.agent_type, found.capabilities) == ("ai:me", "system", ())
    assert found.last_seen_at > found.registered_at


def test_grant_and_revoke(call):
    id = call(lambda c: c.memories.store("a", "x")).id
    assert call(lambda c: c.memories.grant(id, "ai:bob", permission="write")).granted
    assert call(lambda c: c.memories.revoke(id, "ai:bob")).revoked


def test_cluster_is_unsupported(call):
    with pytest.raises(UnsupportedByServer):
        call(lambda c: c.cluster({"peers": []}))
