"""The ai-memory driver keeps the promises of `Brain`, on a service that does what the daemon's source says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import onebrain
from onebrain import (
    ConfigurationError,
    NewMemory,
    OneBrainNotFoundError,
    OneBrainValidationError,
    Scope,
    Unsupported,
)
from onebrain.services.ai_memory.driver import driver
from onebrain.testing.conformance import DriverConformance, only


class TestAiMemory(DriverConformance):
    driver = "ai-memory (stub)"
    api = only("sync")

    @pytest.fixture
    def empty_brain(self, daemon_like, local_brain):
        return local_brain(daemon_like())


@pytest.fixture
def service(daemon_like):
    return daemon_like()


@pytest.fixture
def brain(service, local_brain):
    with local_brain(service) as brain:
        yield brain


def rows(service):
    return service.get_memories([], {"limit": "1000"}, None)[1]["memories"]


def test_what_ai_memory_has_no_place_for_is_under_one_key(brain, service):
    scope = Scope(space="trips", user="maria", agent="ai:planner", session="s-1")
    brain.store("x", scope=scope, title="T", type="fact", source="chat", importance=0.75, metadata={"n": 1})
    [row] = rows(service)
    assert row["metadata"] == {
        "n": 1,
        "agent_id": "ai:planner",
        "onebrain": {
            "scope": {"space": "trips", "user": "maria", "agent": "ai:planner", "session": "s-1"},
            "title": "T",
            "type": "fact",
            "source": "chat",
            "importance": "0.75",
        },
    }
    assert (row["namespace"], row["tier"], row["source"], row["priority"]) == ("trips", "long", "api", 8)
    assert row["title"].startswith("T [")
    assert len(row["tags"]) == 3
    assert not any(word in tag for tag in row["tags"] for word in ("maria", "planner", "s-1"))


@pytest.mark.parametrize(
    ("space", "namespace"),
    [
        (None, "global"),
        ("team/project", "team/project"),
        ("two words", "two%20words"),
        ("_agents", "%5Fagents"),
        ("..", "%2E%2E"),
        ("a//b", "a%2F%2Fb"),
    ],
)
def test_a_space_is_a_namespace_or_encoded_as_one(brain, service, space, namespace):
    id = brain.store("x", scope=Scope(space=space)).id
    assert rows(service)[0]["namespace"] == namespace
    assert brain.get(id).scope == Scope(space=space)


def test_a_space_that_is_too_long_encoded_is_one_word(brain, service):
    space = "ü ß" * 170
    id = brain.store("x", scope=Scope(space=space)).id
    assert len(rows(service)[0]["namespace"]) < 40
    assert brain.search("x", scope=Scope(space=space))[0].id == id


def test_text_that_the_daemon_refuses_is_kept_beside_a_clean_copy(brain, service):
    id = brain.store("first\r\nsecond\x07", title="a\x08b", tags=["x\x01y", " "]).id
    [row] = rows(service)
    assert row["content"] == "first \nsecond "
    memory = brain.get(id)
    assert (memory.content, memory.title, memory.tags) == ("first\r\nsecond\x07", "a\x08b", ("x\x01y", " "))
    assert brain.update(id, content="clean").content == "clean"
    assert "content" not in rows(service)[0]["metadata"]["onebrain"]


def test_too_large_a_text_fails_alone_and_is_not_quoted(brain):
    results = brain.store_many([NewMemory(content="ü" * 40_000), NewMemory(content="fine")])
    assert [result.status for result in results] == ["failed", "created"]
    assert isinstance(results[0].error, OneBrainValidationError)
    assert "bytes" in str(results[0].error)


def test_keys_that_the_daemon_reads_itself_are_the_callers_own(brain, service):
    own = {"agent_id": "mine", "scope": ["x"], "governance": 1, "onebrain": {"scope": {"user": "mario"}}}
    id = brain.store("x", scope=Scope(user="maria"), metadata=own).id
    assert rows(service)[0]["metadata"]["agent_id"].startswith("anonymous:")
    memory = brain.get(id)
    assert (memory.metadata, memory.scope) == (own, Scope(user="maria"))


def test_an_id_of_ones_own_is_a_uuid_there(brain, service):
    brain.store("x", id="doc-1", scope=Scope(space="docs"))
    [row] = rows(service)
    assert (len(row["id"]), row["metadata"]["onebrain"]["id"]) == (36, "doc-1")
    assert brain.get("doc-1").tags == ()
    # The id behind a name is nobody's.
    with pytest.raises(OneBrainNotFoundError):
        brain.get(row["id"])
    assert brain.delete([row["id"]]) == 0
    assert brain.delete("doc-1", scope=Scope(space="docs", user="maria")) == 0
    assert brain.delete("doc-1", scope=Scope(space="docs")) == 1


def test_an_id_that_the_daemon_made_can_be_stored_again(brain, service):
    id = brain.store("old", scope=Scope(user="maria"), expires_at=datetime(2200, 1, 1, tzinfo=UTC)).id
    again = brain.store("new", id=id, scope=Scope(user="maria"))
    assert (again.id, again.status) == (id, "updated")
    assert [(row["id"], row["content"]) for row in rows(service)] == [(id, "new")]
    assert brain.get(id).expires_at is None
    # Another user's memory of the same id is another memory.
    assert brain.store("theirs", id=id, scope=Scope(user="mario")).status == "created"
    assert brain.get(id, scope=Scope(user="maria")).content == "new"
    assert brain.get(id, scope=Scope(user="mario")).content == "theirs"


def test_tiers_of_the_daemon_can_be_asked_for(brain, service):
    id = brain.store("x", extra={"tier": "short", "priority": 9, "confidence": 0.5}).id
    [row] = rows(service)
    assert (row["tier"], row["priority"], row["confidence"]) == ("short", 9, 0.5)
    assert brain.get(id).extra == {"tier": "short", "priority": 9, "confidence": 0.5}
    lives = brain.get(id).expires_at - datetime.now(UTC)
    assert timedelta(hours=5) < lives < timedelta(hours=7)


@pytest.mark.parametrize("extra", [{"color": "red"}, {"tier": "eternal"}, {"priority": 11}])
def test_what_the_daemon_does_not_have_is_refused(brain, extra):
    with pytest.raises(OneBrainValidationError):
        brain.store("x", extra=extra)


def test_importance_decides_the_priority_and_is_kept_exactly(brain, service):
    id = brain.store("x", importance=0.1).id
    assert rows(service)[0]["priority"] == 2
    assert brain.update(id, importance=1.0).importance == 1.0
    assert rows(service)[0]["priority"] == 10
    assert brain.update(id, importance=None).importance is None
    assert rows(service)[0]["priority"] == 5


def test_on_a_daemon_with_an_embedder_imported_memories_get_their_vectors(daemon_like, local_brain):
    service = daemon_like(embedder_ready=True)
    with local_brain(service) as brain:
        stored = brain.store_many(["one", "two"]).ids
        brain.store("three", id="3")
        assert sorted(service.embedded[:2]) == sorted(stored)
        assert len(service.embedded) == 3
        result = brain.search("one two")
        assert result.mode == "hybrid"
        assert all(0 < hit.score <= 1 for hit in result)


def test_what_a_server_has_made_vectors_for_when_importing_is_not_written_again(daemon_like, local_brain):
    service = daemon_like(embedder_ready=True, import_embeds=True)
    with local_brain(service) as brain:
        brain.store_many(["one", "two"])
        assert service.embedded == []
        assert len(list(brain.list())) == 2


def test_an_imported_memory_that_is_gone_before_its_vector_is_made_is_no_failure(daemon_like, local_brain):
    service = daemon_like(embedder_ready=True)
    service.put_memories = lambda path, query, body: (404, {"error": "not found"})
    with local_brain(service) as brain:
        assert [result.status for result in brain.store_many(["one", "two"])] == ["created", "created"]


def test_keywords_alone_on_a_daemon_with_an_embedder_are_its_full_text_search(daemon_like, local_brain):
    with local_brain(daemon_like(embedder_ready=True)) as brain:
        brain.store_many(["red lighthouse", "blue lighthouse"])
        result = brain.search("red lighthouse", mode="keyword")
        assert (result.mode, [hit.content for hit in result]) == ("keyword", ["red lighthouse"])


def test_without_an_embedder_a_search_says_that_keywords_answered(brain):
    brain.store("lighthouse")
    assert brain.search("lighthouse", mode="hybrid").mode == "keyword"


def test_the_weight_of_meaning_cannot_be_chosen(brain):
    with pytest.raises(Unsupported, match="alpha"):
        brain.search("x", alpha=0.5)


@pytest.mark.parametrize("url", ["ai-memory://x", "ai-memory+ftp://x", "ai-memory+http://x?agent=y"])
def test_a_wrong_url_says_what_is_expected(url):
    with pytest.raises(ConfigurationError, match="ai-memory URL"):
        driver(url)


def test_connect_finds_the_driver():
    with onebrain.connect("ai-memory+http://localhost:9077?agent_id=ai:me", api_key="sekret") as brain:
        assert brain.capabilities.service == "ai-memory"
        assert "sekret" not in repr(brain)


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigurationError, match="agent"):
        onebrain.connect("ai-memory+http://localhost:9077", agent="x")


def test_the_daemon_is_told_what_a_memory_supersedes(brain, service):
    scope = Scope(space="trips", user="maria")
    old = brain.store("Maria prefers window seats", scope=scope).id
    new = brain.supersede(old, "Maria prefers the aisle", scope=scope, id="aisle").id
    [(source, target)] = service.links
    by_id = {row["id"]: row["content"] for row in rows(service)}
    assert (by_id[source], by_id[target]) == ("Maria prefers the aisle", "Maria prefers window seats")
    assert service.links == {(source, target): "supersedes"}
    brain.update(new, supersedes=[], scope=scope)
    assert service.links == {}
