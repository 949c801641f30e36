"""Connections to a PostgreSQL database: opened when needed, kept for later, replaced where the server has closed them.

A pooler such as PgBouncer may stand in between and give every transaction another session of the server. Nothing may
then outlive a transaction: no setting, no lock, no temporary table and no prepared statement. Settings and locks are
those of a transaction everywhere in this package; statements are prepared only where nothing stands in between.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import conninfo, pq
from psycopg.pq import TransactionStatus

from onebrain.errors import DatabaseBusy, StorageError
from onebrain_engine.store.postgres_errors import (
    is_gone,
    is_stale,
    is_unprepared,
    translate,
    translate_connect,
)
from onebrain_engine.store.postgres_url import (
    EXAMPLE,
    SERVICE,
    Target,
    described,
    is_postgres,
    parse,
    refused,
)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_log = logging.getLogger("onebrain_engine")

_OFTEN: Final = 5  # uses after which a statement is prepared


def target(url: str) -> Target:
    """Return the database that a URL names, or the words by which libpq knows one, as ``host=localhost dbname=brains``.

    Raises:
        ConfigurationError: It is no PostgreSQL URL; the message holds no part of a user name or password.
    """
    if "://" not in url and not is_postgres(url):
        try:
            return described(conninfo.conninfo_to_dict(url))
        except psycopg.Error:
            raise refused(EXAMPLE) from None
    return parse(url, known={option.keyword.decode() for option in pq.Conninfo.get_defaults()})


def open_connection(where: Target) -> Connection:
    """Open a connection that commits each statement by itself, and prepares statements where that is safe.

    Raises:
        OneBrainError: It could not be opened; the message has the reason and no secret.
    """
    try:
        connection: Connection = psycopg.connect(**where.parameters, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise translate_connect(error, where.where, str(where.parameters.get("password") or "")) from None
    try:
        if where.prepares and not behind_pooler(connection):
            connection.prepare_threshold = _OFTEN
            # psycopg counts from 0 on each connection. Behind a pooler that was not recognised, a number would name one
            # statement to this connection and another one to the session that it is given: a statement that nobody asked
            # for would run. With numbers of their own, a session only ever lacks the statement, which is an error.
            connection._prepared._prepared_idx = secrets.randbits(62)  # pyright: ignore[reportPrivateUsage]
    except psycopg.Error as error:
        connection.close()
        raise translate(error, where.where) from None
    return connection


def behind_pooler(connection: Connection) -> bool:
    """Return whether a pooler stands between a connection and the server.

    A pooler answers for the server while connecting, so the process that it names is not the one that works.
    """
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    return found is None or found[0] != connection.info.backend_pid


class Connections:
    """A pool of connections; safe to share between threads, and with a forked child, which gets connections of its own.

    Args:
        where: The database.
        size: The most connections at a time.
        timeout: Seconds to wait for a free one.
        prepare: Called with each new connection before anything else is done with it.
    """

    def __init__(
        self,
        where: Target,
        *,
        size: int,
        timeout: float,
        prepare: Callable[[Connection], None] = lambda connection: None,
    ) -> None:
        self._target = where
        self._size = size
        self._timeout = timeout
        self._prepare = prepare
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Connection] = []
        # A connection in use goes back to the idle ones if nothing since it was taken said that they are out of date.
        self._generation = 0
        self._taken: dict[Connection, int] = {}
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._size)

    @property
    def where(self) -> str:
        """A name for the database that holds no secret."""
        return self._target.where

    def open(self) -> Connection:
        """Open a connection that does not count; whoever opens it closes it."""
        connection = open_connection(self._target)
        try:
            self._prepare(connection)
        except psycopg.Error as error:
            connection.close()
            raise translate(error, self.where) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def take(self) -> Connection:
        """Return a connection, an idle one if there is one; it may have been closed by the server meanwhile."""
        self._check()
        if not self._free.acquire(timeout=self._timeout):
            raise DatabaseBusy(
                f"all {self._size} connections to {self.where} are in use; raise pool_size, or use fewer threads",
                service=SERVICE,
            )
        try:
            with self._lock:
                generation = self._generation
                connection = self._idle.pop() if self._idle else None
            return self._note(connection or self.open(), generation)
        except BaseException:
            self._free.release()
            raise

    def _note(self, connection: Connection, generation: int) -> Connection:
        with self._lock:
            self._taken[connection] = generation
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back."""
        with self._lock:
            usable = (
                self._taken.pop(connection, None) == self._generation
                and not self._closed
                and connection.info.transaction_status == TransactionStatus.IDLE
            )
            if usable:
                self._idle.append(connection)
        if not usable:
            connection.close()
        self._free.release()

    def renew(self, connection: Connection) -> Connection:
        """Return a new connection for one that the server has closed; the idle ones are as old as that."""
        self._drop(connection)
        generation = self._generation
        return self._note(self.open(), generation)

    def distrust(self, connection: Connection, error: psycopg.Error) -> None:
        """Close connections that know the database as it no longer is, where an error says so."""
        if is_unprepared(error) and connection.prepare_threshold is not None:
            _log.warning(
                "%s: a pooler seems to stand in between, so statements are no longer prepared", self.where
            )
            self._target = Target(self._target.parameters, self.where, prepares=False)
        self._drop(connection)

    def execute(
        self, connection: Connection, message: bytes, values: Sequence[Any]
    ) -> tuple[Connection, psycopg.Cursor[tuple[Any, ...]]]:
        """Run the first statements of a transaction in one message; return the connection, too, which may be a new one.

        Where the server was restarted since the connection was last used, nothing has been asked of it yet. The cursor
        stands at the first result.
        """
        try:
            cursor = psycopg.ClientCursor(connection).execute(message, values)
        except psycopg.Error as error:
            if not is_gone(error):
                raise
            connection = self.renew(connection)
            cursor = psycopg.ClientCursor(connection).execute(message, values)
        return connection, cursor

    def query(self, message: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run statements that only read in one message, which is a transaction, and return the rows of the last one."""
        connection = self.take()
        try:
            connection, cursor = self.execute(connection, message, values)
            while cursor.nextset():
                pass
            return cursor.fetchall()
        except psycopg.Error as error:
            if is_stale(error):
                self.distrust(connection, error)
            raise translate(error, self.where) from None
        finally:
            self.give(connection)

    @contextmanager
    def transaction(self, begin: bytes, values: Sequence[Any]) -> Generator[Connection, None, None]:
        """Run a block in a transaction, which `begin` begins; it is kept unless the block raises."""
        connection = self.take()
        try:
            try:
                connection, _ = self.execute(connection, begin, values)
                yield connection
                connection.execute("COMMIT")
            except psycopg.Error as error:
                self._undo(connection)
                if is_stale(error):
                    self.distrust(connection, error)
                raise translate(error, self.where) from None
            except BaseException:
                self._undo(connection)
                raise
        finally:
            self.give(connection)

    def _undo(self, connection: Connection) -> None:
        """Roll back; a lost connection has done so by itself."""
        try:
            if not connection.closed:
                connection.execute("ROLLBACK")
        except psycopg.Error as error:
            _log.debug("rolling back: %s", type(error).__name__)

    def _drop(self, connection: Connection) -> None:
        """Close a connection, and with it all that were open when it was; the newer ones stay."""
        with self._lock:
            stale = [connection]
            if self._taken.pop(connection, None) == self._generation:
                self._generation += 1
                stale += self._idle
                self._idle = []
        for old in stale:
            old.close()

    def _check(self) -> None:
        if self._closed:
            raise StorageError("this brain is closed; connect again", service=SERVICE)
        if self._pid != os.getpid():
            # A forked child must not touch its parent's connections, nor close them.
            _inherited.extend([*self._idle, *self._taken])
            self._start()

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        with self._lock:
            if self._closed or self._pid != os.getpid():
                return
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


# Connections of a parent process, kept so that nothing closes them in the child.
_inherited: list[Connection] = []
