"""A view of PostgreSQL that asks its first question before it begins: it never mixes two states of a space."""

from __future__ import annotations

import threading

import pytest

from onebrain.memory.driver import Changes, ListRequest
from onebrain.memory.filters import F
from onebrain.memory.models import EVERYTHING, NewMemory
from onebrain_engine import Engine
from onebrain_engine.store.postgres import PostgresStore
from onebrain_engine.store.protocol import Contention


@pytest.fixture
def engines(postgres_url):
    found = [Engine(PostgresStore(postgres_url)) for _ in range(2)]
    yield found
    for engine in found:
        engine.close()


def test_a_view_that_was_overtaken_says_so(engines, new_tenant):
    name = new_tenant()
    one, other = (engine.tenant(name) for engine in engines)
    one.store([NewMemory(id="m", content="amber lamp")])
    store = engines[0].store

    def overtaken():
        with store.reading() as read:
            (space,) = read.spaces(name)
            other.store([NewMemory(id="n", content="cobalt piano")])
            read.records(name, space, [1])

    with pytest.raises(Contention):
        overtaken()
    # And where nothing happened in between, it goes on.
    with store.reading() as read:
        (space,) = read.spaces(name)
        ((row, found),) = read.find(name, ["n"], EVERYTHING, now=0)
        assert (found, read.records(name, space, [row])[row][5]) == (space, "cobalt piano")


def test_a_view_begins_for_another_tenant_too(engines, new_tenant):
    names = [new_tenant(), new_tenant()]
    for name in names:
        engines[0].tenant(name).store([NewMemory(id="m", content=f"of {name}")])
    with engines[1].store.reading() as read:
        spaces = {name: read.spaces(name)[0] for name in names}
        for name in (*names, *names):
            ((row, _),) = read.find(name, ["m"], EVERYTHING, now=0)
            assert read.records(name, spaces[name], [row])[row][5] == f"of {name}"


def test_what_matches_a_filter_matches_it_as_it_is_returned(engines, new_tenant):
    name = new_tenant()
    reader, writer = (engine.tenant(name) for engine in engines)
    writer.store([NewMemory(id=f"m{n}", content="amber lamp", metadata={"n": 0}) for n in range(5)])
    done = threading.Event()

    def write():
        for turn in range(1, 150):
            writer.update(f"m{turn % 5}", Changes(fields={"metadata": {"n": turn % 2}}), EVERYTHING)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        looks = 0
        while not done.is_set() or looks < 20:
            looks += 1
            wanted = looks % 2
            found = reader.list(ListRequest(filter=F("n").eq(wanted), limit=100)).data
            assert [memory.metadata["n"] for memory in found] == [wanted] * len(found)
    finally:
        thread.join()
    settled = {memory.id: memory.metadata["n"] for memory in reader.list(ListRequest(limit=100)).data}
    assert settled == {memory.id: memory.metadata["n"] for memory in writer.list(ListRequest(limit=100)).data}
