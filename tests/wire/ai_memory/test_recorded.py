"""The client against the real daemon, as recorded: what it sends is what the daemon understood, and all of it is read."""

from __future__ import annotations

import pytest

from onebrain import (
    OneBrainConflictError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    Tier,
    UnsupportedByServer,
)
from onebrain.services.ai_memory import CreateMemory, UpdateMemory

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_quickstart(session):
    created = session(
        lambda c: c.memories.store(
            title="BIND9 build notes",
            content="Use --with-openssl=/opt/openssl, disable DoH for the lab.",
            tier=Tier.LONG,
            tags=["dns", "bind9"],
        )
    )
    assert created["id"]
    assert created.agent_id == "ai:claude@host"
    hits = session(lambda c: c.memories.recall(context="how do I build BIND9?"))
    assert [(memory.title, memory.confidence) for memory in hits.memories] == [("BIND9 build notes", 1.0)]
    assert hits.mode == "keyword"
    assert hits.memories[0].score > 0


def test_the_life_of_a_memory(session):
    id = session(
        lambda c: c.memories.store("Seat", "Maria prefers window seats", tags=["travel"], metadata={"n": 1.5})
    ).id
    memory = session(lambda c: c.memories.get(id))
    assert (memory.id, memory.tier, memory.metadata["n"]) == (id, Tier.MID, 1.5)
    assert memory.expires_at is not None
    changed = session(
        lambda c: c.memories.update(id, UpdateMemory(content="Maria prefers aisle seats", priority=9))
    )
    assert (changed.content, changed.priority, changed.tags) == ("Maria prefers aisle seats", 9, ("travel",))
    assert session(lambda c: c.memories.search("aisle seats")).results[0].id == id
    assert [row.id for row in session(lambda c: c.memories.list(tags=["travel"]))] == [id]
    assert session(lambda c: c.memories.page(min_priority=9)).count == 1
    assert session(lambda c: c.memories.promote(id)).tier is Tier.LONG
    assert session(lambda c: c.memories.get(id)).expires_at is None
    assert session(lambda c: c.memories.delete(id)).deleted
    with pytest.raises(OneBrainNotFoundError):
        session(lambda c: c.memories.get(id))


def test_a_title_is_unique_in_its_namespace(session):
    first = session(lambda c: c.memories.store("Plan", "first", namespace="team/project"))
    assert session(lambda c: c.memories.store("Plan", "second", namespace="team/project")).id == first.id
    assert session(lambda c: c.memories.get(first.id)).content == "second"
    with pytest.raises(OneBrainConflictError) as caught:
        session(lambda c: c.memories.store("Plan", "third", namespace="team/project", on_conflict="error"))
    assert caught.value.existing_id == first.id
    other = session(
        lambda c: c.memories.store("Plan", "fourth", namespace="team/project", on_conflict="version")
    )
    assert other.id != first.id
    assert session(lambda c: c.memories.get(other.id)).title == "Plan (2)"
    with pytest.raises(OneBrainConflictError) as caught:
        session(lambda c: c.memories.update(other.id, title="Plan"))
    assert caught.value.existing_id == first.id


def test_links(session):
    one = session(lambda c: c.memories.store("Link one", "one")).id
    two = session(lambda c: c.memories.store("Link two", "two")).id
    assert session(lambda c: c.links.create(one, two, "supersedes")).linked
    assert [(row.source_id, row.relation) for row in session(lambda c: c.links.list(two))] == [
        (one, "supersedes")
    ]
    assert session(lambda c: c.links.delete(one, two))
    assert session(lambda c: c.links.list(two)) == ()
    with pytest.raises(OneBrainInternalError):  # how 0.6.4 says that there is no such memory
        session(lambda c: c.links.create(one, NOBODY))


def test_many_at_once(session):
    done = session(
        lambda c: c.memories.bulk_store(
            [
                CreateMemory(title="Bulk one", content="the red lighthouse", namespace="bulk"),
                {"title": "Bulk two", "content": "the blue lighthouse", "namespace": "bulk", "scope": "team"},
            ]
        )
    )
    assert (done.created, done.errors) == (2, ())
    found = session(lambda c: c.memories.page(namespace="bulk"))
    assert {memory.metadata["agent_id"] for memory in found} == {"ai:claude@host"}
    assert session(lambda c: c.memories.forget(namespace="bulk", pattern="red")).deleted == 1
    exported = session(lambda c: c.transfer.export())
    assert exported.count == len(exported.memories)
    assert session(lambda c: c.memories.forget(namespace="bulk")).deleted == 1
    again = [memory for memory in exported.memories if memory.namespace == "bulk"]
    assert session(lambda c: c.transfer.import_(again)).imported == 1
    assert [memory.id for memory in session(lambda c: c.memories.list(namespace="bulk"))] == [again[0].id]


def test_agents_and_messages(session):
    assert session(lambda c: c.agents.register("bob", "ai:generic", ["recall"])).registered
    assert "bob" in [agent.agent_id for agent in session(lambda c: c.agents.list())]
    sent = session(lambda c: c.messages.send(to="bob", subject="Lunch", body="At noon?", priority=7))
    assert (sent.to, sent.namespace) == ("bob", "_messages/bob")
    [message] = session(lambda c: c.messages.inbox(agent_id="bob"))
    assert (message.subject, message.body, message.to, message.priority) == ("Lunch", "At noon?", "bob", 7)
    assert message.read is False


def test_subscriptions(session):
    made = session(
        lambda c: c.subscriptions.create(
            url="https://example.com/hook", events=["memory_delete", "memory_promote"], secret="shh"
        )
    )
    assert made.events == ("memory_delete", "memory_promote")
    [listed] = session(lambda c: c.subscriptions.list())
    assert (listed.id, listed.events, listed.dispatch_count) == (made.id, made.events, 0)
    assert session(lambda c: c.subscriptions.delete(made.id)).removed
    with pytest.raises(OneBrainNotFoundError):
        session(lambda c: c.subscriptions.delete(made.id))


def test_the_daemon_itself(session):
    health = session(lambda c: c.health())
    assert (health.status, health.version, health.embedder_ready) == ("ok", "0.6.4", False)
    assert "ai_memory_" in session(lambda c: c.metrics())
    stats = session(lambda c: c.stats())
    assert stats.total == sum(row.count for row in stats.by_tier)
    assert {row.namespace for row in session(lambda c: c.namespaces())} >= {"global"}
    assert session(lambda c: c.gc()).expired_deleted >= 0


def test_what_no_daemon_has(session):
    id = session(lambda c: c.memories.store("Shared", "x")).id
    for call in (
        lambda c: c.memories.grant(id, "bob"),
        lambda c: c.memories.revoke(id, "bob"),
        lambda c: c.cluster({"peers": []}),
    ):
        with pytest.raises(UnsupportedByServer):
            session(call)


def test_a_recall_within_a_budget(session):
    for number in range(3):
        session(lambda c, n=number: c.memories.store(f"Budget {n}", f"a long story about budgets, part {n}"))
    found = session(lambda c: c.memories.recall("budgets story", budget_tokens=1, limit=50))
    assert len(found) == 1
    assert found.meta.budget_overflow is True
    assert found.meta.memories_dropped >= 2
    assert session(lambda c: c.memories.recall("budgets story", budget_tokens=0)).memories == ()
