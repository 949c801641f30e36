"""The graph of one tenant: entities, links from them to memories, and relations between them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from onebrain._core.codec import from_json, to_json
from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError
from onebrain_engine.graph.extraction import Named
from onebrain_engine.graph.likeness import alike_pairs
from onebrain_engine.graph.tables import Clash, Tables, Transaction, open_tables

P = ParamSpec("P")
R = TypeVar("R")

Seal = Callable[[str, str], bytes]
Unseal = Callable[[str, bytes], str]
Digest = Callable[[str, str], str]

_ENTITY: Final = "id, type, created_at, updated_at, body"
_LINK: Final = "id, entity_id, memory_id, link_type, created_at"
_RELATION: Final = "id, source_id, target_id, relation, created_at"
_CHUNK: Final = 500
_KEEP: Any = object()


def _seeing_others(verb: Callable[P, R]) -> Callable[P, R]:
    """Run a verb again where another request stored the same after it had looked: it sees that the second time."""

    @wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except Clash:
            return verb(*args, **kwargs)

    return call


class NameTaken(OneBrainConflictError):
    """There is an entity with this name and type already; ``existing_id`` names it."""


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


@dataclass(frozen=True, slots=True)
class Link:
    """A link from an entity to a memory."""

    id: str
    entity_id: str
    memory_id: str
    link_type: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation from one entity to another."""

    id: str
    source_id: str
    target_id: str
    relation: str
    created_at: int


class Graph:
    """The graphs of all tenants.

    Args:
        tables: Where they are kept.
        seal: Encodes a tenant's text for the database; plain UTF-8 by default.
        open: Turns it back.
        digest: Makes a digest of a tenant's text, by which names are compared.

    Example:
        >>> graph = Graph.open("sqlite://")
        >>> tenant = graph.tenant("acme")
        >>> sarah = tenant.add("Sarah Connor", "person")
        >>> tenant.get(sarah.id).name
        'Sarah Connor'
        >>> graph.close()
    """

    def __init__(
        self,
        tables: Tables,
        *,
        seal: Seal | None = None,
        open: Unseal | None = None,
        digest: Digest | None = None,
    ) -> None:
        self.tables = tables
        self.seal: Seal = seal or (lambda tenant, text: text.encode())
        self.unseal: Unseal = open or (lambda tenant, data: bytes(data).decode())
        self.digest: Digest = digest or (
            lambda tenant, text: hashlib.sha256(f"{tenant}\0{text}".encode()).hexdigest()
        )

    @classmethod
    def open(
        cls, url: str, *, seal: Seal | None = None, open: Unseal | None = None, digest: Digest | None = None
    ) -> Graph:
        """Open the graphs in the database of a URL."""
        return cls(open_tables(url), seal=seal, open=open, digest=digest)

    def tenant(self, name: str) -> TenantGraph:
        """Return one tenant's graph; it is invisible to every other."""
        return TenantGraph(self, name)

    def close(self) -> None:
        """Close the database."""
        self.tables.close()


class TenantGraph:
    """One tenant's entities, links and relations. Methods may be called from any thread."""

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self.name = name

    # ---- entities ---------------------------------------------------------------------------------------------------

    @_seeing_others
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
        """Add an entity; its type is kept in lower case.

        Raises:
            NameTaken: There is one with this name and type.
        """
        moment = created_at or _now()
        entity = Entity(
            id or _new_id(),
            name,
            type.lower(),
            description,
            None if metadata is None else dict(metadata),
            moment,
            moment,
        )
        with self._graph.tables.writing(self.name) as rows:
            self._free(rows, entity)
            rows.run(
                "INSERT INTO graph_entity (tenant, id, name_key, type, created_at, updated_at, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.name, entity.id, self._key(entity), entity.type, moment, moment, self._body(entity)),
            )
            self._touch(rows)
        return entity

    def get(self, id: str) -> Entity:
        """Return an entity; raise `OneBrainNotFoundError` where there is none with this id."""
        with self._graph.tables.reading(self.name) as rows:
            return self._one(rows, id)

    def find(self, name: str, type: str) -> Entity | None:
        """Return the entity with a name and type."""
        key = self._graph.digest(self.name, f"{name}\0{type.lower()}")
        with self._graph.tables.reading(self.name) as rows:
            found = rows.run(
                f"SELECT {_ENTITY} FROM graph_entity WHERE tenant = ? AND name_key = ?", (self.name, key)
            )
        return self._entity(found[0]) if found else None

    @_seeing_others
    def update(
        self,
        id: str,
        *,
        name: str = _KEEP,
        type: str = _KEEP,
        description: str | None = _KEEP,
        metadata: Mapping[str, Any] | None = _KEEP,
    ) -> Entity:
        """Change the given fields of an entity and return it."""
        with self._graph.tables.writing(self.name) as rows:
            old = self._one(rows, id)
            new = Entity(
                id,
                old.name if name is _KEEP else name,
                old.type if type is _KEEP else type.lower(),
                old.description if description is _KEEP else description,
                old.metadata if metadata is _KEEP else None if metadata is None else dict(metadata),
                old.created_at,
                max(_now(), old.updated_at + 1),
            )
            self._free(rows, new)
            rows.run(
                "UPDATE graph_entity SET name_key = ?, type = ?, updated_at = ?, body = ? WHERE tenant = ? AND id = ?",
                (self._key(new), new.type, new.updated_at, self._body(new), self.name, id),
            )
            self._touch(rows)
        return new

    def remove(self, id: str) -> bool:
        """Remove an entity with its links and relations; the memories stay."""
        with self._graph.tables.writing(self.name) as rows:
            gone = rows.change("DELETE FROM graph_entity WHERE tenant = ? AND id = ?", (self.name, id)) > 0
            if gone:
                rows.run("DELETE FROM graph_link WHERE tenant = ? AND entity_id = ?", (self.name, id))
                rows.run(
                    "DELETE FROM graph_relation WHERE tenant = ? AND (source_id = ? OR target_id = ?)",
                    (self.name, id, id),
                )
                self._touch(rows)
        return gone

    def page(
        self, *, type: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[Entity], bool, int] | None:
        """Return one page, last changed first, whether more follow, and the total.

        None where `cursor`, the id of the last one of the page before, is no entity's.
        """
        where, values = "tenant = ?", [self.name]
        if type is not None:
            where, values = where + " AND type = ?", [*values, type.lower()]
        with self._graph.tables.reading(self.name) as rows:
            total = rows.run(f"SELECT COUNT(*) FROM graph_entity WHERE {where}", values)[0][0]
            if cursor is not None:
                mark = rows.run(
                    "SELECT updated_at FROM graph_entity WHERE tenant = ? AND id = ?", (self.name, cursor)
                )
                if not mark:
                    return None
                where += " AND (updated_at < ? OR (updated_at = ? AND id < ?))"
                values = [*values, mark[0][0], mark[0][0], cursor]
            found = rows.run(
                f"SELECT {_ENTITY} FROM graph_entity WHERE {where} ORDER BY updated_at DESC, id DESC LIMIT ?",
                (*values, limit + 1),
            )
        return [self._entity(row) for row in found[:limit]], len(found) > limit, int(total)

    def all(self) -> list[Entity]:
        """Return all entities, last changed first."""
        with self._graph.tables.reading(self.name) as rows:
            found = rows.run(
                f"SELECT {_ENTITY} FROM graph_entity WHERE tenant = ? ORDER BY updated_at DESC, id DESC",
                (self.name,),
            )
        return [self._entity(row) for row in found]

    def top(self, limit: int) -> list[tuple[Entity, int]]:
        """Return the entities with the most links to memories, each with the number of its links."""
        columns = ", ".join(f"e.{name}" for name in _ENTITY.split(", "))
        with self._graph.tables.reading(self.name) as rows:
            found = rows.run(
                f"SELECT {columns}, COUNT(l.id) FROM graph_entity AS e "
                "LEFT JOIN graph_link AS l ON l.tenant = e.tenant AND l.entity_id = e.id "
                f"WHERE e.tenant = ? GROUP BY {columns} ORDER BY COUNT(l.id) DESC, e.updated_at DESC, e.id LIMIT ?",
                (self.name, limit),
            )
        return [(self._entity(row[:5]), int(row[5])) for row in found]

    def count(self) -> int:
        """Return the number of entities."""
        with self._graph.tables.reading(self.name) as rows:
            return int(rows.run("SELECT COUNT(*) FROM graph_entity WHERE tenant = ?", (self.name,))[0][0])

    def revision(self) -> int:
        """Return a number that grows with every change of the graph."""
        found = self._graph.tables.query(
            self.name, "SELECT revision FROM graph_revision WHERE tenant = ?", (self.name,)
        )
        return int(found[0][0]) if found else 0

    def duplicates(self, threshold: float = 0.75) -> list[tuple[Entity, Entity, float]]:
        """Return pairs of one type with similar names, most similar first."""
        found: list[tuple[Entity, Entity, float]] = []
        by_type: dict[str, list[Entity]] = {}
        for entity in self.all()[:2000]:
            by_type.setdefault(entity.type, []).append(entity)
        for group in by_type.values():
            pairs = alike_pairs([_words(entity.name) for entity in group], threshold)
            found.extend((group[left], group[right], round(score, 3)) for score, left, right in pairs)
        return sorted(found, key=lambda pair: (-pair[2], pair[0].id, pair[1].id))

    def merge(self, keep_id: str, remove_id: str) -> int:
        """Move the links and relations of one entity to another and remove it; return the number of moved links."""
        moved = 0
        with self._graph.tables.writing(self.name) as rows:
            self._one(rows, keep_id)
            self._one(rows, remove_id)
            have = {(link.memory_id, link.link_type) for link in self._links_of(rows, keep_id)}
            for link in self._links_of(rows, remove_id):
                if (link.memory_id, link.link_type) not in have:
                    rows.run(
                        "UPDATE graph_link SET entity_id = ? WHERE tenant = ? AND id = ?",
                        (keep_id, self.name, link.id),
                    )
                    moved += 1
            known = {(r.source_id, r.target_id, r.relation) for r in self._relations_of(rows, keep_id)}
            for relation in self._relations_of(rows, remove_id):
                source = keep_id if relation.source_id == remove_id else relation.source_id
                target = keep_id if relation.target_id == remove_id else relation.target_id
                if source != target and (source, target, relation.relation) not in known:
                    known.add((source, target, relation.relation))
                    rows.run(
                        "UPDATE graph_relation SET source_id = ?, target_id = ? WHERE tenant = ? AND id = ?",
                        (source, target, self.name, relation.id),
                    )
            rows.run("DELETE FROM graph_link WHERE tenant = ? AND entity_id = ?", (self.name, remove_id))
            rows.run(
                "DELETE FROM graph_relation WHERE tenant = ? AND (source_id = ? OR target_id = ?)",
                (self.name, remove_id, remove_id),
            )
            rows.run("DELETE FROM graph_entity WHERE tenant = ? AND id = ?", (self.name, remove_id))
            self._touch(rows)
        return moved

    def note(self, named: Iterable[Named], memory_id: str, *, link_type: str = "mentions") -> list[Entity]:
        """Add the entities that a memory names, where they are new, and link them to it."""
        noted: list[Entity] = []
        for one in named:
            entity = self.find(one.name, one.type)
            if entity is None:
                try:
                    entity = self.add(one.name, one.type)
                except NameTaken:  # another request was faster
                    entity = self.find(one.name, one.type)
                    if entity is None:
                        continue
            with suppress(OneBrainConflictError):
                self.link(entity.id, memory_id, link_type)
            noted.append(entity)
        return noted

    # ---- links to memories ------------------------------------------------------------------------------------------

    @_seeing_others
    def link(self, entity_id: str, memory_id: str, link_type: str) -> Link:
        """Link an entity to a memory; raise `OneBrainConflictError` where this very link is there."""
        made = Link(_new_id(), entity_id, memory_id, link_type, _now())
        with self._graph.tables.writing(self.name) as rows:
            self._one(rows, entity_id)
            same = rows.run(
                "SELECT id FROM graph_link WHERE tenant = ? AND entity_id = ? AND memory_id = ? AND link_type = ?",
                (self.name, entity_id, memory_id, link_type),
            )
            if same:
                raise _taken("this link is there already", str(same[0][0]))
            rows.run(
                f"INSERT INTO graph_link (tenant, {_LINK}) VALUES (?, ?, ?, ?, ?, ?)",
                (self.name, made.id, entity_id, memory_id, link_type, made.created_at),
            )
            self._touch(rows)
        return made

    def unlink(self, entity_id: str, link_id: str) -> bool:
        """Remove a link."""
        with self._graph.tables.writing(self.name) as rows:
            gone = rows.change(
                "DELETE FROM graph_link WHERE tenant = ? AND entity_id = ? AND id = ?",
                (self.name, entity_id, link_id),
            )
            if gone:
                self._touch(rows)
        return gone > 0

    def links(
        self,
        *,
        entity_id: str | None = None,
        entity_ids: Sequence[str] | None = None,
        memory_ids: Sequence[str] | None = None,
    ) -> list[Link]:
        """Return links, oldest first: of one entity, of several, or to memories."""
        with self._graph.tables.reading(self.name) as rows:
            if entity_id is not None:
                return self._links_of(rows, entity_id)
            column, wanted = (
                ("entity_id", entity_ids) if entity_ids is not None else ("memory_id", memory_ids or ())
            )
            found: list[Link] = []
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                found.extend(
                    Link(*row)
                    for row in rows.run(
                        f"SELECT {_LINK} FROM graph_link WHERE tenant = ? AND {column} IN ({_marks(some)}) "
                        "ORDER BY created_at, id",
                        (self.name, *some),
                    )
                )
            return found

    def forget_memories(self, memory_ids: Sequence[str]) -> None:
        """Remove every link to memories that are gone."""
        with self._graph.tables.writing(self.name) as rows:
            for start in range(0, len(memory_ids), _CHUNK):
                some = memory_ids[start : start + _CHUNK]
                rows.run(
                    f"DELETE FROM graph_link WHERE tenant = ? AND memory_id IN ({_marks(some)})",
                    (self.name, *some),
                )
            self._touch(rows)

    def forget_all(self) -> None:
        """Remove the whole graph of this tenant."""
        with self._graph.tables.writing(self.name) as rows:
            for table in ("graph_link", "graph_relation", "graph_entity", "graph_revision"):
                rows.run(f"DELETE FROM {table} WHERE tenant = ?", (self.name,))

    # ---- relations --------------------------------------------------------------------------------------------------

    @_seeing_others
    def relate(self, source_id: str, target_id: str, relation: str) -> Relation:
        """Relate one entity to another; raise `OneBrainConflictError` where this very relation is there."""
        made = Relation(_new_id(), source_id, target_id, relation, _now())
        with self._graph.tables.writing(self.name) as rows:
            self._one(rows, source_id)
            self._one(rows, target_id)
            same = rows.run(
                "SELECT id FROM graph_relation WHERE tenant = ? AND source_id = ? AND target_id = ? AND relation = ?",
                (self.name, source_id, target_id, relation),
            )
            if same:
                raise _taken("this relation is there already", str(same[0][0]))
            rows.run(
                f"INSERT INTO graph_relation (tenant, {_RELATION}) VALUES (?, ?, ?, ?, ?, ?)",
                (self.name, made.id, source_id, target_id, relation, made.created_at),
            )
            self._touch(rows)
        return made

    def relations(self, entity_id: str) -> list[Relation]:
        """Return the relations from and to an entity, oldest first."""
        with self._graph.tables.reading(self.name) as rows:
            return self._relations_of(rows, entity_id)

    def unrelate(self, entity_id: str, relation_id: str) -> bool:
        """Remove a relation from or to an entity."""
        with self._graph.tables.writing(self.name) as rows:
            gone = rows.change(
                "DELETE FROM graph_relation WHERE tenant = ? AND id = ? AND (source_id = ? OR target_id = ?)",
                (self.name, relation_id, entity_id, entity_id),
            )
            if gone:
                self._touch(rows)
        return gone > 0

    def around(
        self, entity_id: str, depth: int, *, most: int = 500
    ) -> tuple[list[Entity], list[Relation], list[Link]]:
        """Return the entities within `depth` steps of one, the relations between them, and their links.

        A step goes along a relation, in either direction, or from an entity over a shared memory to another.
        """
        with self._graph.tables.reading(self.name) as rows:
            found = {entity_id: self._one(rows, entity_id)}
            relations: dict[str, Relation] = {}
            links: dict[str, Link] = {}
            edge = [entity_id]
            for step in range(depth):
                beyond: set[str] = set()
                for id in edge:
                    for relation in self._relations_of(rows, id):
                        relations[relation.id] = relation
                        beyond.update((relation.source_id, relation.target_id))
                    for link in self._links_of(rows, id):
                        links[link.id] = link
                        if step + 1 < depth:
                            shared = rows.run(
                                "SELECT entity_id FROM graph_link WHERE tenant = ? AND memory_id = ?",
                                (self.name, link.memory_id),
                            )
                            beyond.update(str(row[0]) for row in shared)
                edge = sorted(beyond - found.keys())[: max(0, most - len(found))]
                for id in edge:
                    found[id] = self._one(rows, id)
        inside = [r for r in relations.values() if r.source_id in found and r.target_id in found]
        return list(found.values()), inside, list(links.values())

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _one(self, rows: Transaction, id: str) -> Entity:
        found = rows.run(f"SELECT {_ENTITY} FROM graph_entity WHERE tenant = ? AND id = ?", (self.name, id))
        if not found:
            raise OneBrainNotFoundError("no entity with this id")
        return self._entity(found[0])

    def _entity(self, row: Sequence[Any]) -> Entity:
        body = from_json(self._graph.unseal(self.name, bytes(row[4])))
        return Entity(
            row[0], body["name"], row[1], body.get("description"), body.get("metadata"), row[2], row[3]
        )

    def _body(self, entity: Entity) -> bytes:
        body = {"name": entity.name, "description": entity.description, "metadata": entity.metadata}
        return self._graph.seal(self.name, to_json(body, what="metadata"))

    def _key(self, entity: Entity) -> str:
        return self._graph.digest(self.name, f"{entity.name}\0{entity.type}")

    def _free(self, rows: Transaction, entity: Entity) -> None:
        same = rows.run(
            "SELECT id FROM graph_entity WHERE tenant = ? AND (name_key = ? OR id = ?)",
            (self.name, self._key(entity), entity.id),
        )
        if any(row[0] != entity.id for row in same) or (same and entity.created_at == entity.updated_at):
            error = NameTaken("there is an entity with this name and type already")
            error.existing_id = str(same[0][0])
            raise error

    def _links_of(self, rows: Transaction, entity_id: str) -> list[Link]:
        found = rows.run(
            f"SELECT {_LINK} FROM graph_link WHERE tenant = ? AND entity_id = ? ORDER BY created_at, id",
            (self.name, entity_id),
        )
        return [Link(*row) for row in found]

    def _relations_of(self, rows: Transaction, entity_id: str) -> list[Relation]:
        found = rows.run(
            f"SELECT {_RELATION} FROM graph_relation WHERE tenant = ? AND (source_id = ? OR target_id = ?) "
            "ORDER BY created_at, id",
            (self.name, entity_id, entity_id),
        )
        return [Relation(*row) for row in found]

    def _touch(self, rows: Transaction) -> None:
        """Raise the graph's revision; it is a time, so that a graph restored from a backup never repeats one."""
        rows.run(
            "INSERT INTO graph_revision (tenant, revision) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE "
            "SET revision = CASE WHEN excluded.revision > graph_revision.revision "
            "THEN excluded.revision ELSE graph_revision.revision + 1 END",
            (self.name, _now()),
        )


def _words(name: str) -> str:
    """Return a name as names are compared: regardless of case, dots and the order of words."""
    return " ".join(sorted("".join(c if c.isalnum() else " " for c in name.casefold()).split()))


def _taken(message: str, id: str) -> OneBrainConflictError:
    error = OneBrainConflictError(message)
    error.existing_id = id
    return error


def _new_id() -> str:
    text = f"{time.time_ns() // 1_000_000:012x}7{os.urandom(10).hex()}"
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{variant}{text[17:20]}-{text[20:32]}"


def _now() -> int:
    return time.time_ns() // 1000


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
