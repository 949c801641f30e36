"""Storing, changing, finding and deleting memories by OneBrain's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from onebrain.errors import OneBrainNotFoundError
from onebrain.memory.driver import Changes, ListRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, either, every, negate, parse
from onebrain.memory.models import EVERYTHING, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.remembering.messages import is_source
from onebrain_server.dialects.onebrain.mapping import ARCHIVED, UNSEEN, MemoryFields
from onebrain_server.dialects.onebrain.rules.documents import PROJECTS
from onebrain_server.http.problems import invalid, not_found
from onebrain_server.http.requests import Call
from onebrain_server.listing import every_memory
from onebrain_server.state.entities import Entity

# Neither active nor archived: it waits for its owner, and no search or list shows it unless that status is asked for.
_WAITING: Final = either(*(Cmp("$extra.status", "eq", status) for status in ("candidate", "conflicted")))
CANDIDATES: Final = every(ARCHIVED, Cmp("$extra.status", "eq", "candidate"))

# Memories that are read together.
_AT_ONCE: Final = 1000

SEEN: Final = negate(every(ARCHIVED, Cmp(f"$extra.{UNSEEN}", "eq", True)))


def one(call: Call, id: str) -> Memory:
    """Return a memory of the caller's; raise if there is none with this id."""
    found = call.memories.get([id], EVERYTHING)
    if not found:
        raise not_found("Memory item")
    return found[-1]


def with_status(status: str | None) -> tuple[Filter, bool]:
    """Return the filter for a status, and whether archived memories have to be looked at."""
    if status == "active":
        return TRUE, False
    if status is None:
        return TRUE, True
    if status == "archived":
        return every(ARCHIVED, negate(_WAITING)), True
    return every(ARCHIVED, Cmp("$extra.status", "eq", status)), True


def wanted(
    call: Call,
    *,
    type: str | None = None,
    tags: Sequence[str] | None = None,
    entity_id: str | None = None,
    project_id: str | None = None,
    search: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> Filter:
    """Return the filter of a list or a search."""
    parts: list[Filter] = []
    if type is not None:
        parts.append(Cmp("$type", "eq", type))
    parts.extend(Cmp("$tags", "contains", tag) for tag in tags or ())
    if search:
        parts.append(either(Cmp("$title", "icontains", search), Cmp("$content", "icontains", search)))
    if entity_id is not None:
        entity(call, entity_id)
        linked = [link.memory_id for link in call.entities.links(entity_id=entity_id)]
        parts.append(Cmp("$id", "in", linked))
    if project_id is not None:
        parts.append(of_project(call, project_id))
    if given:
        try:
            parts.append(parse(given))
        except (RecursionError, TypeError):
            raise invalid(["filter"], "cannot be read as a filter") from None
    return every(*parts)


def entity(call: Call, id: str) -> Entity:
    """Return an entity; raise if there is none with this id."""
    try:
        return call.entities.get(id)
    except OneBrainNotFoundError:
        raise not_found("Entity") from None


def of_project(call: Call, id: str) -> Filter:
    """Return the filter for the memories of a project; raise if there is none with this id."""
    PROJECTS.one(call, id)
    links = call.server.links.all(call.tenant_id, PROJECTS.name, owner_id=id)
    return Cmp("$id", "in", [link.memory_id for link in links])


def reviewed(asked: Filter, *, archived: bool) -> Filter:
    """Return a filter without the memories that wait for review, which the engine holds among the archived ones."""
    return every(asked, negate(every(ARCHIVED, _WAITING))) if archived else asked


def everything(
    call: Call, filter: Filter = TRUE, *, include_archived: bool = False, most: int | None = None
) -> list[Memory]:
    """Return all memories that match, newest first."""
    request = ListRequest(filter=filter, include_archived=include_archived)
    return list(every_memory(call.memories, request, most=most))


def put(call: Call, drafts: Sequence[NewMemory], *, new: bool = False) -> Sequence[StoreResult]:
    """Store memories, each for itself; those that they replace are kept as the past.

    `new` says that none of them can be there already, which saves looking.
    """
    drafts = _keep_replaced(call, drafts, new)
    return call.memories.store(drafts) if drafts else []


def store(call: Call, drafts: Sequence[NewMemory], *, new: bool = False) -> Sequence[Memory]:
    """Store memories, all or none of them, and return them as they are now; `new` as for `put`."""
    drafts = _keep_replaced(call, drafts, new)
    return call.memories.store_and_return(drafts) if drafts else []


def _keep_replaced(call: Call, drafts: Sequence[NewMemory], new: bool) -> Sequence[NewMemory]:
    """Keep the memories that drafts replace, and return the drafts; one that replaces a memory may have been seen."""
    if new or not drafts:
        return drafts
    there = set(keep(call, [str(draft.id) for draft in drafts]))
    if not there:
        return drafts
    return [
        draft.model_copy(update={"extra": _seen(draft.extra)}) if draft.id in there else draft
        for draft in drafts
    ]


def _seen(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name != UNSEEN}


def change(call: Call, memory: Memory, **fields: Any) -> Memory:
    """Change a memory; ``status``, ``confidence`` and the like are put where they are kept."""
    extra = dict(memory.extra)
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "status":
            extra["status"] = value
            columns["archived"] = value != "active"
            if value == "active":
                extra.pop(UNSEEN, None)
        elif name in ("confidence", "sourceType"):
            extra[name] = value
        else:
            columns[name] = value
    if extra != memory.extra:
        columns["extra"] = extra
    keep(call, [memory.id], memory.scope)
    return call.memories.update(memory.id, Changes(fields=columns, merge_metadata=False), memory.scope)


def delete(call: Call, ids: Sequence[str], scope: Scope = EVERYTHING) -> list[str]:
    """Delete memories with their links, and note that they are gone; return the ids of those that were there.

    The facts that were drawn from them alone go, too, and come last.
    """
    there, sources = _kept(call, ids, scope)
    if not there:
        return []
    facts = call.facts_of(sources)
    if facts:
        keep(call, [fact.id for fact in facts])
    drawn = [fact.id for fact in facts]
    # Before they are gone: an agent may miss no deletion, and a note for a memory that is still there is not shown.
    call.server.journal.bury(call.tenant_id, [*there, *drawn])
    count = call.memories.delete(there, scope)
    for fact in facts:
        call.memories.delete([fact.id], fact.scope)
    call.server.links.forget_memories(call.tenant_id, [*there, *drawn])
    if not count:
        # Another request was first.
        return drawn
    known = set(there)
    return [*(id for id in ids if id in known), *drawn]


def derived(call: Call, ids: Sequence[str], scope: Scope) -> list[str]:
    """Return the ids of the facts that would go with memories."""
    found = (
        memory
        for start in range(0, len(ids), _AT_ONCE)
        for memory in call.memories.get(ids[start : start + _AT_ONCE], scope)
    )
    return [fact.id for fact in call.facts_of([one for one in found if is_source(one)], dry_run=True)]


def keep(call: Call, ids: Sequence[str], scope: Scope = EVERYTHING) -> list[str]:
    """Keep the state of memories before they are changed or deleted; return the ids of those that are there.

    `put`, `change` and `delete` do it. Nothing else in this dialect changes stored memories, except that a fact loses the
    words of a deleted message.
    """
    return _kept(call, ids, scope)[0]


def _kept(call: Call, ids: Sequence[str], scope: Scope) -> tuple[list[str], list[Memory]]:
    """Keep the state of memories; return the ids of those that are there, and those from which facts may have been drawn."""
    there: list[str] = []
    sources: list[Memory] = []
    # A filter may delete everything.
    for start in range(0, len(ids), _AT_ONCE):
        found = call.memories.located(ids[start : start + _AT_ONCE], scope)
        call.server.history.keep(call.tenant_id, found)
        there.extend(memory.id for _, memory in found)
        sources.extend(memory for _, memory in found if is_source(memory))
    return there, sources


def link(call: Call, fields: MemoryFields, memory_id: str) -> None:
    """Link a memory to the entity and the project that it was stored for."""
    if fields.entity_id is not None:
        call.entities.link(fields.entity_id, memory_id, "about")
    if fields.project_id is not None:
        call.server.links.add(call.tenant_id, PROJECTS.name, fields.project_id, memory_id, "context")


def check_links(call: Call, fields: MemoryFields) -> None:
    """Raise where a memory is to be stored for an entity or project that is not there."""
    if fields.entity_id is not None:
        entity(call, fields.entity_id)
    if fields.project_id is not None:
        PROJECTS.one(call, fields.project_id)
