"""RememberOS as a brain: the conformance suite, and what is particular to this service."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import F, Scope
from onebrain.errors import ConfigurationError, OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.testing.conformance import DriverConformance, only


class TestRememberOS(DriverConformance):
    """The driver over a stub of the service.

    It is asked for one filter and one scope in seven: tests/server/rememberos/test_driver.py asks the same driver for all
    of them, over a server.
    """

    driver = "rememberos (stub)"
    api = only("sync")
    one_filter_in = 7
    one_scope_in = 7

    @pytest.fixture
    def empty_brain(self, brain_of):
        return brain_of()


@pytest.fixture
def brain(brain_of):
    with brain_of() as brain:
        yield brain


def test_a_scope_goes_where_other_programs_look_for_it(brain, rememberos):
    brain.store(
        "Maria prefers window seats",
        scope=Scope(space="trips", user="maria", agent="planner", session="s1"),
        type="preference",
        metadata={"year": 2026},
    )
    (row,) = rememberos.memories.list(collection="trips")
    assert (row.text, row.category, row.metadata["year"]) == (
        "Maria prefers window seats",
        "preference",
        2026,
    )
    hits = rememberos.search("seats", collection="trips", container_tag="maria").results
    assert [hit.id for hit in hits] == [row.id]


def test_without_a_space_the_default_collection_is_used(brain, rememberos):
    brain.store("one")
    assert [row.text for row in rememberos.memories.list()] == ["one"]


def test_what_other_programs_stored_is_read(brain, rememberos):
    row = rememberos.memories.create(
        "Maria sits at the window",
        collection="trips",
        container_tag="maria",
        metadata={"a": 1},
        category="fact",
    )
    (hit,) = brain.search("window", scope=Scope(space="trips", user="maria"))
    memory = hit.memory
    assert memory.id == f"trips/{row.id}"
    assert (memory.type, memory.metadata, memory.scope) == ("fact", {"a": 1}, Scope("trips", "maria"))
    assert list(brain.search("window", scope=Scope(user="mario"))) == []


def test_the_services_own_id_works_with_the_space(brain, rememberos):
    row = rememberos.memories.create("x", collection="trips")
    assert brain.get(row.id, scope=Scope(space="trips")).content == "x"
    assert brain.get(f"trips/{row.id}").content == "x"
    with pytest.raises(OneBrainNotFoundError):
        brain.get(row.id)


def test_changing_what_another_program_stored_keeps_what_it_was(brain, rememberos):
    row = rememberos.memories.create("x", collection="trips", metadata={"a": 1}, importance=0.7, source="crm")
    memory = brain.update(f"trips/{row.id}", title="T", metadata={"b": 2})
    assert (memory.title, memory.metadata, memory.scope.space) == ("T", {"a": 1, "b": 2}, "trips")
    assert (memory.importance, memory.source) == (0.7, "crm")


def test_a_source_can_be_changed_although_the_service_cannot(brain):
    id = brain.store("x", source="chat").id
    assert brain.update(id, source="mail").source == "mail"
    assert brain.update(id, source=None).source is None


def test_defaults_of_the_service_are_not_taken_for_what_was_given(brain):
    plain, given = brain.store("x").id, brain.store("y", importance=0.7, type="other", source="api").id
    memory = brain.get(plain)
    assert (memory.importance, memory.type, memory.source) == (None, None, None)
    memory = brain.get(given)
    assert (memory.importance, memory.type, memory.source) == (0.7, "other", "api")


def test_a_memory_that_was_moved_is_in_its_new_space(brain, rememberos):
    id = brain.store("x", scope=Scope(space="a")).id
    row = rememberos.memories.get(id.partition("/")[2], collection="a")
    rememberos.memories.create_many([{"text": row.text, "metadata": row.metadata}], collection="b")
    assert {memory.scope.space for memory in brain.list()} == {"a", "b"}


def test_a_batch_over_several_spaces_keeps_its_order(brain):
    items = [{"content": f"text {n}", "scope": {"space": f"s{n % 3}"}} for n in range(30)]
    results = brain.store_many(items)
    assert [memory.content for memory in brain.get_many(results.ids)] == [f"text {n}" for n in range(30)]


def test_one_refused_memory_of_a_batch_fails_alone(brain):
    results = brain.store_many(["good", "with a \x00", "also good"])
    assert [result.status for result in results] == ["created", "failed", "created"]
    assert isinstance(results[1].error, OneBrainValidationError)
    assert brain.count() == 2


@pytest.mark.parametrize("value", ["a", True, 1, 1.0, None, 2025])
def test_every_kind_of_value_is_filtered_rightly_wherever_it_is_decided(brain, value):
    ids = {repr(v): brain.store("lighthouse", metadata={"x": v}).id for v in ("a", True, 1, 2.5, None, 2025)}
    ids["missing"] = brain.store("lighthouse").id
    expected = {m.id for m in brain.list() if onebrain.memory.filters.memory_matches(F("x").eq(value), m)}
    assert {hit.id for hit in brain.search("lighthouse", filter=F("x").eq(value))} == expected


def test_alpha_and_further_fields_are_refused(brain):
    with pytest.raises(Unsupported, match="alpha"):
        brain.search("x", alpha=0.5)
    with pytest.raises(OneBrainValidationError, match="extra"):
        brain.store("x", extra={"container_tag": "y"})


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("rememberos://host", {}),
        ("rememberos+ftp://host", {}),
        ("rememberos+https://host", {"collection": " "}),
        ("rememberos+https://host", {"colection": "x"}),
    ],
)
def test_a_wrong_url_or_option_is_refused(url, options):
    with pytest.raises(ConfigurationError):
        onebrain.connect(url, api_key="mv_x", **options)


def test_the_services_own_reranker_is_asked_for_and_a_given_one_is_asked_instead(brain):
    brain.store("window seats")
    assert brain.search("seats").reranked is None
    assert brain.search("seats", rerank=True).reranked is True
    result = brain.search("seats", rerank=lambda query, texts: [0.7])
    assert result.reranked is True
    assert result[0].score == 0.7


def test_confidence_is_made_of_scores_and_words_and_contexts_leave_nothing_out_by_default(brain):
    brain.store("Maria prefers window seats, and tea in the morning")
    assert brain.search("window tea", confidence=True).confidence == 1
    assert brain.search("weather window", min_confidence=0.9).hits == ()
    assert brain.context("weather window").memories
    assert not brain.context("weather window", min_confidence=0.9).memories
