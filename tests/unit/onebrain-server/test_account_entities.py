"""Entities of accounts on SQLite and PostgreSQL: their links, their relations; and what rules find in texts."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebrain.errors import OneBrainNotFoundError
from onebrain_engine.extraction import find_entities
from onebrain_server.security.sealing import Sealer
from onebrain_server.state.database import Database, Taken
from onebrain_server.state.entities import Entities
from onebrain_server.state.links import Links
from onebrain_server.state.relations import Relations


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def database(request, tmp_path):
    url = {"sqlite": f"sqlite:///{tmp_path / 'server.db'}", "memory": "sqlite://"}.get(request.param)
    found = Database(url or request.getfixturevalue("postgres").new_database())
    yield found
    found.close()


@pytest.fixture
def entities(database):
    return Entities(database, Sealer(bytes(32)), "acme")


@pytest.fixture
def relations(database):
    return Relations(database, "acme")


def test_names_are_unique_by_type_and_tenant(database, entities):
    other = Entities(database, Sealer(bytes(32)), "other")
    maria = entities.add("Maria", "Person")
    assert maria.type == "person"
    with pytest.raises(Taken) as taken:
        entities.add("Maria", "person")
    assert taken.value.existing_id == maria.id
    place = entities.add("Maria", "place")
    with pytest.raises(Taken) as taken:
        entities.update(place.id, type="Person")
    assert taken.value.existing_id == maria.id
    assert entities.update(maria.id, name="Maria", description="A traveller").description == "A traveller"
    assert entities.find("Maria", "PERSON") == entities.get(maria.id)
    other.add("Maria", "person")
    with pytest.raises(OneBrainNotFoundError):
        other.get(maria.id)


def test_a_name_from_before_there_was_a_key_is_found(database):
    maria = Entities(database, Sealer(None), "acme").add("Maria", "person")
    assert Entities(database, Sealer(bytes(32)), "acme").find("Maria", "person") == maria


def test_pages_go_through_all_entities_once(entities):
    made = {entities.add(f"thing {n}", "thing").id for n in range(7)}
    seen, cursor = [], None
    while True:
        rows, more, total = entities.page(limit=3, cursor=cursor)
        assert total == 7
        seen += [row.id for row in rows]
        if not more:
            break
        cursor = rows[-1].id
    assert len(seen) == 7
    assert set(seen) == made


def test_merging_moves_links_and_relations_and_drops_what_would_be_double(entities, relations):
    keep, remove, other = (entities.add(name, "person") for name in ("Ada", "Ada L.", "Bob"))
    for entity, memory in ((keep, "m1"), (remove, "m1"), (remove, "m2")):
        entities.link(entity.id, memory, "about")
    relations.add(keep.id, other.id, "knows")
    relations.add(remove.id, other.id, "knows")
    relations.add(remove.id, keep.id, "is")
    assert entities.merge(keep.id, remove.id) == 1
    assert [link.memory_id for link in entities.links(entity_id=keep.id)] == ["m1", "m2"]
    assert len(entities.links()) == 2
    assert [(r.source_id, r.target_id) for r in relations.of(keep.id)] == [(keep.id, other.id)]
    assert relations.all() == relations.of(keep.id)
    assert entities.top(5) == [(entities.get(keep.id), 2), (entities.get(other.id), 0)]
    with pytest.raises(OneBrainNotFoundError):
        entities.get(remove.id)


def test_what_is_around_an_entity_ends_at_the_depth(entities, relations):
    chain = [entities.add(f"p{n}", "person") for n in range(4)]
    for left, right in itertools.pairwise(chain):
        relations.add(left.id, right.id, "knows")
    found, inside, _ = entities.around(chain[0].id, 2)
    assert {entity.name for entity in found} == {"p0", "p1", "p2"}
    assert len(inside) == 2


def test_a_shared_memory_is_a_step_from_one_entity_to_another(entities):
    ada, bob, eve = (entities.add(name, "person") for name in ("Ada", "Bob", "Eve"))
    for entity, memory in ((ada, "m1"), (bob, "m1"), (bob, "m2"), (eve, "m2")):
        entities.link(entity.id, memory, "about")
    found, _, links = entities.around(ada.id, 2)
    assert {entity.id for entity in found} == {ada.id, bob.id}
    assert {link.memory_id for link in links} == {"m1", "m2"}
    assert {entity.id for entity in entities.around(ada.id, 3)[0]} == {ada.id, bob.id, eve.id}


def test_the_same_link_twice_is_a_conflict(database, entities):
    ada = entities.add("Ada", "person")
    made = entities.link(ada.id, "m1", "about")
    with pytest.raises(Taken) as taken:
        entities.link(ada.id, "m1", "about")
    assert taken.value.existing_id == made.id
    Links(database).forget_memories("acme", ["m1"])
    assert entities.links(entity_id=ada.id) == []


def test_nothing_is_linked_or_related_to_an_entity_that_is_not_there(entities, relations):
    ada = entities.add("Ada", "person")
    with pytest.raises(OneBrainNotFoundError):
        entities.link("nobody", "m1", "about")
    for ends in ((ada.id, "nobody"), ("nobody", ada.id)):
        with pytest.raises(OneBrainNotFoundError):
            relations.add(*ends, "knows")
    assert (entities.links(), relations.all()) == ([], [])


def test_what_is_removed_meanwhile_leaves_no_link(database, entities, relations):
    """Entities are removed while other threads link, relate and merge them."""
    people = [entities.add(f"p{n}", "person").id for n in range(12)]

    def change(number):
        one, other = people[number % 12], people[(number * 5 + 1) % 12]
        work = (
            lambda: entities.remove(one),
            lambda: entities.link(one, f"m{number % 3}", "about"),
            lambda: relations.add(one, other, "knows"),
            lambda: entities.merge(one, other) if one != other else None,
        )[number % 4]
        try:
            work()
        except (OneBrainNotFoundError, Taken):
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(change, range(96)))
    left = {entity.id for entity in entities.all()}
    assert {link.owner_id for link in entities.links()} <= left
    assert {end for one in relations.all() for end in (one.source_id, one.target_id)} <= left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lives in Lisbon, Portugal", {("Lisbon", "place"), ("Portugal", "place")}),
        ("Dr. Grace Hopper wrote the compiler.", {("Grace Hopper", "person")}),
        ("The meeting was good. Today is fine.", set()),
        ("We use PostgreSQL and Rust.", {("PostgreSQL", "technology"), ("Rust", "technology")}),
        ("Write to ada@example.com", {("ada@example.com", "contact")}),
    ],
)
def test_rules_find_entities(text, expected):
    assert {(one.name, one.type) for one in find_entities(text)} == expected
