"""Tests that entities come from memories, are limited to their scope, and disappear with them."""

from __future__ import annotations

from typing import ClassVar

import pytest

from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.models import Scope
from onebrain.testing.conformance.suite import Suite, keep, needs

MARIA = Scope(user="maria")
PAULO = Scope(user="paulo")
WORK = "Maria works at Acme Labs in Lisbon."
VISIT = "Paulo joined Acme Labs."
HOME = "Sofia lives in Oslo."


class EntitySuite(Suite):
    """Tests of the methods on entities."""

    verb: ClassVar[str] = "entities"

    def test_a_service_without_entities_refuses_every_verb(self, brain: Brain) -> None:
        if brain.capabilities.entities and brain.capabilities.list:
            assert list(brain.entities()) == []
            return
        for call in (
            lambda: brain.entities(),
            lambda: brain.extract_entities(),
            lambda: brain.entity("Acme Labs"),
            lambda: brain.relations("Acme Labs"),
            lambda: brain.remove_entity("Acme Labs"),
        ):
            with pytest.raises(Unsupported):
                call()

    def test_nothing_is_extracted_before_it_is_asked_for(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        keep(brain, WORK)
        assert _named(brain) == {}
        assert brain.extract_entities() == 1
        assert set(_named(brain)) >= {"Maria", "Acme Labs", "Lisbon"}

    def test_what_was_read_is_not_read_again(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        keep(brain, WORK)
        assert brain.extract_entities() == 1
        before = _named(brain)
        assert brain.extract_entities() == 0
        keep(brain, VISIT)
        assert brain.extract_entities() == 1
        assert set(_named(brain)) > set(before)

    def test_an_entity_knows_the_memories_that_name_it(self, brain: Brain) -> None:
        first, second, _ = _three(brain)
        entity = brain.entity("acme labs")
        assert set(entity.memory_ids) == {first, second}
        assert entity.mentions == 2
        assert {memory.content for memory in brain.get_many(entity.memory_ids)} == {WORK, VISIT}
        assert brain.entity(entity.id) == entity
        assert entity.created_at is not None
        assert entity.updated_at is not None
        assert entity.created_at <= entity.updated_at

    def test_the_most_mentioned_come_first_and_the_limit_holds(self, brain: Brain) -> None:
        _three(brain)
        assert [entity.name for entity in brain.entities(limit=1)] == ["Acme Labs"]
        mentions = [entity.mentions for entity in brain.entities()]
        assert mentions == sorted(mentions, reverse=True)
        assert list(brain.entities(limit=0)) == []

    def test_a_type_narrows_the_list(self, brain: Brain) -> None:
        _three(brain)
        entity = brain.entity("Acme Labs")
        some = brain.entities(type=entity.type)
        assert "Acme Labs" in {one.name for one in some}
        assert {one.type for one in some} == {entity.type}
        assert list(brain.entities(type="no such type")) == []

    def test_a_query_finds_what_it_names_first_and_then_what_the_answers_name(self, brain: Brain) -> None:
        _three(brain)
        found = [entity.name for entity in brain.entities("who works at Acme Labs?")]
        assert found[0] == "Acme Labs"
        assert "Maria" in found

    def test_relations_are_the_entities_of_the_same_memories(self, brain: Brain) -> None:
        first, second, _ = _three(brain)
        relations = brain.relations("Acme Labs")
        linked = {relation.target.name: set(relation.memory_ids) for relation in relations}
        assert {"Maria", "Lisbon", "Paulo"} <= set(linked)
        assert linked["Maria"] == {first}
        assert linked["Paulo"] == {second}
        assert not {"Acme Labs", "Sofia", "Oslo"} & set(linked)
        assert {relation.source.name for relation in relations} == {"Acme Labs"}

    def test_a_scope_shows_only_what_its_own_memories_name(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        mine, theirs = keep(brain, WORK, scope=MARIA), keep(brain, VISIT, scope=PAULO)
        brain.extract_entities()
        assert brain.entity("Acme Labs", scope=MARIA).memory_ids == (mine,)
        assert brain.entity("Acme Labs", scope=PAULO).memory_ids == (theirs,)
        assert "Paulo" not in _named(brain, scope=MARIA)
        assert "Lisbon" not in _named(brain, scope=PAULO)
        assert "Lisbon" not in {one.name for one in brain.entities("Lisbon", scope=PAULO)}
        assert "Paulo" not in {relation.target.name for relation in brain.relations("Acme Labs", scope=MARIA)}
        for verb in (brain.entity, brain.relations, brain.remove_entity):
            for name in ("Lisbon", brain.entity("Lisbon").id):
                with pytest.raises(OneBrainNotFoundError):
                    verb(name, scope=PAULO)

    def test_one_users_memories_are_not_read_for_another(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        mine, theirs = keep(brain, WORK, scope=MARIA), keep(brain, VISIT, scope=PAULO)
        assert brain.extract_entities(theirs, scope=MARIA) == 0
        assert brain.extract_entities([mine, theirs], scope=MARIA) == 1
        assert _named(brain, scope=PAULO) == {}

    def test_the_same_id_of_another_user_is_another_memory(self, brain: Brain) -> None:
        needs(brain, "entities", "list", "client_ids")
        keep(brain, WORK, id="note", scope=MARIA)
        keep(brain, HOME, id="note", scope=PAULO)
        brain.extract_entities(scope=MARIA)
        assert _named(brain, scope=PAULO) == {}
        brain.extract_entities(scope=PAULO)
        assert "Oslo" not in _named(brain, scope=MARIA)
        assert "Lisbon" not in _named(brain, scope=PAULO)

    def test_removing_an_entity_keeps_the_memories_and_all_others(self, brain: Brain) -> None:
        first, second, third = _three(brain)
        assert brain.remove_entity("Acme Labs") == 2
        assert "Acme Labs" not in _named(brain)
        assert {"Maria", "Lisbon", "Paulo", "Sofia"} <= set(_named(brain))
        assert {memory.id for memory in brain.list()} == {first, second, third}
        with pytest.raises(OneBrainNotFoundError):
            brain.remove_entity("Acme Labs")

    def test_removing_an_entity_in_a_scope_leaves_it_to_others(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        keep(brain, WORK, scope=MARIA)
        theirs = keep(brain, VISIT, scope=PAULO)
        brain.extract_entities()
        assert brain.remove_entity("Acme Labs", scope=MARIA) == 1
        assert "Acme Labs" not in _named(brain, scope=MARIA)
        assert brain.entity("Acme Labs", scope=PAULO).memory_ids == (theirs,)

    def test_a_deleted_memory_names_nothing_any_more(self, brain: Brain) -> None:
        needs(brain, "delete")
        first, second, _ = _three(brain)
        brain.delete(first)
        assert brain.entity("Acme Labs").memory_ids == (second,)
        assert "Lisbon" not in _named(brain)

    def test_an_archived_memory_is_left_out(self, brain: Brain) -> None:
        needs(brain, "archive", "update")
        first, second, _ = _three(brain)
        brain.update(first, archived=True)
        assert brain.entity("Acme Labs").memory_ids == (second,)

    def test_what_nothing_names_is_not_found(self, brain: Brain) -> None:
        _three(brain)
        for name in ("Zanzibar", "", "no such id"):
            with pytest.raises(OneBrainNotFoundError):
                brain.entity(name)

    def test_a_wrong_limit_is_refused(self, brain: Brain) -> None:
        needs(brain, "entities", "list")
        with pytest.raises(OneBrainValidationError):
            brain.entities(limit=-1)


def _three(brain: Brain) -> tuple[str, str, str]:
    needs(brain, "entities", "list")
    stored = keep(brain, WORK), keep(brain, VISIT), keep(brain, HOME)
    assert brain.extract_entities() == 3
    return stored


def _named(brain: Brain, scope: Scope | None = None) -> dict[str, int]:
    found = brain.entities(limit=1000) if scope is None else brain.entities(scope=scope, limit=1000)
    return {entity.name: entity.mentions for entity in found}
