"""The files of an open brain are removed, renamed or replaced: no write is called done that nobody will find."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

import onebrain
from onebrain import F, StorageError
from onebrain_engine.store import sqlite_file

ENDS = ("", "-wal", "-shm")
OTHER = """
import sys
import onebrain

brain = onebrain.connect(sys.argv[1], embedder=None)
print(brain.store("of the new file").status, flush=True)
sys.stdin.read()
"""


def remove_all(file):
    for end in ENDS:
        file.with_name(file.name + end).unlink()


def remove_file(file):
    file.unlink()


def remove_log(file):
    file.with_name(file.name + "-wal").unlink()


def remove_index(file):
    file.with_name(file.name + "-shm").unlink()


def remove_folder(file):
    shutil.rmtree(file.parent)


def rename_folder(file):
    file.parent.rename(file.parent.with_name("moved"))


def rename_file(file):
    file.rename(file.with_name("moved.db"))


def replace(file):
    other = file.with_name("other.db")
    with onebrain.connect(f"sqlite:///{other}", embedder=None) as brain:
        brain.store("of the new file")
    other.replace(file)


def replace_with_nothing(file):
    empty = file.with_name("empty")
    empty.touch()
    empty.replace(file)


WAYS = [
    remove_all, remove_file, remove_log, remove_index, remove_folder, rename_folder, rename_file, replace,
    replace_with_nothing,
]  # fmt: skip


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder / "brain.db"


@pytest.fixture
def brain(file):
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as brain:
        brain.store("one", id="one")
        brain.count()
        yield brain


def contents(file):
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as brain:
        return [memory.content for memory in brain.list(order="sequence")]


@pytest.mark.parametrize("way", WAYS)
def test_every_verb_says_that_the_files_are_others(brain, file, way):
    way(file)
    for verb in (
        lambda: brain.store("two"),
        lambda: brain.store_many(["two", "three"]).raise_for_failures(),
        lambda: brain.update("one", content="two"),
        lambda: brain.delete("one"),
        lambda: brain.forget(filter=F("n").eq(1)),
        lambda: brain.get("one"),
        lambda: list(brain.list()),
        lambda: brain.count(),
        lambda: brain.search("one"),
        lambda: brain.store("two"),
    ):
        with pytest.raises(StorageError, match="removed, renamed or replaced") as caught:
            verb()
        assert caught.value.code == "replaced"
    brain.close()


def test_a_write_to_a_file_that_was_emptied_is_not_acknowledged(brain, file):
    os.truncate(file, 0)
    with pytest.raises(StorageError):
        brain.store("two")


def settled(brain, file):
    """Let the folder's time tell nothing."""
    os.utime(file.parent, (0, 0))
    assert brain.count() == 1


@pytest.mark.parametrize("noticed", [True, False])
def test_a_file_that_is_emptied_in_place_takes_no_write_and_stays_as_it_is(brain, file, noticed):
    settled(brain, file)
    os.truncate(file, 0)
    if noticed:
        for verb in (brain.count, lambda: brain.store("two")):
            with pytest.raises(StorageError, match="emptied by another program") as caught:
                verb()
            assert caught.value.code == "replaced"
    brain.close()
    assert not file.stat().st_size
    # What was acknowledged is not lost without a trace.
    assert list(file.parent.glob("brain.db-wal.*"))
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as again:
        assert again.count() == 0
        assert again.store("two").status == "created"
        assert contents(file) == ["two"]


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (remove_all, []),
        (remove_file, []),
        (remove_log, ["one"]),
        (remove_index, ["one"]),
        (replace, ["of the new file"]),
        (replace_with_nothing, []),
        (rename_file, []),
    ],
)
def test_the_file_of_the_name_holds_what_was_put_there(brain, file, way, expected, noticed):
    way(file)
    if noticed:
        with pytest.raises(StorageError):
            brain.store("two")
        assert contents(file) == expected
    brain.close()
    assert contents(file) == expected
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_file_that_is_opened_before_the_old_brain_looks_is_its_own(brain, file):
    replace(file)
    assert contents(file) == ["of the new file"]
    with pytest.raises(StorageError):
        brain.count()


@pytest.mark.parametrize(
    ("way", "place"), [(rename_file, "home/moved.db"), (rename_folder, "moved/brain.db")]
)
def test_what_was_acknowledged_is_where_the_file_is_now(brain, file, tmp_path, way, place):
    way(file)
    with pytest.raises(StorageError):
        brain.store("two")
    brain.close()
    assert contents(tmp_path / place) == ["one"]


def test_a_folder_that_comes_back_is_as_it_was(brain, file, tmp_path):
    file.parent.rename(tmp_path / "away")
    with pytest.raises(StorageError):
        brain.store("two")
    (tmp_path / "away").rename(file.parent)
    assert brain.store("two").status == "created"
    assert contents(file) == ["one", "two"]


def test_a_write_during_which_the_file_goes_is_not_acknowledged(brain, file):
    def write():
        with brain.driver.engine.store.writing() as write:
            write.open_space("default", "attic")
            remove_all(file)

    with pytest.raises(StorageError, match="does not count"):
        write()


@pytest.mark.parametrize("noticed", [True, False])
def test_closing_takes_nothing_from_another_process_with_the_name(brain, file, noticed):
    remove_all(file)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, f"sqlite:///{file}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "created\n"
        if noticed:
            with pytest.raises(StorageError):
                brain.store("two")
        brain.close()
    finally:
        # A killed process leaves its log.
        other.kill()
        other.communicate()
    assert contents(file) == ["of the new file"]


def test_a_relative_path_means_one_file_for_good(file, tmp_path, monkeypatch):
    monkeypatch.chdir(file.parent)
    with onebrain.connect("sqlite:///brain.db", embedder=None) as brain:
        brain.store("one")
        monkeypatch.chdir(tmp_path)
        assert brain.store("two").status == "created"
        assert brain.count() == 2
    assert contents(file) == ["one", "two"]
    assert not (tmp_path / "brain.db").exists()


def test_memories_in_memory_have_no_files(monkeypatch, tmp_path):
    with onebrain.connect("sqlite://", embedder=None) as brain:
        monkeypatch.chdir(tmp_path)
        assert brain.store("one").status == "created"
        assert brain.count() == 1


@pytest.mark.parametrize(
    ("age", "calm"),
    [(50_000_001, False), (300_000_001, True), (1_000_000_000, False), (3_000_000_000, True)],
    ids=["fine, too young", "fine", "whole seconds, too young", "whole seconds"],
)
def test_a_folder_is_relied_upon_once_its_time_tells_one_change_from_the_next(
    tmp_path, monkeypatch, age, calm
):
    path = tmp_path / "brain.db"
    path.write_bytes(b"some")
    files = sqlite_file.DatabaseFiles(str(path), log=False)
    now = 1_700_000_000_000_000_000
    os.utime(tmp_path, ns=(now - age, now - age))
    monkeypatch.setattr(sqlite_file.time, "time_ns", lambda: now)
    assert files.same
    looks = []
    monkeypatch.setattr(files, "_now", lambda: looks.append(1) or files._known)
    assert files.same
    assert bool(looks) is not calm
