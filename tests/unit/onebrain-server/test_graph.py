"""The engine's graph on SQLite and PostgreSQL: entities, links, relations; and what rules find in texts."""

from __future__ import annotations

import itertools

import pytest

from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError
from onebrain_engine.graph import Graph, NameTaken, find_entities


@pytest.fixture(params=["sqlite", "postgresql"])
def graph(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'graph.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    found = Graph.open(url)
    yield found
    found.close()


def test_names_are_unique_by_type_and_tenant(graph):
    one, other = graph.tenant("one"), graph.tenant("other")
    maria = one.add("Maria", "Person")
    assert maria.type == "person"
    with pytest.raises(NameTaken) as taken:
        one.add("Maria", "person")
    assert taken.value.existing_id == maria.id
    one.add("Maria", "place")
    other.add("Maria", "person")
    with pytest.raises(OneBrainNotFoundError):
        other.get(maria.id)


def test_pages_go_through_all_entities_once(graph):
    tenant = graph.tenant("acme")
    made = {tenant.add(f"thing {n}", "thing").id for n in range(7)}
    seen, cursor = [], None
    while True:
        rows, more, total = tenant.page(limit=3, cursor=cursor)
        assert total == 7
        seen += [row.id for row in rows]
        if not more:
            break
        cursor = rows[-1].id
    assert len(seen) == 7
    assert set(seen) == made


def test_merging_moves_links_and_relations_and_drops_what_would_be_double(graph):
    tenant = graph.tenant("acme")
    keep, remove, other = (tenant.add(name, "person") for name in ("Ada", "Ada L.", "Bob"))
    for entity, memory in ((keep, "m1"), (remove, "m1"), (remove, "m2")):
        tenant.link(entity.id, memory, "about")
    tenant.relate(keep.id, other.id, "knows")
    tenant.relate(remove.id, other.id, "knows")
    tenant.relate(remove.id, keep.id, "is")
    assert tenant.merge(keep.id, remove.id) == 1
    assert [link.memory_id for link in tenant.links(entity_id=keep.id)] == ["m1", "m2"]
    assert [(r.source_id, r.target_id) for r in tenant.relations(keep.id)] == [(keep.id, other.id)]
    with pytest.raises(OneBrainNotFoundError):
        tenant.get(remove.id)


def test_what_is_around_an_entity_ends_at_the_depth(graph):
    tenant = graph.tenant("acme")
    chain = [tenant.add(f"p{n}", "person") for n in range(4)]
    for left, right in itertools.pairwise(chain):
        tenant.relate(left.id, right.id, "knows")
    entities, relations, _ = tenant.around(chain[0].id, 2)
    assert {entity.name for entity in entities} == {"p0", "p1", "p2"}
    assert len(relations) == 2


def test_the_same_link_twice_is_a_conflict(graph):
    tenant = graph.tenant("acme")
    ada = tenant.add("Ada", "person")
    tenant.link(ada.id, "m1", "about")
    with pytest.raises(OneBrainConflictError):
        tenant.link(ada.id, "m1", "about")
    tenant.forget_memories(["m1"])
    assert tenant.links(entity_id=ada.id) == []


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
