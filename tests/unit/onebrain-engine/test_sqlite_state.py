"""What one writer remembers of a database, while others write to it, too."""

from __future__ import annotations

from pathlib import Path

import pytest

import onebrain
from onebrain import Brain
from onebrain.memory.models import EVERYTHING
from onebrain_engine.driver import EngineDriver
from onebrain_engine.store.sqlite import SqliteStore


@pytest.fixture
def two(tmp_path: Path) -> tuple[Brain, Brain]:
    return tuple(onebrain.connect(f"sqlite:///{tmp_path}/brain.db", embedder=None) for _ in range(2))  # type: ignore[return-value]


def store_of(brain: Brain) -> SqliteStore:
    driver = brain.driver
    assert isinstance(driver, EngineDriver)
    store = driver.engine.store
    assert isinstance(store, SqliteStore)
    return store


def fail_in(store: SqliteStore) -> None:
    with store.writing() as write:
        write.open_space("default", "new")
        assert len(write.new_rows("default", 1000)) // 0


def test_rows_ascend_over_two_writers(two: tuple[Brain, Brain]) -> None:
    one, other = two
    ids = [(one if turn % 3 else other).store(f"turn {turn}").id for turn in range(12)]
    assert [memory.id for memory in one.list(order="sequence")] == ids
    assert [memory.id for memory in other.list(order="sequence")] == ids


def test_a_row_is_not_used_again_by_another_writer(two: tuple[Brain, Brain]) -> None:
    one, other = two
    one.search("first")
    last = one.store("removed at once").id
    assert last is not None
    one.delete(last)
    other.store("red")
    assert [memory.content for memory in one.search("red removed")] == ["red"]


def test_a_space_that_another_writer_changed_is_read_again(two: tuple[Brain, Brain]) -> None:
    one, other = two
    first = one.store("amber").id
    second = other.store("theirs").id
    assert first is not None
    assert second is not None
    one.update(first, importance=0.5)
    other.delete(second)
    one.store("lilac")
    assert sorted(memory.content for memory in other.search("amber lilac")) == ["amber", "lilac"]
    with store_of(one).reading() as read:
        assert [space.seq for space in read.spaces("default")] == [5]


def test_a_transaction_that_fails_is_forgotten(two: tuple[Brain, Brain]) -> None:
    one, _ = two
    one.store("kept")
    store = store_of(one)
    with pytest.raises(ZeroDivisionError):
        fail_in(store)
    with store.writing() as write:
        assert write.space("default", "new") is None
        assert write.new_rows("default", 1)[0] < 1000


def test_rows_are_reserved_on_disk_before_they_are_used(two: tuple[Brain, Brain]) -> None:
    one, other = two
    one.store_many([f"text {number}" for number in range(300)]).raise_for_failures()
    with store_of(other).writing() as write:
        assert write.new_rows("default", 1)[0] > 300


def test_a_note_of_another_writer_goes_with_its_memory(two: tuple[Brain, Brain]) -> None:
    one, other = two
    one.delete(one.store("without a note").id or "")
    id = one.store("with a note").id
    assert id is not None
    with store_of(other).writing() as write:
        [(row, space)] = write.find("default", [id], EVERYTHING, now=0)
        write.note("default", space, {row: "a note"})
    assert one.delete(id) == 1
    with store_of(one).reading() as read:
        assert read.connection.execute("SELECT count(*) FROM note").fetchone() == (0,)
