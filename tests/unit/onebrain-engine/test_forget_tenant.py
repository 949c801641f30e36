"""Forgetting a tenant: nothing of it is left, nothing of another is touched, and what comes later is new."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING, NewMemory, Scope
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.index.snapshots import Snapshots

WORK = "Maria works at Acme Labs in Lisbon."


class Place:
    """A database that engines can be opened on."""

    def __init__(self, path, url):
        self.path, self.url = path, url

    def open(self):
        if self.url is None:
            return Engine(SqliteStore(str(self.path / "brain.db")), snapshots=Snapshots(self.path / "index"))
        from onebrain_engine.store.postgres import PostgresStore

        return Engine(PostgresStore(self.url))

    def rows(self):
        """Return how many rows each table has, of all tenants that the tests below know."""
        if self.url is None:
            database = sqlite3.connect(self.path / "brain.db")
            tables = ("space", "memory", "vector", "gone", "note")
            found = {
                table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables
            }
            database.close()
            return found
        found = dict.fromkeys(("space", "memory", "vector", "gone", "note"), 0)
        with psycopg.connect(self.url) as connection:
            # PostgreSQL shows one tenant's rows at a time.
            for tenant in ("kept", "gone", "nobody"):
                connection.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
                for table in found:
                    found[table] += connection.execute(f"SELECT count(*) FROM onebrain.{table}").fetchone()[0]
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return Place(tmp_path, None)
    return Place(tmp_path, request.getfixturevalue("postgres").new_database())


def fill(tenant):
    for space in (None, "handbook"):
        tenant.store(
            [NewMemory(id=f"{space}{n}", content=f"{WORK} {n}", scope=Scope(space=space)) for n in range(3)]
        )
    tenant.delete(["None0"], EVERYTHING)
    tenant.extract(tenant.list(ListRequest(limit=100)).data)


def contents(tenant):
    return sorted(memory.content for memory in tenant.list(ListRequest(limit=100)).data)


def test_no_row_of_the_tenant_is_left_and_every_row_of_another_is(place):
    engine = place.open()
    fill(engine.tenant("kept"))
    before = place.rows()
    assert min(before.values()) > 0
    kept = contents(engine.tenant("kept"))
    fill(engine.tenant("gone"))
    assert all(count == 2 * before[table] for table, count in place.rows().items())
    engine.forget_tenant("gone")
    assert place.rows() == before
    assert contents(engine.tenant("gone")) == []
    assert contents(engine.tenant("kept")) == kept
    engine.close()


def test_a_tenant_that_comes_back_starts_anew_in_every_process(place):
    engine, other = place.open(), place.open()
    fill(engine.tenant("acme"))
    assert len(other.tenant("acme").search(SearchRequest(query="Lisbon")).hits) == 5
    engine.forget_tenant("acme")
    assert other.tenant("acme").search(SearchRequest(query="Lisbon")).hits == []
    for n in range(10):
        engine.tenant("acme").store([NewMemory(id=str(n), content=f"Lisbon again {n}")])
    for one in (engine, other):
        found = one.tenant("acme").search(SearchRequest(query="Lisbon", limit=100)).hits
        assert {hit.memory.id for hit in found} == {str(n) for n in range(10)}
    other.close()
    engine.close()


def test_forgetting_who_never_stored_anything_does_nothing(place):
    engine = place.open()
    fill(engine.tenant("kept"))
    before = place.rows()
    engine.forget_tenant("nobody")
    assert place.rows() == before
    engine.close()


def test_an_index_kept_on_disk_goes_too_even_where_another_process_writes_it_later(tmp_path):
    place = Place(tmp_path, None)
    engine, other = place.open(), place.open()
    tenant = engine.tenant("acme")
    tenant.store([NewMemory(content=f"{WORK} {n}") for n in range(1200)])
    assert tenant.count(EVERYTHING, TRUE, include_archived=True) == 1200
    assert other.tenant("acme").count(EVERYTHING, TRUE, include_archived=True) == 1200
    engine.close()
    assert len(list((tmp_path / "index").iterdir())) == 1
    engine = place.open()
    engine.forget_tenant("acme")
    assert list((tmp_path / "index").iterdir()) == []
    # Keeps what it holds, and finds that nobody knows it any more.
    other.close()
    assert list((tmp_path / "index").iterdir()) == []
    engine.close()
