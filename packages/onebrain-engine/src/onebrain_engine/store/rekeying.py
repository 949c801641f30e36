"""Sealing all memories of an SQLite brain that are in clear, or sealed with an earlier key; see also `postgres_rekeying`.

All of it is one transaction. A run that is stopped or killed has changed nothing and can be begun again. Others read meanwhile
the former state, and writers wait, or are told that another writer holds the file. Who has the brain open learns at the
next call that its key is another one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from onebrain.errors import MissingDependency, OneBrainNotFoundError, Unsupported
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path
from onebrain_engine.store.encryption import BLANK, SEALED, Cipher, Seal
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_engine.store.schema import encryption_mark, migrate
from onebrain_engine.store.sqlite_errors import translated

_CHUNK: Final = 500
_TIMEOUT: Final = 30.0  # seconds to wait for other writers

# Executes SQL of both databases, with ``?`` for each value, and returns the rows.
Execute: TypeAlias = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Companions:
    """Tables beside a brain's that are sealed with its key, such as a server's.

    Attributes:
        tables: Their names.
        seal: Seals their rows, within the transaction that seals the memories.
    """

    tables: Sequence[str]
    seal: Callable[[Execute], object]


def encrypt(url: str, encryption_key: str | bytes, *, before: str | bytes | None = None) -> int:
    """Seal all of a brain with a key; return the number of newly sealed memories.

    Args:
        url: ``sqlite:///brain.db``, or ``postgresql://host/database``, of which all tenants are sealed.
        encryption_key: 64 hexadecimal digits, or 32 bytes: the key that the brain is opened with from now on.
        before: The key it is sealed with at present; None where it lies in clear, or is sealed with this key in part.

    Raises:
        ConfigurationError: A key is malformed, or `before` is not the brain's.
        OneBrainNotFoundError: There is no such file, or no brain in the database.
        Unsupported: The brain belongs to a server, which seals texts of its own with the key; ``onebrain encrypt`` does it.
        MissingDependency: The package ``cryptography`` is not installed, or ``psycopg`` where it is needed.
    """
    return encrypt_all(url, encryption_key, before=before)


def encrypt_all(
    url: str, encryption_key: str | bytes, *, before: str | bytes | None, others: Companions | None = None
) -> int:
    """Seal a brain, and the tables beside it, in one transaction; see `encrypt`."""
    service = "postgresql" if is_postgres(url) else "sqlite"
    new = Cipher(encryption_key, service=service)
    old = None if before is None else Cipher(before, service=service)
    if service == "postgresql":
        return _encrypt_postgres(url, new, old, others)
    path = sqlite_path(url)
    if path == MEMORY or not Path(path).is_file():
        raise OneBrainNotFoundError(f"there is no brain at {url}", service="sqlite")
    with translated(path), closing(sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None)) as database:
        migrate(database, path)
        database.execute("PRAGMA secure_delete = ON")  # clear pages are overwritten
        database.execute("BEGIN IMMEDIATE")
        try:
            count = _seal_all(database, path, new, old, others)
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        _sweep(database, path)
    return count


def _encrypt_postgres(url: str, new: Cipher, old: Cipher | None, others: Companions | None) -> int:
    try:
        from onebrain_engine.store import postgres_rekeying
    except ImportError:
        raise MissingDependency(
            'PostgreSQL needs psycopg: pip install "onebrain-engine[postgres]"', service="postgresql"
        ) from None
    return postgres_rekeying.encrypt(url, new, old, others)


def _seal_all(
    database: sqlite3.Connection, path: str, new: Cipher, old: Cipher | None, others: Companions | None
) -> int:
    if (
        others is None
        and database.execute("SELECT 1 FROM sqlite_master WHERE name = 'server_setting'").fetchone()
    ):
        raise Unsupported("sealing what is stored already, or changing its key", "a server's database")
    mark = encryption_mark(database)
    if mark is not None and new.fits(mark):
        present, rest = Seal(new, path, "sqlite"), "WHERE sealed IS NULL"
    else:
        present, rest = Seal(old, path, "sqlite"), "WHERE TRUE"
        if mark is not None:
            present.accept(mark)
        mark = new.fresh_mark()
    count, last = 0, -1
    columns = ", ".join(SEALED)
    while True:
        rows = database.execute(
            f"SELECT row, tenant, space, sealed, {columns} FROM memory {rest} AND row > ? ORDER BY row LIMIT ?",
            (last, _CHUNK),
        ).fetchall()
        for row, tenant, space, sealed, *clear in rows:
            fields = clear if sealed is None else present.memory(tenant, space, row, sealed)
            _seal_one(database, present, new, (row, tenant, space), fields, sealed is not None)
            last = row
        count += len(rows)
        if len(rows) < _CHUNK:
            break
    # Unfinished vectors of another embedder are made again, since their memories are sealed anew.
    database.execute("DELETE FROM next_vector")
    database.execute("UPDATE space SET next_embedder = NULL")
    database.execute("INSERT OR REPLACE INTO setting (name, value) VALUES ('encryption', ?)", (mark,))
    if others is not None:
        others.seal(lambda statement, values: database.execute(statement, values).fetchall())
    return count


def _seal_one(
    database: sqlite3.Connection,
    present: Seal,
    new: Cipher,
    context: tuple[int, str, int],
    fields: Sequence[Any],
    was_sealed: bool,
) -> None:
    """Seal a memory with its vector and its note."""
    row, tenant, space = context
    values = ", ".join(f"{name} = ?" for name in SEALED)
    sealed = new.seal_memory(tenant, space, row, fields)
    database.execute(f"UPDATE memory SET {values}, sealed = ? WHERE row = ?", (*BLANK, sealed, row))
    for (vector,) in database.execute("SELECT data FROM vector WHERE row = ?", (row,)).fetchall():
        clear = present.vector(tenant, space, row, vector) if was_sealed else vector
        again = new.seal("vector", tenant, space, row, clear)
        database.execute("UPDATE vector SET data = ? WHERE row = ?", (again, row))
    for (note,) in database.execute("SELECT data FROM note WHERE row = ?", (row,)).fetchall():
        text = present.open_note(tenant, space, row, note)
        again = new.seal("note", tenant, space, row, text.encode())
        database.execute("UPDATE note SET data = ? WHERE row = ?", (again, row))


def _sweep(database: sqlite3.Connection, path: str) -> None:
    """Remove the rest that is in clear: old pages, the WAL, and snapshots of the index, which are made anew."""
    with suppress(sqlite3.Error):  # somebody reads; it is done when the last one closes the file
        database.execute("VACUUM")
    with suppress(sqlite3.Error):
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in Path(path + ".index").glob("*"):
        with suppress(OSError):
            file.unlink()


__all__ = ["Companions", "Execute", "encrypt", "encrypt_all"]
