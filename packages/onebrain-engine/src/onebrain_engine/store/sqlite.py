"""A store in one SQLite file: WAL, one writer at a time, any number of readers, threads and processes.

A commit survives a crash of the process; with ``durability="full"`` it survives power loss, too, at the price of one
fsync each.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from weakref import WeakSet

from onebrain.errors import ConfigurationError, DatabaseReadOnly, OneBrainError, StorageError
from onebrain.memory.models import Scope
from onebrain.memory.sqlite_urls import MEMORY
from onebrain_engine.callers import stop_if_abandoned
from onebrain_engine.store.encryption import BLANK, SEALED, Cipher, Seal
from onebrain_engine.store.files import make_file, make_folder
from onebrain_engine.store.lives import Life
from onebrain_engine.store.records import (
    MEMORY_COLUMNS,
    Changes,
    Draft,
    Entry,
    Record,
    Space,
    Unembedded,
    entry_of,
)
from onebrain_engine.store.runs import Runs
from onebrain_engine.store.schema import encryption_mark, migrate
from onebrain_engine.store.sqlite_errors import is_busy, is_read_only, translate, translated
from onebrain_engine.store.sqlite_file import DatabaseFiles
from onebrain_engine.store.sqlite_state import RESERVED, WriterState

T = TypeVar("T")

Durability = Literal["normal", "full"]

_SPACE = "key, name, seq, embedder, dimension, snapshot, run, next_embedder, timed"
_ENTRY = (
    "row, user, agent, session, content, created_at, updated_at, expires_at, importance, archived, v.data, "
    "m.sealed"
)
_SPACE_JOINED = ", ".join(f"s.{name}" for name in _SPACE.split(", "))
_RECORD = ", ".join(f"m.{name}" for name in (*MEMORY_COLUMNS.split(", "), "sealed"))
_SPACE_COLUMNS = len(_SPACE.split(", "))
_SEALED_FIELDS = attrgetter(*SEALED)
_LAST_SPACE = "last_space"  # the setting that holds the highest key of all spaces that were removed
# The most parameters that every SQLite build takes in one statement.
_CHUNK = 900
_EVER = -(2**63)  # before all times

_INSERT = """INSERT INTO memory
    (row, tenant, space, seq, id, user, agent, session, content, title, type, tags, metadata, importance, source,
     pinned, archived, created_at, updated_at, expires_at, extra, sealed, stored_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_REPLACE = """UPDATE memory SET seq = ?, agent = ?, session = ?, content = ?, title = ?, type = ?, tags = ?,
    metadata = ?, importance = ?, source = ?, pinned = ?, archived = ?, created_at = ?, updated_at = ?,
    expires_at = ?, extra = ?, sealed = ? WHERE row = ?"""


class SqliteStore:
    """Keeps memories in one SQLite file, or in memory.

    Args:
        path: The file, made with its folder where it is missing; ``:memory:`` for none.
        durability: ``normal`` survives a killed process, ``full`` a power failure.
        busy_timeout: Seconds to wait for other writers before `DatabaseBusy`.
        cipher: Seals memories stored from now on, and opens sealed ones; None for neither.

    Raises:
        StorageError: The file cannot be opened; a subclass says why.
        ConfigurationError: The file is encrypted, with another key or where none is given.
    """

    service: str = "sqlite"

    def __init__(
        self,
        path: str,
        *,
        durability: Durability = "normal",
        busy_timeout: float = 30.0,
        cipher: Cipher | None = None,
    ) -> None:
        if durability not in ("normal", "full"):
            raise ConfigurationError(f"durability must be 'normal' or 'full', not {durability!r:.40}")
        self.path = path
        # A relative path means the same file for as long as the brain is open.
        self._file = path if path == MEMORY else str(Path(path).absolute())
        self._files: DatabaseFiles | None = None
        self._durability = durability
        self._timeout = busy_timeout
        self._seal = Seal(cipher, path, self.service)
        self._runs = Runs()
        self._state = WriterState()
        self._write_lock = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._read_only = False
        self._pid = os.getpid()
        with translated(path):
            self._writer = self._open_first()
        if path != MEMORY:
            self._files = DatabaseFiles(self._file, log=not self._read_only)
            _open.add(self)

    # ---- connections ------------------------------------------------------------------------------------------------

    def _open_first(self) -> sqlite3.Connection:
        if self.path != MEMORY:
            try:
                make_folder(Path(self.path).parent)
            except OSError as error:
                raise StorageError(f"the folder of {self.path} cannot be made: {error.strerror}") from error
            for other in list(_open):  # of the same name, whose log must not be taken for this one's
                if other._file == self._file:
                    other._is_there()
            make_file(self.path)
        connection: sqlite3.Connection | None = None
        try:
            opened = connection = self._patiently(self._connect)
            self._seal.accept(encryption_mark(connection))  # before anything is written
            self._patiently(lambda: migrate(opened, self.path))
            self._patiently(lambda: self._encrypt(opened))
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            if not is_read_only(error) or not Path(self.path).is_file():
                raise
            self._read_only = True
            connection = self._connect()
            self._seal.accept(encryption_mark(connection))
            migrate(connection, self.path)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._seal.take(encryption_mark(connection))
        return connection

    def _encrypt(self, connection: sqlite3.Connection) -> None:
        """Mark a database that was not encrypted until now."""
        cipher = self._seal.cipher
        if cipher is None or self._seal.accept(encryption_mark(connection)):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it meanwhile.
            if not self._seal.accept(encryption_mark(connection)):
                connection.execute(
                    "INSERT INTO setting (name, value) VALUES ('encryption', ?)", (cipher.fresh_mark(),)
                )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _connect(self) -> sqlite3.Connection:
        target = self._file
        if self._files is not None and not self._read_only:
            target = f"{Path(target).as_uri()}?mode=rw"  # one that is gone is not made again
        elif self._read_only:
            # Without write access to the folder there can be no WAL index; the file is then read as it is.
            writable = os.access(Path(target).parent, os.W_OK)
            target = Path(target).as_uri() + ("?mode=ro" if writable else "?immutable=1")
        connection = sqlite3.connect(
            target,
            timeout=min(self._timeout, 5.0),
            isolation_level=None,
            check_same_thread=False,
            uri=target.startswith("file:"),
        )
        try:
            if not self._read_only:
                if self.path != MEMORY and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(
                    f"PRAGMA synchronous = {'FULL' if self._durability == 'full' else 'NORMAL'}"
                )
                if self._seal.cipher is not None:  # memories stored in clear are not left in free pages
                    connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA cache_size = -16384")
            connection.execute("PRAGMA mmap_size = 1073741824")
        except BaseException:
            connection.close()
            raise
        return connection

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do `action`, again while other writers stand in the way, until the timeout.

        SQLite's own waiting is not fair, and gives up at once in some cases (a read that turns into a write, the
        switch to WAL), so a few writers could starve one; waiting a random moment between tries prevents that.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.001, 0.02))

    def _check(self) -> None:
        if self._closed:
            raise StorageError("this brain is closed; connect again", service="sqlite")
        if self._pid != os.getpid():
            self._after_fork()

    def _after_fork(self) -> None:
        """Open connections of our own: a forked child must not touch its parent's."""
        if self.path == MEMORY:
            raise StorageError(
                "an in-memory brain cannot be used in a forked process; use a file", service="sqlite"
            )
        # The parent's connections are left as they are: closing them here would release the parent's locks.
        _inherited.extend((self._writer, *self._readers))
        self._pid = os.getpid()
        self._write_lock = threading.RLock()
        self._readers_lock = threading.Lock()
        self._readers = []
        self._state.clear()
        self._require()
        with translated(self.path):
            self._writer = self._connect()

    def _is_there(self) -> bool:
        """Return whether the database's files are those that are open; leave them in order where they are not."""
        files = self._files
        if files is None or files.same:
            return True
        if self._pid == os.getpid() and not self._closed:
            with self._write_lock:
                if not self._writer.in_transaction:
                    files.leave(self._writer)
        return False

    def _require(self, *, wrote: bool = False) -> None:
        """Raise `StorageError` where the database's files are no longer those that are open."""
        files = self._files
        if files is None or (not wrote and files.same):
            return
        try:
            files.require(wrote=wrote)
        except StorageError:
            self._is_there()
            raise

    def reading(self) -> AbstractContextManager[_Reading]:
        """Open a consistent view."""
        return _View(self)

    def begin_view(self) -> _Reading:
        """Begin what `reading` opens."""
        self._check()
        if self.path == MEMORY:  # in memory there is one connection for all
            self._write_lock.acquire()
            return _Reading(self._writer, self._seal, begun=False)
        self._require()
        with self._readers_lock:
            connection = self._readers.pop() if self._readers else None
        with translated(self.path):
            connection = connection or self._connect()
            try:
                connection.execute("BEGIN")
                if self._seal.cipher is not None:
                    self._seal.still_fits(_mark(connection))
            except BaseException:
                connection.close()
                raise
        return _Reading(connection, self._seal)

    def end_view(self, view: _Reading, error: BaseException | None) -> None:
        """End what `reading` has opened; `error` is the one that ended its block."""
        with translated(self.path):
            if not view.begun:
                self._write_lock.release()
            else:
                self._give_back(view.connection, whole=error is None)
            if isinstance(error, sqlite3.Error):
                raise error

    def _give_back(self, connection: sqlite3.Connection, *, whole: bool) -> None:
        """End the transaction of a reader, and keep it for the next one if nothing has failed in it."""
        try:
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        if whole:
            with self._readers_lock:
                if not self._closed:
                    self._readers.append(connection)
                    return
        connection.close()

    def writing(self) -> AbstractContextManager[_Writing]:
        """Open a transaction; waits for other writers, of this process and of others."""
        return _Transaction(self)

    def begin_transaction(self) -> _Writing:
        """Begin what `writing` opens."""
        self._check()
        if self._read_only:
            raise DatabaseReadOnly(
                f"{self.path} cannot be written; check the permissions of the file and its folder",
                service="sqlite",
            )
        self._write_lock.acquire()
        try:
            self._check()
            self._require()
            writer = self._writer
            self._execute(writer, "BEGIN IMMEDIATE")
            try:
                self._renew_state(writer)
            except BaseException:
                self._roll_back()
                raise
            return _Writing(writer, self._seal, self._runs, self._state)
        except BaseException as error:
            self._write_lock.release()
            if isinstance(error, sqlite3.Error):
                raise translate(error, self.path) from error
            raise

    def _execute(self, writer: sqlite3.Connection, statement: str) -> None:
        """Begin or end a transaction, patiently."""
        try:
            writer.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            self._patiently(lambda: writer.execute(statement))

    def _renew_state(self, writer: sqlite3.Connection) -> None:
        """Forget the state that the last transaction has left if another connection has written since."""
        (version,) = writer.execute("PRAGMA data_version").fetchone()
        if version != self._state.version:
            self._state.clear()
            self._seal.still_fits(_mark(writer))
            self._state.version = version

    def end_transaction(self, error: BaseException | None) -> None:
        """End what `writing` has opened; `error` is the one that ended its block."""
        try:
            if error is None:
                self._commit()
                self._require(wrote=True)
            else:
                self._roll_back()
        except sqlite3.Error as failure:
            raise translate(failure, self.path) from failure
        finally:
            self._write_lock.release()
        if isinstance(error, sqlite3.Error):
            raise translate(error, self.path) from error

    def _commit(self) -> None:
        try:
            stop_if_abandoned()
            self._execute(self._writer, "COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        self._state.clear()
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def tenants(self) -> Sequence[str]:
        """Return the names of all tenants that have a space."""
        with self.reading() as read:
            return read.tenants()

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        with self._write_lock, self._readers_lock:
            if self._closed or self._pid != os.getpid():
                return
            self._is_there()
            self._closed = True
            _open.discard(self)
            for connection in (*self._readers, self._writer):
                try:
                    if connection is self._writer and self._files is not None:
                        self._files.close(connection)
                    else:
                        connection.close()
                except (
                    sqlite3.Error
                ) as error:  # a full disk may stop the last checkpoint; nothing is lost by that
                    if not isinstance(translate(error, self.path), OneBrainError):
                        raise
            self._readers.clear()


def _mark(connection: sqlite3.Connection) -> bytes | None:
    """Return the mark of an encrypted database whose tables are there, None of any other."""
    found = connection.execute("SELECT value FROM setting WHERE name = 'encryption'").fetchone()
    return found[0] if found else None


# Every store of a file in this process.
_open: WeakSet[SqliteStore] = WeakSet()

# Connections of a parent process, kept so that nothing closes them in the child.
_inherited: list[sqlite3.Connection] = []


class _View:
    """A view of a store in a block; a class, because a generator takes three times as long for every call."""

    __slots__ = ("_store", "_view")

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> _Reading:
        self._view = self._store.begin_view()
        return self._view

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.end_view(self._view, error)


class _Transaction:
    """A transaction of a store in a block; a class for the same reason."""

    __slots__ = ("_store",)

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> _Writing:
        return self._store.begin_transaction()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.end_transaction(error)


class _Reading:
    """Queries."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal, *, begun: bool = True) -> None:
        self._db = connection
        self._seal = seal
        self.begun = begun

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that it reads by."""
        return self._db

    def renew(self) -> None:
        """Begin a new view."""
        if self.begun:  # in memory there is none: one connection sees everything
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def space(self, tenant: str, name: str) -> Space | None:
        """Return a space by name."""
        found = self._db.execute(
            f"SELECT {_SPACE} FROM space WHERE tenant = ? AND name = ?", (tenant, name)
        ).fetchone()
        return _space(found) if found else None

    def spaces(self, tenant: str) -> Sequence[Space]:
        """Return all spaces of a tenant."""
        return [
            _space(found)
            for found in self._db.execute(
                f"SELECT {_SPACE} FROM space WHERE tenant = ? ORDER BY key", (tenant,)
            )
        ]

    def tenants(self) -> Sequence[str]:
        """Return the names of all tenants that have a space."""
        return [tenant for (tenant,) in self._db.execute("SELECT DISTINCT tenant FROM space ORDER BY tenant")]

    def changes(self, tenant: str, space: Space, after: int) -> Changes:
        """Return the changes of a space after one."""
        # From the beginning, reading in the order of the table is many times faster than by the index of changes.
        hint = "NOT INDEXED" if after == 0 else "INDEXED BY memory_change"
        entries = [
            self._entry(tenant, space, record)
            for record in self._db.execute(
                f"SELECT {_ENTRY} FROM memory AS m {hint} LEFT JOIN vector AS v USING (row) "
                "WHERE m.tenant = ? AND m.space = ? AND m.seq > ? ORDER BY row",
                (tenant, space.key, after),
            )
        ]
        gone = [
            row
            for (row,) in self._db.execute(
                "SELECT row FROM gone WHERE space = ? AND seq > ?", (space.key, after)
            )
        ]
        return Changes(entries, gone, space.seq)

    def _entry(self, tenant: str, space: Space, record: Sequence[Any]) -> Entry:
        (
            row, user, agent, session, content, created, updated, expires, importance, archived, vector, sealed,
        ) = record  # fmt: skip
        if sealed is not None:
            content = self._seal.memory(tenant, space.key, row, sealed)[0]
            vector = None if vector is None else self._seal.vector(tenant, space.key, row, vector)
        return Entry(
            row, user or None, agent, session, content, created, updated, expires, importance, bool(archived), vector
        )  # fmt: skip

    def run_at(self, tenant: str, space: Space, seq: int) -> int | None:
        """Return the run of a change in the space's history."""
        found = self._db.execute(
            "SELECT run FROM run WHERE space = ? AND since <= ? ORDER BY since DESC LIMIT 1", (space.key, seq)
        ).fetchone()
        return None if found is None else int(found[0])

    def records(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, Record]:
        """Return memories as records by row."""
        found: dict[int, Record] = {}
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            # The plus signs keep the planner from the index of a space's changes, which would read the whole space.
            for record in self._db.execute(
                f"SELECT {MEMORY_COLUMNS}, sealed FROM memory WHERE row IN ({_marks(len(chunk))}) "
                "AND +tenant = ? AND +space = ?",
                (*chunk, tenant, space.key),
            ):
                found[record[0]] = self._seal.record(tenant, space.key, record[:-1], record[-1])
        return found

    def lives(
        self, tenant: str, space: Space, *, after: int = 0, rows: Sequence[int] | None = None
    ) -> Sequence[Life]:
        """Return the lives of memories that changed after a change, or of rows."""
        columns = "row, m.id, m.created_at, m.expires_at, l.valid_from, l.valid_until, l.links"
        if rows is None:
            # From the beginning, the lives are read; later on, the few memories that changed.
            first, then = ("life AS l", "memory AS m") if after == 0 else ("memory AS m", "life AS l")
            found: Iterable[Sequence[Any]] = self._db.execute(
                f"SELECT {columns} FROM {first} CROSS JOIN {then} USING (row) "
                f"WHERE {'+' if after == 0 else ''}m.space = ? AND m.tenant = ? AND m.seq > ?",
                (space.key, tenant, after),
            )
        else:
            found = chain.from_iterable(
                self._db.execute(
                    f"SELECT {columns} FROM life AS l CROSS JOIN memory AS m USING (row) "
                    f"WHERE row IN ({_marks(len(some))}) AND +m.tenant = ? AND +m.space = ?",
                    (*some, tenant, space.key),
                )
                for some in _chunks(rows)
            )
        return [Life.of(*record) for record in found]

    def identified(
        self, tenant: str, space: Space, names: Sequence[tuple[str, str | None]], *, now: int | None = None
    ) -> Mapping[tuple[str, str | None], int]:
        """Return the rows of ids and users."""
        rows = {
            (id, user or None): row
            for some in _chunks([id for id, _ in names])
            for id, user, row in self._db.execute(
                f"SELECT id, user, row FROM memory WHERE tenant = ? AND id IN ({_marks(len(some))}) AND space = ? "
                "AND (expires_at IS NULL OR expires_at > ?)",
                (tenant, *some, space.key, _EVER if now is None else now),
            )
        }
        return {name: rows[name] for name in names if name in rows}

    def vectors(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, bytes]:
        """Return vectors by row."""
        found: dict[int, bytes] = {}
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            for row, data, sealed in self._db.execute(
                "SELECT v.row, v.data, m.sealed IS NOT NULL FROM vector AS v JOIN memory AS m USING (row) "
                f"WHERE row IN ({_marks(len(chunk))}) AND +m.tenant = ? AND +m.space = ?",
                (*chunk, tenant, space.key),
            ):
                found[row] = self._seal.vector(tenant, space.key, row, data) if sealed else data
        return found

    def unembedded(self, tenant: str, space: Space, after: int, limit: int) -> Sequence[Unembedded]:
        """Return memories that have a vector, but none of the next embedder as they are now."""
        return [
            Unembedded(
                row, seq, content if sealed is None else self._seal.memory(tenant, space.key, row, sealed)[0]
            )
            for row, seq, content, sealed in self._db.execute(
                "SELECT m.row, m.seq, m.content, m.sealed FROM memory AS m INDEXED BY memory_change "
                "JOIN vector AS v ON v.row = m.row LEFT JOIN next_vector AS n ON n.row = m.row "
                "WHERE m.tenant = ? AND m.space = ? AND m.seq > ? AND (n.seq IS NULL OR n.seq <> m.seq) "
                "ORDER BY m.seq LIMIT ?",
                (tenant, space.key, after, limit),
            )
        ]

    def next_count(self, tenant: str, space: Space) -> tuple[int, int]:
        """Return the number of memories with a vector of the next embedder, and of those with any vector."""
        found = self._db.execute(
            "SELECT count(n.row), count(*) FROM memory AS m JOIN vector AS v ON v.row = m.row "
            "LEFT JOIN next_vector AS n ON n.row = m.row AND n.seq = m.seq WHERE m.tenant = ? AND m.space = ?",
            (tenant, space.key),
        ).fetchone()
        return int(found[0]), int(found[1])

    def size(self, tenant: str) -> int:
        """Return the bytes of text and metadata of a tenant."""
        parts = " + ".join(f"COALESCE(LENGTH(CAST({name} AS BLOB)), 0)" for name in (*SEALED, "sealed"))
        found = self._db.execute(f"SELECT COALESCE(SUM({parts}), 0) FROM memory WHERE tenant = ?", (tenant,))
        return int(found.fetchone()[0])

    def find(self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int) -> Sequence[tuple[int, Space]]:
        """Return row and space of every living memory in a scope with one of these ids."""
        return [(row, space) for space, (row,) in self._located("m.row", tenant, ids, scope, now)]

    def described(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[int, Space, str]]:
        """Return row, space and metadata of every living memory in a scope with one of these ids."""
        return [
            (
                row,
                space,
                metadata
                if sealed is None
                else self._seal.memory(tenant, space.key, row, sealed)[SEALED.index("metadata")],
            )
            for space, (row, metadata, sealed) in self._located(
                "m.row, m.metadata, m.sealed", tenant, ids, scope, now
            )
        ]

    def found(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[Space, Record]]:
        """Return space and record of every living memory in a scope with one of these ids."""
        return [
            (space, self._seal.record(tenant, space.key, columns[:-1], columns[-1]))
            for space, columns in self._located(_RECORD, tenant, ids, scope, now)
        ]

    def _located(
        self, columns: str, tenant: str, ids: Sequence[str], scope: Scope, now: int
    ) -> list[tuple[Space, tuple[Any, ...]]]:
        """Return the space and columns of every living memory in a scope with one of these ids."""
        return [
            (_space(record[:_SPACE_COLUMNS]), record[_SPACE_COLUMNS:])
            for record in self._named(f"{_SPACE_JOINED}, {columns}", tenant, ids, scope, now, joined=True)
        ]

    def _named(
        self, columns: str, tenant: str, ids: Sequence[str], scope: Scope, now: int, *, joined: bool
    ) -> Sequence[tuple[Any, ...]]:
        """Return columns of every living memory in a scope with one of these ids; the space counts only if it is joined."""
        space, user, agent, session = scope.space if joined else None, scope.user, scope.agent, scope.session
        given = (space is not None, user is not None, agent is not None, session is not None)
        values = [value for value in (space, user, agent, session) if value is not None]
        if len(ids) == 1:
            return self._db.execute(
                _naming(columns, 1, given, joined), (tenant, ids[0], now, *values)
            ).fetchall()
        found: list[tuple[Any, ...]] = []
        for some in _chunks(ids):
            found += self._db.execute(
                _naming(columns, len(some), given, joined), (tenant, *some, now, *values)
            )
        return found

    def columns(
        self, tenant: str, space: Space, names: Sequence[str], rows: Sequence[int] | None
    ) -> Iterator[Sequence[Any]]:
        """Return named columns of rows, or of all rows of a space."""
        secret = [(position, SEALED.index(name)) for position, name in enumerate(names, 1) if name in SEALED]
        sealed_column = "sealed" if secret else "NULL"
        for *record, sealed in self._columns(
            tenant, space, f"row, {', '.join(names)}, {sealed_column}", rows
        ):
            if sealed is not None:
                fields = self._seal.memory(tenant, space.key, record[0], sealed)
                for position, field in secret:
                    record[position] = fields[field]
            yield record

    def notes(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the notes of rows."""
        found: dict[int, str] = {}
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            for row, data in self._db.execute(
                "SELECT n.row, n.data FROM note AS n JOIN memory AS m USING (row) "
                f"WHERE n.row IN ({_marks(len(chunk))}) AND +m.tenant = ? AND +m.space = ?",
                (*chunk, tenant, space.key),
            ):
                found[row] = self._seal.open_note(tenant, space.key, row, data)
        return found

    def _columns(
        self, tenant: str, space: Space, columns: str, rows: Sequence[int] | None
    ) -> Iterator[Sequence[Any]]:
        if rows is None:
            yield from self._db.execute(
                f"SELECT {columns} FROM memory NOT INDEXED WHERE tenant = ? AND space = ?",
                (tenant, space.key),
            )
            return
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            yield from self._db.execute(
                f"SELECT {columns} FROM memory WHERE row IN ({_marks(len(chunk))}) AND +tenant = ? AND +space = ?",
                (*chunk, tenant, space.key),
            )


class _Writing(_Reading):
    """Queries and changes within one transaction."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal, runs: Runs, state: WriterState) -> None:
        # Without super(), on the way of every write.
        self._db = connection
        self._seal = seal
        self.begun = True
        self._runs = runs
        self._state = state

    def renew(self) -> None:
        """Do nothing: while this transaction writes, nobody else does."""

    def space(self, tenant: str, name: str) -> Space | None:
        """Return a space by name."""
        space = self._state.named(tenant, name)
        if space is None:
            space = super().space(tenant, name)
            if space is not None:
                self._state.keep(tenant, space)
        return space

    def _located(
        self, columns: str, tenant: str, ids: Sequence[str], scope: Scope, now: int
    ) -> list[tuple[Space, tuple[Any, ...]]]:
        """Return the space and columns of memories without reading spaces that are known."""
        found: list[tuple[Space, tuple[Any, ...]]] = []
        for record in self._named(f"m.space, {columns}", tenant, ids, scope, now, joined=False):
            space = self._state.numbered(record[0])
            if space is None:
                space = _space(
                    self._db.execute(f"SELECT {_SPACE} FROM space WHERE key = ?", record[:1]).fetchone()
                )
                self._state.keep(tenant, space)
            if scope.space is None or scope.space == space.name:
                found.append((space, record[1:]))
        return found

    def open_space(self, tenant: str, name: str) -> Space:
        """Return a space, made if need be."""
        space = self.space(tenant, name)
        if space is None:
            self._db.execute(
                "INSERT INTO space (key, tenant, name) SELECT 1 + max("
                "coalesce((SELECT max(key) FROM space), 0), "
                f"coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = '{_LAST_SPACE}'), 0)), ?, ?",
                (tenant, name),
            )
            space = self.space(tenant, name)
            assert space is not None
        return space

    def has_vectors(self, tenant: str, space: Space) -> bool:
        """Return whether any memory of a space has a vector."""
        found = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM memory AS m JOIN vector AS v USING (row) WHERE m.tenant = ? AND m.space = ?)",
            (tenant, space.key),
        ).fetchone()
        return bool(found[0])

    def claim_vectors(self, tenant: str, space: Space, embedder: str, dimension: int) -> Space:
        """Note whose vectors a space holds."""
        self._db.execute(
            "UPDATE space SET embedder = ?, dimension = ? WHERE key = ? AND tenant = ?",
            (embedder, dimension, space.key, tenant),
        )
        claimed = replace(space, embedder=embedder, dimension=dimension)
        self._state.keep(tenant, claimed)
        return claimed

    def note(self, tenant: str, space: Space, notes: Mapping[int, str]) -> None:
        """Keep a text beside each row."""
        self._state.noted = True
        self._db.executemany(
            "INSERT OR REPLACE INTO note (row, data) VALUES (?, ?)",
            [(row, self._seal.note(tenant, space.key, row, text)) for row, text in notes.items()],
        )

    def _has_notes(self) -> bool:
        """Return whether any memory of the database has a note; most databases have none."""
        state = self._state
        if state.noted is None:
            state.noted = bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM note)").fetchone()[0])
        return state.noted

    def set_snapshot(self, tenant: str, space: Space, token: str) -> bool:
        """Note the newest snapshot of a space's index."""
        self._state.forget(space)
        changed = self._db.execute(
            "UPDATE space SET snapshot = ? WHERE key = ? AND tenant = ?", (token, space.key, tenant)
        )
        return changed.rowcount > 0

    def forget_tenant(self, tenant: str) -> Sequence[Space]:
        """Remove everything of a tenant."""
        for space in (spaces := self.spaces(tenant)):
            self._state.forget(space)
        if spaces:
            # Another process may still hold the index of such a space, which must not be taken for a new one's.
            self._db.execute(
                "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
                "SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
                (_LAST_SPACE, max(space.key for space in spaces)),
            )
        for table in ("vector", "note", "life"):
            self._db.execute(
                f"DELETE FROM {table} WHERE row IN (SELECT row FROM memory WHERE tenant = ?)", (tenant,)
            )
        for table in ("gone", "run", "next_vector"):
            self._db.execute(
                f"DELETE FROM {table} WHERE space IN (SELECT key FROM space WHERE tenant = ?)", (tenant,)
            )
        for table in ("memory", "space"):
            self._db.execute(f"DELETE FROM {table} WHERE tenant = ?", (tenant,))
        return spaces

    def new_rows(self, tenant: str, count: int) -> Sequence[int]:
        """Return numbers for new rows."""
        state = self._state
        if not state.next_row:
            (last,) = self._db.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'memory'"
            ).fetchone()
            state.next_row, state.last_row = last + 1, last
        first = state.next_row
        state.next_row += count
        if state.next_row > state.last_row + 1:
            state.last_row = state.next_row - 1 + RESERVED
            self._reserve(state.last_row)
        return range(first, first + count)

    def _reserve(self, last: int) -> None:
        """Count rows up to one as used, so that no insertion below it has to."""
        changed = self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'memory'", (last,))
        if not changed.rowcount:
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('memory', ?)", (last,))

    def put(
        self, tenant: str, space: Space, drafts: Sequence[Draft], now: int
    ) -> tuple[list[bool], list[Entry], Space]:
        """Store drafts in order."""
        known = self._known(tenant, space, [draft for draft in drafts if draft.given_id])
        seq = space.seq
        fresh: list[bool] = []
        entries: list[Entry] = []
        inserts: list[tuple[Any, ...]] = []
        vectors: list[tuple[int, bytes]] = []
        for draft in drafts:
            seq += 1
            user = draft.user or ""
            old = known.get((draft.id, user)) if draft.given_id else None
            created = draft.created_at if draft.created_at is not None else (old[1] if old else now)
            updated = now if draft.updated_at is None else draft.updated_at
            if old is None:
                row = draft.row
                content, title, type, tags, metadata, source, extra, sealed = self._sealed(
                    tenant, space, row, draft
                )
                inserts.append(
                    (
                        row, tenant, space.key, seq, draft.id, user, draft.agent, draft.session, content, title, type,
                        tags, metadata, draft.importance, source, draft.pinned, draft.archived, created, updated,
                        draft.expires_at, extra, sealed, now,
                    )
                )  # fmt: skip
                if draft.given_id:
                    known[draft.id, user] = (row, created)
            else:
                if inserts:  # the row may be one of this very batch
                    self._db.executemany(_INSERT, inserts)
                    inserts.clear()
                row = old[0]
                content, title, type, tags, metadata, source, extra, sealed = self._sealed(
                    tenant, space, row, draft
                )
                self._db.execute(
                    _REPLACE,
                    (
                        seq, draft.agent, draft.session, content, title, type, tags, metadata, draft.importance, source,
                        draft.pinned, draft.archived, created, updated, draft.expires_at, extra, sealed, row,
                    ),
                )  # fmt: skip
                self._db.execute("DELETE FROM vector WHERE row = ?", (row,))
                vectors = [pair for pair in vectors if pair[0] != row]
            if draft.vector is not None:
                vectors.append((row, self._sealed_vector(tenant, space, row, draft.vector)))
            fresh.append(old is None)
            entries.append(
                Entry(
                    row, draft.user, draft.agent, draft.session, draft.content, created, updated, draft.expires_at,
                    draft.importance, draft.archived, draft.vector,
                )
            )  # fmt: skip
        if inserts:
            self._db.executemany(_INSERT, inserts)
        if vectors:
            self._db.executemany("INSERT INTO vector (row, data) VALUES (?, ?)", vectors)
        return fresh, entries, self._set_seq(space, seq)

    def _sealed(self, tenant: str, space: Space, row: int, draft: Draft) -> Sequence[Any]:
        """Return the `SEALED` columns of a draft as stored, and the blob that they are sealed into."""
        fields = _SEALED_FIELDS(draft)
        if self._seal.cipher is None:
            return (*fields, None)
        return (*BLANK, self._seal.cipher.seal_memory(tenant, space.key, row, list(fields)))

    def _sealed_vector(self, tenant: str, space: Space, row: int, vector: bytes) -> bytes:
        cipher = self._seal.cipher
        return vector if cipher is None else cipher.seal("vector", tenant, space.key, row, vector)

    def _known(
        self, tenant: str, space: Space, drafts: Sequence[Draft]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        ids = [draft.id for draft in drafts]
        known: dict[tuple[str, str], tuple[int, int]] = {}
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            for id, user, row, created in self._db.execute(
                f"SELECT id, user, row, created_at FROM memory WHERE tenant = ? AND id IN ({_marks(len(chunk))}) "
                "AND space = ?",
                (tenant, *chunk, space.key),
            ):
                known[id, user] = (row, created)
        return known

    def change(
        self, tenant: str, space: Space, record: Record, values: Mapping[str, Any], now: int
    ) -> tuple[Entry, Space]:
        """Change columns of one memory."""
        row, seq = record[0], space.seq + 1
        stored = values if self._seal.cipher is None else self._sealed_changes(tenant, space, row, values)
        columns = {name: value for name, value in stored.items() if name != "vector"}
        settings = "".join(f"{name} = ?, " for name in columns)
        self._db.execute(
            f"UPDATE memory SET {settings}seq = ?, updated_at = ? WHERE row = ? AND tenant = ?",
            (*columns.values(), seq, now, row, tenant),
        )
        if "vector" in stored:
            self._db.execute("DELETE FROM vector WHERE row = ?", (row,))
            if stored["vector"] is not None:
                data = self._sealed_vector(tenant, space, row, stored["vector"])
                self._db.execute("INSERT INTO vector (row, data) VALUES (?, ?)", (row, data))
        vector = values.get("vector")
        if "content" in values and "vector" not in values:
            vector = self.vectors(tenant, space, [row]).get(row)
        return entry_of(record, vector), self._set_seq(space, seq)

    def _sealed_changes(
        self, tenant: str, space: Space, row: int, values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return changes of a memory that leave nothing of it in clear, whatever was in clear before."""
        cipher = self._seal.cipher
        assert cipher is not None
        *fields, sealed, vector = self._db.execute(
            f"SELECT {', '.join(SEALED)}, sealed, v.data FROM memory AS m LEFT JOIN vector AS v USING (row) "
            "WHERE row = ? AND m.tenant = ?",
            (row, tenant),
        ).fetchone()
        changed = dict(values)
        if sealed is not None:
            fields = list(self._seal.memory(tenant, space.key, row, sealed))
        elif vector is not None:
            changed.setdefault("vector", vector)
        clear = [changed.pop(name, field) for name, field in zip(SEALED, fields, strict=True)]
        changed.update(zip(SEALED, BLANK, strict=True))
        changed["sealed"] = cipher.seal_memory(tenant, space.key, row, clear)
        return changed

    def set_lives(self, tenant: str, space: Space, lives: Sequence[Life]) -> Space:
        """Keep lives in place of those before."""
        # One with nothing in it stays, so that timelines which know the one before learn of the change.
        self._db.executemany(
            "INSERT OR REPLACE INTO life (row, valid_from, valid_until, links) VALUES (?, ?, ?, ?)",
            [(life.row, *life.stored()) for life in lives],
        )
        self._db.executemany(
            "UPDATE memory SET seq = ? WHERE row = ? AND tenant = ?",
            [(seq, life.row, tenant) for seq, life in enumerate(lives, space.seq + 1)],
        )
        if not space.timed:
            self._db.execute("UPDATE space SET timed = 1 WHERE key = ?", (space.key,))
            self._state.forget(space)
        return replace(self._set_seq(space, space.seq + len(lives)), timed=True)

    def remove(self, tenant: str, space: Space, rows: Sequence[int]) -> tuple[int, Space]:
        """Remove rows."""
        count = 0
        tables = ["vector", "note"] if self._has_notes() else ["vector"]
        if space.next_embedder is not None:
            tables.append("next_vector")
        if space.timed:
            tables.append("life")
        execute = self._db.execute
        for some in _chunks(rows):
            count += execute(
                f"{_removing('memory', len(some))} AND +tenant = ? AND +space = ?", (*some, tenant, space.key)
            ).rowcount
            for table in tables:
                execute(_removing(table, len(some)), some)
        seq = space.seq + 1
        self._db.executemany(
            "INSERT INTO gone (space, seq, row) VALUES (?, ?, ?)", [(space.key, seq, row) for row in rows]
        )
        return count, self._set_seq(space, seq)

    def expired(self, tenant: str, now: int) -> Sequence[tuple[int, Space]]:
        """Return rows whose time is over."""
        return [
            (record[0], _space(record[1:]))
            for record in self._db.execute(
                f"SELECT m.row, {_SPACE_JOINED} FROM memory AS m JOIN space AS s ON s.key = m.space "
                "WHERE m.tenant = ? AND m.expires_at <= ? LIMIT 10000",
                (tenant, now),
            )
        ]

    # ---- another embedder -------------------------------------------------------------------------------------------

    def begin_next(self, tenant: str, space: Space, embedder: str) -> None:
        """Note the embedder that a space is to have."""
        self._state.forget(space)
        self._db.execute("UPDATE space SET next_embedder = ? WHERE key = ?", (embedder, space.key))

    def keep_next(self, tenant: str, space: Space, vectors: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep vectors of the next embedder."""
        sealed = self._sealed_rows([row for row, _, _ in vectors])
        self._db.executemany(
            # Of a memory that was changed or removed since it was read, nothing is kept.
            "INSERT OR REPLACE INTO next_vector (row, space, seq, data) "
            "SELECT row, space, seq, ? FROM memory WHERE row = ? AND space = ? AND seq = ?",
            [
                (
                    self._sealed_vector(tenant, space, row, data) if row in sealed else data,
                    row,
                    space.key,
                    seq,
                )
                for row, seq, data in vectors
            ],
        )

    def _sealed_rows(self, rows: Sequence[int]) -> set[int]:
        """Return which of some memories are sealed; those stored before the encryption are not."""
        if self._seal.cipher is None:
            return set()
        return {
            row
            for start in range(0, len(rows), _CHUNK)
            for (row,) in self._db.execute(
                f"SELECT row FROM memory WHERE row IN ({_marks(len(rows[start : start + _CHUNK]))}) "
                "AND sealed IS NOT NULL",
                rows[start : start + _CHUNK],
            )
        }

    def adopt_next(self, tenant: str, space: Space, dimension: int) -> Space:
        """Replace the vectors of a space by those of the next embedder."""
        seq = space.seq + 1
        run = self._runs.begin(space, seq)
        self._db.execute(
            "DELETE FROM vector WHERE row IN (SELECT row FROM memory WHERE space = ?)", (space.key,)
        )
        self._db.execute(
            "INSERT INTO vector (row, data) SELECT m.row, n.data FROM memory AS m JOIN next_vector AS n "
            "ON n.row = m.row AND n.seq = m.seq WHERE m.space = ?",
            (space.key,),
        )
        self._db.execute("DELETE FROM next_vector WHERE space = ?", (space.key,))
        # No earlier state leads to this one, not even one from before runs were noted.
        self._db.execute("DELETE FROM run WHERE space = ?", (space.key,))
        self._db.execute("INSERT INTO run (space, since, run) VALUES (?, 0, ?)", (space.key, run))
        self._db.execute(
            "UPDATE space SET seq = ?, run = ?, embedder = next_embedder, dimension = ?, next_embedder = NULL, "
            "snapshot = NULL WHERE key = ?",
            (seq, run, dimension, space.key),
        )
        self._state.forget(space)
        found = self.space(tenant, space.name)
        assert found is not None
        return found

    def discard_next(self, tenant: str, space: Space) -> None:
        """Remove the vectors of the next embedder."""
        self._state.forget(space)
        self._db.execute("DELETE FROM next_vector WHERE space = ?", (space.key,))
        self._db.execute("UPDATE space SET next_embedder = NULL WHERE key = ?", (space.key,))

    def _set_seq(self, space: Space, seq: int) -> Space:
        """Note how far a space has come, and return it so."""
        run, begins = self._runs.extend(space, seq)
        if begins:
            self._db.execute(
                "INSERT INTO run (space, since, run) VALUES (?, ?, ?)", (space.key, space.seq + 1, run)
            )
        self._db.execute("UPDATE space SET seq = ?, run = ? WHERE key = ?", (seq, run, space.key))
        after = space.moved(seq, run)
        self._state.moved(space, after)
        return after


@lru_cache(maxsize=256)
def _space(record: tuple[Any, ...]) -> Space:
    """Return a space of its columns; every call reads some, mostly as they were before."""
    key, name, seq, embedder, dimension, snapshot, run, next_embedder, timed = record
    return Space(key, name, seq, embedder, dimension, snapshot, run, next_embedder, timed=bool(timed))


@lru_cache(maxsize=64)
def _naming(columns: str, count: int, given: tuple[bool, ...], joined: bool) -> str:
    """Return the query for living memories by id.

    Args:
        columns: The columns of the result.
        count: The number of ids.
        given: Whether the space, user, agent and session are given.
        joined: Whether the columns of the space are needed.
    """
    names = ("s.name", "m.user", "m.agent", "m.session")
    conditions = "".join(f" AND {name} = ?" for name, one in zip(names, given, strict=True) if one)
    space = " JOIN space AS s ON s.key = m.space" if joined else ""
    return (
        f"SELECT {columns} FROM memory AS m{space} WHERE m.tenant = ? AND m.id IN ({_marks(count)}) "
        f"AND (m.expires_at IS NULL OR m.expires_at > ?){conditions} ORDER BY m.row"
    )


@lru_cache(maxsize=64)
def _removing(table: str, count: int) -> str:
    """Return the statement that removes rows from a table."""
    return f"DELETE FROM {table} WHERE row IN ({_marks(count)})"


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return values in pieces that each fit into one statement."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _marks(count: int) -> str:
    return ",".join("?" * count)
