"""Links to memories: from an entity, from a record such as a project or a tag, and from another memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.state.database import Database, Taken
from onebrain_server.state.revisions import touch
from onebrain_server.state.tables import link

# Values that one statement asks for, because a database limits them.
CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Link:
    """One link to a memory.

    Attributes:
        id: Its id.
        owner_id: The id of the entity, record or memory that it starts from.
        memory_id: The memory that it leads to.
        link_type: Its type, such as ``"about"``.
        created_at: When it was made, in microseconds since 1970.
        kind: The kind of its owner, such as ``"project"``.
    """

    id: str
    owner_id: str
    memory_id: str
    link_type: str
    created_at: int
    kind: str


COLUMNS: Final = (
    link.c.id,
    link.c.owner_id,
    link.c.memory_id,
    link.c.link_type,
    link.c.created_at,
    link.c.kind,
)


def _reading(*, owned: bool, of_memories: bool) -> sa.Executable:
    """Return the statement that reads links: of one owner, to some memories, both or neither."""
    where = (link.c.tenant == sa.bindparam("tenant")) & link.c.kind.in_(sa.bindparam("kinds", expanding=True))
    if owned:
        where &= link.c.owner_id == sa.bindparam("owner")
    if of_memories:
        where &= link.c.memory_id.in_(sa.bindparam("memories", expanding=True))
    return sa.select(*COLUMNS).where(where).order_by(link.c.created_at, link.c.id)


# Every page of memories reads links, and SQLAlchemy takes longer to build a statement than the database to answer it.
_READING: Final = {
    (owned, of_memories): _reading(owned=owned, of_memories=of_memories)
    for owned in (False, True)
    for of_memories in (False, True)
}


class Links:
    """All links of all tenants; each method names the tenant.

    Links of one database table and one revision, whatever they start from: a memory that is removed loses all of them
    in one transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        tenant: str,
        kind: str,
        owner_id: str,
        memory_id: str,
        link_type: str,
        *,
        at: int | None = None,
    ) -> Link:
        """Link an owner to a memory; raise `Taken` if this very link is there."""
        with self._database.writing(tenant) as connection:
            return self.insert(connection, tenant, kind, owner_id, memory_id, link_type, at=at)

    def insert(
        self,
        connection: Connection,
        tenant: str,
        kind: str,
        owner_id: str,
        memory_id: str,
        link_type: str,
        *,
        at: int | None = None,
    ) -> Link:
        """Link an owner to a memory within a transaction; raise `Taken` if this very link is there."""
        moment = now_micros() if at is None else at
        made = Link(new_id(), owner_id, memory_id, link_type, moment, kind)
        values = {
            "tenant": tenant,
            "kind": kind,
            "id": made.id,
            "owner_id": owner_id,
            "memory_id": memory_id,
            "link_type": link_type,
            "created_at": moment,
        }
        if not self._database.insert(connection, link, values):
            same = owned(tenant, kind, owner_id)
            same &= (link.c.memory_id == memory_id) & (link.c.link_type == link_type)
            raise Taken(connection.execute(sa.select(link.c.id).where(same)).scalar())
        touch(connection, tenant)
        return made

    def remove(
        self,
        tenant: str,
        kind: str,
        owner_id: str,
        *,
        link_id: str | None = None,
        memory_id: str | None = None,
    ) -> bool:
        """Remove one link by its id, or all to a memory; return whether there was one."""
        where = owned(tenant, kind, owner_id)
        where &= (link.c.id == link_id) if link_id is not None else (link.c.memory_id == memory_id)
        with self._database.writing(tenant) as connection:
            gone = connection.execute(link.delete().where(where)).rowcount > 0
            if gone:
                touch(connection, tenant)
        return gone

    def all(
        self,
        tenant: str,
        *kinds: str,
        owner_id: str | None = None,
        memory_ids: Iterable[str] | None = None,
    ) -> list[Link]:
        """Return links of some kinds, oldest first: all, those of one owner, or those to memories."""
        values: dict[str, Any] = {"tenant": tenant, "kinds": kinds}
        of_one = owner_id is not None
        if of_one:
            values["owner"] = owner_id
        parts: list[Mapping[str, Any]] = [values]
        if memory_ids is not None:
            wanted = list(memory_ids)
            parts = [
                {**values, "memories": wanted[start : start + CHUNK]}
                for start in range(0, len(wanted), CHUNK)
            ]
        chosen = _READING[of_one, memory_ids is not None]
        with self._database.reading(tenant) as connection:
            return [Link(*row) for part in parts for row in connection.execute(chosen, part)]

    def forget_memories(self, tenant: str, memory_ids: Sequence[str]) -> None:
        """Remove every link to memories of the account itself that are gone; those of a service's partition are its own."""
        own = (link.c.tenant == tenant) & ~link.c.kind.contains(".")
        with self._database.writing(tenant) as connection:
            for start in range(0, len(memory_ids), CHUNK):
                some = list(memory_ids[start : start + CHUNK])
                connection.execute(link.delete().where(own & link.c.memory_id.in_(some)))
            touch(connection, tenant)

    def forget_tenant(self, tenant: str) -> None:
        """Remove all links of a tenant."""
        with self._database.writing(tenant) as connection:
            connection.execute(link.delete().where(link.c.tenant == tenant))
            touch(connection, tenant)


def owned(tenant: str, kind: str, owner_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for the links of one owner."""
    return (link.c.tenant == tenant) & (link.c.kind == kind) & (link.c.owner_id == owner_id)
