"""Indexes in memory have a bound: the least recently used ones go, and whoever holds one, or asks for it again, is right."""

from __future__ import annotations

import threading

import pytest

import onebrain
from onebrain.memory.driver import SearchRequest
from onebrain.memory.models import NewMemory
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Partition
from onebrain_engine.index.partitions import Partitions
from onebrain_engine.index.snapshots import Snapshots
from onebrain_engine.store.records import Space


def fill(engine: Engine, tenant: str, count: int = 50) -> None:
    engine.tenant(tenant).store([NewMemory(content=f"{tenant} lamp number{n}") for n in range(count)])


def found(engine: Engine, tenant: str) -> list[str]:
    hits = engine.tenant(tenant).search(SearchRequest(query="number7", mode="keyword")).hits
    return [hit.memory.content for hit in hits]


@pytest.fixture
def measured(tmp_path) -> int:
    """How many bytes the index of one tenant takes."""
    with_all = Engine(SqliteStore(str(tmp_path / "measured.db")))
    fill(with_all, "tenant-0")
    found(with_all, "tenant-0")
    [index] = with_all.indexes.partitions.values()
    with_all.close()
    return index.nbytes


def test_the_least_recently_used_go_when_a_new_one_comes(tmp_path, measured):
    engine = Engine(SqliteStore(str(tmp_path / "brain.db")), index_bytes=3 * measured + measured // 2)
    for number in range(8):
        fill(engine, f"tenant-{number}")
    for number in (0, 1, 2, 0, 3, 0, 4, 5):
        assert found(engine, f"tenant-{number}") == [f"tenant-{number} lamp number7"]
        assert len(engine.indexes.partitions.values()) <= 4
    kept = {tenant for tenant, _ in engine.indexes.partitions.clear()}
    assert "tenant-5" in kept
    assert "tenant-0" in kept
    assert "tenant-1" not in kept
    engine.close()


def test_a_bound_of_nothing_keeps_the_one_in_use(tmp_path):
    engine = Engine(SqliteStore(str(tmp_path / "brain.db")), index_bytes=0)
    for number in range(3):
        fill(engine, f"tenant-{number}")
    for _ in range(2):
        for number in range(3):
            assert found(engine, f"tenant-{number}") == [f"tenant-{number} lamp number7"]
            assert len(engine.indexes.partitions.values()) <= 2
    engine.close()


def test_many_threads_get_right_answers_while_indexes_come_and_go(tmp_path, measured):
    engine = Engine(SqliteStore(str(tmp_path / "brain.db")), index_bytes=measured)
    for number in range(6):
        fill(engine, f"tenant-{number}")
    wrong: list[object] = []

    def work(first: int) -> None:
        for step in range(30):
            tenant = f"tenant-{(first + step) % 6}"
            if found(engine, tenant) != [f"{tenant} lamp number7"]:
                wrong.append(tenant)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    engine.close()


def test_an_index_worth_it_is_kept_on_disk_before_it_goes(tmp_path):
    folder = tmp_path / "index"
    engine = Engine(SqliteStore(str(tmp_path / "brain.db")), snapshots=Snapshots(folder), index_bytes=0)
    fill(engine, "large", 1500)
    fill(engine, "small", 10)
    assert len(found(engine, "large")) == 1
    for _ in range(2):  # it is measured at the next call
        found(engine, "small")
    assert engine.background.settle(300)
    assert len(list(folder.iterdir())) == 1
    with engine.store.reading() as read:
        [space] = read.spaces("large")
        assert space.snapshot is not None
    index = Partition(space, Lexicon())
    assert Snapshots(folder).load(index, space, Lexicon())
    assert index.size == 1500
    assert len(found(engine, "large")) == 1
    engine.close()


def test_the_measure_grows_with_what_an_index_holds(tmp_path):
    engine = Engine(SqliteStore(str(tmp_path / "brain.db")))
    fill(engine, "small", 100)
    fill(engine, "large", 3000)
    sizes = {}
    for tenant in ("small", "large"):
        found(engine, tenant)
        sizes[tenant] = engine.indexes.partitions.of(tenant, *_space(engine, tenant)).nbytes
    engine.close()
    assert sizes["small"] > 100 * 1024  # a vector alone is a kilobyte
    assert 3000 * 1024 < sizes["large"] < 3000 * 8192


def _space(engine: Engine, tenant: str) -> list[Space]:
    with engine.store.reading() as read:
        return list(read.spaces(tenant))


def test_indexes_of_users_are_counted_and_forgotten_with_their_tenant():
    indexes = Partitions(Lexicon(), 10**9)
    space = Space(1, "", 0, None, None, None)
    whole, mine = indexes.of("acme", space), indexes.of("acme", space, "maria")
    other = indexes.of("other", space)
    assert indexes.of("acme", space, "maria") is mine
    assert indexes.known("acme", space) is whole
    assert indexes.known("acme", space, "jon") is None
    indexes.forget("acme")
    assert indexes.values() == [other]


def test_the_former_names_of_the_option_work_and_warn():
    with pytest.warns(DeprecationWarning, match="memory= is now index_bytes=") as caught:
        engine = Engine(SqliteStore(":memory:"), memory=12)
    engine.close()
    assert caught[0].filename == __file__
    with (
        pytest.warns(DeprecationWarning, match="index_memory= is now index_bytes=") as caught,
        onebrain.connect("sqlite://", index_memory=12, embedder=None) as brain,
    ):
        assert brain.count() == 0
    assert caught[0].filename == __file__
