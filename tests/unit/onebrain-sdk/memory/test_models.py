"""Scopes, memories and results: what they accept, and what they refuse with a word on how to do better."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from onebrain import (
    Context,
    Hit,
    Memory,
    NewMemory,
    OneBrainError,
    OneBrainValidationError,
    Scope,
    SearchResult,
    StoreResult,
    StoreResults,
)

SECRET = "the combination is 31-7-12"


def test_a_part_of_a_scope_is_text_and_an_integer_becomes_text():
    scope = Scope(user=7, session=0)
    assert (scope.user, scope.session, scope.space, scope.agent) == ("7", "0", None, None)
    assert scope == Scope(user="7", session="0")
    assert len({scope, Scope(user="7", session="0")}) == 1


@pytest.mark.parametrize("part", ["space", "user", "agent", "session"])
@pytest.mark.parametrize("value", ["", "   ", True, 1.5, ["a"], "x" * 513, "\ud800"], ids=repr)
def test_a_part_that_would_go_wrong_later_is_refused_by_name(part, value):
    with pytest.raises(OneBrainValidationError, match=f"^{part}: ") as caught:
        Scope(**{part: value})
    assert isinstance(caught.value, ValueError)
    assert "xxx" not in str(caught.value)


def test_a_misspelt_part_is_a_type_error():
    with pytest.raises(TypeError, match="user_id"):
        Scope(user_id="maria")


def test_a_scope_covers_what_agrees_on_every_part_it_names():
    assert Scope().covers(Scope("a", "b", "c", "d"))
    assert Scope(user="b").covers(Scope("a", "b", "c", "d"))
    assert not Scope(user="b").covers(Scope(user="B"))
    assert not Scope(user="b").covers(Scope())
    assert not Scope("a", "b").covers(Scope("b", "a"))


def test_a_scope_is_filled_up_from_an_outer_one():
    assert Scope(user="own").within(Scope("space", "outer")) == Scope("space", "own")
    assert not Scope()
    assert Scope(agent="a")


def test_scopes_are_frozen_and_cross_processes():
    scope = Scope(user="maria")
    with pytest.raises(ValidationError):
        scope.user = "mario"
    assert pickle.loads(pickle.dumps(scope)) == scope
    assert Scope.model_validate({"user": 7}) == Scope(user="7")
    assert NewMemory(content="x", scope={"user": "maria"}).scope == scope


def test_tags_are_a_list_without_repeats():
    assert NewMemory(content="x", tags=["b", "a", "b"]).tags == ("b", "a")
    assert NewMemory(content="x", tags={"a": 1}.keys()).tags == ("a",)
    assert NewMemory(content="x", tags=None).tags == ()
    for wrong in ("a", b"a", 7, {"a": 1}, [["a"]], [7], ["\ud800"]):
        with pytest.raises(ValidationError):
            NewMemory(content="x", tags=wrong)


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2025-01-02", datetime(2025, 1, 2, tzinfo=UTC)),
        ("2025-01-02T03:04:05+02:00", datetime(2025, 1, 2, 1, 4, 5, tzinfo=UTC)),
        (date(2025, 1, 2), datetime(2025, 1, 2, tzinfo=UTC)),
        (datetime(2025, 1, 2, 3), datetime(2025, 1, 2, 3, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_a_time_is_an_instant_and_without_an_offset_it_is_utc(given, instant):
    memory = NewMemory(content="x", created_at=given)
    assert memory.created_at == instant
    assert memory.created_at.tzinfo is not None


def test_a_time_to_live_is_in_seconds_or_a_timedelta():
    assert NewMemory(content="x", ttl=90).ttl == NewMemory(content="x", ttl=timedelta(seconds=90)).ttl


@pytest.mark.parametrize("id", ["", "x" * 513, "\ud800", True, 7.0])
def test_an_id_is_text_of_at_most_512_characters(id):
    with pytest.raises(ValidationError):
        NewMemory(content="x", id=id)
    assert NewMemory(content="x", id="ü" * 512).id == "ü" * 512


@pytest.mark.parametrize(
    "fields",
    [
        {"content": SECRET, "importance": 7},
        {"content": SECRET + "\ud800"},
        {"content": "x", "title": [SECRET]},
        {"content": "x", "metadata": SECRET},
        {"content": "x", "created_at": SECRET},
        {"content": "x", "unknown": SECRET},
        {"content": "x", "embedding": [SECRET]},
    ],
)
def test_a_refused_memory_is_not_quoted(fields):
    with pytest.raises(ValidationError) as caught:
        NewMemory(**fields)
    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_a_misspelt_field_is_refused():
    for model in (NewMemory, Memory):
        with pytest.raises(ValidationError):
            model(id="1", content="x", titel="x")


def test_a_vector_and_extra_fields_stay_out_of_a_repr():
    memory = Memory(id="1", content="x", embedding=(0.123456,), extra={"raw": "654321"})
    assert "0.123456" not in repr(memory)
    assert "654321" not in repr(memory)


def test_a_search_result_is_a_sequence_of_hits():
    hits = tuple(Hit(memory=Memory(id=str(n), content=f"c{n}"), score=1 / (n + 1)) for n in range(3))
    result = SearchResult(hits=hits)
    assert (len(result), result[0], list(result), result[1:]) == (3, hits[0], list(hits), hits[1:])
    assert hits[1] in result
    assert (result[1].id, result[1].content) == ("1", "c1")
    assert [memory.id for memory in result.memories] == ["0", "1", "2"]
    assert not SearchResult()
    assert SearchResult() == SearchResult(hits=())


def test_store_results_say_which_items_failed():
    error = OneBrainError("no")
    results = StoreResults(
        results=(StoreResult(id="a"), StoreResult(id=None, status="failed", error=error), StoreResult(id="b"))
    )
    assert results.failed == (1,)
    assert [result.ok for result in results] == [True, False, True]
    for act in (results.raise_for_failures, lambda: results.ids):
        with pytest.raises(OneBrainError) as caught:
            act()
        assert caught.value is error
    assert StoreResults(results=(results[0], results[2])).ids == ["a", "b"]


def test_a_context_is_its_text():
    assert str(Context(text="known")) == "known"
    assert str(Context()) == ""
