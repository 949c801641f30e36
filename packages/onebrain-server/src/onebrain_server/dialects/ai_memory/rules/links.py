"""Links from one memory to another, kept beside the memories; a link ends with either of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from onebrain.memory.filters import memory_matches
from onebrain.memory.models import EVERYTHING
from onebrain_server.dialects.ai_memory.rules.identity import readable, tied
from onebrain_server.dialects.ai_memory.wire import Wire, written
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken
from onebrain_server.state.links import Link

_KIND: Final = "ai-memory.link"


class LinkRow(Wire):
    """One link."""

    source_id: str
    target_id: str
    relation: str
    created_at: str


def add(call: Call, source_id: str, target_id: str, relation: str, *, at: int | None = None) -> bool:
    """Keep a link; return whether it is new."""
    try:
        call.server.links.add(call.tenant_id, _KIND, source_id, target_id, relation, at=at)
    except Taken:
        return False
    return True


def cut(call: Call, one: Link) -> bool:
    """Remove a link; return whether it was there."""
    return call.server.links.remove(call.tenant_id, _KIND, one.owner_id, link_id=one.id)


def of(call: Call, id: str) -> list[Link]:
    """Return the links from and to a memory, oldest first."""
    links, tenant = call.server.links, call.tenant_id
    found = [*links.all(tenant, _KIND, owner_id=id), *links.all(tenant, _KIND, memory_ids=[id])]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def every_one(call: Call) -> list[Link]:
    """Return all links, oldest first."""
    return call.server.links.all(call.tenant_id, _KIND)


def shown(call: Call, found: Iterable[Link]) -> list[dict[str, Any]]:
    """Return links as answers show them, without those to memories that have expired or that the caller may not see."""
    links = list(found)
    ends = list({end for one in links for end in (one.owner_id, one.memory_id)})
    seen = readable(tied(call))
    there = {memory.id for memory in call.memories.get(ends, EVERYTHING) if memory_matches(seen, memory)}
    return [
        {
            "source_id": one.owner_id,
            "target_id": one.memory_id,
            "relation": one.link_type,
            "created_at": written(one.created_at),
        }
        for one in links
        if one.owner_id in there and one.memory_id in there
    ]


def forget(call: Call, ids: Sequence[str]) -> None:
    """Remove the links from and to memories that are gone."""
    gone = frozenset(ids)
    if len(gone) == 1:
        found = of(call, ids[0])
    else:
        found = [one for one in every_one(call) if one.owner_id in gone or one.memory_id in gone]
    for one in found:
        cut(call, one)


def tidy(call: Call) -> None:
    """Remove the links from and to expired memories."""
    found = every_one(call)
    ends = list({end for one in found for end in (one.owner_id, one.memory_id)})
    there = {memory.id for memory in call.memories.get(ends, EVERYTHING)}
    for one in found:
        if one.owner_id not in there or one.memory_id not in there:
            cut(call, one)
