"""``/v1/tags``: labels with a colour, and which memories have them. A memory's own ``tags`` show their names, too."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field

from onebrain_server.dialects.onebrain.mapping import Id
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.rules.documents import TAGS, unique
from onebrain_server.dialects.onebrain.wire import Routes, Wire
from onebrain_server.http.problems import not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.database import Taken
from onebrain_server.state.records import Record

routes = Routes("/v1", "tags")


class TagFields(Wire):
    """A tag to make."""

    name: Annotated[str, Field(min_length=1, max_length=50)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None


class TagRow(Wire):
    """A tag."""

    id: str
    user_id: str
    name: str
    color: str | None
    created_at: str


def _row(call: Call, record: Record) -> dict[str, Any]:
    return row_of(TagRow, record, user_id=call.tenant_id)


@routes.get("/tags", needs="brain.read", answers=list[TagRow])
def list_tags(call: Call) -> list[dict[str, Any]]:
    """List the account's tags, newest first."""
    return [_row(call, record) for record in TAGS.all(call)]


@routes.post("/tags", needs="brain.write", answers=TagRow, status=201, errors=(409,))
def create_tag(call: Call, body: TagFields) -> dict[str, Any]:
    """Make a tag; a name can be used once."""
    with unique("a tag with this name"):
        return _row(call, TAGS.add(call, {"name": body.name, "color": body.color}, unique=body.name))


@routes.delete("/tags/{id}", needs="brain.write")
def delete_tag(call: Call, id: str) -> None:
    """Delete a tag, and take it off every memory."""
    record = TAGS.one(call, id)
    for link in call.server.links.all(call.tenant_id, TAGS.name, owner_id=id):
        _name(call, link.memory_id, record.body["name"], add=False)
    TAGS.remove(call, id)


class Tagging(Wire):
    """Which tag."""

    tag_id: Id


class TaggedRow(Wire):
    """A tag on a memory."""

    memory_item_id: str
    tag_id: str
    tag_name: str
    tag_color: str | None


@routes.post("/memory/{id}/tags", needs="brain.write", answers=TaggedRow, status=201)
def tag_memory(call: Call, id: str, body: Tagging) -> dict[str, Any]:
    """Put a tag on a memory; doing so twice changes nothing."""
    memories.one(call, id)
    record = TAGS.one(call, body.tag_id)
    with suppress(Taken):
        call.server.links.add(call.tenant_id, TAGS.name, record.id, id, "tag")
    _name(call, id, record.body["name"], add=True)
    return {
        "memoryItemId": id,
        "tagId": record.id,
        "tagName": record.body["name"],
        "tagColor": record.body["color"],
    }


@routes.delete("/memory/{memoryId}/tags/{tagId}", needs="brain.write")
def untag_memory(call: Call, memoryId: str, tagId: str) -> None:
    """Take a tag off a memory."""
    memories.one(call, memoryId)
    record = TAGS.one(call, tagId)
    if not call.server.links.remove(call.tenant_id, TAGS.name, tagId, memory_id=memoryId):
        raise not_found("Tag")
    _name(call, memoryId, record.body["name"], add=False)


def _name(call: Call, memory_id: str, name: str, *, add: bool) -> None:
    """Add a tag's name to a memory's own tags, or remove it."""
    with call.server.changing(call.tenant_id, memory_id):
        memory = memories.one(call, memory_id)
        if (name in memory.tags) != add:
            tags = [*memory.tags, name] if add else [tag for tag in memory.tags if tag != name]
            memories.change(call, memory, tags=tags)
