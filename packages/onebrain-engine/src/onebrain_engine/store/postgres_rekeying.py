"""Sealing all memories of a PostgreSQL brain that are in clear, or sealed with an earlier key.

One transaction does it, which holds the lock of migrations and keeps writers from every space. They look at the mark of the
database behind that lock, and readers in the view that they read from, so nobody goes on with a key that is no longer right.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import psycopg

from onebrain.errors import OneBrainNotFoundError, Unsupported
from onebrain_engine.store.encryption import SEALED, Cipher, Seal
from onebrain_engine.store.postgres_codec import adapt_text, adapt_vectors
from onebrain_engine.store.postgres_connections import Connection, behind_pooler, open_connection, target
from onebrain_engine.store.postgres_errors import SERVICE, translated
from onebrain_engine.store.postgres_large import forget_words
from onebrain_engine.store.postgres_schema import LOCK, find_vectors, prepare, state

if TYPE_CHECKING:
    from onebrain_engine.store.rekeying import Companions

_log = logging.getLogger("onebrain_engine")

_CHUNK: Final = 500
_TIMEOUT: Final = 30  # seconds to wait for other writers

_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    f"SET LOCAL lock_timeout = '{_TIMEOUT}s'",
    # The server waits while a chunk is sealed here.
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    f"SELECT pg_advisory_xact_lock({LOCK})",
    # Every writer locks rows of this table first; to read goes on.
    "LOCK TABLE onebrain.space IN EXCLUSIVE MODE",
)
_COLUMNS: Final = ", ".join(f"m.{name}" for name in SEALED)
_ROWS: Final = (
    f'SELECT m."row", m.space, {_COLUMNS}, m.sealed, '
    'v."row" IS NOT NULL, v.data, v.sealed, n.data FROM onebrain.memory AS m '
    'LEFT JOIN onebrain.vector AS v ON v.tenant = m.tenant AND v."row" = m."row" '
    'LEFT JOIN onebrain.note AS n ON n.tenant = m.tenant AND n."row" = m."row" '
    'WHERE m.tenant = %s AND m."row" > %s AND {which} ORDER BY m."row" LIMIT %s'
)
_CHANGES: Final = {
    "memory": "content = '', title = NULL, type = NULL, tags = '[]', metadata = '{}', source = NULL, extra = '{}', "
    "sealed = new.sealed",
    "vector": "data = NULL, sealed = new.sealed",
    "note": "data = new.sealed",
}


def encrypt(url: str, new: Cipher, old: Cipher | None, others: Companions | None = None) -> int:
    """Seal all of a brain with a key; return the number of newly sealed memories. See `rekeying.encrypt`."""
    database = target(url)
    where = database.where
    with closing(open_connection(database)) as connection, translated(where):
        adapt_text(connection)
        _require_brain(connection, where, others)
        mark = state(connection, where)[1]
        prepare(connection, _present(mark, new, old, where), where)
        vectors = find_vectors(connection, where)
        adapt_vectors(connection, vectors.oid, vectors.array_oid)
        try:
            for statement in _BEGIN:
                connection.execute(statement.encode())
            count = _seal_all(connection, where, new, old)
            if others is not None:
                _seal_others(connection, others)
            connection.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise
        _sweep(connection, () if others is None else others.tables)
    return count


def _require_brain(connection: Connection, where: str, others: Companions | None) -> None:
    found = connection.execute(
        "SELECT n.nspname = 'onebrain', c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE (n.nspname = 'onebrain' OR n.nspname = ANY(current_schemas(false))) "
        "AND c.relname IN ('migration', 'server_setting')"
    ).fetchall()
    if (True, "migration") not in found:
        raise OneBrainNotFoundError(f"there is no brain in {where}", service=SERVICE)
    if others is None and any(name == "server_setting" for _, name in found):
        raise Unsupported("sealing what is stored already, or changing its key", "a server's database")


def _present(mark: bytes | None, new: Cipher, old: Cipher | None, where: str) -> Seal:
    """Return the cipher that opens a brain as it is; the key is not checked yet."""
    if mark is None:
        return Seal(None, where, SERVICE)
    return Seal(new if new.fits(mark) else old, where, SERVICE)


def _seal_all(connection: Connection, where: str, new: Cipher, old: Cipher | None) -> int:
    mark = state(connection, where)[1]
    present = _present(mark, new, old, where)
    present.accept(mark)
    if mark is None or present.cipher is not new:
        which, mark = "TRUE", new.fresh_mark()
    else:
        which = "m.sealed IS NULL"
    count = 0
    for tenant in _tenants(connection):
        connection.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
        forget_words(connection, tenant)
        # Unfinished vectors of another embedder are made again, since their memories are sealed anew.
        connection.execute("DELETE FROM onebrain.next_vector WHERE tenant = %s", (tenant,))
        connection.execute("UPDATE onebrain.space SET next_embedder = NULL WHERE tenant = %s", (tenant,))
        count += _seal_tenant(connection, tenant, which, present, new)
    connection.execute(
        "INSERT INTO onebrain.setting VALUES ('encryption', %s) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (mark,),
    )
    return count


def _seal_others(connection: Connection, others: Companions) -> None:
    connection.execute("SELECT set_config('onebrain.tenant', '*', true)")
    for table in others.tables:
        connection.execute(f"LOCK TABLE onebrain.{table} IN EXCLUSIVE MODE".encode())

    def execute(statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        done = connection.execute(statement.replace("?", "%s").encode(), tuple(values))
        return [] if done.description is None else done.fetchall()

    connection.execute("SET LOCAL search_path = onebrain")
    others.seal(execute)


def _tenants(connection: Connection) -> list[str]:
    """Return the tenants of the database; every memory has a space, and policies show all to a dump only."""
    connection.execute("SAVEPOINT all_tenants")
    connection.execute("SET LOCAL application_name = 'pg_dump'")
    found = connection.execute("SELECT DISTINCT tenant FROM onebrain.space ORDER BY tenant").fetchall()
    connection.execute("ROLLBACK TO SAVEPOINT all_tenants")
    return [tenant for (tenant,) in found]


def _seal_tenant(connection: Connection, tenant: str, which: str, present: Seal, new: Cipher) -> int:
    count, last = 0, -1
    while True:
        rows = connection.execute(
            _ROWS.format(which=which).encode(), (tenant, last, _CHUNK), binary=True
        ).fetchall()
        if rows:
            _seal_chunk(connection, tenant, rows, present, new)
            last = rows[-1][0]
        count += len(rows)
        if len(rows) < _CHUNK:
            return count


def _seal_chunk(
    connection: Connection, tenant: str, rows: Sequence[Sequence[Any]], present: Seal, new: Cipher
) -> None:
    """Seal memories with their vectors and notes."""
    sealed: dict[str, dict[int, bytes]] = {table: {} for table in _CHANGES}
    for row, space, *fields, was, has_vector, vector, sealed_vector, note in rows:
        context = (tenant, space, row)
        clear = fields if was is None else present.memory(*context, was)
        sealed["memory"][row] = new.seal_memory(*context, clear)
        if has_vector:
            data = vector if sealed_vector is None else present.vector(*context, sealed_vector)
            sealed["vector"][row] = new.seal("vector", *context, data)
        if note is not None:
            sealed["note"][row] = new.seal("note", *context, present.open_note(*context, note).encode())
    for table, changed in sealed.items():
        connection.execute(
            f"UPDATE onebrain.{table} AS old SET {_CHANGES[table]} "
            'FROM unnest(%s::int8[], %s::bytea[]) AS new ("row", sealed) '
            'WHERE old.tenant = %s AND old."row" = new."row"'.encode(),
            (list(changed), list(changed.values()), tenant),
        )


def _sweep(connection: Connection, others: Sequence[str]) -> None:
    """Remove the rest that is in clear: indexes of large spaces, and the rows' earlier versions."""
    found = connection.execute(
        "SELECT quote_ident(indexname) FROM pg_indexes WHERE schemaname = 'onebrain' AND starts_with(indexname, 'large_')"
    ).fetchall()
    statements = [f"DROP INDEX CONCURRENTLY IF EXISTS onebrain.{name}" for (name,) in found]
    full = ""
    if not behind_pooler(connection):  # where a setting would stay behind in a session of others
        connection.execute(f"SET lock_timeout = '{_TIMEOUT}s'".encode())
        full = "FULL "
    statements += [f"VACUUM {full}onebrain.{table}" for table in (*_CHANGES, "next_vector", "word", *others)]
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DiskFull, psycopg.errors.QueryCanceled):
            _log.warning(
                "all is sealed; earlier versions may still lie in clear in free space until: %s", statement
            )
