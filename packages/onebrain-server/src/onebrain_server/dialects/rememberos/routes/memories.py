"""``…/collections/{collection}/memories``: store, read, change, move, delete, forget."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from onebrain.memory.driver import SearchRequest
from onebrain.memory.models import JsonObject, NewMemory
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.mapping import Category, HitRow, MemoryRow, NewFields
from onebrain_server.dialects.rememberos.rules import events, memories
from onebrain_server.dialects.rememberos.rules.collections import readable, writable
from onebrain_server.dialects.rememberos.rules.partition import author, partition_of
from onebrain_server.dialects.rememberos.wire import (
    MAX_BULK,
    MAX_LIST,
    MAX_SEARCH,
    Asked,
    Deleted,
    Name,
    Routes,
    Share,
    Tag,
    Tagged,
    Text,
    Wire,
)
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call

routes = Routes("/memory/collections/{collection}", "memories")


class ListQuery(Tagged):
    """One page of a collection."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIST)] = 50
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    include_archived: bool = False


@routes.get("/memories", needs="read", answers=list[MemoryRow], errors=(404,), quick=True)
def list_memories(call: Call, collection: str, query: ListQuery) -> list[dict[str, Any]]:
    """List memories: pinned ones first, newest first among both; archived ones only where asked for."""
    scope = readable(call, collection).tagged(query.container_tag)
    found = memories.listed(
        partition_of(call), scope, limit=query.limit, offset=query.offset, archived=query.include_archived
    )
    return [mapping.row(memory) for memory in found]


@routes.post("/memories", needs="write", answers=MemoryRow, status=201, quick=True)
def create_memory(call: Call, collection: str, body: NewFields) -> dict[str, Any]:
    """Store a memory; the collection is made if there is none of this name."""
    found = writable(call, collection, create=True)
    [memory] = memories.store(partition_of(call), [mapping.draft(body, found.name, author(call))])
    return mapping.row(memory)


class BulkAnswer(Wire):
    """The result of a bulk write; `ids` are in the order of the input."""

    created: int
    ids: list[str]


Bulk = Annotated[list[NewFields], Field(min_length=1, max_length=MAX_BULK)]


# Declared before the routes with an id, for "bulk" could be one.
@routes.post("/memories/bulk", needs="write", answers=BulkAnswer, status=201)
def create_memories(call: Call, collection: str, body: Bulk) -> dict[str, Any]:
    """Store up to 100 memories, all or none of them."""
    found = writable(call, collection, create=True)
    drafts = [mapping.draft(fields, found.name, author(call)) for fields in body]
    stored = memories.store(partition_of(call), drafts)
    return {"created": len(stored), "ids": [memory.id for memory in stored]}


@routes.get("/memories/{id}", needs="read", answers=MemoryRow, errors=(404,), quick=True)
def get_memory(call: Call, collection: str, id: str, query: Tagged) -> dict[str, Any]:
    """Return one memory."""
    return mapping.row(memories.one(partition_of(call), readable(call, collection), id, query.container_tag))


class MemoryChanges(Wire):
    """Changes of a memory; `metadata` replaces the whole object."""

    text: Text | None = None
    importance: Share | None = None
    category: Category | None = None
    metadata: JsonObject | None = None


_COLUMNS = {"text": "content", "importance": "importance", "category": "type", "metadata": "metadata"}


@routes.patch("/memories/{id}", needs="write", answers=MemoryRow, errors=(404,), quick=True)
def update_memory(call: Call, collection: str, id: str, query: Tagged, body: MemoryChanges) -> dict[str, Any]:
    """Change the given fields of a memory; a new text gets a new vector."""
    fields = {_COLUMNS[name]: getattr(body, name) for name in body.model_fields_set}
    if not fields or None in fields.values():
        raise Problem(
            400, "VALIDATION_ERROR", "Give at least one of text, importance, category and metadata, not null"
        )
    partition = partition_of(call)
    memory = memories.one(partition, writable(call, collection), id, query.container_tag)
    return mapping.row(memories.change(partition, memory, **fields))


@routes.delete("/memories/{id}", needs="write", answers=Deleted, errors=(404,), quick=True)
def delete_memory(call: Call, collection: str, id: str, query: Tagged) -> dict[str, Any]:
    """Delete a memory and its files, with the facts that were drawn from it alone."""
    partition, found = partition_of(call), writable(call, collection)
    memory = memories.one(partition, found, id, query.container_tag)
    facts = call.facts_of([memory])
    if not memories.remove(partition, found, [memory.id]):
        raise not_found("Memory")
    memories.remove(partition, found, [fact.id for fact in facts])
    return {"deleted": True}


class MoveFields(Wire):
    """Where to move a memory to."""

    to_collection: Name


@routes.post("/memories/{id}/move", needs="write", answers=MemoryRow, errors=(404,))
def move_memory(call: Call, collection: str, id: str, query: Tagged, body: MoveFields) -> dict[str, Any]:
    """Move a memory to another collection under the same id; it is made if there is none of this name."""
    partition, here = partition_of(call), writable(call, collection)
    memory = memories.one(partition, here, id, query.container_tag)
    there = writable(call, body.to_collection, create=True)
    if there.id == here.id:
        return mapping.row(memory)
    # Stored there before it is deleted here, so that a failure between the two loses nothing.
    fields = {name: getattr(memory, name) for name in NewMemory.model_fields if hasattr(memory, name)}
    fields.update(scope=there.tagged(memory.scope.user), embedding=None)
    for result in partition.memories.store([NewMemory.checked(**fields)]):
        if result.error is not None:
            raise result.error
    partition.memories.delete([memory.id], here.scope)
    moved = mapping.row(memories.one(partition, there, memory.id))
    events.emit(partition, "memory.updated", [moved])
    return moved


class RelatedQuery(Tagged):
    """How many related memories, and how near they must be."""

    limit: Annotated[int, Field(ge=1, le=MAX_SEARCH)] = 5
    min_score: Share = 0.0


class RelatedAnswer(Wire):
    """The nearest memories, nearest first."""

    results: list[HitRow]


@routes.get("/memories/{id}/related", needs="read", answers=RelatedAnswer, errors=(404,))
def related_memories(call: Call, collection: str, id: str, query: RelatedQuery) -> dict[str, Any]:
    """Return the memories nearest to one in meaning, without itself, archived and superseded ones."""
    partition, found = partition_of(call), readable(call, collection)
    memory = memories.one(partition, found, id, query.container_tag)
    [known] = partition.memories.get([memory.id], memory.scope, with_embeddings=True)
    request = SearchRequest(
        # Its text, where the server makes no vectors: then words are all there is.
        query=memory.content if known.embedding is None else None,
        embedding=known.embedding,
        scope=found.tagged(query.container_tag),
        filter=memories.others(memory),
        limit=query.limit,
        mode="keyword" if known.embedding is None else "vector",
        min_score=query.min_score,
    )
    hits = partition.memories.search(request).hits
    return {"results": [mapping.hit(hit.memory, hit.score) for hit in hits]}


class ForgetFields(Wire):
    """The memories to forget: those that mean this."""

    query: Asked
    min_score: Share = 0.5
    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    container_tag: Tag | None = None


class ForgetAnswer(Wire):
    """The deleted memories."""

    deleted: int
    ids: list[str]


@routes.post("/forget", needs="write", answers=ForgetAnswer, errors=(404,))
def forget(call: Call, collection: str, body: ForgetFields) -> dict[str, Any]:
    """Delete the memories that match a query in meaning, and facts drawn from them alone; there is no dry run."""
    partition, found = partition_of(call), writable(call, collection)
    request = SearchRequest(
        query=body.query,
        scope=found.tagged(body.container_tag),
        limit=body.limit,
        mode="vector",
        min_score=body.min_score,
    )
    gone = [hit.memory for hit in partition.memories.search(request).hits]
    ids = [memory.id for memory in (*gone, *call.facts_of(gone))]
    return {"deleted": memories.remove(partition, found, ids), "ids": ids}
