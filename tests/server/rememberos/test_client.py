"""Our client against the dialect, sync and async: memories, search, graph memory, hygiene, keys, grants, webhook."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.errors import (
    OneBrainAuthenticationError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainValidationError,
)


@pytest.fixture
def memory(ask):
    return ask(
        lambda c: c.memories.create(
            "Maria prefers window seats",
            collection="trips",
            importance=0.9,
            category="preference",
            source="chat",
            metadata={"year": 2026},
            container_tag="maria",
        )
    )


def test_collections(ask):
    made = ask(lambda c: c.collections.create("a/b", description="d", metadata={"x": [1]}))
    assert (made.name, made.description, made.metadata, made.memory_count) == ("a/b", "d", {"x": [1]}, 0)
    assert ask(lambda c: c.collections.get("a/b")) == made
    changed = ask(lambda c: c.collections.update("a/b", description=None))
    assert (changed.description, changed.metadata) == (None, {"x": [1]})
    assert [one.name for one in ask(lambda c: c.collections.list())] == ["a/b"]
    ask(lambda c: c.collections.delete("a/b"))
    with pytest.raises(OneBrainNotFoundError, match="Collection not found"):
        ask(lambda c: c.collections.get("a/b"))
    ask(lambda c: c.collections.create("twice"))
    with pytest.raises(OneBrainValidationError, match="already"):
        ask(lambda c: c.collections.create("twice"))


def test_a_memory_comes_back_as_it_was_given(ask, memory):
    found = ask(lambda c: c.memories.get(memory.id, collection="trips"))
    assert found == memory
    assert (found.text, found.importance, found.category, found.source) == (
        "Maria prefers window seats",
        0.9,
        "preference",
        "chat",
    )
    assert (found.metadata, found.container_tag, found.collection, found.images) == (
        {"year": 2026},
        "maria",
        "trips",
        (),
    )
    assert found.created_by.label == "test"
    assert found.created_at == found.updated_at


def test_memories_are_changed_moved_and_deleted(ask, memory):
    changed = ask(lambda c: c.memories.update(memory.id, collection="trips", text="new", metadata={}))
    assert (changed.text, changed.metadata, changed.importance) == ("new", {}, 0.9)
    moved = ask(lambda c: c.memories.move(memory.id, to="old trips", collection="trips"))
    assert (moved.id, moved.collection) == (memory.id, "old trips")
    ask(lambda c: c.memories.delete(memory.id, collection="old trips"))
    with pytest.raises(OneBrainNotFoundError):
        ask(lambda c: c.memories.get(memory.id, collection="old trips"))


def test_many_are_created_and_listed_to_the_end(ask):
    texts = [f"number {n}" for n in range(230)]
    made = ask(lambda c: c.memories.create_many(texts, collection="many"))
    assert (made.created, len(set(made.ids))) == (230, 230)
    rows = ask(lambda c: c.memories.list(collection="many"))
    assert [row.text for row in rows] == texts[::-1]
    page = ask(lambda c: c.memories.page(collection="many", limit=3, offset=2))
    assert [row.text for row in page] == texts[::-1][2:5]


def test_related_and_forget(ask, memory):
    other = ask(lambda c: c.memories.create("A window seat is what Maria prefers", collection="trips"))
    [hit] = ask(lambda c: c.memories.related(memory.id, collection="trips"))
    assert hit.id == other.id
    assert 0.5 < hit.score <= 1
    assert ask(lambda c: c.memories.forget("window seats", collection="trips")).deleted == 2
    assert ask(lambda c: c.memories.page(collection="trips")) == []


def test_search(ask, memory):
    found = ask(lambda c: c.search("where does Maria sit?", collection="trips", min_score=0))
    assert [hit.id for hit in found.results] == [memory.id]
    assert found.cached is False
    assert found.search_ms > 0
    everywhere = ask(
        lambda c: c.search(
            "window",
            mode="text",
            category="preference",
            metadata_filter={"year": 2026},
            container_tag="maria",
            include_archived=True,
        )
    )
    assert [(hit.id, hit.collection) for hit in everywhere.results] == [(memory.id, "trips")]
    assert ask(lambda c: c.search("window", container_tag="pedro")).results == ()


@pytest.mark.parametrize("sync", [True, False])
def test_remember_and_profile(ask, sync):
    ask(lambda c: c.graph.remember("Maria lives in Lisbon.", collection="people"))
    done = ask(lambda c: c.graph.remember("Maria moved to Porto.", collection="people", sync=sync))
    assert done.state == "done"
    if sync:
        assert [(fact.text, fact.relation) for fact in done.memories] == [
            ("Maria moved to Porto.", "updates")
        ]
    else:
        assert ask(lambda c: c.graph.job(done.job_id)).facts == 1
    [pair] = ask(lambda c: c.intelligence.contradictions("people"))
    assert (pair.current.text, pair.superseded.text) == ("Maria moved to Porto.", "Maria lives in Lisbon.")
    assert ask(lambda c: c.graph.profile("people")).based_on == len(
        ask(lambda c: c.search("Maria", collection="people", category="fact", min_score=0)).results
    )


def test_intelligence(ask, memory):
    twin = ask(
        lambda c: c.memories.create("Maria prefers window seats", collection="trips", container_tag="maria")
    )
    [cluster] = ask(lambda c: c.intelligence.dedup("trips")).clusters
    assert (cluster.keeper.id, [one.id for one in cluster.duplicates]) == (memory.id, [twin.id])
    assert ask(lambda c: c.intelligence.dedup("trips", dry_run=False)).deleted == 1
    assert ask(lambda c: c.intelligence.pin(memory.id, collection="trips")).pinned is True
    assert ask(lambda c: c.intelligence.pin(memory.id, pinned=False, collection="trips")).pinned is False
    stale = ask(lambda c: c.intelligence.archive_stale("trips", older_than_days=0))
    assert (stale.would_archive, stale.archived) == (1, None)
    assert ask(lambda c: c.intelligence.archive(memory.id, collection="trips")).archived is True
    health = ask(lambda c: c.intelligence.health("trips"))
    assert (health.exists, health.total, health.archived, health.categories) == (
        True,
        1,
        1,
        {"preference": 1},
    )
    assert ask(lambda c: c.intelligence.health("none")).exists is False
    ask(lambda c: c.intelligence.archive(memory.id, archived=False, collection="trips"))
    summary = ask(lambda c: c.intelligence.summary("trips"))
    assert (summary.summary, summary.based_on) == ("Maria prefers window seats.", 1)


@pytest.mark.parametrize("placed", ["path", "query"])
def test_keys_and_agents(ask, url, placed):
    made = ask(lambda c: c.keys.create(label="support", read_only=True))
    assert made.key.get_secret_value().startswith("mv_")
    assert [row.label for row in ask(lambda c: c.keys.list())] == ["support", "test"]
    assert {agent.id for agent in ask(lambda c: c.agents())} >= {made.id}
    with onebrain.RememberOS(api_key=made.key, base_url=url) as support:
        assert support.collections.list() == []
        with pytest.raises(OneBrainPermissionError, match="write"):
            support.memories.create("x")
    ask(lambda c: c.keys.revoke(made.id, placed=placed))
    with (
        onebrain.RememberOS(api_key=made.key, base_url=url) as support,
        pytest.raises(OneBrainAuthenticationError),
    ):
        support.collections.list()


def test_grants(ask, url, memory):
    made = ask(lambda c: c.keys.create(label="support"))
    ask(lambda c: c.grants.put("trips", agent_key_id=made.id))
    grants = ask(lambda c: c.grants.list("trips"))
    assert grants.restricted is True
    assert [(one.agent_key_id, one.can_read, one.can_write) for one in grants.grants] == [
        (made.id, True, False)
    ]
    with pytest.raises(OneBrainPermissionError, match="grants say who may"):
        ask(lambda c: c.memories.page(collection="trips"))
    with onebrain.RememberOS(api_key=made.key, base_url=url) as support:
        assert [row.id for row in support.memories.page(collection="trips")] == [memory.id]
        with pytest.raises(OneBrainPermissionError):
            support.memories.create("x", collection="trips")
    ask(lambda c: c.grants.revoke("trips", made.id))
    assert ask(lambda c: c.grants.list("trips")).restricted is False


def test_webhook(ask):
    assert ask(lambda c: c.webhook.get()).url is None
    made = ask(lambda c: c.webhook.set("http://127.0.0.1:9/hook"))
    assert len(made.secret.get_secret_value()) == 64
    kept = ask(lambda c: c.webhook.get())
    assert (kept.url, kept.secret) == ("http://127.0.0.1:9/hook", None)
    ask(lambda c: c.webhook.delete())
    assert ask(lambda c: c.webhook.get()).url is None


def test_health_and_status_need_no_key(url):
    with onebrain.RememberOS(anonymous=True, base_url=url) as client:
        assert client.health().status == "healthy"
        assert client.status()["status"] == "operational"
