"""Entities: the people, organizations and things that memories are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainValidationError
from onebrain.services.onebrain.models import (
    Edge,
    Entity,
    EntityDuplicate,
    EntityMerge,
    ExtractedEntities,
    Graph,
    Link,
    Node,
    Relation,
)
from onebrain.services.onebrain.resources.resource import Resource, check_limit, one_of


class Entities(Resource[Mode]):
    """Entities, their links to memories and their relations to each other."""

    @endpoint
    @formerly("name", "type")
    def create(
        self,
        name: str,
        *,
        type: str = "person",
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Steps[Entity]:
        """Create an entity; a name is unique within a type.

        Args:
            name: Its name, at most 255 characters.
            type: Its type, such as person or organization.
            description: A description, at most 5,000 characters.
            metadata: A JSON object of your own.
        """
        spec = POST("/v1/entities", name=name, type=type, description=description, metadata=metadata)
        return (yield from self._one(Entity, spec))

    @endpoint
    @formerly(entity_id="id")
    def get(self, id: str) -> Steps[Entity]:
        """Return one entity with its links to memories."""
        return (yield from self._one(Entity, GET(path("/v1/entities/{}", id))))

    @endpoint
    @formerly(entity_id="id")
    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        type: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Steps[Entity]:
        """Change the given fields of an entity and return it; None empties a field."""
        spec = PATCH(
            path("/v1/entities/{}", id), name=name, type=type, description=description, metadata=metadata
        )
        return (yield from self._one(Entity, spec))

    @endpoint
    @formerly(entity_id="id")
    def delete(self, id: str) -> Steps[None]:
        """Delete an entity and its links; the memories stay."""
        yield from self._none(DELETE(path("/v1/entities/{}", id)))

    @endpoint
    @formerly("entity_id", "memory_item_id", "link_type")
    def add_link(self, entity_id: str, memory_item_id: str, *, link_type: str = "about") -> Steps[Link]:
        """Link an entity to a memory."""
        spec = POST(path("/v1/entities/{}/links", entity_id), memoryItemId=memory_item_id, linkType=link_type)
        return (yield from self._one(Link, spec))

    @endpoint
    def remove_link(self, entity_id: str, link_id: str) -> Steps[None]:
        """Remove a link between an entity and a memory."""
        yield from self._none(DELETE(path("/v1/entities/{}/links/{}", entity_id, link_id)))

    @endpoint
    def link(self, source_id: str, target_id: str, *, relation: str) -> Steps[Relation]:
        """Relate one entity to another, such as Sarah ``works_at`` Cyberdyne.

        Raises:
            UnsupportedByServer: The server has no relations between entities, as OneBrain's hosted one.
        """
        path("{}", target_id)
        spec = POST(path("/v1/entities/{}/relations", source_id), targetId=target_id, relation=relation)
        return (yield from self._one(Relation, spec))

    @endpoint
    def relations(self, entity_id: str) -> Steps[tuple[Relation, ...]]:
        """Return the relations from and to an entity; `UnsupportedByServer` where the server has none."""
        return (yield from self._many(Relation, GET(path("/v1/entities/{}/relations", entity_id))))

    @endpoint
    def unlink(self, entity_id: str, relation_id: str) -> Steps[None]:
        """Remove a relation; `UnsupportedByServer` where the server has none."""
        yield from self._none(DELETE(path("/v1/entities/{}/relations/{}", entity_id, relation_id)))

    @endpoint
    def graph(self, entity_id: str | None = None, *, depth: int | None = None) -> Steps[Graph]:
        """Return how entities and memories hang together.

        Args:
            entity_id: Where to begin; without it, all entities (at most 200) with their links to memories.
            depth: How many steps to go from there; the server's default is 1.

        Raises:
            UnsupportedByServer: The server cannot begin at one entity, as OneBrain's hosted one.
        """
        if entity_id is None:
            if depth is not None:
                raise OneBrainValidationError("depth: only together with entity_id")
            return _graph((yield from self._data(GET("/v1/entities/graph"))))
        return _graph((yield from self._data(GET(path("/v1/entities/{}/graph", entity_id), depth=depth))))

    @endpoint
    def duplicates(self) -> Steps[tuple[EntityDuplicate, ...]]:
        """Return pairs of entities with similar names."""
        return (yield from self._many(EntityDuplicate, GET("/v1/entities/duplicates"), "duplicates"))

    @endpoint
    @formerly("keep_id", "remove_id")
    def merge(
        self,
        *,
        source_id: str | None = None,
        target_id: str | None = None,
        keep_id: str | None = None,
        remove_id: str | None = None,
    ) -> Steps[EntityMerge]:
        """Merge `source_id` into `target_id`: its links move there, and it is deleted.

        ``keep_id`` and ``remove_id`` are the wire's names for target and source.
        """
        keep = one_of(target_id=target_id, keep_id=keep_id)
        remove = one_of(source_id=source_id, remove_id=remove_id)
        path("{}{}", keep, remove)
        return (yield from self._one(EntityMerge, POST("/v1/entities/merge", keepId=keep, removeId=remove)))

    @endpoint
    def auto_extract(self, memory_id: str) -> Steps[ExtractedEntities]:
        """Find the entities that a memory names, create and link them."""
        return (
            yield from self._one(ExtractedEntities, POST("/v1/entities/auto-extract", memoryId=memory_id))
        )

    def _list(
        self, *, type: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Steps[Page[Entity]]:
        """List entities, last changed first: ``list`` returns a page, ``all`` iterates over the rows of all pages.

        Args:
            type: Only this type.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.
        """
        check_limit(limit)
        return (yield from self._page(Entity, GET("/v1/entities", type=type, cursor=cursor, limit=limit)))

    all = listing(_list)
    list = endpoint(_list)


def _graph(data: Any) -> Graph:
    """Read both forms: nodes and edges as documented, and the array of entities with links that servers send."""
    if isinstance(data, Mapping) and "nodes" in data:
        return read(Graph, data, service="onebrain")
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for row in rows(data, "entities", service="onebrain"):
        entity = read(Entity, row, service="onebrain")
        nodes[entity.id] = Node(id=entity.id, name=entity.name, type=entity.type)
        for link in entity.links:
            nodes.setdefault(link.memory_item_id, Node(id=link.memory_item_id, type="memory"))
            edges.append(Edge(source=entity.id, target=link.memory_item_id, relation=link.link_type))
    return Graph(nodes=tuple(cast("Any", nodes.values())), edges=tuple(edges))
