"""bRRAIn as a brain: the conformance suite, and what is particular to this service."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import F, Scope
from onebrain.errors import ConfigurationError, OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.testing.conformance import DriverConformance, only


class TestBrrain(DriverConformance):
    """The driver over a stub of the service.

    It is asked for one filter and one scope in seven: tests/server/brrain/test_driver.py asks the same driver for all of
    them, over a server.
    """

    driver = "brrain (stub)"
    api = only("async")
    one_filter_in = 7
    one_scope_in = 7

    @pytest.fixture
    def empty_brain(self, brain_of):
        return brain_of()


@pytest.fixture
def brain(brain_of):
    with brain_of() as brain:
        yield brain


def test_a_scope_goes_where_other_programs_look_for_it(brain, brrain):
    id = brain.store(
        "Maria prefers window seats",
        scope=Scope(space="ws_trips", user="maria", agent="planner", session="s1"),
        type="preference",
        tags=["travel"],
        metadata={"year": 2026},
        extra={"department": "sales"},
    ).id
    row = brrain.memory.get(id)
    assert (row.content, row.workspace_id) == ("Maria prefers window seats", "ws_trips")
    assert row.metadata["year"] == 2026
    assert (row.metadata["category"], row.metadata["department"]) == ("preference", "sales")
    assert row.metadata["source"] == "planner"
    assert "travel" in row.metadata["tags"]
    assert brain.get(id).tags == ("travel",)
    assert brain.get(id).extra == {"department": "sales"}


def test_what_other_programs_stored_is_read(brain, brrain):
    stored = brrain.memory.store(
        "Uptime is guaranteed", workspace_id="ws_legal", category="policy", tags=["sla"], source="legal-team"
    )
    memory = brain.get(stored.id)
    assert (memory.type, memory.tags, memory.source) == ("policy", ("sla",), "legal-team")
    assert memory.scope == Scope(space="ws_legal", agent="legal-team")
    (hit,) = brain.search("uptime", scope=Scope(space="ws_legal", agent="legal-team"))
    assert hit.id == stored.id
    assert list(brain.search("uptime", scope=Scope(space="ws_legal", user="maria"))) == []


def test_the_same_text_is_kept_twice_and_comes_back_unmarked(brain, brrain):
    first = brain.store("yes", scope=Scope(user="maria"), wait=True).id
    second = brain.store("yes", scope=Scope(user="mario"), wait=True).id
    assert first != second
    assert [memory.content for memory in brain.get_many([first, second])] == ["yes", "yes"]
    assert brrain.memory.get(second).content != "yes"
    (hit,) = brain.search("yes", scope=Scope(user="mario"))
    assert (hit.id, hit.content) == (second, "yes")


def test_the_same_text_three_times_in_one_batch_is_three_memories(brain):
    results = brain.store_many(["yes", "yes", "no", "yes"])
    assert len(set(results.ids)) == 4
    assert [memory.content for memory in brain.get_many(results.ids)] == ["yes", "yes", "no", "yes"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_store_whose_answer_is_lost_is_stored_once(brain, brrain, host, count):
    texts = [f"the lighthouse {n}" for n in range(count)]
    host.lost = 1
    results = brain.store_many(texts, wait=True)
    assert [memory.content for memory in brain.get_many(results.ids)] == texts
    assert brrain.memory.retrieve("lighthouse").total == count


def test_a_lost_store_does_not_take_anothers_memory_for_its_own(brain, host):
    theirs = brain.store("the lighthouse", scope=Scope(user="mario")).id
    host.lost = 1
    ours = brain.store("the lighthouse", scope=Scope(user="maria")).id
    assert ours != theirs
    assert brain.get(ours).scope == Scope(user="maria")


def test_waiting_ends_when_a_search_can_find_it(brain):
    brain.store("the lighthouse")
    assert list(brain.search("lighthouse", mode="vector")) == []
    id = brain.store("another lighthouse", wait=True).id
    assert [hit.id for hit in brain.search("lighthouse", mode="vector")] == [id]


def test_a_scope_that_the_service_cannot_filter_is_searched_page_by_page(brain):
    brain.store_many([f"the lighthouse {n}" for n in range(250)], scope=Scope(agent="other"), wait=True)
    id = brain.store("a lighthouse", scope=Scope(agent="mine"), wait=True).id
    assert [hit.id for hit in brain.search("the lighthouse", scope=Scope(agent="mine"), limit=3)] == [id]


@pytest.mark.parametrize("tag", ["travel", "a,b", " padded ", "Travel"])
def test_tags_are_filtered_rightly_wherever_it_is_decided(brain, tag):
    ids = {
        t: brain.store(f"lighthouse {t}", tags=[t], wait=True).id
        for t in ("travel", "a,b", " padded ", "Travel", "a")
    }
    assert [hit.id for hit in brain.search("lighthouse", filter=F.tags.contains(tag))] == [ids[tag]]


def test_what_the_service_cannot_do_is_refused(brain):
    id = brain.store("x").id
    for call in (
        lambda: brain.update(id, title="y"),
        lambda: list(brain.list()),
        lambda: brain.count(),
        lambda: brain.forget(everything=True),
        lambda: brain.search(None),
        lambda: brain.search("x", alpha=0.5),
        lambda: brain.store("y", pinned=True),
    ):
        with pytest.raises(Unsupported):
            call()
    with pytest.raises(OneBrainValidationError, match="department"):
        brain.store("y", extra={"vault": "v"})
    with pytest.raises(OneBrainValidationError, match="1 MB"):
        brain.store("ü" * 600_000)


@pytest.mark.parametrize("id", ["store", "batch", "retrieve", ".", "..", "a/b"])
def test_an_id_that_is_a_route_is_not_found(brain, id):
    with pytest.raises(OneBrainNotFoundError):
        brain.get(id)
    assert brain.delete(id) == 0


@pytest.mark.parametrize("url", ["brrain://host", "brrain+http://api.brrain.io", "brrain+ftp://host"])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(ConfigurationError):
        onebrain.connect(url, api_key="brr_test_x")
