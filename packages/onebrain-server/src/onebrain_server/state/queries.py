"""Single queries of rows that belong to no tenant, without SQLAlchemy, which takes longer than the database does.

The revision of an account is read for every page of memories: in 20 µs instead of 400.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Protocol

# Of one transaction only, so that a pooler in between does no harm.
_PATH: Final = "SELECT set_config('search_path', 'onebrain', true)"


class Queries(Protocol):
    """Connections for single queries; safe to share between threads."""

    def first(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the first row of a query, which has ``?`` for each value; None if there is none."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class SqliteQueries:
    """Connections to an SQLite file.

    Args:
        path: The file, which is there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        # Its methods are atomic, so that threads need no lock.
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def first(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the first row of a query; None if there is none."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = sqlite3.connect(
                self._path, timeout=30.0, isolation_level=None, check_same_thread=False
            )
        try:
            # A statement by itself is a transaction of its own, and ends with its last row.
            rows = connection.execute(statement, values).fetchall()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if self._closed:
            self.close()
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the connections; one in use is closed when its query ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class PostgresQueries:
    """Connections to a PostgreSQL database; each query is one message.

    Args:
        url: The database.
    """

    def __init__(self, url: str) -> None:
        # Late, because PostgreSQL's driver may not be installed.
        from onebrain_engine.store.postgres_connections import Connections, target

        self._connections = Connections(target(url), size=8, timeout=10.0)

    def first(self, statement: str, values: Sequence[Any]) -> Sequence[Any] | None:
        """Return the first row of a query; None if there is none."""
        message = f"{_PATH}; {statement.replace('?', '%s')}"
        rows = self._connections.query(message.encode(), values)
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
