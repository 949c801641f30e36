"""What a tenant offers beyond the verbs of a brain: dates of changes, lists with offsets, removal of what has expired."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from onebrain.memory.driver import Changes, ListRequest, SearchRequest
from onebrain.memory.filters import TRUE, F
from onebrain.memory.models import EVERYTHING, NewMemory, Scope
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.updating import Revision

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def tenant(request):
    if request.param == "sqlite":
        store = SqliteStore(":memory:")
    else:
        from onebrain_engine.store.postgres import PostgresStore

        store = PostgresStore(request.getfixturevalue("postgres").new_database())
    engine = Engine(store, embedder=None)
    yield engine.tenant("acme")
    engine.close()


def test_a_change_is_dated_as_it_is_told_to_be(tenant):
    tenant.store([NewMemory(id="a", content="x"), NewMemory(id="b", content="y")])
    changed = tenant.update("b", Changes(fields={"importance": 0.5}), EVERYTHING, at=PAST)
    assert (changed.updated_at, changed.importance) == (PAST, 0.5)
    assert [memory.id for memory in tenant.list(ListRequest(order="-updated_at")).data] == ["a", "b"]
    assert tenant.update("b", Changes(fields={}), EVERYTHING).updated_at > PAST


def test_several_memories_are_changed_in_one_transaction(tenant, monkeypatch):
    for space in (None, "s0", "s1"):
        tenant.store(
            [NewMemory(id=f"{space} {n}", content="boat", scope=Scope(space=space)) for n in range(2)]
        )
    important = SearchRequest(query="boat", filter=F.importance.eq(0.25))
    assert not tenant.search(important).hits
    opened = []
    writing = tenant._store.writing
    monkeypatch.setattr(tenant._store, "writing", lambda: opened.append(1) or writing())
    changes = Changes(fields={"importance": 0.25, "extra": {"read": 1}})
    wanted = [("None 0", ""), ("s0 0", "s0"), ("s0 1", "s0"), ("s1 1", "s1"), ("s1 1", "s0"), ("gone", "")]
    assert tenant.revise([Revision(id, space, changes, at=PAST) for id, space in wanted]) == 4
    assert len(opened) == 1
    changed = {"None 0", "s0 0", "s0 1", "s1 1"}
    assert {hit.memory.id for hit in tenant.search(important).hits} == changed
    for memory in tenant.list(ListRequest()).data:
        if memory.id in changed:
            assert (memory.updated_at, memory.importance, memory.extra) == (PAST, 0.25, {"read": 1})
        else:
            assert (memory.importance, memory.extra) == (None, {})
            assert memory.updated_at > PAST
    assert tenant.revise([]) == 0
    assert len(opened) == 1


def test_a_list_leaves_out_so_many_across_spaces(tenant):
    for n in range(6):
        tenant.store([NewMemory(id=str(n), content="x", scope=Scope(space=f"s{n % 2}"))])
    request = ListRequest(order="created_at", limit=2)
    assert [memory.id for memory in tenant.list(request, skip=3).data] == ["3", "4"]
    assert tenant.list(request, skip=4).meta.cursor is None
    assert tenant.list(request, skip=100).data == ()


def test_a_list_of_none_has_no_cursor(tenant):
    tenant.store([NewMemory(content="x")])
    page = tenant.list(ListRequest(limit=0))
    assert (page.data, page.meta.cursor, page.meta.total) == ((), None, 1)


def test_purging_removes_what_has_expired_and_counts_it(tenant):
    tenant.store([NewMemory(content="lives")])
    tenant.store([NewMemory(content="x", scope=Scope(space=name), expires_at=PAST) for name in ("a", "b")])
    assert tenant.purge() == 2
    assert tenant.purge() == 0
    assert tenant.count(EVERYTHING, TRUE, include_archived=True) == 1


def test_a_row_is_a_memorys_as_long_as_it_is_there(tenant):
    other = Scope(space="other")
    tenant.store(
        [
            NewMemory(id="a", content="x"),
            NewMemory(id="b", content="y"),
            NewMemory(id="a", content="z", scope=other),
        ]
    )
    rows = {memory.content: row for row, memory in tenant.located(["a", "b"], EVERYTHING)}
    assert rows["x"] < rows["y"] < rows["z"]
    assert [row for row, _ in tenant.located(["a", "b"], other)] == [rows["z"]]
    tenant.update("b", Changes(fields={"content": "changed"}), EVERYTHING)
    tenant.store([NewMemory(id="b", content="replaced")])
    assert [(row, memory.content) for row, memory in tenant.located(["b"], EVERYTHING)] == [
        (rows["y"], "replaced")
    ]
    tenant.delete(["b"], EVERYTHING)
    assert tenant.located(["b"], EVERYTHING) == []
    tenant.store([NewMemory(id="b", content="anew")])
    assert tenant.located(["b"], EVERYTHING)[0][0] > rows["z"]
