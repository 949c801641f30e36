"""Credentials of third parties, all of them: sealed anew where their key is another one, or forgotten where it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from onebrain._core.codec import from_json
from onebrain.errors import StorageError
from onebrain_server.security.vault import Vault
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.records import holds_credentials
from onebrain_server.state.tables import delivery, record

_AT_ONCE: Final = 200


class Credentials:
    """Credentials of third parties.

    Args:
        database: Where it is kept.
        vault: Seals them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def reseal(self) -> int:
        """Seal credentials in clear or under an earlier key; return how many documents held some.

        Each is changed in a transaction of its own, if it is still what was read. So others may write meanwhile, and what is
        stopped goes on where it was.
        """
        done = 0
        for table, where, tenant, stored in self._all():
            if self._vault.is_current(stored):
                continue
            try:
                text = self._vault.open(tenant, stored)
            except StorageError:
                # Its key is lost: `forget` removes it.
                continue
            if self._vault.sealed(stored) or holds_credentials(from_json(text)):
                column = _column(table)
                change = table.update().where(where & (column == stored))
                done += self._database.run(
                    tenant, change.values({column.name: self._vault.seal(tenant, text)})
                )
        return done

    def forget(self) -> int:
        """Remove the documents whose key is lost; return how many those were."""
        done = 0
        for table, where, tenant, stored in self._all():
            # The key of the other documents is that of the memories.
            if not self._vault.sealed(stored):
                continue
            try:
                self._vault.open(tenant, stored)
            except StorageError:
                done += self._database.run(tenant, table.delete().where(where))
        return done

    def _all(self) -> Iterator[tuple[sa.Table, Any, str, bytes]]:
        for table in (record, delivery):
            keys = list(table.primary_key.columns)
            last: tuple[Any, ...] | None = None
            while True:
                chosen = sa.select(*keys, _column(table)).order_by(*keys).limit(_AT_ONCE)
                if last is not None:
                    chosen = chosen.where(sa.tuple_(*keys) > sa.tuple_(*last))
                rows = self._database.rows(SERVER, chosen)
                for row in rows:
                    last = tuple(row[:-1])
                    where = sa.and_(*(key == value for key, value in zip(keys, last, strict=True)))
                    yield table, where, str(row[0]), bytes(row[-1])
                if len(rows) < _AT_ONCE:
                    break


def _column(table: sa.Table) -> Any:
    return table.c.body if table is record else table.c.payload


__all__ = ["Credentials"]
