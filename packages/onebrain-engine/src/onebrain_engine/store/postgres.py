"""A store in PostgreSQL: any number of threads, processes and machines, one writer a space at a time.

A transaction locks the spaces that it writes to before anything else, so a space's change numbers follow the order of
its commits. Connections are opened when needed, kept for later, and replaced where the server has closed them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from onebrain.errors import ConfigurationError, OneBrainConnectionError
from onebrain.memory.models import Scope
from onebrain_engine.callers import stop_if_abandoned
from onebrain_engine.store.encryption import BLANK, SEALED, Cipher, Seal
from onebrain_engine.store.lives import Life
from onebrain_engine.store.postgres_codec import Vector, adapt_text, adapt_vectors, digest, knows_types
from onebrain_engine.store.postgres_connections import Connection, Connections, target
from onebrain_engine.store.postgres_errors import SERVICE, Outdated, is_stale, translate, translated
from onebrain_engine.store.postgres_large import LargeSpace, Upkeep
from onebrain_engine.store.postgres_schema import Vectors, find_vectors, prepare
from onebrain_engine.store.protocol import Contention
from onebrain_engine.store.records import (
    MEMORY_COLUMNS,
    Changes,
    Draft,
    Entry,
    Record,
    Space,
    Unembedded,
    by_space,
)
from onebrain_engine.store.runs import Runs

_log = logging.getLogger("onebrain_engine")

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A statement sees everything committed before it began, so all that wait for the lock of a space see its newest state.
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
# While somebody seals the whole database no writer gets past this, nor the other way round; see `postgres_rekeying`.
_ENTER = "LOCK TABLE onebrain.space IN ROW SHARE MODE"
_MARK = "(SELECT value FROM onebrain.setting WHERE name = 'encryption')"

_SPACE = (
    "s.key, s.name, s.seq, s.embedder, s.dimension, s.snapshot, s.run, s.next_embedder, s.filled, s.filling, s.served, "
    "s.analysis, s.timed"
)
_ENTRY = (
    'm."row", m."user", m.agent, m.session, m.content, m.created_at, m.updated_at, m.expires_at, m.importance, '
    "m.archived, v.data, m.sealed, v.sealed"
)
_WITH_VECTOR = (
    'FROM onebrain.memory AS m LEFT JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row"'
)
# Below, `space + 0` keeps the planner from the index of a space's changes where rows or ids are named: without statistics,
# as after a bulk load, it takes any one condition on a space for as good as those, and would read the whole space.

# The columns of `onebrain.memory` that are written, with the types of their arrays.
_WRITTEN: Mapping[str, str] = {
    "row": "int8",
    "seq": "int8",
    "identity": "bytea",
    "owner": "bytea",
    "id": "text",
    "user": "text",
    "agent": "text",
    "session": "text",
    "content": "text",
    "title": "text",
    "type": "text",
    "tags": "text",
    "metadata": "text",
    "importance": "float8",
    "source": "text",
    "pinned": "bool",
    "archived": "bool",
    "created_at": "int8",
    "updated_at": "int8",
    "expires_at": "int8",
    "extra": "text",
    "sealed": "bytea",
    "stored_at": "int8",
}
_KEPT = ("row", "identity", "owner", "id", "user", "stored_at")  # of a memory that is stored again


def _quoted(names: Sequence[str], table: str = "") -> str:
    return ", ".join(f'{table}"{name}"' for name in names)


_ARRAYS = ", ".join(f"%s::{type}[]" for type in _WRITTEN.values())
_INSERT = (
    f"INSERT INTO onebrain.memory (tenant, space, {_quoted(list(_WRITTEN))}) "
    f"SELECT %s, %s::int8, * FROM unnest({_ARRAYS})"
)
_REPLACE = (
    "UPDATE onebrain.memory AS m SET "
    + ", ".join(f'"{name}" = new."{name}"' for name in _WRITTEN if name not in _KEPT)
    + f" FROM unnest({_ARRAYS}) AS new ({_quoted(list(_WRITTEN))}) "
    'WHERE m.tenant = %s AND m.space + 0 = %s AND m."row" = new."row"'
)


class PostgresStore:
    """Keeps memories in PostgreSQL 13 or newer with pgvector, in a schema named ``onebrain``.

    It connects when it is first used, and again whenever the server has been away.

    Example:
        >>> store = PostgresStore("postgresql://app:secret@localhost/app")
        >>> store
        PostgresStore('the PostgreSQL database app on localhost')
        >>> store.close()

    The role needs the right to create that schema at the first start, or has to own it. Row-level security keeps tenants
    apart a second time, except for superusers, whom PostgreSQL lets through everything: use a plain role.

    Args:
        url: ``postgresql://user:password@host/database``, with any parameter that libpq knows; the scheme may be
            ``postgres``, and may name a library as in ``postgresql+psycopg``.
        busy_timeout: Seconds to wait for other writers and for a free connection before `DatabaseBusy`.
        pool_size: The most connections at a time.
        cipher: Seals memories stored from now on, and opens sealed ones; None for neither.

    Raises:
        ConfigurationError: The URL is wrong. At first use: the database does not exist or lacks pgvector, or it is
            encrypted, with another key or where none is given.
    """

    service: str = SERVICE

    def __init__(
        self, url: str, *, busy_timeout: float = 30.0, pool_size: int = 10, cipher: Cipher | None = None
    ) -> None:
        if pool_size < 1:
            raise ConfigurationError(f"pool_size must be at least 1, not {pool_size!r:.40}", service=SERVICE)
        database = target(url)
        self.where = database.where
        self._timeout = busy_timeout
        self._seal = Seal(cipher, self.where, SERVICE)
        self._runs = Runs()
        self._prepared = False
        self._prepare_lock = threading.Lock()
        self._vectors: Vectors | None = None
        self.connections = Connections(database, size=pool_size, timeout=busy_timeout, prepare=self._ready)

    def __repr__(self) -> str:
        return f"PostgresStore({self.where!r})"

    # ---- connections ------------------------------------------------------------------------------------------------

    def _ready(self, connection: Connection) -> None:
        """Make a new connection fit for use; the first one brings the database up to date."""
        adapt_text(connection)
        with self._prepare_lock:
            if not self._prepared:
                self._prepare(connection)
        self._vectors = find_vectors(connection, self.where)
        adapt_vectors(connection, self._vectors.oid, self._vectors.array_oid)

    def _prepare(self, connection: Connection) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ConfigurationError(
                f"{self.where} keeps text as {encoding}, which cannot hold every memory; "
                "use a database made with ENCODING 'UTF8'",
                service=SERVICE,
            )
        prepare(connection, self._seal, self.where)
        bypass = connection.execute(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        if bypass is not None and bypass[0]:
            _log.warning(
                "%s: this role passes row-level security, so tenants are kept apart by queries alone; "
                "use a role that is no superuser",
                self.where,
            )
        self._prepared = True

    @property
    def vectors(self) -> Vectors:
        """Where pgvector is; known once a connection was opened."""
        assert self._vectors is not None
        return self._vectors

    @property
    def seals(self) -> bool:
        """Whether memories stored from now on are sealed."""
        return self._seal.cipher is not None

    def require_mark(self, mark: bytes | None) -> None:
        """Raise `ConfigurationError` where a transaction finds another mark of the database than the one it had."""
        self._seal.still_fits(mark)

    def upkeep(self) -> Upkeep:
        """Return the part that makes and drops indexes of large spaces."""
        return Upkeep(self.connections.open, self.where)

    # ---- transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Generator[_Reading]:
        """Open a consistent view."""
        with self._session(_READ) as session:
            yield _Reading(session, self._seal)

    @contextmanager
    def writing(self) -> Generator[_Writing]:
        """Open a transaction; it waits for other writers of the spaces that it touches."""
        with self._session(_WRITE) as session:
            yield _Writing(session, self._seal, self._runs)
            stop_if_abandoned()

    @contextmanager
    def _session(self, begin: str) -> Generator[_Session]:
        session = _Session(self, self.connections.take(), begin, self._timeout)
        try:
            try:
                yield session
            except psycopg.Error as error:
                session.roll_back()
                if is_stale(error):
                    self.connections.distrust(session.connection, error)
                raise translate(error, self.where, patience=self._timeout) from None
            except BaseException:
                session.roll_back()
                raise
            session.commit()
        finally:
            self.connections.give(session.connection)

    def tenants(self) -> Sequence[str]:
        """Return the names of all tenants that have a space."""
        with self.reading() as read:
            read.space("", "")  # which brings the database up to date
        connection = self.connections.open()
        try:
            with translated(self.where), connection.transaction():
                # Policies show all tenants to a dump only.
                connection.execute("SET LOCAL application_name = 'pg_dump'")
                found = connection.execute("SELECT DISTINCT tenant FROM onebrain.space").fetchall()
        finally:
            connection.close()
        return sorted(tenant for (tenant,) in found)

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        self.connections.close()


class _Session:
    """One transaction on one connection, begun at its first query, for that query's tenant."""

    def __init__(self, store: PostgresStore, connection: Connection, begin: str, timeout: float) -> None:
        self.connection = connection
        self._store = store
        self._begin = begin
        self._timeout = timeout
        self._tenant: str | None = None
        self._seen: tuple[str, str, Sequence[Any], list[tuple[Any, ...]]] | None = None

    @property
    def vectors(self) -> str:
        """The schema of pgvector, as SQL writes it."""
        return self._store.vectors.schema

    def first(self, tenant: str, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a query that may be the first, in one message with the beginning of the transaction.

        A view that only reads does not even begin: often nothing else has to be asked. Where something has to, it begins
        with the same query then, and raises `Contention` if that finds something else by now. Behind a pooler it begins
        at once: to begin is to wait for a session of the server there, which nobody may do who holds a lock that those
        who have one are waiting for.
        """
        if self._tenant is not None or self._seen is not None:
            return self.run(tenant, statement, values).fetchall()
        if self._begin == _READ and self.connection.prepare_threshold is not None:
            found = self._begun(None, tenant, statement, values)
            self._seen = (tenant, statement, values, found)
            return found
        self._tenant = tenant
        return self._begun(self._begin, tenant, statement, values)

    def run(
        self, tenant: str, statement: str, values: Sequence[Any] = (), *, binary: bool = False
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run one statement; it is ours, and holds nothing of a caller's: that travels in `values`."""
        cursor = self.of(tenant).execute(statement.encode(), values, binary=binary)
        if binary and not knows_types(cursor):
            raise Outdated
        return cursor

    def of(self, tenant: str) -> Connection:
        """Return the connection, ready for queries of a tenant."""
        if tenant != self._tenant:
            if self._tenant is None:
                self._start(tenant)
            else:
                self.connection.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
            self._tenant = tenant
        return self.connection

    def _start(self, tenant: str) -> None:
        self._tenant = tenant
        if self._seen is None or self._seen[0] != tenant:
            self._begun(self._begin, tenant)
            return
        _, statement, values, found = self._seen
        if found != self._begun(self._begin, tenant, statement, values):
            moved = Contention(
                f"{self._store.where} was written to in between; nothing was changed here, try again",
                service=SERVICE,
            )
            moved.patience = self._timeout
            raise moved

    def _begun(
        self, begin: str | None, tenant: str, statement: str | None = None, values: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Begin a transaction if asked to, and return the rows of a query, all in one message.

        The settings are of this transaction only, or where none is begun of this message, which is one then, so that a
        pooler in between does no harm. The mark of the database is looked at along with them.
        """
        patience = max(1, round(self._timeout * 1000))
        parts = [
            begin,
            f"SET LOCAL lock_timeout = {patience}; {_ENTER}" if begin == _WRITE else None,
            f"SELECT {_MARK}, set_config('onebrain.tenant', %s, true), set_config('lock_timeout', %s, true)",
            statement,
        ]
        message = "; ".join(part for part in parts if part is not None).encode()
        given = (tenant, str(patience), *values)
        self.connection, cursor = self._store.connections.execute(self.connection, message, given)
        results = _results(cursor)
        self._store.require_mark(results[0][0][0])
        return results[-1]

    def renew(self) -> None:
        """End a transaction that only read, and begin another one where the next query does not do that."""
        self._seen = None
        if self._tenant is not None:
            # In one message, so that a pooler in between does not give the session of the server to others: whoever
            # renews a view may hold a lock that those are waiting for.
            self._begun(f"COMMIT; {self._begin}", self._tenant)

    def commit(self) -> None:
        """Commit."""
        if self._tenant is None:
            return
        try:
            self.connection.execute("COMMIT")
        except psycopg.Error as error:
            problem = translate(error, self._store.where, patience=self._timeout)
            if isinstance(problem, OneBrainConnectionError) and self._begin == _WRITE:
                problem = OneBrainConnectionError(
                    f"{self._store.where} closed the connection before it confirmed this write, which may or may not "
                    "be kept; look before you write it again, or write under ids of your own",
                    service=SERVICE,
                    code=error.sqlstate,
                )
                problem.in_doubt = True
            raise problem from None

    def roll_back(self) -> None:
        """Roll back; a lost connection has done so by itself."""
        if self._tenant is None or self.connection.closed:
            return
        try:
            self.connection.execute("ROLLBACK")
        except psycopg.Error as error:
            _log.debug("rolling back: %s", type(error).__name__)


class _Reading:
    """Queries."""

    def __init__(self, session: _Session, seal: Seal) -> None:
        self._session = session
        self._seal = seal

    _lock = ""

    def renew(self) -> None:
        """Begin a new view."""
        self._session.renew()

    def space(self, tenant: str, name: str) -> Space | None:
        """Return a space by name."""
        found = self._session.first(
            tenant,
            f"SELECT {_SPACE} FROM onebrain.space AS s WHERE s.tenant = %s AND s.label = %s{self._lock}",
            (tenant, digest(name)),
        )
        return Space(*found[0]) if found else None

    def spaces(self, tenant: str) -> Sequence[Space]:
        """Return all spaces of a tenant."""
        found = self._session.first(
            tenant,
            f"SELECT {_SPACE} FROM onebrain.space AS s WHERE s.tenant = %s "
            f'ORDER BY s.name COLLATE "C"{self._lock}',
            (tenant,),
        )
        return sorted((Space(*record) for record in found), key=lambda space: space.key)

    def changes(self, tenant: str, space: Space, after: int) -> Changes:
        """Return the changes of a space after one."""
        entries = [
            self._entry(tenant, space, record)
            for record in self._session.run(
                tenant,
                f"SELECT {_ENTRY} {_WITH_VECTOR} WHERE m.tenant = %s AND m.space = %s AND m.seq > %s",
                (tenant, space.key, after),
                binary=True,
            )
        ]
        entries.sort(key=lambda entry: entry.row)  # the server would sort all vectors along, on its disk
        gone = self._session.run(
            tenant,
            'SELECT "row" FROM onebrain.gone WHERE tenant = %s AND space = %s AND seq > %s',
            (tenant, space.key, after),
        )
        return Changes(entries, [row for (row,) in gone], space.seq)

    def _entry(self, tenant: str, space: Space, record: Sequence[Any]) -> Entry:
        (
            row, user, agent, session, content, created, updated, expires, importance, archived, vector, sealed,
            sealed_vector,
        ) = record  # fmt: skip
        if sealed is not None:
            content = self._seal.memory(tenant, space.key, row, sealed)[0]
        if sealed_vector is not None:
            vector = self._seal.vector(tenant, space.key, row, sealed_vector)
        return Entry(
            row, user or None, agent, session, content, created, updated, expires, importance, archived, vector
        )  # fmt: skip

    def run_at(self, tenant: str, space: Space, seq: int) -> int | None:
        """Return the run of a change in the space's history."""
        found = self._session.run(
            tenant,
            "SELECT run FROM onebrain.run WHERE tenant = %s AND space = %s AND since <= %s "
            "ORDER BY since DESC LIMIT 1",
            (tenant, space.key, seq),
        ).fetchone()
        return None if found is None else found[0]

    def records(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, Record]:
        """Return memories as records by row."""
        return {
            record[0]: self._seal.record(tenant, space.key, tuple(record), sealed)
            for *record, sealed in self._session.run(
                tenant,
                f"SELECT {_quoted(MEMORY_COLUMNS.split(', '))}, sealed FROM onebrain.memory "
                'WHERE tenant = %s AND space + 0 = %s AND "row" = ANY(%s)',
                (tenant, space.key, list(rows)),
                binary=True,
            )
        }

    def lives(
        self, tenant: str, space: Space, *, after: int = 0, rows: Sequence[int] | None = None
    ) -> Sequence[Life]:
        """Return the lives of memories that changed after a change, or of rows."""
        condition, value = ("m.seq > %s", after) if rows is None else ('l."row" = ANY(%s)', list(rows))
        found = self._session.run(
            tenant,
            'SELECT l."row", m.id, m.created_at, m.expires_at, l.valid_from, l.valid_until, l.links '
            'FROM onebrain.life AS l JOIN onebrain.memory AS m ON m.tenant = l.tenant AND m."row" = l."row" '
            f"WHERE l.tenant = %s AND l.space = %s AND {condition}",
            (tenant, space.key, value),
        )
        return [Life.of(*record) for record in found]

    def identified(
        self, tenant: str, space: Space, names: Sequence[tuple[str, str | None]], *, now: int | None = None
    ) -> Mapping[tuple[str, str | None], int]:
        """Return the rows of ids and users."""
        rows = {
            (id, user or None): row
            for id, user, row in self._session.run(
                tenant,
                'SELECT id, "user", "row" FROM onebrain.memory '
                "WHERE tenant = %s AND identity = ANY(%s) AND space + 0 = %s "
                "AND (expires_at IS NULL OR expires_at > %s)",
                (tenant, [digest(id) for id, _ in names], space.key, -(2**63) if now is None else now),
            )
        }
        return {name: rows[name] for name in names if name in rows}

    def vectors(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, bytes]:
        """Return vectors by row."""
        return {
            row: data if sealed is None else self._seal.vector(tenant, space.key, row, sealed)
            for row, data, sealed in self._session.run(
                tenant,
                'SELECT "row", data, sealed FROM onebrain.vector '
                'WHERE tenant = %s AND space + 0 = %s AND "row" = ANY(%s)',
                (tenant, space.key, list(rows)),
                binary=True,
            )
        }

    def find(self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int) -> Sequence[tuple[int, Space]]:
        """Return row and space of every living memory in a scope with one of these ids."""
        conditions = ""
        values: list[Any] = [tenant, [digest(id) for id in ids], now]
        for condition, value in (
            ("s.label = %s", None if scope.space is None else digest(scope.space)),
            ('m."user" = %s', scope.user),
            ("m.agent = %s", scope.agent),
            ("m.session = %s", scope.session),
        ):
            if value is not None:
                conditions += f" AND {condition}"
                values.append(value)
        return [
            (row, Space(*space))
            for row, *space in self._session.run(
                tenant,
                f'SELECT m."row", {_SPACE} FROM onebrain.memory AS m '
                "JOIN onebrain.space AS s ON s.tenant = m.tenant AND s.key = m.space + 0 "
                "WHERE m.tenant = %s AND m.identity = ANY(%s) AND (m.expires_at IS NULL OR m.expires_at > %s)"
                f'{conditions} ORDER BY m."row"',
                values,
            )
        ]

    def found(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[Space, Record]]:
        """Return space and record of every living memory in a scope with one of these ids."""
        located = self.find(tenant, ids, scope, now=now)
        records = {
            row: record
            for space, rows in by_space(located)
            for row, record in self.records(tenant, space, rows).items()
        }
        return [(space, records[row]) for row, space in located if row in records]

    def described(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[int, Space, str]]:
        """Return row, space and metadata of every living memory in a scope with one of these ids."""
        located = self.find(tenant, ids, scope, now=now)
        metadata: dict[int, str] = {}
        for space, rows in by_space(located):
            metadata.update(self.columns(tenant, space, ["metadata"], rows))  # type: ignore[arg-type]
        return [(row, space, metadata[row]) for row, space in located if row in metadata]

    def columns(
        self, tenant: str, space: Space, names: Sequence[str], rows: Sequence[int] | None
    ) -> Iterator[Sequence[Any]]:
        """Return named columns of rows, or of all rows of a space."""
        secret = [(position, SEALED.index(name)) for position, name in enumerate(names, 1) if name in SEALED]
        condition, values = (
            ("space = %s", []) if rows is None else ('space + 0 = %s AND "row" = ANY(%s)', [list(rows)])
        )
        for *record, sealed in self._session.run(
            tenant,
            f"SELECT {_quoted(['row', *names])}, {'sealed' if secret else 'NULL'} FROM onebrain.memory "
            f"WHERE tenant = %s AND {condition}",
            [tenant, space.key, *values],
            binary=True,
        ):
            if sealed is not None:
                fields = self._seal.memory(tenant, space.key, record[0], sealed)
                for position, field in secret:
                    record[position] = fields[field]
            yield record

    def large(self, tenant: str, space: Space) -> LargeSpace:
        """Return a space as the database's own indexes know it."""
        return LargeSpace(self._session, tenant, space)

    def unembedded(self, tenant: str, space: Space, after: int, limit: int) -> Sequence[Unembedded]:
        """Return memories that have a vector, but none of the next embedder as they are now."""
        return [
            Unembedded(
                row, seq, content if sealed is None else self._seal.memory(tenant, space.key, row, sealed)[0]
            )
            for row, seq, content, sealed in self._session.run(
                tenant,
                'SELECT m."row", m.seq, m.content, m.sealed FROM onebrain.memory AS m '
                'JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row" '
                'LEFT JOIN onebrain.next_vector AS n ON n.tenant = m.tenant AND n."row" = m."row" '
                "WHERE m.tenant = %s AND m.space = %s AND m.seq > %s AND n.seq IS DISTINCT FROM m.seq "
                "ORDER BY m.seq LIMIT %s",
                (tenant, space.key, after, limit),
                binary=True,
            )
        ]

    def next_count(self, tenant: str, space: Space) -> tuple[int, int]:
        """Return the number of memories with a vector of the next embedder, and of those with any vector."""
        found = self._session.run(
            tenant,
            'SELECT count(n."row"), count(*) FROM onebrain.memory AS m '
            'JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row" '
            'LEFT JOIN onebrain.next_vector AS n ON n.tenant = m.tenant AND n."row" = m."row" AND n.seq = m.seq '
            "WHERE m.tenant = %s AND m.space = %s",
            (tenant, space.key),
        ).fetchone()
        return (0, 0) if found is None else (int(found[0]), int(found[1]))

    def size(self, tenant: str) -> int:
        """Return the bytes of text and metadata of a tenant."""
        parts = " + ".join(f"COALESCE(octet_length({name}), 0)" for name in (*SEALED, "sealed"))
        [(size,)] = self._session.run(
            tenant,
            f"SELECT COALESCE(SUM({parts}), 0)::bigint FROM onebrain.memory WHERE tenant = %s",
            (tenant,),
        )
        return int(size)

    def notes(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the notes of rows."""
        return {
            row: self._seal.open_note(tenant, space.key, row, data)
            for row, data in self._session.run(
                tenant,
                'SELECT "row", data FROM onebrain.note WHERE tenant = %s AND space = %s AND "row" = ANY(%s)',
                (tenant, space.key, list(rows)),
                binary=True,
            )
        }


class _Writing(_Reading):
    """Queries and changes within one transaction; a space is locked when it is first looked at."""

    _lock = " FOR UPDATE"

    def __init__(self, session: _Session, seal: Seal, runs: Runs) -> None:
        super().__init__(session, seal)
        self._runs = runs

    def renew(self) -> None:
        """Do nothing: nobody else writes to a space that this transaction has locked."""

    def open_space(self, tenant: str, name: str) -> Space:
        """Return a space, made if need be."""
        space = self.space(tenant, name)
        if space is None:
            self._session.run(
                tenant,
                "INSERT INTO onebrain.space (tenant, label, name) VALUES (%s, %s, %s) "
                "ON CONFLICT (tenant, label) DO NOTHING",
                (tenant, digest(name), name),
            )
            space = self.space(tenant, name)
            assert space is not None
        return space

    def has_vectors(self, tenant: str, space: Space) -> bool:
        """Return whether any memory of a space has a vector."""
        found = self._session.run(
            tenant,
            "SELECT EXISTS (SELECT FROM onebrain.vector WHERE tenant = %s AND space = %s)",
            (tenant, space.key),
        ).fetchone()
        return found is not None and bool(found[0])

    def claim_vectors(self, tenant: str, space: Space, embedder: str, dimension: int) -> Space:
        """Note whose vectors a space holds."""
        self._session.run(
            tenant,
            "UPDATE onebrain.space SET embedder = %s, dimension = %s WHERE tenant = %s AND key = %s",
            (embedder, dimension, tenant, space.key),
        )
        return replace(space, embedder=embedder, dimension=dimension)

    def note(self, tenant: str, space: Space, notes: Mapping[int, str]) -> None:
        """Keep a text beside each row."""
        data = [self._seal.note(tenant, space.key, row, text) for row, text in notes.items()]
        self._session.run(
            tenant,
            'INSERT INTO onebrain.note (tenant, space, "row", data) '
            "SELECT %s, %s::int8, * FROM unnest(%s::int8[], %s::bytea[]) "
            'ON CONFLICT (tenant, "row") DO UPDATE SET data = excluded.data',
            (tenant, space.key, list(notes), data),
        )

    def set_snapshot(self, tenant: str, space: Space, token: str) -> bool:
        """Note the newest snapshot of a space's index."""
        changed = self._session.run(
            tenant,
            "UPDATE onebrain.space SET snapshot = %s WHERE tenant = %s AND key = %s",
            (token, tenant, space.key),
        )
        return changed.rowcount > 0

    def forget_tenant(self, tenant: str) -> Sequence[Space]:
        """Remove everything of a tenant; its spaces are locked first, as by every writer."""
        spaces = self.spaces(tenant)
        for space in spaces:
            if space.filled is not None:
                self.large(tenant, space).reset()
        for table in ("note", "vector", "next_vector", "life", "memory", "gone", "run", "space"):
            self._session.run(tenant, f"DELETE FROM onebrain.{table} WHERE tenant = %s", (tenant,))
        return spaces

    def find(self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int) -> Sequence[tuple[int, Space]]:
        """Return row and space of every living memory in a scope with one of these ids, the spaces locked."""
        seen = super().find(tenant, ids, scope, now=now)
        if not seen:
            return seen
        locked = {
            record[0]: Space(*record)
            for record in self._session.run(
                tenant,
                f"SELECT {_SPACE} FROM onebrain.space AS s WHERE s.tenant = %s AND s.key = ANY(%s) "
                f'ORDER BY s.name COLLATE "C"{self._lock}',
                (tenant, list({space.key for _, space in seen})),
            )
        }
        # While we waited for the locks, others may have changed the rows.
        return [
            (row, locked[space.key])
            for row, space in super().find(tenant, ids, scope, now=now)
            if space.key in locked
        ]

    def new_rows(self, tenant: str, count: int) -> Sequence[int]:
        """Return numbers for new rows; the spaces they are for must be locked by now."""
        found = self._session.run(
            tenant, "SELECT nextval('onebrain.memory_row') FROM generate_series(1, %s)", (count,)
        )
        return [number for (number,) in found]

    def put(
        self, tenant: str, space: Space, drafts: Sequence[Draft], now: int
    ) -> tuple[list[bool], list[Entry], Space]:
        """Store drafts in order."""
        known = self._known(tenant, space, [draft for draft in drafts if draft.given_id])
        seq = space.seq
        fresh: list[bool] = []
        entries: list[Entry] = []
        inserts: dict[int, tuple[Any, ...]] = {}
        replacements: dict[int, tuple[Any, ...]] = {}
        vectors: dict[int, bytes | None] = {}
        for draft in drafts:
            seq += 1
            identity, owner = digest(draft.id), digest(draft.user or "")
            old = known.get((identity, owner)) if draft.given_id else None
            created = draft.created_at if draft.created_at is not None else (old[1] if old else now)
            updated = now if draft.updated_at is None else draft.updated_at
            row = draft.row if old is None else old[0]
            content, title, type, tags, metadata, source, extra, sealed = self._sealed(
                tenant, space, row, draft
            )
            # A memory that stands twice in one batch is stored once, as it was given last.
            target = inserts if old is None or row in inserts else replacements
            target[row] = (
                row, seq, identity, owner, draft.id, draft.user or "", draft.agent, draft.session, content, title,
                type, tags, metadata, draft.importance, source, draft.pinned, draft.archived, created, updated,
                draft.expires_at, extra, sealed, now,
            )  # fmt: skip
            if draft.given_id and old is None:
                known[identity, owner] = (row, created)
            vectors[row] = draft.vector
            fresh.append(old is None)
            entries.append(
                Entry(
                    row, draft.user, draft.agent, draft.session, draft.content, created, updated, draft.expires_at,
                    draft.importance, draft.archived, draft.vector,
                )
            )  # fmt: skip
        with self._session.of(tenant).pipeline():
            if inserts:
                self._session.run(tenant, _INSERT, (tenant, space.key, *_arrays(inserts.values())))
            if replacements:
                self._session.run(tenant, _REPLACE, (*_arrays(replacements.values()), tenant, space.key))
                self._remove_vectors(tenant, space, list(replacements))
            self._add_vectors(tenant, space, vectors)
            self._keep_words(tenant, space, entries, list(replacements))
            after = self._set_seq(tenant, space, seq)
        return fresh, entries, after

    def _known(
        self, tenant: str, space: Space, drafts: Sequence[Draft]
    ) -> dict[tuple[bytes, bytes], tuple[int, int]]:
        if not drafts:
            return {}
        return {
            (identity, owner): (row, created)
            for identity, owner, row, created in self._session.run(
                tenant,
                'SELECT identity, owner, "row", created_at FROM onebrain.memory '
                "WHERE tenant = %s AND identity = ANY(%s) AND space + 0 = %s",
                (tenant, [digest(draft.id) for draft in drafts], space.key),
            )
        }

    def _sealed(self, tenant: str, space: Space, row: int, draft: Draft) -> Sequence[Any]:
        """Return the `SEALED` columns of a draft as stored, and the blob that they are sealed into."""
        fields = [getattr(draft, name) for name in SEALED]
        if self._seal.cipher is None:
            return (*fields, None)
        return (*BLANK, self._seal.cipher.seal_memory(tenant, space.key, row, fields))

    def _remove_vectors(self, tenant: str, space: Space, rows: Sequence[int]) -> None:
        self._session.run(
            tenant,
            'DELETE FROM onebrain.vector WHERE tenant = %s AND space + 0 = %s AND "row" = ANY(%s)',
            (tenant, space.key, list(rows)),
        )

    def _add_vectors(self, tenant: str, space: Space, vectors: Mapping[int, bytes | None]) -> None:
        given = {row: vector for row, vector in vectors.items() if vector is not None}
        if not given:
            return
        cipher = self._seal.cipher
        if cipher is not None:
            sealed = [cipher.seal("vector", tenant, space.key, row, data) for row, data in given.items()]
            self._session.run(
                tenant,
                'INSERT INTO onebrain.vector (tenant, space, "row", sealed) '
                "SELECT %s, %s::int8, * FROM unnest(%s::int8[], %s::bytea[])",
                (tenant, space.key, list(given), sealed),
            )
            return
        self._session.run(
            tenant,
            'INSERT INTO onebrain.vector (tenant, space, "row", data) '
            "SELECT %s, %s::int8, * FROM unnest(%s::int8[], %b)",
            (tenant, space.key, list(given), [Vector(data) for data in given.values()]),
        )

    def change(
        self, tenant: str, space: Space, record: Record, values: Mapping[str, Any], now: int
    ) -> tuple[Entry, Space]:
        """Change columns of one memory."""
        row, seq = record[0], space.seq + 1
        if self._seal.cipher is not None:
            values = self._sealed_changes(tenant, space, row, values)
        columns = {name: value for name, value in values.items() if name != "vector"}
        settings = "".join(f'"{name}" = %s, ' for name in columns)
        key = (tenant, space.key, row)
        with self._session.of(tenant).pipeline():
            self._session.run(
                tenant,
                f"UPDATE onebrain.memory SET {settings}seq = %s, updated_at = %s "
                'WHERE tenant = %s AND space + 0 = %s AND "row" = %s',
                (*columns.values(), seq, now, *key),
            )
            if "vector" in values:
                self._remove_vectors(tenant, space, [row])
                self._add_vectors(tenant, space, {row: values["vector"]})
            after = self._set_seq(tenant, space, seq)
        stored = self._session.run(
            tenant,
            f'SELECT {_ENTRY} {_WITH_VECTOR} WHERE m.tenant = %s AND m.space + 0 = %s AND m."row" = %s',
            key,
            binary=True,
        ).fetchone()
        assert stored is not None
        entry = self._entry(tenant, space, stored)
        self._keep_words(tenant, space, [entry], [row])
        return entry, after

    def _keep_words(
        self, tenant: str, space: Space, entries: Sequence[Entry], replaced: Sequence[int]
    ) -> None:
        """Keep the words of memories stored in a large space; not of sealed ones, because the words would be in clear."""
        if space.filled is None:
            return
        if self._seal.cipher is None:
            self.large(tenant, space).keep(entries, replaced)
        else:
            self.large(tenant, space).reset()

    def _sealed_changes(
        self, tenant: str, space: Space, row: int, values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return changes of a memory that leave nothing of it in clear, whatever was in clear before."""
        cipher = self._seal.cipher
        assert cipher is not None
        record = self._session.run(
            tenant,
            f"SELECT {_quoted(SEALED, 'm.')}, m.sealed, v.data {_WITH_VECTOR} "
            'WHERE m.tenant = %s AND m.space + 0 = %s AND m."row" = %s',
            (tenant, space.key, row),
            binary=True,
        ).fetchone()
        assert record is not None
        *fields, sealed, vector = record
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
        seqs = list(range(space.seq + 1, space.seq + 1 + len(lives)))
        # One with nothing in it stays, so that timelines which know the one before learn of the change.
        kept = [(life.row, *life.stored()) for life in lives]
        with self._session.of(tenant).pipeline():
            self._session.run(
                tenant,
                'INSERT INTO onebrain.life (tenant, space, "row", valid_from, valid_until, links) '
                "SELECT %s, %s::int8, * FROM unnest(%s::int8[], %s::int8[], %s::int8[], %s::text[]) "
                'ON CONFLICT (tenant, space, "row") DO UPDATE SET valid_from = excluded.valid_from, '
                "valid_until = excluded.valid_until, links = excluded.links",
                (tenant, space.key, *_arrays(kept)),
            )
            self._session.run(
                tenant,
                'UPDATE onebrain.memory AS m SET seq = new.seq FROM unnest(%s::int8[], %s::int8[]) AS new ("row", seq) '
                'WHERE m.tenant = %s AND m.space + 0 = %s AND m."row" = new."row"',
                ([life.row for life in lives], seqs, tenant, space.key),
            )
            if not space.timed:
                self._session.run(
                    tenant,
                    "UPDATE onebrain.space SET timed = true WHERE tenant = %s AND key = %s",
                    (tenant, space.key),
                )
            after = self._set_seq(tenant, space, space.seq + len(lives))
        return replace(after, timed=True)

    def remove(self, tenant: str, space: Space, rows: Sequence[int]) -> tuple[int, Space]:
        """Remove rows."""
        gone, seq = list(rows), space.seq + 1
        with self._session.of(tenant).pipeline():
            removed = self._session.run(
                tenant,
                'DELETE FROM onebrain.memory WHERE tenant = %s AND space + 0 = %s AND "row" = ANY(%s)',
                (tenant, space.key, gone),
            )
            self._remove_vectors(tenant, space, gone)
            self._session.run(
                tenant,
                'DELETE FROM onebrain.note WHERE tenant = %s AND space + 0 = %s AND "row" = ANY(%s)',
                (tenant, space.key, gone),
            )
            self._session.run(
                tenant,
                'INSERT INTO onebrain.gone (tenant, space, seq, "row") SELECT %s, %s::int8, %s::int8, unnest(%s::int8[])',
                (tenant, space.key, seq, gone),
            )
            if space.next_embedder is not None:
                self._session.run(
                    tenant,
                    'DELETE FROM onebrain.next_vector WHERE tenant = %s AND space = %s AND "row" = ANY(%s)',
                    (tenant, space.key, gone),
                )
            if space.timed:
                self._session.run(
                    tenant,
                    'DELETE FROM onebrain.life WHERE tenant = %s AND space = %s AND "row" = ANY(%s)',
                    (tenant, space.key, gone),
                )
            if space.filled is not None:
                self.large(tenant, space).take_out(gone)
            after = self._set_seq(tenant, space, seq)
        return removed.rowcount, after

    def expired(self, tenant: str, now: int) -> Sequence[tuple[int, Space]]:
        """Return rows whose time is over, of spaces that nobody is writing to: they can wait, and so avoid a deadlock."""
        spaces = {
            record[0]: Space(*record)
            for record in self._session.run(
                tenant,
                f"SELECT {_SPACE} FROM onebrain.space AS s WHERE s.tenant = %s AND s.key IN "
                "(SELECT space FROM onebrain.memory WHERE tenant = %s AND expires_at <= %s) "
                "FOR UPDATE SKIP LOCKED",
                (tenant, tenant, now),
            )
        }
        if not spaces:
            return []
        return [
            (row, spaces[space])
            for row, space in self._session.run(
                tenant,
                'SELECT "row", space FROM onebrain.memory '
                "WHERE tenant = %s AND expires_at <= %s AND space + 0 = ANY(%s) LIMIT 10000",
                (tenant, now, list(spaces)),
            )
        ]

    # ---- another embedder -------------------------------------------------------------------------------------------

    def begin_next(self, tenant: str, space: Space, embedder: str) -> None:
        """Note the embedder that a space is to have."""
        self._session.run(
            tenant,
            "UPDATE onebrain.space SET next_embedder = %s WHERE tenant = %s AND key = %s",
            (embedder, tenant, space.key),
        )

    def keep_next(self, tenant: str, space: Space, vectors: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep vectors of the next embedder."""
        rows, seqs = [row for row, _, _ in vectors], [seq for _, seq, _ in vectors]
        cipher = self._seal.cipher
        data: list[Any]
        if cipher is None:
            column, data, kind = "data", [Vector(data) for _, _, data in vectors], "%b"
        else:
            column, kind = "sealed", "%s::bytea[]"
            data = [cipher.seal("vector", tenant, space.key, row, data) for row, _, data in vectors]
        self._session.run(
            tenant,
            # Of a memory that was changed or removed since it was read, nothing is kept.
            f'INSERT INTO onebrain.next_vector (tenant, space, "row", seq, {column}) '
            f'SELECT m.tenant, m.space, m."row", m.seq, n.{column} '
            f'FROM unnest(%s::int8[], %s::int8[], {kind}) AS n ("row", seq, {column}) '
            'JOIN onebrain.memory AS m ON m.tenant = %s AND m.space + 0 = %s AND m."row" = n."row" AND m.seq = n.seq '
            'ON CONFLICT (tenant, "row") DO UPDATE SET seq = excluded.seq, data = excluded.data, '
            "sealed = excluded.sealed",
            (rows, seqs, data, tenant, space.key),
        )

    def adopt_next(self, tenant: str, space: Space, dimension: int) -> Space:
        """Replace the vectors of a space by those of the next embedder."""
        seq = space.seq + 1
        run = self._runs.begin(space, seq)
        key = (tenant, space.key)
        for statement, values in (
            ("DELETE FROM onebrain.vector WHERE tenant = %s AND space = %s", key),
            (
                'INSERT INTO onebrain.vector (tenant, space, "row", data, sealed) '
                'SELECT n.tenant, n.space, n."row", n.data, n.sealed FROM onebrain.next_vector AS n '
                'JOIN onebrain.memory AS m ON m.tenant = n.tenant AND m."row" = n."row" AND m.seq = n.seq '
                "WHERE n.tenant = %s AND n.space = %s",
                key,
            ),
            ("DELETE FROM onebrain.next_vector WHERE tenant = %s AND space = %s", key),
            # No earlier state leads to this one, not even one from before runs were noted.
            ("DELETE FROM onebrain.run WHERE tenant = %s AND space = %s", key),
            (
                "INSERT INTO onebrain.run (tenant, space, since, run) VALUES (%s, %s, 0, %s)",
                (*key, run),
            ),
            (
                "UPDATE onebrain.space SET seq = %s, run = %s, embedder = next_embedder, dimension = %s, "
                "next_embedder = NULL, snapshot = NULL WHERE tenant = %s AND key = %s",
                (seq, run, dimension, *key),
            ),
        ):
            self._session.run(tenant, statement, values)
        return replace(
            space,
            seq=seq,
            run=run,
            embedder=space.next_embedder,
            dimension=dimension,
            next_embedder=None,
            snapshot=None,
        )

    def discard_next(self, tenant: str, space: Space) -> None:
        """Remove the vectors of the next embedder."""
        key = (tenant, space.key)
        self._session.run(tenant, "DELETE FROM onebrain.next_vector WHERE tenant = %s AND space = %s", key)
        self._session.run(
            tenant, "UPDATE onebrain.space SET next_embedder = NULL WHERE tenant = %s AND key = %s", key
        )

    def _set_seq(self, tenant: str, space: Space, seq: int) -> Space:
        """Note how far a space has come, and return it so."""
        run, begins = self._runs.extend(space, seq)
        if begins:
            self._session.run(
                tenant,
                "INSERT INTO onebrain.run (tenant, space, since, run) VALUES (%s, %s, %s, %s)",
                (tenant, space.key, space.seq + 1, run),
            )
        self._session.run(
            tenant,
            "UPDATE onebrain.space SET seq = %s, run = %s WHERE tenant = %s AND key = %s",
            (seq, run, tenant, space.key),
        )
        return replace(space, seq=seq, run=run)


def _results(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each statement of a message that has rows."""
    found: list[list[tuple[Any, ...]]] = []
    more: bool | None = True
    while more:
        if cursor.description is not None:
            found.append(cursor.fetchall())
        more = cursor.nextset()
    return found


def _arrays(records: Any) -> list[list[Any]]:
    return [list(column) for column in zip(*records, strict=True)]
