"""``/api/v1/memories``: store, read, list, change, promote, share, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from onebrain.errors import OneBrainError
from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, either, every
from onebrain.memory.models import JsonObject
from onebrain.services.ai_memory.service import check_agent_id, check_fields, check_namespace
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.rules import events, links, memories, tiers
from onebrain_server.dialects.ai_memory.rules.identity import author, readable, tied
from onebrain_server.dialects.ai_memory.rules.tiers import Tier
from onebrain_server.dialects.ai_memory.wire import (
    AgentId,
    Confidence,
    Content,
    Moment,
    Namespace,
    Priority,
    Routes,
    Scope,
    Seconds,
    Source,
    Tags,
    Title,
    Wire,
    refused,
    row_by_row,
)
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.ids import random_id

routes = Routes("/api/v1/memories", "memories")

MOST_ROWS: Final = 1000
_MOST_LISTED: Final = 1000
_AT_ONCE: Final = 100

OnConflict = Literal["error", "merge", "version"]


class MemoryFields(Wire):
    """A memory to store.

    Its expiry is `expires_at`, else `ttl_secs` from now, else six hours for tier ``short``, seven days for ``mid``, and never
    for ``long``. `agent_id` and `scope` may also stand in the metadata, where answers show them.
    """

    title: Title
    content: Content
    tier: Tier = "mid"
    namespace: Namespace = mapping.DEFAULT_NAMESPACE
    tags: Tags = Field(default_factory=list[str])
    priority: Priority = 5
    confidence: Confidence = 1.0
    source: Source = "api"
    expires_at: Moment | None = None
    ttl_secs: Seconds | None = None
    metadata: JsonObject = Field(default_factory=dict[str, Any])
    agent_id: AgentId | None = None
    scope: Scope | None = None


class StoreFields(MemoryFields):
    """A memory to store; `on_conflict` applies if its title exists in its namespace, and is ``merge`` by default."""

    on_conflict: OnConflict | None = None


class BulkRow(MemoryFields):
    """One of many memories to store."""

    model_config = ConfigDict(json_schema_extra=row_by_row)


class MemoryRow(Wire):
    """A memory; `last_accessed_at` and `expires_at` are left out where they are not set."""

    id: str
    tier: Tier
    namespace: str
    title: str
    content: str
    tags: list[str]
    priority: int
    confidence: float
    source: str
    access_count: int
    created_at: str
    updated_at: str
    last_accessed_at: str | None = None
    expires_at: str | None = None
    metadata: JsonObject


class Stored(Wire):
    """A memory that was stored; `potential_contradictions` names others with all words of its title."""

    id: str
    tier: Tier
    namespace: str
    title: str
    agent_id: str
    potential_contradictions: list[str] | None = None


def draft(call: Call, fields: MemoryFields, moment: datetime) -> Row:
    """Return a memory to store; raise if a value is not allowed, or another agent's name is used."""
    metadata, lifted = _lifted(fields.metadata)
    agent, anonymous = author(call, fields.agent_id, lifted["agent_id"])
    scope = lifted["scope"] if fields.scope is None else fields.scope
    given = {**fields.model_dump(), "scope": scope, "agent_id": agent}
    check_fields(given)
    if fields.namespace.startswith("_"):
        raise refused("namespace: those that begin with _ are the server's own; messages are sent by /notify")
    return Row(
        id=random_id(),
        title=fields.title,
        content=fields.content,
        namespace=fields.namespace,
        tier=fields.tier,
        tags=tuple(fields.tags),
        priority=fields.priority,
        confidence=fields.confidence,
        source=fields.source,
        expires_at=tiers.expiry(fields.tier, fields.ttl_secs, fields.expires_at, moment),
        metadata=metadata,
        agent=agent,
        anonymous=anonymous,
        scope=scope,
        created_at=moment,
        updated_at=moment,
    )


def _lifted(metadata: JsonObject) -> tuple[JsonObject, dict[str, str | None]]:
    """Return metadata without the fields that are kept elsewhere, and those fields."""
    found: dict[str, str | None] = {}
    for name in mapping.LIFTED:
        value = metadata.get(name)
        if value is not None and not isinstance(value, str):
            raise refused(f"metadata.{name}: must be a string")
        found[name] = value
    return {name: value for name, value in metadata.items() if name not in mapping.LIFTED}, found


@routes.post("", needs="write", answers=Stored, status=201, errors=(409,), quick=True)
def store_memory(call: Call, body: StoreFields) -> dict[str, Any]:
    """Store a memory; one of the same title in the same namespace is replaced unless ``on_conflict`` says otherwise.

    ``error`` refuses it (409 with ``existing_id``), ``version`` stores it beside the other one, with " (2)" behind its title.
    Replacing keeps id, author, age, grants and the higher of both priorities, confidences and tiers.
    """
    moment = now()
    row = draft(call, body, moment)
    mode = body.on_conflict or ("error" if call.server.settings.strict else "merge")
    with memories.writing(call):
        if mode == "version":
            row = replace(row, title=memories.free_title(call, row))
            check_fields({"title": row.title})
        elif mode == "error":
            other = memories.titled(call, row.namespace, [row.title]).get(row.title)
            if other is not None:
                raise memories.taken(call, other)
        [stored] = memories.upsert(call, [row], moment)
    if isinstance(stored, Problem):
        raise stored
    events.fire(call, "memory_store", [stored])
    answer: dict[str, Any] = {
        "id": stored.id,
        "tier": stored.tier,
        "namespace": stored.namespace,
        "title": stored.title,
        "agent_id": stored.shown_agent,
    }
    others = memories.alike(call, stored)
    return {**answer, "potential_contradictions": others} if others else answer


class BulkAnswer(Wire):
    """The result of a bulk store; each error is the title of a row that was left out, and the reason."""

    created: int
    errors: list[str]


@routes.post("/bulk", needs="write", answers=BulkAnswer)
def store_memories(call: Call, body: Annotated[list[BulkRow], Field(max_length=MOST_ROWS)]) -> dict[str, Any]:
    """Store at most 1000 memories, each replacing the one of its title; a bad one is left out and reported."""
    moment = now()
    errors: list[str] = []
    drafts: list[Row] = []
    for fields in body:
        try:
            drafts.append(draft(call, fields, moment))
        except (OneBrainError, Problem) as error:
            errors.append(f"{fields.title}: {error.message}")
    with memories.writing(call):
        results = memories.upsert(call, drafts, moment)
    stored = [result for result in results if isinstance(result, Row)]
    errors += [
        f"{row.title}: {result.message}"
        for row, result in zip(drafts, results, strict=True)
        if isinstance(result, Problem)
    ]
    events.fire(call, "memory_store", stored)
    return {"created": len(stored), "errors": errors}


# ---- reading ----------------------------------------------------------------------------------------------------------


class FilterQuery(Wire):
    """The filter of a list or a search: `tags` is a comma list, of which a memory must have all."""

    namespace: Namespace | None = None
    tier: Tier | None = None
    tags: str | None = None
    agent_id: AgentId | None = None
    min_priority: Annotated[int, Field(ge=0, le=10)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=0)] = 20

    @property
    def most(self) -> int:
        """How many memories to return."""
        return min(self.limit, _MOST_LISTED)


def wanted(call: Call, query: FilterQuery) -> Filter:
    """Return the filter of a list or a search, within the memories that the caller may see."""
    check_namespace(query.namespace)
    check_agent_id(query.agent_id)
    parts: list[Filter] = [readable(tied(call)), *tagged(query.tags), *made(query.since, query.until)]
    if query.tier is not None:
        parts.append(Cmp("$extra.tier", "eq", query.tier))
    if query.agent_id is not None:
        parts.append(Cmp("$agent", "eq", query.agent_id))
    if query.min_priority is not None:
        parts.append(Cmp("$importance", "ge", mapping.importance(query.min_priority)))
    return every(*(part for part in parts if part != TRUE))


def tagged(tags: str | None) -> list[Filter]:
    """Return the filters for a comma list of tags, all of which a memory must have; a tag may hold commas itself."""
    parts = [Cmp("$tags", "contains", tag.strip()) for tag in (tags or "").split(",") if tag.strip()]
    return [either(Cmp("$tags", "contains", tags), every(*parts))] if parts else []


def made(since: datetime | None, until: datetime | None) -> list[Filter]:
    """Return the filters for when a memory was made, both ends included."""
    ends: tuple[tuple[Literal["ge", "le"], datetime | None], ...] = (("ge", since), ("le", until))
    return [Cmp("$created_at", op, moment) for op, moment in ends if moment is not None]


class ListQuery(FilterQuery):
    """The filter and length of a list."""

    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class MemoryList(Wire):
    """One page; `count` is its size."""

    memories: list[MemoryRow]
    count: int


@routes.get("", needs="read", answers=MemoryList, quick=True)
def list_memories(call: Call, query: ListQuery) -> dict[str, Any]:
    """List memories, by priority and then by the time of their last change, both falling."""
    scope, anywhere = memories.within(query.namespace)
    request = ListRequest(scope=scope, filter=every(wanted(call, query), anywhere), order="-updated_at")
    found = _by_priority(call, request, query.offset, query.most)
    return {"memories": [mapping.shown(row) for row in found], "count": len(found)}


def _by_priority(call: Call, request: ListRequest, offset: int, most: int) -> list[Row]:
    """Return a part of a list, by priority first: all of it sorted where that is little, else priority by priority."""
    if call.memories.count(request.scope, request.filter, include_archived=False) <= _AT_ONCE:
        page = call.memories.list(replace(request, limit=_AT_ONCE))
        if not page.meta.has_more:
            ordered = sorted(map(mapping.of, page.data), key=lambda row: -row.priority)
            return ordered[offset : offset + most]
    found: list[Row] = []
    for priority in range(tiers.HIGHEST_PRIORITY, 0, -1):
        if len(found) == most:
            break
        same = every(request.filter, Cmp("$importance", "eq", mapping.importance(priority)))
        page = call.memories.list(replace(request, filter=same, limit=most - len(found)), skip=offset)
        found.extend(map(mapping.of, page.data))
        # It is full, or has as many bytes as a page may have.
        if page.meta.has_more:
            break
        offset = max(0, offset - (page.meta.total or 0))
    return found


class MemoryAnswer(Wire):
    """A memory and its links, in both directions."""

    memory: MemoryRow
    links: list[links.LinkRow]


@routes.get("/{id}", needs="read", answers=MemoryAnswer, errors=(404,), quick=True)
def get_memory(call: Call, id: str) -> dict[str, Any]:
    """Return one memory by its whole id, with its links."""
    memory = memories.memory_of(call, id)
    return {"memory": mapping.shown(mapping.of(memory)), "links": links.shown(call, links.of(call, id))}


# ---- changing ---------------------------------------------------------------------------------------------------------


class MemoryChanges(Wire):
    """Changes of a memory; a field that is absent or null is kept, but ``expires_at: null`` removes the expiry."""

    title: Title | None = None
    content: Content | None = None
    tier: Tier | None = None
    namespace: Namespace | None = None
    tags: Tags | None = None
    priority: Priority | None = None
    confidence: Confidence | None = None
    expires_at: Moment | None = None
    metadata: JsonObject | None = None


@routes.put("/{id}", needs="write", answers=MemoryRow, errors=(404, 409), quick=True)
def update_memory(call: Call, id: str, body: MemoryChanges) -> dict[str, Any]:
    """Change the given fields of a memory; tags and metadata are replaced, the author stays, and the tier never falls."""
    given = {name: value for name, value in body.model_dump().items() if value is not None}
    check_fields(given)
    with memories.writing(call):
        old = memories.own(call, id)
        target = given.get("namespace", old.namespace)
        if target != old.namespace and "_" in (target[0], old.namespace[0]):
            raise refused("namespace: those that begin with _ are the server's own")
        if "metadata" in given:
            given["metadata"], lifted = _lifted(given["metadata"])
            check_fields({"scope": lifted["scope"]})
            given["scope"] = lifted["scope"]
        if "tier" in given:
            given["tier"] = tiers.higher(old.tier, given["tier"])
        if "tags" in given:
            given["tags"] = tuple(given["tags"])
        if "expires_at" in body.model_fields_set:
            given["expires_at"] = body.expires_at
        new = memories.change(call, old, replace(old, **given)) if given else old
    return mapping.shown(new)


class Deleted(Wire):
    """The answer to a deletion."""

    deleted: Literal[True]


@routes.delete("/{id}", needs="write", answers=Deleted, errors=(404,), quick=True)
def delete_memory(call: Call, id: str) -> dict[str, Any]:
    """Remove a memory and its links for good."""
    with memories.writing(call):
        row = memories.own(call, id)
        memories.remove(call, [id], known=row)
    events.fire(call, "memory_delete", [row], title=row.title, tier=row.tier)
    return {"deleted": True}


class PromoteFields(Wire):
    """Where to: a tier that is not lower than the memory's own."""

    tier: Tier = "long"


class Promoted(Wire):
    """The answer to a promotion."""

    promoted: Literal[True]
    id: str
    tier: Tier


@routes.post("/{id}/promote", needs="write", answers=Promoted, body_required=False, errors=(404,))
def promote_memory(call: Call, id: str, body: PromoteFields) -> dict[str, Any]:
    """Keep a memory longer, by default for good: tier ``long`` has no expiry."""
    with memories.writing(call):
        row = tiers.promoted(memories.own(call, id), body.tier, now())
        memories.note(call, row, updated_at=row.updated_at)
    events.fire(call, "memory_promote", [row], mode="tier", tier=row.tier)
    return {"promoted": True, "id": id, "tier": row.tier}


# ---- sharing ----------------------------------------------------------------------------------------------------------


class GrantFields(Wire):
    """Whom to let in; ``write`` lets an agent read, too."""

    agent_id: AgentId
    permission: Literal["read", "write"] = "read"


class Granted(Wire):
    """The answer to a grant."""

    granted: Literal[True]
    id: str
    agent_id: str
    permission: Literal["read", "write"]


class RevokeFields(Wire):
    """Whom to let out."""

    agent_id: AgentId


class Revoked(Wire):
    """The answer to the end of a grant; a second time, it is the same."""

    revoked: Literal[True]
    id: str
    agent_id: str


@routes.post("/{id}/grant", needs="write", answers=Granted, errors=(404,))
def grant(call: Call, id: str, body: GrantFields) -> dict[str, Any]:
    """Let an agent see a memory, or also change it; an earlier grant is replaced."""
    _share(call, id, body.agent_id, body.permission)
    return {"granted": True, "id": id, **body.model_dump()}


@routes.post("/{id}/revoke", needs="write", answers=Revoked, errors=(404,))
def revoke(call: Call, id: str, body: RevokeFields) -> dict[str, Any]:
    """Take a grant back."""
    _share(call, id, body.agent_id, None)
    return {"revoked": True, "id": id, "agent_id": body.agent_id}


def _share(call: Call, id: str, agent_id: str, permission: str | None) -> None:
    check_agent_id(agent_id)
    with memories.writing(call):
        row = memories.own(call, id)
        if row.agent is not None and tied(call) not in (None, row.agent):
            raise Problem(403, "FORBIDDEN", "only the agent that wrote a memory can let others in")
        readers = [one for one in row.readers if one != agent_id]
        writers = [one for one in row.writers if one != agent_id]
        if permission is not None:
            (readers if permission == "read" else writers).append(agent_id)
        shared = replace(row, readers=tuple(readers), writers=tuple(writers))
        memories.note(call, shared, updated_at=row.updated_at)


__all__ = ["FilterQuery", "MemoryFields", "MemoryRow", "draft", "routes"]
