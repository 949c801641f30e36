"""``/v1/entities``: people, organizations and things, their links to memories, and relations between them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from onebrain.memory.models import EVERYTHING, JsonObject
from onebrain_engine.extraction import find_entities
from onebrain_server.dialects.onebrain.mapping import Id
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.rules.documents import unique
from onebrain_server.dialects.onebrain.wire import Page, Paging, Query, Routes, Wire, bad_cursor, paged
from onebrain_server.http.operation import Answer, Given
from onebrain_server.http.problems import invalid, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.entities import Entity
from onebrain_server.state.links import Link
from onebrain_server.state.relations import Relation

routes = Routes("/v1/entities", "entities")

Name = Annotated[str, Field(min_length=1, max_length=255)]
Kind = Annotated[str, Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=5000)]


class LinkRow(Wire):
    """A link to a memory."""

    id: str
    memory_item_id: str
    link_type: str
    created_at: str


class EntityRow(Wire):
    """An entity."""

    id: str
    user_id: str
    name: str
    type: str
    description: str | None
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class LinkedEntityRow(EntityRow):
    """An entity with its links to memories."""

    links: list[LinkRow]


def row(call: Call, entity: Entity) -> dict[str, Any]:
    """Return an entity as answers show it."""
    return row_of(EntityRow, entity, user_id=call.tenant_id)


def link_row(link: Link) -> dict[str, Any]:
    """Return a link from an entity, or from a record such as a project, as answers show it."""
    return row_of(LinkRow, link, memory_item_id=link.memory_id)


class ListQuery(Paging):
    """Which entities to list."""

    type: Kind | None = None


@routes.get("", needs="entity.read", answers=Page[EntityRow], quick=True)
def list_entities(call: Call, query: ListQuery) -> Answer:
    """List entities, last changed first."""
    found = call.entities.page(type=query.type, limit=query.limit, cursor=query.cursor)
    if found is None:
        raise bad_cursor()
    rows, more, total = found
    return paged([row(call, entity) for entity in rows], rows[-1].id if more else None, total)


class EntityFields(Wire):
    """An entity to make."""

    name: Name
    type: Kind
    description: Description | None = None
    metadata: JsonObject | None = None


@routes.post("", needs="entity.write", answers=EntityRow, status=201, errors=(409,), quick=True)
def create_entity(call: Call, body: EntityFields) -> dict[str, Any]:
    """Make an entity; a name can be used once for each type."""
    with unique("an entity with this name and type"):
        made = call.entities.add(body.name, body.type, description=body.description, metadata=body.metadata)
    return row(call, made)


class Node(Wire):
    """An entity, or a memory that one is linked to."""

    id: str
    name: str
    type: str


class Edge(Wire):
    """A relation between entities, or a link to a memory."""

    source: str
    target: str
    relation: str


class GraphAnswer(Wire):
    """Connected entities; ``entities`` is the same in the form of other servers."""

    nodes: list[Node]
    edges: list[Edge]
    entities: list[LinkedEntityRow]
    truncated: bool


_MOST_NODES = 500


def _graph(
    call: Call, entities: list[Entity], relations: list[Relation], links: list[Link]
) -> dict[str, Any]:
    owned: dict[str, list[dict[str, Any]]] = {}
    for link in links:
        owned.setdefault(link.owner_id, []).append(link_row(link))
    titles = {
        memory.id: memory.title or ""
        for memory in call.memories.get(sorted({link.memory_id for link in links}), EVERYTHING)
        if not memory.archived
    }
    nodes = [{"id": entity.id, "name": entity.name, "type": entity.type} for entity in entities]
    nodes += [{"id": id, "name": title, "type": "memory"} for id, title in sorted(titles.items())]
    edges = [
        {"source": one.source_id, "target": one.target_id, "relation": one.relation} for one in relations
    ]
    edges += [
        {"source": link.owner_id, "target": link.memory_id, "relation": link.link_type}
        for link in links
        if link.memory_id in titles
    ]
    linked = [{**row(call, entity), "links": owned.get(entity.id, [])} for entity in entities]
    kept = {node["id"] for node in nodes[:_MOST_NODES]}
    return {
        "nodes": nodes[:_MOST_NODES],
        "edges": [edge for edge in edges if edge["source"] in kept and edge["target"] in kept],
        "entities": linked,
        "truncated": len(nodes) > _MOST_NODES,
    }


@routes.get("/graph", needs="entity.read", answers=GraphAnswer)
def whole_graph(call: Call) -> dict[str, Any]:
    """Return the 200 entities changed last, their relations and their links."""
    entities = call.entities.all()[:200]
    known = {entity.id for entity in entities}
    relations = [one for one in call.relations.all() if one.source_id in known and one.target_id in known]
    links = [link for link in call.entities.links() if link.owner_id in known]
    return _graph(call, entities, relations, links)


class DuplicateRow(Wire):
    """Two entities with similar names."""

    entity_a: EntityRow
    entity_b: EntityRow
    similarity: float


class Duplicates(Wire):
    """Pairs with similar names."""

    duplicates: list[DuplicateRow]


@routes.get("/duplicates", needs="entity.read", answers=Duplicates)
def duplicate_entities(call: Call) -> dict[str, Any]:
    """Return pairs of one type with similar names, most similar first."""
    pairs = call.entities.duplicates()
    return {
        "duplicates": [
            {"entityA": row(call, left), "entityB": row(call, right), "similarity": score}
            for left, right, score in pairs[:100]
        ]
    }


class MergeFields(Wire):
    """Which entity takes over which."""

    keep_id: Id
    remove_id: Id


class MergeAnswer(Wire):
    """The numbers of moved links and relations."""

    merged: bool
    links_transferred: int


@routes.post("/merge", needs="entity.write", answers=MergeAnswer, errors=(404,))
def merge_entities(call: Call, body: MergeFields) -> dict[str, Any]:
    """Move the links and relations of one entity to another, and delete it."""
    if body.keep_id == body.remove_id:
        raise invalid(["removeId"], "must be another entity than keepId")
    memories.entity(call, body.keep_id)
    memories.entity(call, body.remove_id)
    return {"merged": True, "linksTransferred": call.entities.merge(body.keep_id, body.remove_id)}


class ExtractFields(Wire):
    """Which memory to read."""

    memory_id: Id


class ExtractAnswer(Wire):
    """The entities that a memory names."""

    memory_id: str
    extracted: list[EntityRow]
    count: int


@routes.post("/auto-extract", needs="entity.write", answers=ExtractAnswer, status=201, errors=(404,))
def auto_extract(call: Call, body: ExtractFields) -> dict[str, Any]:
    """Find the entities that a memory names, make those that are new, and link them to it."""
    memory = memories.one(call, body.memory_id)
    text = memory.content if (memory.title or "") in memory.content else f"{memory.title}. {memory.content}"
    model = call.model("entities")
    named = model.entities(text) if model is not None else None
    found = call.entities.note(find_entities(text) if named is None else named, memory.id)
    return {"memoryId": memory.id, "extracted": [row(call, entity) for entity in found], "count": len(found)}


@routes.get("/{id}", needs="entity.read", answers=LinkedEntityRow, quick=True)
def get_entity(call: Call, id: str) -> dict[str, Any]:
    """Return one entity with its links to memories."""
    entity = memories.entity(call, id)
    return {**row(call, entity), "links": [link_row(link) for link in call.entities.links(entity_id=id)]}


class EntityChanges(Wire):
    """Changes of an entity; null empties description and metadata."""

    name: Given[Name] = None
    type: Given[Kind] = None
    description: Description | None = None
    metadata: JsonObject | None = None


@routes.patch("/{id}", needs="entity.write", answers=EntityRow, errors=(409,))
def update_entity(call: Call, id: str, body: EntityChanges) -> dict[str, Any]:
    """Change the given fields of an entity."""
    memories.entity(call, id)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    with unique("an entity with this name and type"):
        return row(call, call.entities.update(id, **changes))


@routes.delete("/{id}", needs="entity.write")
def delete_entity(call: Call, id: str) -> None:
    """Delete an entity with its links and relations; the memories stay."""
    if not call.entities.remove(id):
        raise not_found("Entity")


class LinkFields(Wire):
    """A link to make."""

    memory_item_id: Id
    link_type: Annotated[str, Field(min_length=1, max_length=100)]


class EntityLinkRow(LinkRow):
    """A link from an entity to a memory."""

    entity_id: str


@routes.post("/{id}/links", needs="entity.write", answers=EntityLinkRow, status=201, errors=(409,))
def add_link(call: Call, id: str, body: LinkFields) -> dict[str, Any]:
    """Link an entity to a memory."""
    memories.entity(call, id)
    memories.one(call, body.memory_item_id)
    with unique("such a link"):
        made = call.entities.link(id, body.memory_item_id, body.link_type)
    return {"entityId": id, **link_row(made)}


@routes.delete("/{entityId}/links/{linkId}", needs="entity.write")
def remove_link(call: Call, entityId: str, linkId: str) -> None:
    """Remove a link between an entity and a memory."""
    if not call.entities.unlink(entityId, linkId):
        raise not_found("Link")


class RelationFields(Wire):
    """A relation to make."""

    target_id: Id
    relation: Annotated[str, Field(min_length=1, max_length=100)]


class RelationRow(Wire):
    """A relation from one entity to another."""

    id: str
    source_id: str
    target_id: str
    relation: str
    created_at: str


def relation_row(relation: Relation) -> dict[str, Any]:
    """Return a relation as answers show it."""
    return row_of(RelationRow, relation)


@routes.post("/{id}/relations", needs="entity.write", answers=RelationRow, status=201, errors=(409,))
def relate(call: Call, id: str, body: RelationFields) -> dict[str, Any]:
    """Relate one entity to another, such as Sarah ``works_at`` Cyberdyne."""
    memories.entity(call, id)
    memories.entity(call, body.target_id)
    if id == body.target_id:
        raise invalid(["targetId"], "must be another entity")
    with unique("such a relation"):
        return relation_row(call.relations.add(id, body.target_id, body.relation))


@routes.get("/{id}/relations", needs="entity.read", answers=list[RelationRow])
def list_relations(call: Call, id: str) -> list[dict[str, Any]]:
    """Return the relations from and to an entity."""
    memories.entity(call, id)
    return [relation_row(relation) for relation in call.relations.of(id)]


@routes.delete("/{id}/relations/{relationId}", needs="entity.write")
def remove_relation(call: Call, id: str, relationId: str) -> None:
    """Remove a relation."""
    if not call.relations.remove(id, relationId):
        raise not_found("Relation")


class DepthQuery(Query):
    """How far to go."""

    depth: Annotated[int, Field(ge=1, le=5)] = 1


@routes.get("/{id}/graph", needs="entity.read", answers=GraphAnswer)
def entity_graph(call: Call, id: str, query: DepthQuery) -> dict[str, Any]:
    """Return the entities within a number of steps of an entity."""
    memories.entity(call, id)
    return _graph(call, *call.entities.around(id, query.depth))
