"""Relations from one entity to another, such as Sarah ``works_at`` Cyberdyne."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain.errors import OneBrainNotFoundError
from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.state.database import Database, Taken
from onebrain_server.state.revisions import touch
from onebrain_server.state.tables import entity, relation


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation from one entity to another."""

    id: str
    source_id: str
    target_id: str
    relation: str
    created_at: int


_COLUMNS: Final = sa.select(
    relation.c.id,
    relation.c.source_id,
    relation.c.target_id,
    relation.c.relation,
    relation.c.created_at,
).order_by(relation.c.created_at, relation.c.id)


class Relations:
    """The relations between one account's entities; a relation ends with either of them.

    Args:
        database: Where they are kept.
        tenant: The account.
    """

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    def add(self, source_id: str, target_id: str, name: str) -> Relation:
        """Relate one entity to another.

        Raises:
            OneBrainNotFoundError: There is no such entity.
            Taken: This very relation is there.
        """
        made = Relation(new_id(), source_id, target_id, name, now_micros())
        values = {
            "tenant": self._tenant,
            "id": made.id,
            "source_id": source_id,
            "target_id": target_id,
            "relation": name,
            "created_at": made.created_at,
        }
        with self._database.writing(self._tenant) as connection:
            hold(connection, self._tenant, [source_id, target_id])
            if not self._database.insert(connection, relation, values):
                same = (relation.c.source_id == source_id) & (relation.c.target_id == target_id)
                same &= (relation.c.tenant == self._tenant) & (relation.c.relation == name)
                raise Taken(connection.execute(sa.select(relation.c.id).where(same)).scalar())
            touch(connection, self._tenant)
        return made

    def remove(self, entity_id: str, id: str) -> bool:
        """Remove a relation from or to an entity; return whether it was there."""
        with self._database.writing(self._tenant) as connection:
            where = touching(self._tenant, [entity_id]) & (relation.c.id == id)
            gone = connection.execute(relation.delete().where(where)).rowcount > 0
            if gone:
                touch(connection, self._tenant)
        return gone

    def of(self, entity_id: str) -> list[Relation]:
        """Return the relations from and to an entity, oldest first."""
        with self._database.reading(self._tenant) as connection:
            return read(connection, self._tenant, [entity_id])

    def all(self) -> list[Relation]:
        """Return all relations, oldest first."""
        found = self._database.rows(self._tenant, _COLUMNS.where(relation.c.tenant == self._tenant))
        return [Relation(*row) for row in found]


def touching(tenant: str, entity_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition for the relations from and to entities."""
    source, target = relation.c.source_id.in_(entity_ids), relation.c.target_id.in_(entity_ids)
    return (relation.c.tenant == tenant) & (source | target)


def read(connection: Connection, tenant: str, entity_ids: Sequence[str]) -> list[Relation]:
    """Return the relations from and to entities, oldest first."""
    return [Relation(*row) for row in connection.execute(_COLUMNS.where(touching(tenant, entity_ids)))]


def hold(connection: Connection, tenant: str, entity_ids: Sequence[str]) -> None:
    """Keep other transactions from removing entities until this one ends; raise if one of them is not there."""
    wanted = sorted(set(entity_ids))
    where = (entity.c.tenant == tenant) & entity.c.id.in_(wanted)
    chosen = sa.select(entity.c.id).where(where).order_by(entity.c.id).with_for_update()
    if len(connection.execute(chosen).all()) < len(wanted):
        raise OneBrainNotFoundError("no entity with this id")
