"""The database of the server's own tables: the engine's, through SQLAlchemy, on SQLite or PostgreSQL."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from onebrain.errors import (
    ConfigurationError,
    OneBrainConflictError,
    OneBrainConnectionError,
    OneBrainError,
    SchemaTooNew,
    StorageError,
)
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path
from onebrain_engine.store import sqlite_errors
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_engine.store.sqlite_file import DatabaseFiles
from onebrain_server.state import former_graph, tables
from onebrain_server.state.named_locks import NamedLocks
from onebrain_server.state.queries import PostgresQueries, Queries, SqliteQueries

_ADVISORY_LOCK: Final = 0x0B5A1008


def _create_all(connection: Connection) -> None:
    """Create the tables that are not there: all of them at first, `server_delivery` in the second version."""
    tables.metadata.create_all(connection)


def _second_wall(connection: Connection) -> None:
    """Let PostgreSQL itself hide other tenants' rows, should a query ever forget to."""
    # Tables of later migrations may not be there yet; those migrations build their walls.
    there = sa.inspect(connection).get_table_names() if connection.dialect.name == "postgresql" else ()
    for table in tables.metadata.sorted_tables:
        if "tenant" in table.columns and table.name in there:
            _wall(connection, table.name)


def _create(connection: Connection, table: sa.Table) -> None:
    """Create a table where it is not there, with its wall."""
    table.create(connection, checkfirst=True)
    for index in table.indexes:
        index.create(connection, checkfirst=True)
    _wall(connection, table.name)


def _history(connection: Connection) -> None:
    """Create `server_revision` where it is not there."""
    _create(connection, tables.revision)


def _attempts(connection: Connection) -> None:
    """Create `server_attempt` where it is not there."""
    tables.attempt.create(connection, checkfirst=True)


def _entities(connection: Connection) -> None:
    """Create the tables of entities where they are not there, and take in the entities that the engine kept."""
    _create(connection, tables.entity)
    _create(connection, tables.relation)
    former_graph.take_in(connection)


def _wall(connection: Connection, table: str) -> None:
    if connection.dialect.name != "postgresql":
        return
    mine = (
        "tenant = current_setting('onebrain.tenant', true) OR current_setting('onebrain.tenant', true) = '*'"
    )
    # See `postgres_schema` of the engine.
    seen = f"{mine} OR current_setting('application_name') = 'pg_dump'"
    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    # On a new database the first migration made this table, and the wall before this one its policy.
    connection.exec_driver_sql(f"DROP POLICY IF EXISTS own_tenant ON {table}")
    connection.exec_driver_sql(f"CREATE POLICY own_tenant ON {table} USING ({seen}) WITH CHECK ({mine})")


# One entry a version. A migration is never changed once released; a new one is appended.
MIGRATIONS: Final[tuple[Callable[[Connection], None], ...]] = (
    _create_all,
    _create_all,
    _second_wall,
    _history,
    _attempts,
    # Which lets pg_dump see all since then.
    _second_wall,
    _entities,
)

# The tenant of the server's own queries, or those for all: finding who a key belongs to, jobs, tidying up.
SERVER: Final = "*"


class Taken(Exception):
    """Another record of this kind has this name; `existing_id` says which."""

    def __init__(self, existing_id: str | None = None) -> None:
        super().__init__(existing_id)
        self.existing_id = existing_id


class Database:
    """Connections for reading and for writing; both are transactions.

    Args:
        url: ``sqlite:///file``, ``sqlite://`` or ``postgresql://...``.
        shared: Whether other processes of the server have the same SQLite file; replicas always share PostgreSQL.

    Attributes:
        postgres: Whether it is PostgreSQL.
        shared: Whether other processes may have it, too.
    """

    def __init__(self, url: str, *, shared: bool = False) -> None:
        self.postgres = is_postgres(url)
        self.shared = shared or self.postgres
        self._locks: NamedLocks | None = None
        self._lock: threading.RLock | None = None
        self._files: DatabaseFiles | None = None
        self._names: sa.Engine | None = None
        self._queries: Queries | None = None
        self._closed = False
        file: str | None = None
        if self.postgres:
            self._reader = self._writer = _postgres(url)
            # Of their own: who holds a name needs another connection, and must not wait for those who wait for the name.
            self._names = _postgres(url)
            self._queries = PostgresQueries(url)
        elif url.startswith("sqlite:"):
            path = sqlite_path(url)
            if path == MEMORY:
                # One connection for all.
                self._lock = threading.RLock()
                self._reader = self._writer = _sqlite("", "BEGIN", poolclass=StaticPool)
            else:
                file = str(Path(path).absolute())
                self._reader = _sqlite(file, "BEGIN")
                # Immediate, because a transaction that reads first fails without waiting if another one writes meanwhile. One
                # connection, because SQLite has one writer: threads wait for the connection, not for the lock of the file.
                self._writer = _sqlite(file, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        else:
            raise ConfigurationError("DATABASE_URL: must begin with sqlite: or postgresql:")
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise
        if file is not None:
            self._files = DatabaseFiles(file)
            self._queries = SqliteQueries(file)
            if shared:
                self._locks = NamedLocks(f"{file}.locks")

    @contextmanager
    def reading(self, tenant: str) -> Generator[Connection, None, None]:
        """Open a consistent view of one tenant's rows, or of all for `SERVER`."""
        self._require()
        with self._guarded(), _translated(), self._reader.connect() as connection:
            self._bind(connection, tenant)
            yield connection

    @contextmanager
    def writing(self, tenant: str) -> Generator[Connection, None, None]:
        """Open a transaction on one tenant's rows, or on all for `SERVER`.

        It commits at the end of the block and rolls back where the block raises.
        """
        self._require()
        with self._guarded(), _translated(), self._writer.begin() as connection:
            self._bind(connection, tenant)
            yield connection
        self._require(wrote=True)

    def run(self, tenant: str, statement: sa.Executable) -> int:
        """Execute one statement in a transaction of its own; return how many rows it changed."""
        with self.writing(tenant) as connection:
            return connection.execute(statement).rowcount

    def rows(self, tenant: str, query: sa.Executable) -> Sequence[Any]:
        """Return the rows of one query."""
        with self.reading(tenant) as connection:
            return connection.execute(query).all()

    def first(self, tenant: str, query: sa.Executable) -> Any:
        """Return the first row of one query; None if there is none."""
        with self.reading(tenant) as connection:
            return connection.execute(query).first()

    def scalar(self, tenant: str, query: sa.Executable) -> Any:
        """Return the first value of the first row of one query; None if there is no row."""
        with self.reading(tenant) as connection:
            return connection.execute(query).scalar()

    def value(self, statement: str, values: Sequence[Any]) -> Any:
        """Return the first value of the first row of a query, None if there is no row; see `queries`.

        Args:
            statement: Reads rows that belong to no tenant, with ``?`` for each value.
            values: The values.
        """
        self._require()
        if self._queries is None:
            # In memory there is one connection.
            with self.reading(SERVER) as connection:
                return connection.exec_driver_sql(statement, tuple(values)).scalar()
        with _translated():
            row = self._queries.first(statement, values)
        return None if row is None else row[0]

    def probe(self, size: int) -> None:
        """Write a mark, and a number of bytes that are removed again; raise if that cannot be done."""
        mark = (tables.setting.c.name == "probe") | (tables.setting.c.name == "room")
        with self.writing(SERVER) as connection:
            connection.execute(tables.setting.delete().where(mark))
            self.insert(connection, tables.setting, {"name": "probe", "value": str(time.time_ns())})
            if size:
                self.insert(connection, tables.setting, {"name": "room", "value": "0" * size})
        if size:
            with self.writing(SERVER) as connection:
                connection.execute(tables.setting.delete().where(tables.setting.c.name == "room"))

    def insert(self, connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key or another unique value is there; return whether it was inserted.

        One that another request is inserting at the same moment is waited for. Looking first, and inserting then, would
        fail where both look before either inserts.
        """
        statement = self.inserting(table).values(**values).on_conflict_do_nothing()
        return connection.execute(statement.returning(sa.literal(1))).first() is not None

    def inserting(self, table: sa.Table) -> Any:
        """Return the database's own INSERT, which can say what is done about a row that is there already."""
        return (postgresql.insert if self.postgres else sqlite.insert)(table)

    @contextmanager
    def holding(self, name: str, *, wait: bool = True) -> Generator[bool, None, None]:
        """Hold a name among all replicas and workers until the end of the block.

        Args:
            name: The name of the lock.
            wait: Whether to wait while another holds it. Otherwise the block gets False at once.
        """
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if self._locks is not None:
            with self._locks.holding(int.from_bytes(digest) >> 2, wait=wait) as held:
                yield held
            return
        if self._names is None:
            yield True
            return
        lock = sa.func.pg_advisory_xact_lock if wait else sa.func.pg_try_advisory_xact_lock
        # A lock of a transaction: it ends with the connection, and a pooler does not hand it to others.
        with _translated(), self._names.begin() as connection:
            taken = connection.execute(sa.select(lock(int.from_bytes(digest, signed=True)))).scalar()
            yield wait or bool(taken)

    @property
    def in_memory(self) -> bool:
        """Whether the tables are in the memory of this process, where no other connection sees them."""
        return self._lock is not None

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._reader.dispose()
        self._writer.dispose()
        if self._names is not None:
            self._names.dispose()
        if self._queries is not None:
            self._queries.close()
        if self._locks is not None:
            self._locks.close()

    def _require(self, *, wrote: bool = False) -> None:
        """Raise `StorageError` where the database is closed, or its file is no longer the one that is open."""
        if self._closed:
            raise StorageError("the server's database is closed")
        if self._files is not None:
            self._files.require(wrote=wrote)

    def _bind(self, connection: Connection, tenant: str) -> None:
        if self.postgres:
            connection.execute(_SET_TENANT, {"tenant": tenant})

    @contextmanager
    def _guarded(self) -> Generator[None, None, None]:
        if self._lock is None:
            yield
        else:
            with self._lock:
                yield

    def _migrate(self) -> None:
        version = tables.schema_version
        with self._guarded(), _translated(), self._writer.begin() as connection:
            # Replicas may start together.
            if self.postgres:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                self._gather(connection)
            self._bind(connection, SERVER)
            version.create(connection, checkfirst=True)
            done = connection.execute(sa.select(sa.func.max(version.c.version))).scalar() or 0
            if done > len(MIGRATIONS):
                raise SchemaTooNew(
                    f"the database has server schema {done}, this onebrain-server knows {len(MIGRATIONS)}; "
                    "upgrade it: pip install --upgrade onebrain-server"
                )
            for number, migration in enumerate(MIGRATIONS[done:], done + 1):
                migration(connection)
                connection.execute(version.insert().values(version=number))

    def _gather(self, connection: Connection) -> None:
        """Bring tables that earlier versions made elsewhere into the schema ``onebrain``."""
        from onebrain_engine.store.postgres_schema import gather

        names = [tables.schema_version.name, *(table.name for table in tables.metadata.sorted_tables)]
        driver: Any = connection.connection.driver_connection
        old = gather(driver, "the server's database", names)
        if old is not None:
            raise ConfigurationError(
                f"the server's tables stand in the schema onebrain and, of an earlier version, in {old}; that one was "
                "started after the upgrade. Keep those of onebrain, and move away or drop the others: "
                f"ALTER TABLE {old}.{names[0]} RENAME TO {names[0]}_old is enough"
            )


# Of this transaction only, so that a pooler in between does no harm.
_SET_TENANT: Final = sa.text(
    "SELECT set_config('onebrain.tenant', :tenant, true), set_config('search_path', 'onebrain', true)"
)


def _postgres(url: str) -> sa.Engine:
    """Return the database of a URL, whose connections are opened as the engine opens its own."""
    from onebrain_engine.store.postgres_connections import open_connection, target

    where = target(url)

    def connect() -> Any:
        connection = open_connection(where)
        connection.autocommit = False
        return connection

    # Errors reach the log, and their parameters hold users' data.
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=8,
        max_overflow=8,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _sqlite(path: str, begin: str, **options: Any) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite+pysqlite", database=path),
        # Otherwise sqlite3 begins transactions by rules of its own.
        connect_args={"check_same_thread": False, "timeout": 30.0, "isolation_level": None},
        **options,
    )

    def prepare(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine


@contextmanager
def _translated() -> Generator[None, None, None]:
    """Raise the driver's errors as ours, without the statement and its parameters."""
    try:
        yield
    except IntegrityError:
        raise OneBrainConflictError(
            "another request has stored this at the same moment; look before you try again"
        ) from None
    except DBAPIError as error:
        raise _ours(error.orig) from None
    except sqlite3.Error as error:
        raise _ours(error) from None
    except OneBrainConnectionError as error:
        # Of a connection that could not be opened.
        raise StorageError(error.message, code=error.code) from None


def _ours(error: BaseException | None) -> OneBrainError:
    """Return the error of our tree for one of a driver's, as the engine does."""
    where = "the server's database"
    if isinstance(error, sqlite3.Error):
        return sqlite_errors.translate(error, where)
    if type(error).__module__.partition(".")[0] == "psycopg":
        # Only where there is psycopg.
        from onebrain_engine.store import postgres_errors

        found = postgres_errors.translate(cast("Any", error), where)
        if isinstance(found, StorageError):
            return found
        # No caller's fault, whatever it is.
        return StorageError(found.message, code=found.code)
    return StorageError(f"{where} failed: {type(error).__name__}")
