"""``/v1/memory/collections``: the collections, and who may use each.

A collection is a space of the engine and a record, which holds its description and its grants. Without a grant every
agent of the tenant may read and write it as far as its key goes; with one, only those granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from onebrain.memory.filters import TRUE
from onebrain.memory.models import JsonObject, Scope
from onebrain_server.clock import iso_micros
from onebrain_server.dialects.rememberos.rules import events
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.dialects.rememberos.wire import Deleted, Name, Routes, Wire
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Record, Taken

routes = Routes("/memory/collections", "collections")

KIND: Final = "rememberos.collection"
_GRANT: Final = (
    "grant:"  # each grant has a key of its own in the record, so that two changes do not undo each other
)

Right = Literal["can_read", "can_write"]


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection; `grants` holds the rights of each agent by its key's id."""

    id: str
    name: str
    description: str | None
    metadata: Mapping[str, Any]
    grants: Mapping[str, Mapping[Right, bool]]
    created_at: int
    updated_at: int

    @property
    def scope(self) -> Scope:
        """The engine's scope of all its memories."""
        return Scope(space=self.name)

    def tagged(self, container_tag: str | None) -> Scope:
        """Return the engine's scope of one sub-namespace, or of all."""
        return Scope(space=self.name, user=container_tag)

    def allows(self, call: Call, right: Right) -> bool:
        """Return whether the caller's agent may use it; a person who is logged in is no agent, and owns the account."""
        key = call.known.key
        if not self.grants or key is None:
            return True
        return self.grants.get(key.id, {}).get(right, False)


def _read(record: Record) -> Collection:
    body = record.body
    grants = {
        name.removeprefix(_GRANT): cast("Mapping[Right, bool]", value)
        for name, value in body.items()
        if name.startswith(_GRANT) and value is not None
    }
    return Collection(
        record.id,
        body["name"],
        body["description"],
        body["metadata"],
        grants,
        record.created_at,
        record.updated_at,
    )


def find(partition: Partition, name: str) -> Collection | None:
    """Return a collection by its name."""
    record = partition.records.find(partition.tenant, KIND, name)
    return None if record is None else _read(record)


def every(partition: Partition) -> list[Collection]:
    """Return all collections of a tenant, newest first."""
    return [_read(record) for record in partition.records.all(partition.tenant, KIND)]


def make(
    partition: Partition, name: str, description: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Collection:
    """Make a collection; raise `Taken` where there is one of this name."""
    body = {"name": name, "description": description, "metadata": dict(metadata or {})}
    return _read(partition.records.add(partition.tenant, KIND, body, unique=name))


def readable(call: Call, name: str) -> Collection:
    """Return a collection that the caller may read; raise where there is none, or it is restricted to others."""
    return _allowed(call, _there(partition_of(call), name), "can_read")


def writable(call: Call, name: str, *, create: bool = False) -> Collection:
    """Return a collection that the caller may write, made at its first write where `create` says so."""
    partition = partition_of(call)
    found = opened(partition, name) if create else _there(partition, name)
    return _allowed(call, found, "can_write")


def check_writable(call: Call, name: str) -> None:
    """Raise where a collection of this name is there and the caller may not write it; one that is not there may be made."""
    found = find(partition_of(call), name)
    if found is not None:
        _allowed(call, found, "can_write")


def opened(partition: Partition, name: str) -> Collection:
    """Return a collection, made where there is none of this name."""
    found = find(partition, name)
    if found is None:
        try:
            found = make(partition, name)
        except Taken:  # another request has just made it
            found = _there(partition, name)
    return found


def hidden(call: Call) -> list[str]:
    """Return the names of the collections that the caller may not read."""
    return [one.name for one in every(partition_of(call)) if not one.allows(call, "can_read")]


def grant(
    partition: Partition, collection: Collection, key_id: str, rights: Mapping[Right, bool] | None
) -> Collection:
    """Set what one agent may do with a collection; None takes its grant away."""
    changes = {_GRANT + key_id: None if rights is None else dict(rights)}
    changed = partition.records.change(partition.tenant, KIND, collection.id, changes, touch=False)
    if changed is None:
        raise unknown()
    return _read(changed)


def unknown() -> Problem:
    """Return the failure for a collection that is not there."""
    return Problem(404, "NOT_FOUND", "Collection not found")


def _there(partition: Partition, name: str) -> Collection:
    found = find(partition, name)
    if found is None:
        raise unknown()
    return found


def _allowed(call: Call, collection: Collection, right: Right) -> Collection:
    if not collection.allows(call, right):
        act = "read" if right == "can_read" else "write"
        raise Problem(403, "FORBIDDEN", f"This agent may not {act} this collection; its grants say who may")
    return collection


# ---- routes ---------------------------------------------------------------------------------------------------------


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
    return {
        "name": collection.name,
        "description": collection.description,
        "metadata": collection.metadata,
        "memory_count": partition.memories.count(collection.scope, TRUE, include_archived=True),
        "restricted": bool(collection.grants),
        "created_at": iso_micros(collection.created_at),
        "updated_at": iso_micros(collection.updated_at),
    }


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
    """What to change of a collection; null empties it."""

    description: str | None = None
    metadata: JsonObject | None = None


@routes.put("/{name}", needs="write", answers=CollectionRow, errors=(404,))
def update_collection(call: Call, name: str, body: CollectionChanges) -> dict[str, Any]:
    """Change what is given of a collection's description and metadata."""
    partition, found = partition_of(call), writable(call, name)
    changes: dict[str, Any] = {field: getattr(body, field) for field in body.model_fields_set}
    if changes.get("metadata", {}) is None:
        changes["metadata"] = {}
    changed = partition.records.change(partition.tenant, KIND, found.id, changes)
    if changed is None:
        raise unknown()
    return row(partition, _read(changed))


@routes.delete("/{name}", needs="write", answers=Deleted, errors=(404,))
def delete_collection(call: Call, name: str) -> dict[str, Any]:
    """Delete a collection with all its memories and their files."""
    partition, found = partition_of(call), writable(call, name)
    gone = partition.memories.forget(found.scope, TRUE, dry_run=False)
    partition.records.remove(partition.tenant, KIND, found.id)
    events.removed(partition, found.name, gone.ids)
    call.audit("rememberos.collection.delete", found.id)
    return {"deleted": True}
