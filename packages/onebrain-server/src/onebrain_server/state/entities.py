"""Entities that an account keeps: people, organizations, places and things, with their links to memories.

They are records of the account, made and changed by its requests. The names that rules read out of a memory's text are
kept by the engine beside that memory, see `onebrain_engine.mentions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain._core.codec import from_json, to_json
from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError
from onebrain_engine.bounds import Bounds
from onebrain_engine.extraction.entities import Named
from onebrain_engine.extraction.likeness import alike_pairs
from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.security.sealing import Sealer
from onebrain_server.state import relations
from onebrain_server.state.bounded import admitted, fitting
from onebrain_server.state.database import Database, Taken
from onebrain_server.state.links import CHUNK, COLUMNS, Link, Links, owned
from onebrain_server.state.relations import Relation
from onebrain_server.state.revisions import touch
from onebrain_server.state.tables import entity, link, relation

# The kind of the links from entities.
ENTITY: Final = "entity"
# Entities whose names are compared with each other.
_COMPARED: Final = 2000
_KEEP: Any = object()


@dataclass(frozen=True, slots=True)
class Entity:
    """A person, an organization, a place or a thing that memories are about."""

    id: str
    name: str
    type: str
    description: str | None
    metadata: dict[str, Any] | None
    created_at: int
    updated_at: int


_COLUMNS: Final = sa.select(
    entity.c.id, entity.c.type, entity.c.created_at, entity.c.updated_at, entity.c.body
)
_NEWEST: Final = _COLUMNS.order_by(entity.c.updated_at.desc(), entity.c.id.desc())
_COUNT: Final = sa.select(sa.func.count()).select_from(entity)
_LINKED: Final = sa.func.count(link.c.id)


class Entities:
    """The entities of one account; methods may be called from any thread.

    Args:
        database: Where they are kept.
        sealer: Seals their names and descriptions.
        tenant: The account.
    """

    def __init__(self, database: Database, sealer: Sealer, tenant: str, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._database = database
        self._sealer = sealer
        self._links = Links(database)
        self._tenant = tenant
        self._mine = entity.c.tenant == tenant

    # ---- entities ---------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        type: str,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        created_at: int | None = None,
    ) -> Entity:
        """Add an entity; its type is kept in lower case. Raise `Taken` if another one has its name and type, or its id."""
        moment = created_at or now_micros()
        kept = None if metadata is None else dict(metadata)
        made = Entity(id or new_id(), name, type.lower(), description, kept, moment, moment)
        values = {"tenant": self._tenant, "id": made.id, "created_at": moment, **self._values(made)}
        # A name that was taken before a key was set, or changed, is taken.
        keys = self._sealer.digests(self._tenant, name_key(made.name, made.type))
        same = self._mine & ((entity.c.id == made.id) | entity.c.name_key.in_(keys))
        there = sa.select(entity.c.id).where(same)
        with self._admitted(made), self._database.writing(self._tenant) as connection:
            if len(keys) > 1 and (earlier := connection.execute(there).first()) is not None:
                raise Taken(earlier[0])
            if not self._database.insert(connection, entity, values):
                raise Taken(connection.execute(there).scalar())
            touch(connection, self._tenant)
        return made

    def get(self, id: str) -> Entity:
        """Return an entity; raise `OneBrainNotFoundError` if there is none with this id."""
        with self._database.reading(self._tenant) as connection:
            return self._one(connection, id)

    def find(self, name: str, type: str) -> Entity | None:
        """Return the entity with a name and type; None if there is none."""
        keys = self._sealer.digests(self._tenant, name_key(name, type.lower()))
        found = self._database.first(self._tenant, _COLUMNS.where(self._mine & entity.c.name_key.in_(keys)))
        return None if found is None else self._read(found)

    def update(
        self,
        id: str,
        *,
        name: str = _KEEP,
        type: str = _KEEP,
        description: str | None = _KEEP,
        metadata: Mapping[str, Any] | None = _KEEP,
    ) -> Entity:
        """Change the given fields of an entity and return it; raise `Taken` if another one has the name and type."""
        given: dict[str, Any] = {
            "name": name,
            "type": type,
            "description": description,
            "metadata": metadata,
        }
        changes = {field: value for field, value in given.items() if value is not _KEEP}
        # Before the transaction, because the bytes of an account are counted by another connection.
        old = self.get(id)
        try:
            with self._admitted(replace(old, **changes), old):
                return self._change(id, changes)
        except OneBrainConflictError:
            # Another request took the name after this one had looked for it; now it is found.
            return self._change(id, changes)

    def _change(self, id: str, changes: Mapping[str, Any]) -> Entity:
        with self._database.writing(self._tenant) as connection:
            old = self._one(connection, id, hold=True)
            new = replace(old, **changes, updated_at=max(now_micros(), old.updated_at + 1))
            new = replace(new, type=new.type.lower())
            values = self._values(new)
            keys = self._sealer.digests(self._tenant, name_key(new.name, new.type))
            same = self._mine & entity.c.name_key.in_(keys) & (entity.c.id != id)
            other = connection.execute(sa.select(entity.c.id).where(same)).scalar()
            if other is not None:
                raise Taken(other)
            connection.execute(entity.update().where(self._mine & (entity.c.id == id)).values(**values))
            touch(connection, self._tenant)
        return new

    def remove(self, id: str) -> bool:
        """Remove an entity with its links and relations; the memories stay."""
        with self._database.writing(self._tenant) as connection:
            gone = self._drop(connection, id)
            if gone:
                touch(connection, self._tenant)
        return gone

    def page(
        self, *, type: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[Entity], bool, int] | None:
        """Return one page, last changed first, whether more follow, and the total.

        None if `cursor`, the id of the last one of the page before, is no entity's.
        """
        where = self._mine if type is None else self._mine & (entity.c.type == type.lower())
        with self._database.reading(self._tenant) as connection:
            total = connection.execute(_COUNT.where(where)).scalar_one()
            if cursor is not None:
                at = connection.execute(
                    sa.select(entity.c.updated_at).where(self._mine & (entity.c.id == cursor))
                ).scalar()
                if at is None:
                    return None
                where &= (entity.c.updated_at < at) | ((entity.c.updated_at == at) & (entity.c.id < cursor))
            newest = _NEWEST.where(where)
            count, more = fitting(self._bounds, connection, entity.c.body, newest, limit)
            found = connection.execute(newest.limit(count)).all()
        return [self._read(row) for row in found], more, int(total)

    def all(self) -> list[Entity]:
        """Return all entities, last changed first."""
        return [self._read(row) for row in self._database.rows(self._tenant, _NEWEST.where(self._mine))]

    def top(self, limit: int) -> list[tuple[Entity, int]]:
        """Return the entities with the most links to memories, each with the number of its links."""
        links = sa.join(
            entity,
            link,
            (link.c.tenant == entity.c.tenant) & (link.c.kind == ENTITY) & (link.c.owner_id == entity.c.id),
            isouter=True,
        )
        chosen = (
            _COLUMNS.add_columns(_LINKED)
            .select_from(links)
            .where(self._mine)
            .group_by(*_COLUMNS.selected_columns)
            .order_by(_LINKED.desc(), entity.c.updated_at.desc(), entity.c.id)
            .limit(limit)
        )
        return [(self._read(row[:5]), int(row[5])) for row in self._database.rows(self._tenant, chosen)]

    def count(self) -> int:
        """Return the number of entities."""
        return int(self._database.scalar(self._tenant, _COUNT.where(self._mine)))

    def duplicates(self, threshold: float = 0.75) -> list[tuple[Entity, Entity, float]]:
        """Return pairs of one type with similar names, most similar first."""
        pairs: list[tuple[Entity, Entity, float]] = []
        by_type: dict[str, list[Entity]] = {}
        for one in self.all()[:_COMPARED]:
            by_type.setdefault(one.type, []).append(one)
        for group in by_type.values():
            alike = alike_pairs([_words(one.name) for one in group], threshold)
            pairs.extend((group[left], group[right], round(score, 3)) for score, left, right in alike)
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0].id, pair[1].id))

    def merge(self, keep_id: str, remove_id: str) -> int:
        """Move the links and relations of one entity to another and remove it; return the number of moved links."""
        tenant = self._tenant
        with self._database.writing(tenant) as connection:
            relations.hold(connection, tenant, [keep_id, remove_id])
            kept = owned(tenant, ENTITY, keep_id)
            have = {(memory, type) for _, memory, type in connection.execute(_ENDS.where(kept))}
            moved = [
                id
                for id, memory, type in connection.execute(_ENDS.where(owned(tenant, ENTITY, remove_id)))
                if (memory, type) not in have
            ]
            for id in moved:
                where = (link.c.tenant == tenant) & (link.c.id == id)
                connection.execute(link.update().where(where).values(owner_id=keep_id))
            known = {_ends(one) for one in relations.read(connection, tenant, [keep_id])}
            for one in relations.read(connection, tenant, [remove_id]):
                source = keep_id if one.source_id == remove_id else one.source_id
                target = keep_id if one.target_id == remove_id else one.target_id
                if source != target and (source, target, one.relation) not in known:
                    known.add((source, target, one.relation))
                    where = (relation.c.tenant == tenant) & (relation.c.id == one.id)
                    change = relation.update().where(where).values(source_id=source, target_id=target)
                    connection.execute(change)
            self._drop(connection, remove_id)
            touch(connection, tenant)
        return len(moved)

    def forget_tenant(self) -> None:
        """Remove all entities of the account, with their links and relations."""
        with self._database.writing(self._tenant) as connection:
            of_entities = (link.c.tenant == self._tenant) & (link.c.kind == ENTITY)
            connection.execute(link.delete().where(of_entities))
            for table in (relation, entity):
                connection.execute(table.delete().where(table.c.tenant == self._tenant))
            touch(connection, self._tenant)

    # ---- links to memories ------------------------------------------------------------------------------------------

    def link(self, entity_id: str, memory_id: str, link_type: str) -> Link:
        """Link an entity to a memory.

        Raises:
            OneBrainNotFoundError: There is no such entity.
            Taken: This very link is there.
        """
        with self._database.writing(self._tenant) as connection:
            relations.hold(connection, self._tenant, [entity_id])
            return self._links.insert(connection, self._tenant, ENTITY, entity_id, memory_id, link_type)

    def unlink(self, entity_id: str, link_id: str) -> bool:
        """Remove a link; return whether it was there."""
        return self._links.remove(self._tenant, ENTITY, entity_id, link_id=link_id)

    def links(self, *, entity_id: str | None = None, memory_ids: Iterable[str] | None = None) -> list[Link]:
        """Return links, oldest first: all, those of one entity, or those to memories."""
        return self._links.all(self._tenant, ENTITY, owner_id=entity_id, memory_ids=memory_ids)

    def note(self, named: Iterable[Named], memory_id: str) -> list[Entity]:
        """Add the entities that a memory names, if they are new, and link them to it as ``mentions``."""
        noted: list[Entity] = []
        for one in named:
            found = self.find(one.name, one.type)
            if found is None:
                try:
                    found = self.add(one.name, one.type)
                except Taken:
                    # Another request was faster.
                    found = self.find(one.name, one.type)
                    if found is None:
                        continue
            with suppress(Taken, OneBrainNotFoundError):
                self.link(found.id, memory_id, "mentions")
            noted.append(found)
        return noted

    # ---- neighbourhood ----------------------------------------------------------------------------------------------

    def around(
        self, entity_id: str, depth: int, *, most: int = 500
    ) -> tuple[list[Entity], list[Relation], list[Link]]:
        """Return the entities within `depth` steps of one, the relations between them, and their links.

        A step goes along a relation, in either direction, or from an entity over a shared memory to another.
        """
        with self._database.reading(self._tenant) as connection:
            found = {entity_id: self._one(connection, entity_id)}
            passed: dict[str, Relation] = {}
            links: dict[str, Link] = {}
            edge = [entity_id]
            for step in range(depth):
                near = relations.read(connection, self._tenant, edge)
                passed.update((one.id, one) for one in near)
                beyond = {end for one in near for end in (one.source_id, one.target_id)}
                owns = self._of(connection, link.c.owner_id, edge)
                links.update((one.id, one) for one in owns)
                if step + 1 < depth:
                    shared = self._of(connection, link.c.memory_id, {one.memory_id for one in owns})
                    beyond.update(one.owner_id for one in shared)
                edge = sorted(beyond - found.keys())[: max(0, most - len(found))]
                chosen = _COLUMNS.where(self._mine & entity.c.id.in_(edge)).order_by(entity.c.id)
                found.update((row[0], self._read(row)) for row in connection.execute(chosen))
        inside = [one for one in passed.values() if one.source_id in found and one.target_id in found]
        return list(found.values()), inside, list(links.values())

    def _of(self, connection: Connection, column: sa.Column[str], values: Iterable[str]) -> list[Link]:
        """Return the entities' links with one of some values in a column, oldest first."""
        mine = (link.c.tenant == self._tenant) & (link.c.kind == ENTITY)
        wanted = sorted(values)
        rows: list[Link] = []
        for start in range(0, len(wanted), CHUNK):
            where = mine & column.in_(wanted[start : start + CHUNK])
            rows.extend(Link(*row) for row in connection.execute(sa.select(*COLUMNS).where(where)))
        return sorted(rows, key=lambda one: (one.created_at, one.id))

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _one(self, connection: Connection, id: str, *, hold: bool = False) -> Entity:
        chosen = _COLUMNS.where(self._mine & (entity.c.id == id))
        found = connection.execute(chosen.with_for_update() if hold else chosen).first()
        if found is None:
            raise OneBrainNotFoundError("no entity with this id")
        return self._read(found)

    def _read(self, row: Sequence[Any]) -> Entity:
        id, type, created_at, updated_at, stored = row
        body = from_json(self._sealer.open(self._tenant, stored))
        return Entity(
            id, body["name"], type, body.get("description"), body.get("metadata"), created_at, updated_at
        )

    def _values(self, one: Entity) -> dict[str, Any]:
        """Return the columns of an entity that a change may change."""
        return {
            "name_key": self._sealer.digest(self._tenant, name_key(one.name, one.type)),
            "type": one.type,
            "updated_at": one.updated_at,
            "body": self._sealer.seal(self._tenant, _body(one)),
        }

    def _admitted(self, one: Entity, old: Entity | None = None) -> AbstractContextManager[None]:
        return admitted(self._bounds, self._tenant, _body(one), "" if old is None else _body(old))

    def _drop(self, connection: Connection, id: str) -> bool:
        """Remove an entity with its links and relations; return whether it was there."""
        gone = connection.execute(entity.delete().where(self._mine & (entity.c.id == id))).rowcount > 0
        connection.execute(link.delete().where(owned(self._tenant, ENTITY, id)))
        connection.execute(relation.delete().where(relations.touching(self._tenant, [id])))
        return gone


_ENDS: Final = sa.select(link.c.id, link.c.memory_id, link.c.link_type)


def _body(one: Entity) -> str:
    """Return the document of an entity."""
    body = {"name": one.name, "description": one.description, "metadata": one.metadata}
    return to_json(body, what="metadata")


def _ends(one: Relation) -> tuple[str, str, str]:
    return one.source_id, one.target_id, one.relation


def name_key(name: str, type: str) -> str:
    """Return the text whose digest is unique: a name may be used once for each type."""
    return f"{name}\0{type}"


def _words(name: str) -> str:
    """Return a name as names are compared: regardless of case, dots and the order of words."""
    return " ".join(sorted("".join(c if c.isalnum() else " " for c in name.casefold()).split()))
