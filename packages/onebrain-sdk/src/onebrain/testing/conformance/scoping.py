"""Tests that no method finds, changes or removes a memory outside the scope of the call."""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar

import pytest

from onebrain.errors import (
    OneBrainConflictError,
    OneBrainNotFoundError,
    OneBrainValidationError,
    Unsupported,
)
from onebrain.memory.brain import Brain
from onebrain.memory.filters import F
from onebrain.memory.models import Scope
from onebrain.testing.conformance.suite import Suite, found, ids, keep, keep_all, listed, needs, queries

PARTS = ("space", "user", "agent", "session")

# Values that services have confused with each other: by LIKE and GLOB patterns, prefixes, case, Unicode normalization,
# number parsing, or separators in composite keys.
LOOKALIKES = (
    *("1", "10", "01", "1.0", "user_1", "user_10", "userX1"),
    *("a", "A", "ab", "a%", "a_", "a*", "a?", "[a]", "%", "_", "*"),
    *("a/b", "a:b", "a.b", "a|b", "a,b", "a b", "a ", " a", "a\\b", "a\\%"),
    *("é", unicodedata.normalize("NFD", "é"), "e", "É", "ß", "ss", "а", "ﬁ", "fi", "ı", "i", "İ"),
    *("it's", '"a"', "null", "None", "true", "default", "🪟", "x" * 200, "x" * 199),
)


class ScopeSuite(Suite):
    """Tests of scopes on every method.

    Attributes:
        one_scope_in: Interval at which scopes are asked for, of some fifty with similar values; the memories of all are stored. The
            default is 1: all of them. A driver that shares its code for scopes with a fully tested one can use a larger interval.
    """

    verb: ClassVar[str] = "scope"
    one_scope_in: ClassVar[int] = 1

    @pytest.mark.parametrize("part", PARTS)
    def test_a_scope_finds_only_its_own(self, brain: Brain, part: str) -> None:
        stored = _neighbours(brain, part)
        for value, id in list(stored.items())[:: self.one_scope_in]:
            scope = Scope(**{part: value})
            assert all(found(brain, query, scope=scope) == {id} for query in queries(brain, "lighthouse"))
            assert brain.get(id, scope=scope).scope == scope
            if brain.capabilities.list:
                assert listed(brain, scope=scope) == {id}
                assert brain.count(scope=scope) == 1
                assert ids(brain.page(scope=scope)) == [id]

    @pytest.mark.parametrize("part", PARTS)
    def test_a_context_holds_only_its_own(self, brain: Brain, part: str) -> None:
        stored = _neighbours(brain, part)
        for value, id in list(stored.items())[:: 3 * self.one_scope_in]:
            for query in queries(brain, "lighthouse"):
                context = brain.context(query, scope=Scope(**{part: value}), max_tokens=10_000)
                assert ids(context.memories) == [id]

    @pytest.mark.parametrize("part", PARTS)
    def test_what_is_outside_cannot_be_got_changed_or_deleted(self, brain: Brain, part: str) -> None:
        stored = _neighbours(brain, part)
        values = list(stored)
        neighbours = list(zip(values, values[1:] + values[:1], strict=True))
        for value, neighbour in neighbours[:: self.one_scope_in]:
            scope, other = Scope(**{part: value}), stored[neighbour]
            with pytest.raises(OneBrainNotFoundError):
                brain.get(other, scope=scope)
            assert brain.get_many([other], scope=scope) == []
            assert brain.get_many([other, stored[value]], scope=scope) == [brain.get(stored[value])]
            with pytest.raises((OneBrainNotFoundError, Unsupported)):
                brain.update(other, scope=scope, content="taken over")
            if brain.capabilities.delete:
                assert brain.delete(other, scope=scope) == 0
        memories = brain.get_many(list(stored.values()))
        assert [memory.content for memory in memories] == [_text(index) for index in range(len(stored))]

    @pytest.mark.parametrize("part", PARTS)
    def test_forgetting_a_scope_leaves_its_neighbours(self, brain: Brain, part: str) -> None:
        needs(brain, "delete", "list")
        stored = _neighbours(brain, part)
        left = set(stored.values())
        for value in (*LOOKALIKES[:4], "a_", "%", "é", "a "):
            scope = Scope(**{part: value})
            assert set(brain.forget(scope=scope, dry_run=True).ids) == {stored[value]}
            assert brain.forget(scope=scope).count == 1
            left.discard(stored[value])
            assert listed(brain) == left

    def test_parts_do_not_stand_for_each_other(self, brain: Brain) -> None:
        scopes = [
            Scope(),
            *(Scope(**{part: "a"}) for part in PARTS),
            Scope(user="a", agent="b"),
            Scope(user="b", agent="a"),
            Scope(space="a", user="b"),
            Scope(space="b", user="a"),
            Scope(user="a", session="b"),
            Scope(agent="a", session="b"),
            Scope("a", "a", "a", "a"),
            Scope("a", "b", "c", "d"),
        ]
        stored = [keep(brain, f"the lighthouse {index}", scope=scope) for index, scope in enumerate(scopes)]
        for asked in scopes:
            expected = {id for id, scope in zip(stored, scopes, strict=True) if asked.covers(scope)}
            for query in queries(brain, "lighthouse"):
                assert found(brain, query, scope=asked) == expected
            assert {memory.id for memory in brain.get_many(stored, scope=asked)} == expected
            if brain.capabilities.list:
                assert listed(brain, scope=asked) == expected
                assert brain.count(scope=asked) == len(expected)
        assert [memory.scope for memory in brain.get_many(stored)] == scopes

    def test_an_integer_part_is_its_text(self, brain: Brain) -> None:
        id = keep(brain, "the lighthouse", scope=Scope(user=7))
        assert found(brain, "lighthouse", scope=Scope(user="7")) == {id}

    def test_metadata_cannot_pretend_a_scope(self, brain: Brain) -> None:
        claims = {"user": "maria", "user_id": "maria", "$user": "maria", "scope": {"user": "maria"}}
        id = keep(brain, "the lighthouse", scope=Scope(user="mario"), metadata=claims)
        assert found(brain, "lighthouse", scope=Scope(user="maria")) == set()
        assert brain.get(id).metadata == claims
        assert brain.get(id).scope == Scope(user="mario")

    def test_many_neighbours_do_not_crowd_out_a_scope(self, brain: Brain) -> None:
        keep_all(brain, [f"the lighthouse of mario {n}" for n in range(300)], scope=Scope(user="mario"))
        id = keep(brain, "the lighthouse", scope=Scope(user="maria"))
        assert found(brain, "lighthouse of mario", scope=Scope(user="maria")) == {id}

    def test_an_id_is_unique_for_one_user_in_one_space(self, brain: Brain) -> None:
        needs(brain, "client_ids")
        scopes = [Scope("one", "maria"), Scope("one", "mario"), Scope("two", "maria")]
        for index, scope in enumerate(scopes):
            result = brain.store(
                f"the lighthouse {index}", id="1", scope=scope, metadata={"n": index}, wait=True
            )
            assert (result.id, result.status) == ("1", "created")
        assert [brain.get("1", scope=scope).content for scope in scopes] == [
            f"the lighthouse {index}" for index in range(3)
        ]
        assert {memory.scope for memory in brain.get_many(["1"])} == set(scopes)
        assert {hit.memory.scope for hit in brain.search("lighthouse")} == set(scopes)
        assert {hit.memory.scope for hit in brain.search("lighthouse", filter=F("n").ge(0))} == set(scopes)
        assert {memory.scope for memory in brain.context("lighthouse").memories} == set(scopes)
        if brain.capabilities.list:
            assert {memory.scope for memory in brain.list(order="created_at")} == set(scopes)
            assert brain.count() == 3
        for ambiguous in (Scope(), Scope(user="maria"), Scope("one")):
            with pytest.raises(OneBrainConflictError):
                brain.get("1", scope=ambiguous)
            with pytest.raises((OneBrainConflictError, Unsupported)):
                brain.update("1", scope=ambiguous, title="whose?")
        brain.store("the harbour", id="1", scope=scopes[1], wait=True)
        assert [memory.content for memory in brain.get_many(["1"], scope=Scope(user="maria"))] == [
            "the lighthouse 0",
            "the lighthouse 2",
        ]

    def test_removing_one_leaves_its_namesakes(self, brain: Brain) -> None:
        needs(brain, "client_ids", "delete")
        scopes = [Scope("one", user) for user in ("a", "b", "c", "d")]
        for index, scope in enumerate(scopes):
            keep(brain, "the lighthouse", id="1", scope=scope, metadata={"n": index})
        assert brain.delete("1", scope=scopes[0]) == 1
        if brain.capabilities.list:
            result = brain.forget(filter=F("n").eq(1))
            assert (result.count, result.ids) == (1, ("1",))
        else:
            brain.delete("1", scope=scopes[1])
        assert [memory.scope for memory in brain.get_many(["1"])] == scopes[2:]
        assert brain.delete("1") == 2

    @pytest.mark.parametrize("wrong", ["maria", {"user": "maria"}, None, ("a", "b")], ids=str)
    def test_what_is_no_scope_is_refused_by_every_verb(self, brain: Brain, wrong: Any) -> None:
        id = keep(brain, "the lighthouse")
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("store", ("x",)),
            ("store_many", (["x"],)),
            ("search", ("lighthouse",)),
            ("context", ("lighthouse",)),
            ("get", (id,)),
            ("get_many", ([id],)),
            ("page", ()),
            ("count", ()),
            ("update", (id,)),
            ("delete", (id,)),
            ("forget", ()),
        ]
        for verb, arguments in calls:
            with pytest.raises(OneBrainValidationError, match="scope"):
                getattr(brain, verb)(*arguments, scope=wrong)
        with pytest.raises(OneBrainValidationError, match="scope"):
            list(brain.list(scope=wrong))
        assert len(brain.search("lighthouse")) == 1


def _text(index: int) -> str:
    return f"the lighthouse number {index}"


def _neighbours(brain: Brain, part: str) -> dict[str, str]:
    """Store one memory for each similar value of `part`; return the ids by value."""
    assert len(set(LOOKALIKES)) == len(LOOKALIKES)
    items = [{"content": _text(index), "scope": {part: value}} for index, value in enumerate(LOOKALIKES)]
    return dict(zip(LOOKALIKES, keep_all(brain, items), strict=True))
