"""``/api/v1/links``: from one memory to another."""

from __future__ import annotations

from typing import Any, Literal

from onebrain.memory.models import EVERYTHING
from onebrain_server.dialects.ai_memory.rules import events, links, memories
from onebrain_server.dialects.ai_memory.wire import RELATIONS, Id, Relation, Routes, Wire, refused
from onebrain_server.http.requests import Call

routes = Routes("/api/v1/links", "links")


class LinkFields(Wire):
    """Two memories and their relation."""

    source_id: Id
    target_id: Id
    relation: Relation = "related_to"


class Linked(Wire):
    """The answer to a link."""

    linked: Literal[True]


class Unlinked(Wire):
    """The answer to the removal of links."""

    deleted: bool


class LinkList(Wire):
    """The links of a memory, in both directions."""

    links: list[links.LinkRow]


@routes.post("", needs="write", answers=Linked, status=201, errors=(404,))
def link(call: Call, body: LinkFields) -> dict[str, Any]:
    """Link one memory to another; the same link a second time changes nothing."""
    if body.relation not in RELATIONS:
        raise refused(f"relation: must be one of {', '.join(RELATIONS)}")
    if body.source_id == body.target_id:
        raise refused("target_id: a memory cannot be linked to itself")
    source = memories.own(call, body.source_id)
    memories.memory_of(call, body.target_id, what="target memory")
    if links.add(call, body.source_id, body.target_id, body.relation):
        events.fire(call, "memory_link_created", [source], target_id=body.target_id, relation=body.relation)
    return {"linked": True}


class UnlinkFields(Wire):
    """Two memories; whatever one is to the other ends."""

    source_id: Id
    target_id: Id


@routes.delete("", needs="write", answers=Unlinked, errors=(404,))
def unlink(call: Call, body: UnlinkFields) -> dict[str, Any]:
    """Remove the links from one memory to another; the answer says whether there were any."""
    if not call.memories.get([body.source_id], EVERYTHING):
        return {"deleted": False}
    source = memories.own(call, body.source_id)
    ends = (body.source_id, body.target_id)
    found = (one for one in links.of(call, body.source_id) if (one.owner_id, one.memory_id) == ends)
    gone = [one for one in found if links.cut(call, one)]
    for one in gone:
        events.fire(
            call,
            "memory_link_invalidated",
            [source],
            target_id=body.target_id,
            relation=one.link_type,
            valid_until=events.now_text(),
        )
    return {"deleted": bool(gone)}


@routes.get("/{id}", needs="read", answers=LinkList)
def get_links(call: Call, id: str) -> dict[str, Any]:
    """Return the links from and to a memory; none for an id that does not exist."""
    return {"links": links.shown(call, links.of(call, id))}


__all__ = ["routes"]
