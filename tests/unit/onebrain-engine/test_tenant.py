"""What a tenant offers beyond the verbs of a brain: dates of changes, lists with offsets, removal of what has expired."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from onebrain.memory.driver import Changes, ListRequest
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING, NewMemory, Scope
from onebrain_engine import Engine, SqliteStore

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
