"""What is remembered of memories that were read is never older than the store, and is nobody's to change."""

from __future__ import annotations

import pytest

from onebrain.memory.driver import Changes, ListRequest, SearchRequest
from onebrain.memory.models import EVERYTHING, NewMemory
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.index import remembered
from onebrain_engine.store.postgres import PostgresStore


@pytest.fixture(params=["sqlite", "postgresql"])
def tenants(request, tmp_path, new_tenant):
    """Two engines on one database, as two processes have them, and a view of the same tenant from each."""

    def store():
        if request.param == "sqlite":
            return SqliteStore(str(tmp_path / "brain.db"))
        return PostgresStore(request.getfixturevalue("postgres_url"))

    name = new_tenant()
    engines = [Engine(store()) for _ in range(2)]
    yield [engine.tenant(name) for engine in engines]
    for engine in engines:
        engine.close()


def listed(tenant):
    return {memory.id: memory for memory in tenant.list(ListRequest(order="sequence", limit=100)).data}


def test_what_another_process_changes_is_seen_at_once(tenants):
    one, other = tenants
    one.store([NewMemory(id=f"m{n}", content=f"amber lamp {n}", metadata={"n": n}) for n in range(5)])
    assert listed(one)["m1"].content == "amber lamp 1"
    assert listed(other)["m1"].content == "amber lamp 1"
    other.update("m1", Changes(fields={"content": "cobalt piano", "metadata": {"n": 9}}), EVERYTHING)
    other.delete(["m2"], EVERYTHING)
    other.store([NewMemory(id="m3", content="tulip")])
    assert [memory.content for memory in one.get(["m1", "m2", "m3"], EVERYTHING)] == ["cobalt piano", "tulip"]
    for tenant in tenants:
        seen = listed(tenant)
        assert (seen["m1"].content, seen["m1"].metadata) == ("cobalt piano", {"n": 9})
        assert "m2" not in seen
        assert (seen["m3"].content, seen["m3"].metadata) == ("tulip", {})
        assert tenant.search(SearchRequest(query="cobalt", limit=1)).hits[0].memory == seen["m1"]
        assert [memory.content for memory in tenant.get(["m1"], EVERYTHING)] == ["cobalt piano"]


def test_changing_what_was_returned_changes_nothing_kept(tenants):
    one, _ = tenants
    one.store([NewMemory(id="m", content="amber lamp", metadata={"list": [1]}, extra={"x": {}})])
    listed(one)
    memory = listed(one)["m"]
    memory.metadata["list"].append(2)
    memory.metadata["more"] = True
    memory.extra["x"]["y"] = 1
    again = listed(one)["m"]
    assert (again.metadata, again.extra) == ({"list": [1]}, {"x": {}})


def test_only_some_records_are_kept_and_long_texts_are_not(tenants, monkeypatch):
    monkeypatch.setattr(remembered, "_RECORDS", 3)
    monkeypatch.setattr(remembered, "_LONGEST", 20)
    one, _ = tenants
    one.store([NewMemory(id=f"m{n}", content=f"river {n}" * (5 if n == 4 else 1)) for n in range(8)])
    for _ in range(2):
        assert [memory.content for memory in listed(one).values()] == [
            f"river {n}" * (5 if n == 4 else 1) for n in range(8)
        ]
    (index,) = one._parts.indexes.partitions.values()
    assert len(index._records) == 3
    assert all(len(record.fields["content"]) <= 20 for _, (record, _) in index._records._records.values())
