"""The graph's tables and their connections, on SQLite or PostgreSQL: the same statements on both."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from onebrain.errors import (
    ConfigurationError,
    MissingDependency,
    OneBrainConflictError,
    SchemaTooNew,
    StorageError,
)
from onebrain.memory.sqlite_urls import sqlite_path
from onebrain_engine.store.files import make_file
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_engine.store.sqlite_errors import translate, translated
from onebrain_engine.store.sqlite_file import DatabaseFiles

# PostgreSQL hides other tenants' rows itself, should a query ever forget to.
_WALL: Final = tuple(
    statement.format(table=table)
    for table in ("graph_entity", "graph_link", "graph_relation", "graph_revision")
    for statement in (
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own_tenant ON {table} USING (tenant = current_setting('onebrain.tenant', true)) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    )
)
# pg_dump sees all, see `postgres_schema`.
_DUMPED: Final = tuple(
    f"ALTER POLICY own_tenant ON {table} USING (tenant = current_setting('onebrain.tenant', true) "
    "OR current_setting('application_name') = 'pg_dump')"
    for table in ("graph_entity", "graph_link", "graph_relation", "graph_revision")
)
# One entry a version: statements for both databases, and for PostgreSQL alone. A migration is never changed once released;
# a new one is appended. BYTES is BLOB or BYTEA.
MIGRATIONS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        (
            """CREATE TABLE graph_entity (
            tenant TEXT NOT NULL, id TEXT NOT NULL, name_key TEXT NOT NULL, type TEXT NOT NULL,
            created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, body BYTES NOT NULL,
            PRIMARY KEY (tenant, id), UNIQUE (tenant, name_key)
        )""",
            "CREATE INDEX graph_entity_newest ON graph_entity (tenant, updated_at, id)",
            """CREATE TABLE graph_link (
            tenant TEXT NOT NULL, id TEXT NOT NULL, entity_id TEXT NOT NULL, memory_id TEXT NOT NULL,
            link_type TEXT NOT NULL, created_at BIGINT NOT NULL,
            PRIMARY KEY (tenant, id), UNIQUE (tenant, entity_id, memory_id, link_type)
        )""",
            "CREATE INDEX graph_link_memory ON graph_link (tenant, memory_id)",
            """CREATE TABLE graph_relation (
            tenant TEXT NOT NULL, id TEXT NOT NULL, source_id TEXT NOT NULL, target_id TEXT NOT NULL,
            relation TEXT NOT NULL, created_at BIGINT NOT NULL,
            PRIMARY KEY (tenant, id), UNIQUE (tenant, source_id, target_id, relation)
        )""",
            "CREATE INDEX graph_relation_target ON graph_relation (tenant, target_id)",
            "CREATE TABLE graph_revision (tenant TEXT PRIMARY KEY, revision BIGINT NOT NULL)",
        ),
        (),
    ),
    ((), _WALL),
    ((), _DUMPED),
)
_NAMES: Final = ("graph_schema", "graph_entity", "graph_link", "graph_relation", "graph_revision")
_NOBODY: Final = ""  # the tenant of statements that touch no rows
_UNIQUE_VIOLATION: Final = "23505"
# Of one transaction only, so that a pooler in between does no harm.
_SETTINGS: Final = (
    "SELECT set_config('onebrain.tenant', %s, true), set_config('search_path', 'onebrain', true)"
)
_ADVISORY_LOCK: Final = 0x0B5A1009


class Clash(OneBrainConflictError):
    """Another transaction stored the same at the same moment; nothing was written."""


class Transaction(Protocol):
    """One transaction."""

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        """Run a statement with ``?`` for each value; return its rows, where it has some."""
        ...

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes rows; return their number."""
        ...


class Tables(Protocol):
    """Where the graph is kept."""

    def query(self, tenant: str, statement: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Return the rows of one query of a tenant's rows, at less cost than a transaction of that query alone."""
        ...

    @contextmanager
    def reading(self, tenant: str) -> Generator[Transaction, None, None]:
        """Open a consistent view of a tenant's rows."""
        ...

    @contextmanager
    def writing(self, tenant: str) -> Generator[Transaction, None, None]:
        """Open a transaction on a tenant's rows."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def open_tables(url: str) -> Tables:
    """Open the graph's tables in the database of a URL."""
    if is_postgres(url):
        return _Postgres(url)
    if url.startswith("sqlite:"):
        return _Sqlite(sqlite_path(url))
    raise ConfigurationError("a graph is kept in an SQLite or PostgreSQL database")


class _SqliteRows:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        return self._connection.execute(statement, values).fetchall()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, values).rowcount


class _Sqlite:
    """One connection for writing and a few for reading."""

    def __init__(self, path: str) -> None:
        self._memory = path == ":memory:"
        self._path = path if self._memory else str(Path(path).absolute())
        self._files: DatabaseFiles | None = None
        self._lock = threading.RLock()
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._closed = False
        with translated(path):
            self._writer = self._connect()
        with self.writing(_NOBODY) as rows:
            rows.run("CREATE TABLE IF NOT EXISTS graph_schema (version INTEGER PRIMARY KEY)")
            _migrate(rows, postgres=False)
        if not self._memory:
            self._files = DatabaseFiles(self._path)

    def _connect(self) -> sqlite3.Connection:
        if not self._memory:
            make_file(self._path)
        connection = sqlite3.connect(self._path, timeout=30.0, isolation_level=None, check_same_thread=False)
        if not self._memory:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def query(self, tenant: str, statement: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        if self._memory:
            with self.reading(tenant) as rows:
                return rows.run(statement, values)
        # A statement by itself is a transaction of its own.
        connection = self._take()
        try:
            found = connection.execute(statement, values).fetchall()
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise translate(error, self._path) from error
            raise
        self._give(connection)
        return found

    @contextmanager
    def reading(self, tenant: str) -> Generator[Transaction, None, None]:
        if self._memory:
            self._check()
            with self._lock, translated(self._path):
                yield _SqliteRows(self._writer)
            return
        connection = self._take()
        with translated(self._path):
            try:
                connection.execute("BEGIN")
                yield _SqliteRows(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        self._give(connection)

    def _check(self) -> None:
        if self._closed:
            raise StorageError("this graph is closed")

    def _take(self) -> sqlite3.Connection:
        """Return a connection to read by; one that fails is closed, and any other given back."""
        self._check()
        if self._files is not None:
            self._files.require()
        with self._idle_lock:
            if self._idle:
                return self._idle.pop()
        with translated(self._path):
            return self._connect()

    def _give(self, connection: sqlite3.Connection) -> None:
        with self._idle_lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    @contextmanager
    def writing(self, tenant: str) -> Generator[Transaction, None, None]:
        self._check()
        with self._lock, translated(self._path):
            if self._files is not None:
                self._files.require()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteRows(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            if self._files is not None:
                self._files.require(wrote=True)

    def close(self) -> None:
        with self._lock, self._idle_lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            if self._files is None:
                self._writer.close()
            else:
                self._files.close(self._writer)
            self._idle.clear()


class _PostgresRows:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        cursor = self._connection.execute(statement.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description is not None else []

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        return int(self._connection.execute(statement.replace("?", "%s"), values).rowcount)


class _Postgres:
    """A pool of connections."""

    def __init__(self, url: str) -> None:
        try:
            from onebrain_engine.store.postgres_connections import Connections, target
        except ImportError:
            raise MissingDependency(
                'PostgreSQL needs psycopg: pip install "onebrain-engine[postgres]"'
            ) from None
        self._connections = Connections(target(url), size=8, timeout=10.0)
        try:
            self._migrate()
        except BaseException:
            self._connections.close()
            raise

    def _migrate(self) -> None:
        from onebrain_engine.store.postgres_schema import gather

        with self._connections.transaction(b"BEGIN ISOLATION LEVEL READ COMMITTED", ()) as connection:
            rows = _PostgresRows(connection)
            rows.run("SELECT pg_advisory_xact_lock(?)", (_ADVISORY_LOCK,))  # replicas may start together
            old = gather(connection, self._connections.where, _NAMES)
            rows.run("SELECT set_config('search_path', 'onebrain', true)")
            if not rows.run(
                "SELECT 1 FROM pg_class WHERE relname = 'graph_schema' AND relnamespace = 'onebrain'::regnamespace"
            ):
                rows.run("CREATE TABLE graph_schema (version INTEGER PRIMARY KEY)")
            _migrate(rows, postgres=True)
            if old is not None:
                _merge(rows, old)

    def query(self, tenant: str, statement: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        message = f"{_SETTINGS}; {statement.replace('?', '%s')}"
        return self._connections.query(message.encode(), (tenant, *values))

    @contextmanager
    def _transaction(self, tenant: str) -> Generator[Transaction, None, None]:
        begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_SETTINGS}"
        try:
            with self._connections.transaction(begin.encode(), (tenant,)) as connection:
                yield _PostgresRows(connection)
        except StorageError as error:
            if error.code == _UNIQUE_VIOLATION:
                raise Clash(
                    "another request has stored this at the same moment; look before you try again"
                ) from None
            raise

    reading = writing = _transaction

    def close(self) -> None:
        self._connections.close()


def _migrate(rows: Transaction, *, postgres: bool) -> None:
    done = rows.run("SELECT COALESCE(MAX(version), 0) FROM graph_schema")[0][0]
    if done > len(MIGRATIONS):
        raise SchemaTooNew(
            f"the graph has schema {done}, this onebrain-engine knows {len(MIGRATIONS)}; "
            "upgrade it: pip install --upgrade onebrain-engine"
        )
    for number, (both, alone) in enumerate(MIGRATIONS[done:], done + 1):
        for statement in (*both, *(alone if postgres else ())):
            rows.run(statement.replace("BYTES", "BYTEA" if postgres else "BLOB"))
        rows.run("INSERT INTO graph_schema (version) VALUES (?)", (number,))


def _merge(rows: Transaction, old: str) -> None:
    """Take in the tables of a schema that an earlier version left behind when its search path came to begin with ours.

    An entity that both have keeps its newer id; links and relations follow it.
    """
    for name in _NAMES[1:]:
        for table in (f"{old}.{name}", name):
            rows.run(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    rows.run(f"INSERT INTO graph_entity SELECT * FROM {old}.graph_entity ON CONFLICT DO NOTHING")
    same = (
        f"(SELECT o.tenant, o.id AS was, n.id FROM {old}.graph_entity AS o JOIN graph_entity AS n "
        "ON n.tenant = o.tenant AND n.name_key = o.name_key)"
    )
    rows.run(
        "INSERT INTO graph_link SELECT l.tenant, l.id, e.id, l.memory_id, l.link_type, l.created_at "
        f"FROM {old}.graph_link AS l JOIN {same} AS e ON e.tenant = l.tenant AND e.was = l.entity_id "
        "ON CONFLICT DO NOTHING"
    )
    rows.run(
        "INSERT INTO graph_relation SELECT r.tenant, r.id, s.id, t.id, r.relation, r.created_at "
        f"FROM {old}.graph_relation AS r JOIN {same} AS s ON s.tenant = r.tenant AND s.was = r.source_id "
        f"JOIN {same} AS t ON t.tenant = r.tenant AND t.was = r.target_id ON CONFLICT DO NOTHING"
    )
    rows.run(
        f"INSERT INTO graph_revision SELECT * FROM {old}.graph_revision "
        "ON CONFLICT (tenant) DO UPDATE SET revision = graph_revision.revision + excluded.revision"
    )
    for name in _NAMES[1:]:
        rows.run(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    for name in _NAMES:
        rows.run(f"DROP TABLE {old}.{name}")
