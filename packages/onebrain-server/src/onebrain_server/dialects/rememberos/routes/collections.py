"""``/v1/memory/collections``: list, make, change and delete collections."""

from __future__ import annotations

from typing import Any

from onebrain.memory.filters import TRUE
from onebrain.memory.models import JsonObject
from onebrain_server.dialects.rememberos.rules import events
from onebrain_server.dialects.rememberos.rules.collections import (
    KIND,
    Collection,
    every,
    make,
    read,
    readable,
    unknown,
    writable,
)
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.dialects.rememberos.wire import Deleted, Name, Routes, Wire
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.database import Taken

routes = Routes("/memory/collections", "collections")


class CollectionRow(Wire):
    """A collection with the number of its memories, archived ones included."""

    name: str
    description: str | None
    metadata: JsonObject
    memory_count: int
    restricted: bool
    created_at: str
    updated_at: str


def row(partition: Partition, collection: Collection) -> dict[str, Any]:
    """Return a collection as answers show it."""
    return row_of(
        CollectionRow,
        collection,
        memory_count=partition.memories.count(collection.scope, TRUE, include_archived=True),
        restricted=bool(collection.grants),
    )


@routes.get("", needs="read", answers=list[CollectionRow])
def list_collections(call: Call) -> list[dict[str, Any]]:
    """List the collections that the key may read, and for an admin all of them, newest first."""
    partition = partition_of(call)
    admin = "admin" in call.scopes
    return [row(partition, one) for one in every(partition) if admin or one.allows(call, "can_read")]


class CollectionFields(Wire):
    """A collection to make."""

    name: Name
    description: str | None = None
    metadata: JsonObject | None = None


@routes.post("", needs="write", answers=CollectionRow, status=201)
def create_collection(call: Call, body: CollectionFields) -> dict[str, Any]:
    """Make a collection; it is also made by the first write to it."""
    partition = partition_of(call)
    try:
        return row(partition, make(partition, body.name, body.description, body.metadata))
    except Taken:
        raise Problem(400, "EXISTS", "There is a collection of this name already") from None


@routes.get("/{name}", needs="read", answers=CollectionRow, errors=(404,))
def get_collection(call: Call, name: str) -> dict[str, Any]:
    """Return one collection."""
    return row(partition_of(call), readable(call, name))


class CollectionChanges(Wire):
    """Changes of a collection; null empties a field."""

    description: str | None = None
    metadata: JsonObject | None = None


@routes.put("/{name}", needs="write", answers=CollectionRow, errors=(404,))
def update_collection(call: Call, name: str, body: CollectionChanges) -> dict[str, Any]:
    """Change the given fields of a collection's description and metadata."""
    partition, found = partition_of(call), writable(call, name)
    changes: dict[str, Any] = {field: getattr(body, field) for field in body.model_fields_set}
    if changes.get("metadata", {}) is None:
        changes["metadata"] = {}
    changed = partition.records.change(partition.tenant, KIND, found.id, changes)
    if changed is None:
        raise unknown()
    return row(partition, read(changed))


@routes.delete("/{name}", needs="write", answers=Deleted, errors=(404,))
def delete_collection(call: Call, name: str) -> dict[str, Any]:
    """Delete a collection with all its memories and their files."""
    partition, found = partition_of(call), writable(call, name)
    gone = partition.memories.forget(found.scope, TRUE, dry_run=False)
    partition.records.remove(partition.tenant, KIND, found.id)
    events.removed(partition, found.name, gone.ids)
    call.audit("rememberos.collection.delete", found.id)
    return {"deleted": True}
