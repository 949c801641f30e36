"""``/v1/memory``: store, read, change, search, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import to_json

from onebrain.errors import OneBrainValidationError
from onebrain.memory.deletion import holds_always
from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import TRUE, every
from onebrain.memory.models import EVERYTHING, JsonObject, Memory, Order, Scope
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.mapping import (
    Body,
    Confidence,
    HitRow,
    Id,
    MemoryFields,
    MemoryRow,
    MemoryStatus,
    MemoryType,
    ScopeFields,
    SearchMode,
    Tag,
    Tags,
    Title,
    Vector,
)
from onebrain_server.dialects.onebrain.rules import memories, past
from onebrain_server.dialects.onebrain.rules.plans import charge, storing
from onebrain_server.dialects.onebrain.wire import Page, Paging, Query, Routes, Wire, bad_cursor, paged_rows
from onebrain_server.http.operation import Answer, Given, holding
from onebrain_server.http.problems import Problem, invalid, not_found, sentences
from onebrain_server.http.requests import Call
from onebrain_server.state.owners import Belonging

routes = Routes("/v1/memory", "memory")


class AsOfQuery(Query):
    """A moment in the past; without one, the present."""

    as_of: mapping.Moment | None = None


class ListQuery(AsOfQuery, Paging):
    """Which memories to list, and as of when."""

    type: MemoryType | None = None
    status: MemoryStatus | None = None
    search: Annotated[str, Field(max_length=500)] | None = None
    tags: list[Tag] | None = None
    entity_id: Id | None = None
    project_id: Id | None = None


@routes.get("", needs="brain.read", answers=Page[MemoryRow], errors=(404,), quick=True)
def list_memories(call: Call, query: ListQuery) -> Answer:
    """List memories, newest first; archived ones too unless a status is asked for.

    With ``asOf``, as they were at that moment: changed ones as they were, deleted ones included.
    """
    status, archived = memories.with_status(query.status)
    if query.as_of is not None and (query.entity_id is not None or query.project_id is not None):
        raise invalid(
            ["asOf"],
            "does not go with entityId or projectId: links have no history",
            where="query parameters",
        )
    asked = memories.wanted(
        call,
        type=query.type,
        tags=query.tags,
        entity_id=query.entity_id,
        project_id=query.project_id,
        search=query.search,
    )
    if query.as_of is not None:
        moment = past.moment_of(call, query.as_of)
        selection = past.Selection(every(status, asked), archived)
        return past.page(call, selection, moment, limit=query.limit, cursor=query.cursor)
    request = ListRequest(
        filter=every(status, asked), limit=query.limit, cursor=query.cursor, include_archived=archived
    )
    try:
        page = call.memories.list(request)
    except OneBrainValidationError:
        # Other servers' cursor is the last row's id; whoever kept one goes on from there.
        cursor = None if query.cursor is None else call.memories.cursor_behind(query.cursor)
        if cursor is None:
            raise bad_cursor() from None
        page = call.memories.list(replace(request, cursor=cursor))
    return paged_rows(mapping.written(page.data, call), page.meta.cursor, page.meta.total or 0)


@routes.post("", needs="brain.write", answers=MemoryRow, status=201, errors=(404, 409), quick=True)
def create_memory(call: Call, body: MemoryFields) -> dict[str, Any]:
    """Store a memory; it is active at once, and found at once."""
    memories.check_links(call, body)
    charge(call, "memory_writes_per_month")
    new = mapping.draft(call, body, status=mapping.given_status(body))
    fresh = body.id is None and call.idempotency is None
    with storing(call, 1):
        [memory] = memories.store(call, [new], new=fresh)
    memories.link(call, body, memory.id)
    call.act("write", "memory")
    # It has the links that were just made, and no others.
    if fresh:
        return mapping.shown(memory, call.tenant_id, Belonging(body.entity_id, body.project_id))
    return mapping.row(memory, call)


class SearchFields(Wire):
    """A search."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                holding("query", "string"),
                holding("embedding", "array"),
                holding("filter", "object"),
                holding("scope", "object"),
            ]
        }
    )

    query: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    mode: SearchMode = "hybrid"
    top_k: int | None = Field(default=None, ge=1, le=50, alias="top_k")
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    alpha: Confidence | None = None
    type: MemoryType | None = None
    tags: Tags | None = None
    entity_id: Id | None = None
    project_id: Id | None = None
    scope: ScopeFields | None = None
    filter: JsonObject | None = None
    include_archived: bool = False
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    min_score: Confidence = 0.0
    embedding: Vector | None = None


class SearchAnswer(Wire):
    """The matches of a search, best first."""

    results: list[HitRow]
    search_mode: SearchMode
    downgraded_from: SearchMode | None = None
    filtered: bool
    exhausted: bool


@routes.post("/search", needs="brain.read", answers=SearchAnswer, errors=(404,), quick=True)
def search_memories(call: Call, body: SearchFields) -> Answer:
    """Rank active memories against a query, by words and by meaning; every filter is applied before ranking."""
    if body.query is None and body.embedding is None and body.filter is None and body.scope is None:
        raise invalid(["query"], "Required", code="invalid_type", expected="string", received="undefined")
    found = call.memories.search(_search_request(call, body))
    rows = mapping.written([hit.memory for hit in found.hits], call)
    results: list[bytes] = []
    for row, hit, (by_words, by_meaning) in zip(rows, found.hits, found.parts, strict=True):
        score = round(hit.score, 6)
        scores = {
            "score": score,
            # Where there is one part only, it is the score.
            "diceScore": score if found.mode == "keyword" else round(by_words, 6),
            "vectorScore": score if found.mode == "vector" else round(by_meaning, 6),
        }
        results.append(row[:-1] + b"," + to_json(scores)[1:])
    beside: dict[str, Any] = {"searchMode": found.mode, "filtered": True, "exhausted": not found.more}
    if found.mode != body.mode:
        beside["downgradedFrom"] = body.mode
    return Answer(written=b'{"results":[' + b",".join(results) + b"]," + to_json(beside)[1:])


def _search_request(call: Call, body: SearchFields) -> SearchRequest:
    wanted = memories.wanted(
        call,
        type=body.type,
        tags=body.tags,
        entity_id=body.entity_id,
        project_id=body.project_id,
        given=body.filter,
    )
    return SearchRequest(
        query=body.query if body.query is None or body.query.strip() else None,
        embedding=None if body.embedding is None else tuple(body.embedding),
        scope=EVERYTHING if body.scope is None else body.scope.scope(),
        filter=memories.reviewed(wanted, archived=body.include_archived),
        limit=body.limit or body.top_k or 10,
        offset=body.offset,
        mode=body.mode,
        alpha=body.alpha,
        min_score=body.min_score,
        include_archived=body.include_archived,
    )


class LookupFields(Wire):
    """Which memories."""

    ids: Annotated[list[Id], Field(max_length=500)]


@routes.post("/lookup", needs="brain.read", answers=list[MemoryRow], quick=True)
def look_up_memories(call: Call, body: LookupFields) -> list[dict[str, Any]]:
    """Return the memories with these ids, in any status; those that do not exist are left out."""
    found = {memory.id: memory for memory in call.memories.get(body.ids, EVERYTHING)}
    return mapping.rows((found[id] for id in dict.fromkeys(body.ids) if id in found), call)


class QueryFields(Wire):
    """Which memories to list, with a filter and a scope."""

    scope: ScopeFields | None = None
    filter: JsonObject | None = None
    order: Order = "-created_at"
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    include_archived: bool = False


@routes.post("/query", needs="brain.read", answers=Page[MemoryRow])
def query_memories(call: Call, body: QueryFields) -> Answer:
    """List memories of a scope that match a filter, in an order, without those that wait for review."""
    request = ListRequest(
        scope=EVERYTHING if body.scope is None else body.scope.scope(),
        filter=memories.reviewed(memories.wanted(call, given=body.filter), archived=body.include_archived),
        order=body.order,
        limit=body.limit,
        cursor=body.cursor,
        include_archived=body.include_archived,
    )
    page = call.memories.list(request)
    return paged_rows(mapping.written(page.data, call), page.meta.cursor, page.meta.total or 0)


class ForgetFields(Wire):
    """The memories to delete, by their ids, or all of a scope that match a filter."""

    ids: Annotated[list[Id], Field(max_length=1000)] | None = None
    scope: ScopeFields | None = None
    filter: JsonObject | None = None
    dry_run: bool = False
    erase: bool = False


class ForgetAnswer(Wire):
    """The memories that were deleted, or would have been."""

    count: int
    dry_run: bool
    ids: list[str]


@routes.post("/forget", needs="brain.write", answers=ForgetAnswer)
def forget_memories(call: Call, body: ForgetFields) -> dict[str, Any]:
    """Delete many memories at once; at least one of ``ids``, ``scope`` and ``filter`` must be given.

    The facts that were drawn from them alone go, too. With ``erase``, the kept history is deleted, too, also that of memories with these ``ids`` that were deleted before.
    """
    scope = EVERYTHING if body.scope is None else body.scope.scope()
    ids = _to_forget(call, body, scope)
    if body.dry_run:
        ids += memories.derived(call, ids, scope)
    else:
        ids = memories.delete(call, ids, scope)
        if body.erase:
            call.server.history.forget(call.tenant_id, [*ids, *(body.ids or ())])
        call.act("delete", "memory", count=len(ids))
    return {"count": len(ids), "dryRun": body.dry_run, "ids": ids}


def _to_forget(call: Call, body: ForgetFields, scope: Scope) -> list[str]:
    """Return the ids of the memories that a request means; raise if it could mean everything."""
    if body.ids is None and not body.filter and not scope:
        raise invalid(["ids"], "give ids, a scope or a filter: nothing at all would mean everything")
    asked = memories.wanted(call, given=body.filter)
    if body.filter is not None and holds_always(asked):
        raise invalid(
            ["filter"], "is empty or holds for every memory; leave it out to delete all of the scope"
        )
    if body.ids is None:
        return list(call.memories.forget(scope, asked, dry_run=True).ids)
    if body.filter:
        raise invalid(["filter"], "ids and filter do not go together")
    return [memory.id for memory in call.memories.get(body.ids, scope)]


class CountFields(Wire):
    """The memories to count."""

    scope: ScopeFields | None = None
    filter: JsonObject | None = None
    include_archived: bool = False


class CountAnswer(Wire):
    """How many there are."""

    count: int


@routes.post("/count", needs="brain.read", answers=CountAnswer)
def count_memories(call: Call, body: CountFields) -> dict[str, Any]:
    """Count the memories of a scope that match a filter."""
    scope = EVERYTHING if body.scope is None else body.scope.scope()
    asked = memories.reviewed(memories.wanted(call, given=body.filter), archived=body.include_archived)
    return {"count": call.memories.count(scope, asked, include_archived=body.include_archived)}


class ImportFields(Wire):
    """Memories to store, at most 500, each with the fields of a single one."""

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=500)]
    replace: bool = False


class ImportResult(Wire):
    """The result for one item."""

    id: str | None
    status: Literal["created", "updated", "failed"]
    error: str | None = None
    message: str | None = None
    code: str | None = None


class ImportAnswer(Wire):
    """The result of an import; ``results`` has one entry for each item, in order."""

    created: int
    errors: list[str]
    results: list[ImportResult]
    data: list[MemoryRow]


@routes.post("/import", needs="brain.write", answers=ImportAnswer, status=201)
def import_memories(call: Call, body: ImportFields) -> dict[str, Any]:
    """Store many memories; a bad item fails alone. Every field of a single memory is kept."""
    results: list[dict[str, Any]] = []
    good: list[tuple[int, MemoryFields]] = []
    for index, item in enumerate(body.items):
        try:
            fields = MemoryFields.model_validate(item)
            memories.check_links(call, fields)
        except ValidationError as error:
            # A field is named by itself, the whole as a memory.
            results.append(_failed(sentences(error, "memory")[0].removeprefix("memory.")))
        except Problem as problem:
            issue = (problem.details or [{"message": problem.message}])[0]
            results.append(_failed(str(issue["message"])))
        else:
            good.append((index, fields))
            results.append({"id": None, "status": "created", "error": None})
    drafts = [
        mapping.draft(call, fields, status=mapping.given_status(fields), digest=call.part_digest(index))
        for index, fields in good
    ]
    new = call.idempotency is None and all(fields.id is None for _, fields in good)
    with storing(call, len(drafts)):
        stored = memories.put(call, drafts, new=new)
    kept: list[str] = []
    for (index, fields), result in zip(good, stored, strict=True):
        if result.error is not None:
            results[index] = _failed(result.error.message)
            continue
        results[index] = {"id": result.id, "status": result.status, "error": None}
        kept.append(str(result.id))
        memories.link(call, fields, str(result.id))
    errors = [f"items[{index}]: {result['error']}" for index, result in enumerate(results) if result["error"]]
    found = {memory.id: memory for memory in call.memories.get(kept, EVERYTHING)}
    call.act("write", "memory", count=len(kept))
    return {
        "created": len(kept),
        "errors": errors,
        "results": results,
        "data": mapping.rows((found[id] for id in dict.fromkeys(kept) if id in found), call),
    }


def _failed(text: str) -> dict[str, Any]:
    return {"id": None, "status": "failed", "error": text, "message": text, "code": "VALIDATION_ERROR"}


class EmbeddingStatus(Wire):
    """How many memories have a vector."""

    total_memories: int
    embedded: int
    pending: int
    failed: int
    missing: int
    coverage: float


@routes.get("/embeddings/status", needs="brain.read", answers=EmbeddingStatus)
def embedding_status(call: Call) -> dict[str, Any]:
    """Say how many memories have a vector: all of them, for vectors are made when a memory is stored."""
    total = call.memories.count(EVERYTHING, TRUE, include_archived=True)
    return {
        "totalMemories": total,
        "embedded": total if call.server.engine.embedder is not None else 0,
        "pending": 0,
        "failed": 0,
        "missing": 0 if call.server.engine.embedder is not None else total,
        "coverage": 1 if call.server.engine.embedder is not None or not total else 0,
    }


class ReindexFields(Wire):
    """Which memories to make vectors for."""

    status: Literal["failed", "missing"] | None = None
    max_items: Annotated[int, Field(ge=1, le=1000)] = 500


class ReindexAnswer(Wire):
    """The result of a reindexing."""

    total: int
    queued: int
    errors: int


@routes.post("/embeddings/reindex", needs="brain.write", answers=ReindexAnswer, body_required=False)
def reindex(call: Call, body: ReindexFields) -> dict[str, Any]:
    """Make vectors for memories that have none; there are never any, for storing makes them."""
    return {"total": 0, "queued": 0, "errors": 0}


@routes.get("/{id}", needs="brain.read", answers=MemoryRow, quick=True)
def get_memory(call: Call, id: str, query: AsOfQuery) -> dict[str, Any]:
    """Return one memory; with ``asOf``, as it was at that moment."""
    if query.as_of is None:
        return mapping.row(memories.one(call, id), call)
    return mapping.row(past.one(call, id, past.moment_of(call, query.as_of)), call)


class MemoryChanges(Wire):
    """Changes of a memory; ``metadata: null`` empties it, an object replaces it unless ``mergeMetadata`` is true."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["body", "content"]}})

    title: Given[Title] = None
    body: Given[Body] = None
    content: Given[Body] = None
    confidence: Given[Confidence] = None
    status: Given[Literal["active", "candidate", "archived"]] = None
    metadata: JsonObject | None = None
    merge_metadata: bool = False
    tags: Tags | None = None
    source: Annotated[str, Field(max_length=255)] | None = None
    importance: Confidence | None = None
    pinned: Given[bool] = None
    expires_at: mapping.Moment | None = None
    embedding: Given[Vector] = None


_AS_GIVEN: Final = ("title", "source", "importance", "pinned", "expires_at", "confidence", "status")


@routes.patch("/{id}", needs="brain.write", answers=MemoryRow, quick=True)
def update_memory(call: Call, id: str, body: MemoryChanges) -> dict[str, Any]:
    """Change the given fields of a memory; its type and source type cannot change."""
    if body.body is not None and body.content is not None:
        raise invalid(["content"], "give the text as body or as content, not as both")
    with call.server.changing(call.tenant_id, id):
        old = memories.one(call, id)
        fields = _changed(body, old)
        memory = memories.change(call, old, **fields) if fields else old
    call.act("write", "memory")
    return mapping.row(memory, call)


def _changed(body: MemoryChanges, old: Memory) -> dict[str, Any]:
    """Return the fields to change with their new values, as `memories.change` takes them."""
    fields: dict[str, Any] = {
        name: getattr(body, name) for name in _AS_GIVEN if name in body.model_fields_set
    }
    text = body.body if body.body is not None else body.content
    if text is not None:
        fields["content"] = text
    if "tags" in body.model_fields_set:
        fields["tags"] = list(dict.fromkeys(body.tags or ()))
    if "metadata" in body.model_fields_set:
        new = body.metadata or {}
        fields["metadata"] = {**old.metadata, **new} if body.merge_metadata else new
    if body.embedding is not None:
        fields["embedding"] = tuple(body.embedding)
    return fields


@routes.delete("/{id}", needs="brain.write", quick=True)
def delete_memory(call: Call, id: str) -> None:
    """Delete a memory with its links; synchronizing agents are told that it is gone."""
    if not memories.delete(call, [id]):
        raise not_found("Memory item")
    call.act("delete", "memory")


__all__ = ["routes"]
