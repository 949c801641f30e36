"""Collections, and who may use each.

A collection is a space of the engine and a record, which holds its description and its grants. Without a grant every
agent of the tenant may read and write it as far as its key goes; with one, only those granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from onebrain.memory.models import Scope
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken
from onebrain_server.state.records import Record

KIND: Final = "rememberos.collection"


# Each grant has a key of its own in the record, so that two changes do not undo each other.
_GRANT: Final = "grant:"


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


def read(record: Record) -> Collection:
    """Return the collection of a record."""
    body = record.body
    grants: dict[str, Mapping[Right, bool]] = {
        name.removeprefix(_GRANT): value
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
    return None if record is None else read(record)


def every(partition: Partition) -> list[Collection]:
    """Return all collections of a tenant, newest first."""
    return [read(record) for record in partition.records.all(partition.tenant, KIND)]


def make(
    partition: Partition, name: str, description: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Collection:
    """Make a collection; raise `Taken` if there is one of this name."""
    body = {"name": name, "description": description, "metadata": dict(metadata or {})}
    return read(partition.records.add(partition.tenant, KIND, body, unique=name))


def readable(call: Call, name: str) -> Collection:
    """Return a collection that the caller may read; raise if there is none, or it is restricted to others."""
    return _allowed(call, _there(partition_of(call), name), "can_read")


def writable(call: Call, name: str, *, create: bool = False) -> Collection:
    """Return a collection that the caller may write, made at its first write where `create` says so."""
    partition = partition_of(call)
    found = opened(partition, name) if create else _there(partition, name)
    return _allowed(call, found, "can_write")


def check_writable(call: Call, name: str) -> None:
    """Raise if there is a collection of this name that the caller may not write; a new one may be made."""
    found = find(partition_of(call), name)
    if found is not None:
        _allowed(call, found, "can_write")


def opened(partition: Partition, name: str) -> Collection:
    """Return a collection, made if there is none of this name."""
    found = find(partition, name)
    if found is None:
        try:
            found = make(partition, name)
        except Taken:
            # Another request has just made it.
            found = _there(partition, name)
    return found


def hidden(call: Call) -> list[str]:
    """Return the names of the collections that the caller may not read."""
    return [one.name for one in every(partition_of(call)) if not one.allows(call, "can_read")]


def grant(
    partition: Partition, collection: Collection, key_id: str, rights: Mapping[Right, bool] | None
) -> Collection:
    """Set the rights of one agent in a collection; None takes its grant away."""
    changes = {_GRANT + key_id: None if rights is None else dict(rights)}
    changed = partition.records.change(partition.tenant, KIND, collection.id, changes, touch=False)
    if changed is None:
        raise unknown()
    return read(changed)


def unknown() -> Problem:
    """Return the failure for a collection that is not there."""
    return not_found("Collection")


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
