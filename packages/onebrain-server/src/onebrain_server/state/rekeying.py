"""Sealing all of a server's database that is in clear, or sealed with an earlier key.

The memories and the server's own rows change in one transaction. A run that is stopped has changed nothing and can be begun
again. Digests of names are made again from the sealed documents. Ids of memories that were derived from a text, and the
digests of idempotency keys, remain as they are: the earlier key is kept, sealed with the new one, to know them by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from onebrain._core.codec import from_json, to_json
from onebrain.errors import StorageError, Unsupported
from onebrain_engine.store.encryption import Cipher
from onebrain_engine.store.rekeying import Companions, Execute, encrypt_all
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.vault import Vault
from onebrain_server.state import entities, tables
from onebrain_server.state.database import SERVER, Database

_FORMER: Final = "former_keys"
_AT_ONCE: Final = 500
_SEALED: Final[Mapping[sa.Table, str]] = {
    tables.record: "body",
    tables.entity: "body",
    tables.revision: "body",
    tables.idempotency: "body",
    tables.delivery: "payload",
}
# Of documents with unique names: the column of the digest, the other one that it is made with, and within which keys it is unique.
_NAMED: Final[Mapping[sa.Table, tuple[str, str, Sequence[str]]]] = {
    tables.record: ("unique_key", "kind", ("tenant", "kind")),
    tables.entity: ("name_key", "type", ("tenant",)),
}


def encrypt(url: str, encryption_key: str | bytes, *, before: str | bytes | None = None) -> int:
    """Seal all of a server's database with a key; return the number of newly sealed memories.

    No server may run on it meanwhile: one that does keeps the earlier key until it is started again.

    Args:
        url: The server's ``DATABASE_URL``.
        encryption_key: 64 hexadecimal digits, or 32 bytes: the ``MEMORY_ENCRYPTION_KEY`` from now on.
        before: The key that it is sealed with at present; None where it lies in clear.

    Raises:
        ConfigurationError: A key is malformed, or `before` is not the database's.
        OneBrainNotFoundError: There is no such database.
        StorageError: A text is sealed with neither key.
    """
    try:
        return encrypt_all(url, encryption_key, before=before)
    except Unsupported:
        # It is a server's, whose tables are brought up to date first.
        Database(url).close()
    new = _key(encryption_key)
    old = None if before is None else _key(before)
    names = [table.name for table in (*_SEALED, tables.setting)]
    rows = _Rows(new, None if old == new else old)
    return encrypt_all(url, encryption_key, before=before, others=Companions(names, rows.seal))


def former_keys(database: Database, sealer: Sealer) -> tuple[bytes, ...]:
    """Return the keys whose digests are still good, which `encrypt` left."""
    named = sa.select(tables.setting.c.value).where(tables.setting.c.name == _FORMER)
    stored = database.scalar(SERVER, named)
    return () if stored is None else tuple(_keys(sealer.open(SERVER, bytes.fromhex(stored))))


class _Rows:
    """Seals the rows of a server with a key.

    Args:
        new: The key.
        old: The key before it; None if there was none.
    """

    def __init__(self, new: bytes, old: bytes | None) -> None:
        self._new = Sealer(new)
        self._present = [self._new] if old is None else [self._new, Sealer(old)]
        self._old = old
        self._known: Sequence[Sealer] = ()

    def seal(self, execute: Execute) -> None:
        """Seal all rows, by a function that executes SQL within the caller's transaction."""
        former = self._keep_former(execute)
        self._known = [Sealer(None), *map(Sealer, former)]
        for table, column in _SEALED.items():
            for keys, stored in self._stored(execute, table, column):
                self._seal_row(execute, table, column, keys, stored)

    def _stored(
        self, execute: Execute, table: sa.Table, column: str
    ) -> Iterator[tuple[Sequence[Any], bytes]]:
        names = ", ".join(one.name for one in table.primary_key.columns)
        marks = ", ".join("?" for _ in table.primary_key.columns)
        behind = ""
        last: tuple[Any, ...] = ()
        while True:
            rows = execute(
                f"SELECT {names}, {column} FROM {table.name} {behind}ORDER BY {names} LIMIT {_AT_ONCE}", last
            )
            for *keys, stored in rows:
                last = tuple(keys)
                if stored is not None:
                    yield keys, bytes(stored)
            if len(rows) < _AT_ONCE:
                return
            behind = f"WHERE ({names}) > ({marks}) "

    def _seal_row(
        self, execute: Execute, table: sa.Table, column: str, keys: Sequence[Any], stored: bytes
    ) -> None:
        # Credentials of third parties have a key of their own.
        if Vault.sealed(stored):
            return
        tenant = str(keys[0])
        text, current = self._open(tenant, stored)
        changes: dict[str, Any] = self._renamed(execute, table, keys, text)
        if not current:
            changes[column] = self._new.seal(tenant, text)
        if changes:
            values = ", ".join(f"{name} = ?" for name in changes)
            where = " AND ".join(f"{one.name} = ?" for one in table.primary_key.columns)
            execute(f"UPDATE {table.name} SET {values} WHERE {where}", (*changes.values(), *keys))

    def _open(self, tenant: str, stored: bytes) -> tuple[str, bool]:
        """Return a text, and whether it is sealed with the new key already."""
        for sealer in self._present:
            try:
                text = sealer.open(tenant, stored)
            except StorageError:
                continue
            return text, sealer is self._new and Sealer.seals(stored)
        raise StorageError(
            "a text of the server is sealed with neither key; nothing was changed. Give the key that it was made with as "
            "the key before"
        )

    def _renamed(self, execute: Execute, table: sa.Table, keys: Sequence[Any], text: str) -> dict[str, Any]:
        """Return the digest of a document's name by the new key; nothing where it has none, or that is it."""
        if table not in _NAMED:
            return {}
        column, more, scope = _NAMED[table]
        where = " AND ".join(f"{one.name} = ?" for one in table.primary_key.columns)
        ((digest, part),) = execute(f"SELECT {column}, {more} FROM {table.name} WHERE {where}", keys)
        if digest is None:
            return {}
        tenant, body = str(keys[0]), from_json(text)
        names = (
            [entities.name_key(body["name"], part)]
            if table is tables.entity
            # Which of its values is the name differs by kind.
            else [f"{part}\0{value}" for value in body.values() if isinstance(value, str | int)]
        )
        for name in names:
            if any(sealer.digest(tenant, name) == digest for sealer in self._known):
                made = self._new.digest(tenant, name)
                same = f"SELECT 1 FROM {table.name} WHERE {column} = ? AND " + " AND ".join(
                    f"{one} = ?" for one in scope
                )
                # Versions that compared by the newest digest alone may have let a name be used twice.
                if not execute(same, (made, *keys[: len(scope)])):
                    return {column: made}
        return {}

    def _keep_former(self, execute: Execute) -> Sequence[bytes]:
        """Add the old key to those before it, all sealed with the new one, and return them."""
        former: list[bytes] = []
        for (stored,) in execute("SELECT value FROM server_setting WHERE name = ?", (_FORMER,)):
            former = _keys(self._open(SERVER, bytes.fromhex(stored))[0])
        if self._old is not None and self._old not in former:
            former.insert(0, self._old)
        if former:
            sealed = self._new.seal(SERVER, to_json([key.hex() for key in former])).hex()
            execute("DELETE FROM server_setting WHERE name = ?", (_FORMER,))
            execute("INSERT INTO server_setting (name, value) VALUES (?, ?)", (_FORMER, sealed))
        return former


def _key(given: str | bytes) -> bytes:
    # Which refuses any other.
    Cipher(given)
    return given if isinstance(given, bytes) else bytes.fromhex(given)


def _keys(text: str) -> list[bytes]:
    return [bytes.fromhex(key) for key in from_json(text)]


__all__ = ["encrypt", "former_keys"]
