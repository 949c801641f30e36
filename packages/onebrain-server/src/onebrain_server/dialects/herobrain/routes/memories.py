"""``/api/v1/memories``: create, read, list, change, delete and search memories."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from onebrain.memory.driver import Changes, ListRequest, SearchRequest
from onebrain.memory.models import JsonObject, Memory, NewMemory, Order
from onebrain_server.dialects.herobrain.mapping import (
    Content,
    MemoryRow,
    MemoryType,
    NewMemoryFields,
    Share,
    matching,
    row,
)
from onebrain_server.dialects.herobrain.rules import events, quotas
from onebrain_server.dialects.herobrain.rules.tenants import TenantQuery, scope_of, tenant_of
from onebrain_server.dialects.herobrain.wire import (
    Deleted,
    Routes,
    TenantId,
    Wire,
    deleted,
    made_id,
    not_found,
)
from onebrain_server.http.operation import Given
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

routes = Routes("/memories", "memories")

Rows = Annotated[int, Field(ge=1, le=100)]


def _apart(value: Any) -> Any:
    """Return tags that are one text with commas as a list."""
    if isinstance(value, str):
        return [tag for tag in value.split(",") if tag]
    return value


Tags = Annotated[
    list[str],
    BeforeValidator(_apart),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
_ORDERS: Final[dict[tuple[str, str], Order]] = {
    ("createdAt", "asc"): "created_at",
    ("createdAt", "desc"): "-created_at",
    ("updatedAt", "asc"): "updated_at",
    ("updatedAt", "desc"): "-updated_at",
    ("importance", "asc"): "importance",
    ("importance", "desc"): "-importance",
}


def _one(call: Call, id: str, tenant: str | None) -> Memory:
    found = call.memories.get([id], scope_of(tenant))
    if not found:
        raise not_found("memory")
    return found[0]


def _tell(call: Call, event: events.Event, memory: Memory) -> None:
    facts = row(memory)
    events.tell(
        call,
        event,
        {name: facts[name] for name in ("id", "content", "type", "createdAt")},
        memory.scope.space,
    )


@routes.post(
    "", needs="write:memories", answers=MemoryRow, status=201, limit="write", errors=(402,), quick=True
)
def create_memory(call: Call, query: TenantQuery, body: NewMemoryFields) -> dict[str, Any]:
    """Create a memory; it is found at once."""
    tenant = tenant_of(call, query.tenant_id, body.tenant_id, required=True)
    made = NewMemory.checked(
        id=made_id("mem"),
        content=body.content,
        scope=scope_of(tenant or call.tenant_id),
        type=body.type,
        importance=body.importance,
        tags=tuple(body.tags),
        metadata=body.metadata,
    )
    with quotas.storing(call):
        [memory] = call.memories.store_and_return([made])
    call.act("write", "memory")
    _tell(call, "memory.created", memory)
    return row(memory)


class ListQuery(TenantQuery):
    """Which memories to list; several tags are one text with commas, or the parameter several times."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    limit: Rows = 50
    type: MemoryType | None = None
    tags: list[str] = Field(default_factory=list[str])
    sort: Literal["createdAt", "importance", "updatedAt"] = "createdAt"
    order: Literal["asc", "desc"] = "desc"


class Pagination(Wire):
    """Where a page stands in its list."""

    page: int
    limit: int
    total: int
    pages: int
    has_next: bool
    has_previous: bool


class MemoryPage(Wire):
    """One page of memories."""

    memories: list[MemoryRow]
    pagination: Pagination


@routes.get("", needs="read:memories", answers=MemoryPage, quick=True)
def list_memories(call: Call, query: ListQuery) -> dict[str, Any]:
    """List memories page by page; of several tags, any one is enough."""
    tenant = tenant_of(call, query.tenant_id, required=True)
    tags = [tag for text in query.tags for tag in _apart(text)]
    request = ListRequest(
        scope=scope_of(tenant),
        filter=matching(query.type, tags),
        order=_ORDERS[query.sort, query.order],
        limit=query.limit,
    )
    found = call.memories.list(request, skip=(query.page - 1) * query.limit)
    if len(found.data) < query.limit and found.meta.has_more:
        # A page by number cannot be shorter than its limit: the next one would begin behind rows that nobody saw.
        raise Problem(
            413,
            "PAYLOAD_TOO_LARGE",
            f"This page holds more than {call.server.settings.max_page_bytes // 2**20} MB; ask with a smaller limit",
        )
    total = found.meta.total or 0
    pages = -(-total // query.limit)
    call.act("read", "memory")
    return {
        "memories": [row(memory) for memory in found.data],
        "pagination": {
            "page": query.page,
            "limit": query.limit,
            "total": total,
            "pages": pages,
            "hasNext": query.page < pages,
            "hasPrevious": query.page > 1,
        },
    }


class SearchFields(Wire):
    """A search; of several tags, any one is enough."""

    query: Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"\S")]
    limit: Rows = 20
    type: MemoryType | None = None
    min_relevance: Share = 0.0
    tags: Tags = Field(default_factory=list[str])
    tenant_id: TenantId | None = None


class FoundRow(MemoryRow):
    """A memory that a search found."""

    relevance: float


class SearchAnswer(Wire):
    """The matches of a search, most relevant first; the latency is in milliseconds."""

    results: list[FoundRow]
    query: str
    latency: int


@routes.post("/search", needs="read:memories", answers=SearchAnswer, quick=True)
def search_memories(call: Call, query: TenantQuery, body: SearchFields) -> dict[str, Any]:
    """Search memories by meaning and by words; without ``minRelevance`` there is no floor."""
    tenant = tenant_of(call, query.tenant_id, body.tenant_id, required=True)
    request = SearchRequest(
        query=body.query,
        scope=scope_of(tenant),
        filter=matching(body.type, body.tags),
        limit=body.limit,
        min_score=body.min_relevance,
    )
    started = time.perf_counter()
    found = call.memories.search(request)
    latency = round((time.perf_counter() - started) * 1000)
    call.act("search", "memory")
    events.tell(
        call,
        "search.performed",
        {"query": body.query, "results": len(found.hits), "latency": latency},
        tenant,
    )
    results = [{**row(hit.memory), "relevance": round(hit.score, 6)} for hit in found.hits]
    return {"results": results, "query": body.query, "latency": latency}


@routes.get("/{id}", needs="read:memories", answers=MemoryRow, errors=(404,), quick=True)
def get_memory(call: Call, id: str, query: TenantQuery) -> dict[str, Any]:
    """Return one memory."""
    memory = _one(call, id, tenant_of(call, query.tenant_id, required=True))
    call.act("read", "memory")
    return row(memory)


class MemoryChanges(Wire):
    """Changes of a memory; tags and metadata are replaced whole. A memory's type cannot change."""

    content: Given[Content] = None
    importance: Given[Share] = None
    tags: Given[list[str]] = None
    metadata: Given[JsonObject] = None
    tenant_id: TenantId | None = None


@routes.patch("/{id}", needs="write:memories", answers=MemoryRow, errors=(404,), quick=True)
def update_memory(call: Call, id: str, query: TenantQuery, body: MemoryChanges) -> dict[str, Any]:
    """Change the given fields of a memory; without any, nothing changes."""
    tenant = tenant_of(call, query.tenant_id, body.tenant_id)
    fields: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set - {"tenant_id"}}
    if "tags" in fields:
        fields["tags"] = list(dict.fromkeys(fields["tags"]))
    if not fields:
        return row(_one(call, id, tenant))
    changes = Changes(fields=fields, merge_metadata=False)
    memory = call.memories.update(id, changes, scope_of(tenant))
    call.act("write", "memory")
    _tell(call, "memory.updated", memory)
    return row(memory)


@routes.delete("/{id}", needs="write:memories", answers=Deleted, errors=(404,), quick=True)
def delete_memory(call: Call, id: str, query: TenantQuery) -> dict[str, Any]:
    """Delete a memory for good, with the facts that were drawn from it alone."""
    memory = _one(call, id, tenant_of(call, query.tenant_id))
    facts = call.facts_of([memory])
    # Another request was first.
    if not call.memories.delete([id], memory.scope):
        raise not_found("memory")
    for fact in facts:
        call.memories.delete([fact.id], fact.scope)
    call.act("delete", "memory")
    for gone in (memory, *facts):
        events.tell(call, "memory.deleted", deleted(gone.id), gone.scope.space)
    return deleted(id)


__all__ = ["routes"]
