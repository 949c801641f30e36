"""Files that cannot be read or written, and what a person is told about each."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest

import onebrain
from onebrain import (
    ConfigurationError,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    MissingDependency,
    SchemaTooNew,
    Scope,
    StorageError,
)

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and limits of POSIX")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "brain.db"
    with onebrain.connect(f"sqlite:///{path}") as brain:
        brain.store_many([f"memory {n} about lighthouses" for n in range(300)]).raise_for_failures()
    return path


def run(code: str, *arguments: str, **options) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_of_a_newer_version_is_left_alone(path):
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"999.*pip install --upgrade onebrain-engine"):
        onebrain.connect(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE things (name TEXT)")
    database.close()
    with pytest.raises(DatabaseCorrupt, match="another program"):
        onebrain.connect(f"sqlite:///{path}")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("things",)]
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Maria prefers window seats. " * 100)
    with pytest.raises(DatabaseCorrupt, match=r"notes\.txt is damaged or not a brain") as caught:
        onebrain.connect(f"sqlite:///{path}")
    assert "window" not in str(caught.value)
    assert path.read_text().startswith("Maria")


def test_damaged_pages_give_a_typed_error(path):
    size = path.stat().st_size
    for snapshot in (path.parent / "brain.db.index").glob("*"):
        snapshot.unlink()
    with path.open("r+b") as file:
        for offset in range(8192, size, 8192):
            file.seek(offset)
            file.write(os.urandom(4096))

    def use() -> None:
        with onebrain.connect(f"sqlite:///{path}") as brain:
            brain.search("lighthouses")
            brain.store("one more")
            list(brain.list())

    with pytest.raises(DatabaseCorrupt) as caught:
        use()
    assert "lighthouse" not in str(caught.value)


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_a_damaged_index_snapshot_is_made_anew(tmp_path, damage):
    path = tmp_path / "brain.db"
    with onebrain.connect(f"sqlite:///{path}") as brain:
        brain.store_many([f"memory {n} about lighthouses" for n in range(3000)]).raise_for_failures()
        brain.search("lighthouses")
    (snapshot,) = (tmp_path / "brain.db.index").glob("*.idx")
    content = snapshot.read_bytes()
    if damage == "garbage":
        snapshot.write_bytes(os.urandom(len(content)))
    else:
        snapshot.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with onebrain.connect(f"sqlite:///{path}") as brain:
        assert (
            brain.search("memory 2718", mode="keyword", limit=1)[0].content == "memory 2718 about lighthouses"
        )
        assert len(brain.search("lighthouses", limit=5000)) == 3000


def test_a_snapshot_of_another_time_is_not_believed(tmp_path):
    path = tmp_path / "brain.db"
    with onebrain.connect(f"sqlite:///{path}") as brain:
        brain.store_many([f"memory {n} about lighthouses" for n in range(3000)]).raise_for_failures()
        brain.search("lighthouses")
    backup = path.read_bytes()
    with onebrain.connect(f"sqlite:///{path}") as brain:
        brain.store_many([f"later {n} about windmills" for n in range(3000)]).raise_for_failures()
        brain.search("windmills")
    # The backup, beside the snapshot of what came after it.
    path.write_bytes(backup)
    with onebrain.connect(f"sqlite:///{path}") as brain:
        assert len(brain.search("windmills", mode="keyword")) == 0
        assert brain.store("a new windmill").ok
        assert [hit.content for hit in brain.search("windmills", mode="keyword")] == ["a new windmill"]


@posix
def test_a_read_only_file_can_be_searched_and_says_why_it_cannot_be_written(path, program):
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for folder in path.parent.parents[:-2]:
        if folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    reading = """
        import json, os, sys
        import onebrain
        from onebrain import DatabaseReadOnly

        # Loads every module before their files can no longer be read.
        with onebrain.connect("sqlite://") as brain:
            brain.store("lighthouse")
            brain.search("lighthouses")
        # Root may write everywhere, so another user tries it.
        if os.getuid() == 0:
            import pwd

            nobody = pwd.getpwnam("nobody")
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
        with onebrain.connect(sys.argv[1]) as brain:
            said = [len(brain.search("lighthouses", limit=5)), brain.count()]
            for attempt in (lambda: brain.store("x"), lambda: brain.forget(everything=True)):
                try:
                    attempt()
                except DatabaseReadOnly as error:
                    said.append(str(error))
        print(json.dumps(said))
    """
    said = json.loads(program(reading, f"sqlite:///{path}"))
    path.parent.chmod(0o755)
    assert said[:2] == [5, 300]
    assert len(said) == 4
    assert all("brain.db cannot be written; check the permissions" in told for told in said[2:])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder"):
        onebrain.connect(f"sqlite:///{tmp_path}/file/brain.db")


@posix
def test_a_full_disk_loses_nothing_that_was_there(path):
    # A limit on the size of files is what a full disk looks like to the database.
    code = """
        import resource, signal, sys
        import onebrain
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        brain = onebrain.connect(f"sqlite:///{sys.argv[1]}")
        kept = [brain.store(f"small {n}").id for n in range(10)]
        limit = 4_000_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        failures = 0
        for n in range(200):
            try:
                kept.append(brain.store(f"large {n} " + "x" * 100_000).id)
            except onebrain.StorageError as error:
                failures += 1
                assert isinstance(error, onebrain.DatabaseFull), repr(error)
                assert "xxx" not in str(error)
        assert failures, "the limit was never reached"
        assert brain.count() == 300 + len(kept), (brain.count(), len(kept))
        try:
            brain.close()
        except onebrain.StorageError as error:
            assert isinstance(error, onebrain.DatabaseFull)
        print(" ".join(kept))
    """
    kept = run(code, str(path)).split()
    with onebrain.connect(f"sqlite:///{path}") as brain:
        assert brain.count() == 300 + len(kept)
        assert len(brain.get_many(kept)) == len(kept)
        assert brain.store("there is room again").ok
        assert len(brain.search("lighthouses", limit=500, mode="keyword")) == 300


def test_a_database_that_may_not_grow_is_full(path):
    with onebrain.connect(f"sqlite:///{path}") as brain:
        writer = brain.driver.engine.store._writer
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages + 10}")
        with pytest.raises(DatabaseFull, match="no space left"):
            brain.store("x" * 1_000_000)
        assert brain.count() == 300
        assert brain.store("small").ok


def test_a_writer_that_never_lets_go_is_named_after_the_timeout(path):
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with onebrain.connect(f"sqlite:///{path}", busy_timeout=0.2) as brain:
            assert len(brain.search("lighthouses", limit=3)) == 3
            with pytest.raises(DatabaseBusy, match="another writer"):
                brain.store("x")
            blocker.execute("ROLLBACK")
            assert brain.store("x").ok
    finally:
        blocker.close()


def test_without_the_engine_the_error_has_the_command_that_installs_it():
    code = """
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "onebrain_engine":
                    raise ModuleNotFoundError("No module named 'onebrain_engine'", name="onebrain_engine")
        sys.meta_path.insert(0, Missing())
        import onebrain
        try:
            onebrain.connect()
        except onebrain.MissingDependency as error:
            print(error)
    """
    assert 'pip install "onebrain-sdk[local]"' in run(code)
    assert issubclass(MissingDependency, ImportError)


def test_a_closed_brain_says_so(path):
    brain = onebrain.connect(f"sqlite:///{path}")
    brain.close()
    brain.close()
    with pytest.raises(StorageError, match="closed"):
        brain.store("x")
    with pytest.raises(StorageError, match="closed"):
        brain.search("x")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://brain.db", "slashes"),
        ("sqlite:///brain.db?mode=ro", "no parameters"),
        ("nonsense", "not a URL"),
        ("https://example.org", r"onebrain\+https"),
        ("mongodb://localhost", "no driver"),
    ],
)
def test_a_wrong_url_is_explained(url, told):
    with pytest.raises(ConfigurationError, match=told):
        onebrain.connect(url)


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="durabilty"):
        onebrain.connect(f"sqlite:///{tmp_path}/x.db", durabilty="full")
    with pytest.raises(ConfigurationError, match="durability"):
        onebrain.connect(f"sqlite:///{tmp_path}/x.db", durability="most")
    with pytest.raises(ConfigurationError, match="api_key"):
        onebrain.connect(f"sqlite:///{tmp_path}/x.db", api_key="secret")


def test_full_durability_stores_and_finds(tmp_path):
    with onebrain.connect(f"sqlite:///{tmp_path}/x.db", durability="full") as brain:
        assert brain.store("Maria prefers window seats", scope=Scope(user="maria")).ok
        assert len(brain.search("window", scope=Scope(user="maria"))) == 1
