"""Tests that `update`, `delete` and `forget` change the requested memories and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.filters import F
from onebrain.memory.models import Memory, Scope
from onebrain.testing.conformance.suite import (
    FUTURE,
    PAST,
    Suite,
    assert_same_json,
    found,
    ids,
    keep,
    keep_all,
    listed,
    needs,
    queries,
    supported,
)


class UpdateSuite(Suite):
    """Tests of `update`."""

    verb: ClassVar[str] = "update"

    def test_a_service_without_updates_refuses(self, brain: Brain) -> None:
        id = keep(brain, "before")
        if brain.capabilities.update:
            assert brain.update(id, content="after").content == "after"
            return
        with pytest.raises(Unsupported):
            brain.update(id, content="after")
        assert brain.get(id).content == "before"

    def test_what_is_not_given_stays(self, brain: Brain) -> None:
        before = _full(brain)
        after = brain.update(before.id, title="new title")
        assert _without_time(after) == _without_time(before.model_copy(update={"title": "new title"}))
        assert brain.get(before.id) == after

    def test_new_content_is_verbatim_and_found_and_the_old_is_not(self, brain: Brain) -> None:
        needs(brain, "update")
        id, other = keep_all(brain, ["the old lighthouse", "somebody else's bakery"])
        text = "  the new harbour ü🪟\r\n"
        assert brain.update(id, content=text).content == text
        assert brain.get(id).content == text
        assert brain.search("harbour")[0].id == id
        assert brain.search("harbour")[0].content == text
        if "keyword" in brain.capabilities.modes:
            assert found(brain, "lighthouse", mode="keyword") == set()
        assert brain.get(other).content == "somebody else's bakery"

    def test_the_creation_time_stays_and_the_change_time_does_not_go_back(self, brain: Brain) -> None:
        before = _full(brain)
        after = brain.update(before.id, content="changed")
        assert after.created_at == before.created_at
        if before.updated_at is not None:
            assert after.updated_at is not None
            assert after.updated_at >= before.updated_at

    def test_metadata_is_merged_key_by_key(self, brain: Brain) -> None:
        needs(brain, "update")
        id = keep(brain, "x", metadata={"kept": 1, "changed": 1, "object": {"a": 1, "b": 2}})
        changes = {"changed": [2], "object": {"a": 3}, "new": None, "dotted.key": True}
        memory = brain.update(id, metadata=changes)
        assert_same_json(memory.metadata, {"kept": 1, **changes})
        assert_same_json(brain.get(id).metadata, {"kept": 1, **changes})

    def test_metadata_is_replaced_when_asked_for(self, brain: Brain) -> None:
        needs(brain, "update")
        id = keep(brain, "x", metadata={"a": 1, "b": 2})
        assert brain.update(id, metadata={"b": 3}, replace_metadata=True).metadata == {"b": 3}
        assert brain.update(id, metadata={}, replace_metadata=True).metadata == {}
        assert brain.get(id).metadata == {}

    def test_none_empties_a_field(self, brain: Brain) -> None:
        before = _full(brain)
        fields = supported(
            brain.capabilities,
            {"title": None, "type": None, "importance": None, "source": None, "expires_at": None},
        )
        after = brain.update(before.id, **fields)
        assert {name: getattr(after, name) for name in fields} == fields
        assert (after.content, after.metadata, after.tags) == (before.content, before.metadata, before.tags)
        assert brain.get(before.id) == after

    def test_tags_are_replaced(self, brain: Brain) -> None:
        needs(brain, "update", "tags")
        id = keep(brain, "x", tags=["a", "b"])
        assert brain.update(id, tags=["c", "a"]).tags == ("c", "a")
        assert brain.update(id, tags=[]).tags == ()
        assert brain.get(id).tags == ()

    def test_archiving_hides_and_restoring_shows(self, brain: Brain) -> None:
        needs(brain, "update", "archive")
        id = keep(brain, "the lighthouse")
        assert brain.update(id, archived=True).archived
        assert found(brain, "lighthouse") == set()
        assert not brain.update(id, archived=False).archived
        assert found(brain, "lighthouse") == {id}
        assert brain.update(id, pinned=True).pinned

    def test_an_expiry_can_be_set_and_lifted(self, brain: Brain) -> None:
        needs(brain, "update", "expiry")
        id = keep(brain, "the lighthouse")
        assert brain.update(id, expires_at=FUTURE).expires_at == FUTURE
        soon = brain.update(id, ttl=timedelta(days=30)).expires_at
        assert soon is not None
        assert abs(soon - datetime.now(UTC) - timedelta(days=30)) < timedelta(days=1)
        assert brain.update(id, expires_at=None).expires_at is None
        brain.update(id, expires_at=PAST)
        with pytest.raises(OneBrainNotFoundError):
            brain.get(id)

    def test_a_changed_memory_keeps_its_place_in_the_sequence(self, brain: Brain) -> None:
        needs(brain, "update", "list")
        if "sequence" not in brain.capabilities.orders:
            pytest.skip(f"{brain.capabilities.service} declares orders={set(brain.capabilities.orders)}")
        stored = keep_all(brain, ["one", "two", "three"])
        brain.update(stored[0], content="changed")
        assert ids(brain.list(order="sequence")) == stored

    def test_a_filter_sees_the_new_metadata(self, brain: Brain) -> None:
        needs(brain, "update")
        id = keep(brain, "the lighthouse", metadata={"n": 1})
        brain.update(id, metadata={"n": 2})
        assert found(brain, "lighthouse", filter=F("n").eq(1)) == set()
        assert found(brain, "lighthouse", filter=F("n").eq(2)) == {id}

    def test_an_unknown_memory_is_not_found(self, brain: Brain) -> None:
        needs(brain, "update")
        for id in ("unknown", "", "\ud800", "%"):
            with pytest.raises(OneBrainNotFoundError):
                brain.update(id, title="x")

    @pytest.mark.parametrize(
        "changes",
        [
            {"content": None},
            {"content": "  "},
            {"importance": 7},
            {"metadata": {"n": float("nan")}},
            {"tags": "one string"},
            {"ttl": -1},
            {"pinned": None},
            {"archived": None},
            {"created_at": None},
            {"content": "lone \ud800"},
        ],
        ids=str,
    )
    def test_an_invalid_change_is_refused_and_nothing_changes(
        self, brain: Brain, changes: dict[str, Any]
    ) -> None:
        needs(brain, "update")
        id = keep(brain, "before", metadata={"a": 1})
        before = brain.get(id)
        with pytest.raises((OneBrainValidationError, Unsupported)):
            brain.update(id, **changes)
        assert brain.get(id) == before


class DeleteSuite(Suite):
    """Tests of `delete`."""

    verb: ClassVar[str] = "delete"

    def test_a_service_without_deletion_refuses(self, brain: Brain) -> None:
        id = keep(brain, "the lighthouse")
        if brain.capabilities.delete:
            assert brain.delete(id) == 1
            return
        with pytest.raises(Unsupported):
            brain.delete(id)
        with pytest.raises(Unsupported):
            brain.forget(everything=True)
        assert brain.get(id).content == "the lighthouse"

    def test_a_deleted_memory_is_in_no_answer(self, brain: Brain) -> None:
        needs(brain, "delete")
        gone, left = keep_all(brain, ["the red lighthouse", "the blue lighthouse"])
        assert brain.delete(gone) == 1
        with pytest.raises(OneBrainNotFoundError):
            brain.get(gone)
        assert all(found(brain, query) == {left} for query in queries(brain, "lighthouse"))
        assert "red" not in brain.context("lighthouse").text
        if brain.capabilities.list:
            assert listed(brain) == {left}
            assert brain.count() == 1

    def test_the_count_is_of_what_was_there(self, brain: Brain) -> None:
        needs(brain, "delete")
        first, second, third = keep_all(brain, ["one", "two", "three"])
        assert brain.delete("unknown") == 0
        assert brain.delete([]) == 0
        assert brain.delete([first, "unknown", first, second]) == 2
        assert brain.delete(first) == 0
        assert ids(brain.get_many([first, second, third])) == [third]

    def test_hundreds_are_deleted_at_once(self, brain: Brain) -> None:
        needs(brain, "delete")
        stored = keep_all(brain, [f"memory {number}" for number in range(450)])
        assert brain.delete(stored[:430]) == 430
        assert ids(brain.get_many(stored)) == stored[430:]

    def test_an_id_can_be_stored_again_after_its_deletion(self, brain: Brain) -> None:
        needs(brain, "delete", "client_ids")
        keep(brain, "old", id="one", metadata={"a": 1}, title="old")
        brain.delete("one")
        assert brain.store("new", id="one", wait=True).status == "created"
        memory = brain.get("one")
        assert (memory.content, memory.title, memory.metadata) == ("new", None, {})

    def test_an_archived_memory_can_be_deleted(self, brain: Brain) -> None:
        needs(brain, "delete", "archive")
        assert brain.delete(keep(brain, "put away", archived=True)) == 1


class ForgetSuite(Suite):
    """Tests of `forget`."""

    verb: ClassVar[str] = "forget"

    def test_only_what_matches_is_forgotten(self, brain: Brain) -> None:
        stored = _numbered(brain, 10)
        result = brain.forget(filter=F("n").lt(4))
        assert result.count == 4
        assert set(result.ids) == set(stored[:4])
        assert not result.dry_run
        assert listed(brain) == set(stored[4:])

    def test_a_dry_run_removes_nothing(self, brain: Brain) -> None:
        stored = _numbered(brain, 10)
        result = brain.forget(filter=F("n").ge(4), dry_run=True)
        assert result.dry_run
        assert result.count == 6
        assert set(result.ids) == set(stored[4:])
        assert listed(brain) == set(stored)

    def test_a_scope_is_forgotten_whole_beyond_any_page(self, brain: Brain) -> None:
        needs(brain, "delete", "list")
        keep_all(brain, [f"memory {number}" for number in range(450)], scope=Scope(user="maria"))
        left = keep(brain, "somebody else's", scope=Scope(user="mario"))
        result = brain.forget(scope=Scope(user="maria"))
        assert result.count == len(set(result.ids)) == 450
        assert listed(brain) == {left}

    def test_nothing_is_forgotten_without_a_condition(self, brain: Brain) -> None:
        stored = _numbered(brain, 3)
        empty: dict[str, Any] = {}
        for nothing in (None, empty):
            with pytest.raises(OneBrainValidationError, match="everything=True"):
                brain.forget(filter=nothing)
        assert listed(brain) == set(stored)
        assert brain.forget(everything=True).count == 3
        assert listed(brain) == set()
        assert found(brain, None) == set()

    def test_a_condition_that_nothing_meets_forgets_nothing(self, brain: Brain) -> None:
        stored = _numbered(brain, 3)
        assert brain.forget(filter=F("n").gt(100)).count == 0
        assert brain.forget(filter=F("n").in_([])).count == 0
        assert brain.forget(scope=Scope(user="nobody")).count == 0
        assert listed(brain) == set(stored)

    def test_archived_memories_are_forgotten_too(self, brain: Brain) -> None:
        needs(brain, "archive", "delete", "list")
        scope = Scope(user="maria")
        stored = keep_all(brain, ["active", {"content": "put away", "archived": True}], scope=scope)
        assert set(brain.forget(scope=scope).ids) == set(stored)
        assert listed(brain, include_archived=True) == set()


def _full(brain: Brain) -> Memory:
    """Store a memory with every field that the service supports, and return it."""
    needs(brain, "update")
    fields = supported(
        brain.capabilities,
        {
            "title": "title",
            "type": "fact",
            "tags": ["b", "a"],
            "importance": 0.25,
            "source": "chat",
            "created_at": PAST,
            "expires_at": FUTURE,
            "pinned": True,
            "metadata": {"a": 1, "b": None},
        },
    )
    scope = Scope(space="trips", user="maria", agent="planner", session="s")
    return brain.get(keep(brain, "the lighthouse", scope=scope, **fields))


def _without_time(memory: Memory) -> Memory:
    return memory.model_copy(update={"updated_at": None})


def _numbered(brain: Brain, count: int) -> list[str]:
    needs(brain, "delete", "list")
    return keep_all(brain, [{"content": f"memory {n}", "metadata": {"n": n}} for n in range(count)])
