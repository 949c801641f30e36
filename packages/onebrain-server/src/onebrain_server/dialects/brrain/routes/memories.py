"""``/v1/memory``: store, search, read, delete."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from onebrain.memory.driver import SearchRequest
from onebrain.memory.filters import Cmp, Filter, every, instant_of
from onebrain.memory.models import Hit, Scope
from onebrain.memory.models import SearchMode as EngineMode
from onebrain_server.clock import iso
from onebrain_server.dialects.brrain import mapping
from onebrain_server.dialects.brrain.mapping import MemoryRow, StoredRow, StoreFields
from onebrain_server.dialects.brrain.rules import cursors, lifetimes, memories, workspaces
from onebrain_server.dialects.brrain.rules.highlights import highlights
from onebrain_server.dialects.brrain.wire import Wire, WorkspaceId, described
from onebrain_server.dialects.brrain.wire import routes as routes_below
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, invalid_input
from onebrain_server.http.requests import Call

routes = routes_below("/memory", "memory")

SearchMode = Literal["semantic", "keyword", "hybrid"]
_ENGINE_MODES: Final[Mapping[SearchMode, EngineMode]] = {
    "semantic": "vector",
    "keyword": "keyword",
    "hybrid": "hybrid",
}
_OWN_MODES: Final = {theirs: ours for ours, theirs in _ENGINE_MODES.items()}


@routes.post(
    "/store",
    needs="write",
    answers=StoredRow,
    status=201,
    limit="brrain.write",
    idempotent=False,
    errors=(409,),
    quick=True,
)
def store_memory(call: Call, body: StoreFields) -> dict[str, Any]:
    """Store a memory; it is found at once. A text that the workspace holds already is refused."""
    draft = memories.draft(call, body)
    # Else two requests with the same text could both find that it is new.
    with call.server.changing(call.tenant_id, draft.ids[0]):
        [stored] = memories.store(call, [draft])
    if isinstance(stored, Problem):
        raise stored
    call.act("write", "memory")
    return stored


class BatchFields(Wire):
    """Memories to store, at most 100, each with the fields of a single one."""

    # Each is checked by itself, so that a bad one fails alone.
    memories: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, max_length=100, description="Each with the fields of `StoreFields`"),
    ]


class ItemFailure(Wire):
    """Why one memory of a batch was refused."""

    code: str
    message: str
    existing_id: str | None = None
    details: list[dict[str, Any]] | None = None


class BatchItem(Wire):
    """The result for one memory of a batch: stored, with its id, or failed, with its index and the reason."""

    status: Literal["stored", "failed"]
    id: str | None = None
    index: int | None = None
    error: ItemFailure | None = None


class BatchAnswer(Wire):
    """The result of a batch; ``results`` are in the order of its memories."""

    stored: int
    failed: int
    results: list[BatchItem]


@routes.post(
    "/batch",
    needs="write",
    answers=BatchAnswer,
    status=201,
    limit="brrain.write",
    idempotent=False,
    answers_also={200: ("Some memories were refused", BatchAnswer)},
)
def store_batch(call: Call, body: BatchFields) -> Answer:
    """Store up to 100 memories; one that is refused fails alone. 201 where all are stored, else 200."""
    results: list[dict[str, Any] | Problem | None] = []
    drafts: list[memories.Draft] = []
    for item in body.memories:
        try:
            drafts.append(memories.draft(call, StoreFields.model_validate(item, strict=True)))
            results.append(None)
        except ValidationError as error:
            results.append(invalid_input(error, "memory"))
        except Problem as problem:
            results.append(problem)
    stored = iter(memories.store(call, drafts))
    rows: list[dict[str, Any]] = []
    for index, known in enumerate(results):
        result = next(stored) if known is None else known
        if isinstance(result, Problem):
            rows.append({"status": "failed", "error": described(result), "index": index})
        else:
            rows.append({"id": result["id"], "status": "stored"})
    failed = sum(row["status"] == "failed" for row in rows)
    if failed < len(rows):
        call.act("write", "memory", count=len(rows) - failed)
    answer = {"stored": len(rows) - failed, "failed": failed, "results": rows}
    return Answer(answer, status=200 if failed else 201)


def _given(value: Any) -> Any:
    """Take an empty parameter for one that is not given."""
    return None if isinstance(value, str) and not value.strip() else value


def _moment(value: Any) -> datetime | None:
    value = _given(value)
    if value is None:
        return None
    found = instant_of(value)
    if found is None:
        raise ValueError("must be ISO 8601, such as 2026-04-15T14:22:00Z; without an offset it is UTC")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


# They travel in the URL, which no server reads at any length.
Text = Annotated[str | None, Field(max_length=4000), BeforeValidator(_given)]
Label = Annotated[str | None, Field(max_length=1000), BeforeValidator(_given)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class RetrieveQuery(Wire):
    """A search: ``q`` is matched in meaning, ``keyword`` in words; one must be given. Tags are separated by commas."""

    q: Text = None
    keyword: Text = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    cursor: Label = None
    category: Label = None
    tags: Label = None
    department: Label = None
    created_after: Moment = None
    created_before: Moment = None
    workspace_id: Annotated[WorkspaceId | None, BeforeValidator(_given)] = None
    min_relevance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    mode: SearchMode = "semantic"

    @model_validator(mode="after")
    def _something(self) -> RetrieveQuery:
        if self.q is None and self.keyword is None:
            raise ValueError("q or keyword is required")
        return self

    def words(self) -> str:
        """Return the text to search for: the mode's own of the two, else the other; in hybrid mode both."""
        given = [text for text in (self.q, self.keyword) if text is not None]
        if self.mode == "hybrid":
            return " ".join(dict.fromkeys(given))
        return given[-1] if self.mode == "keyword" else given[0]

    def condition(self) -> Filter:
        """Return the filter for everything else that is asked for."""
        parts: list[Filter] = []
        for name, value in (("category", self.category), ("department", self.department)):
            if value is not None:
                parts.append(Cmp(name, "eq", value))
        for tag in (self.tags or "").split(","):
            if tag.strip():
                parts.append(Cmp("tags", "contains", tag.strip()))
        if self.created_after is not None:
            parts.append(Cmp("$created_at", "gt", self.created_after))
        if self.created_before is not None:
            parts.append(Cmp("$created_at", "lt", self.created_before))
        return every(*parts)


class HitRow(Wire):
    """A memory that a search found; ``highlights`` are HTML."""

    id: str
    content: str
    relevance_score: float
    metadata: dict[str, Any]
    created_at: str
    highlights: list[str]


class RetrieveAnswer(Wire):
    """One page of a search, best first; ``total`` counts all that match."""

    query: str
    mode: SearchMode
    results: list[HitRow]
    total: int
    has_more: bool
    next_cursor: str | None
    took_ms: int


@routes.get("/retrieve", needs="read", answers=RetrieveAnswer, quick=True)
def retrieve(call: Call, query: RetrieveQuery) -> dict[str, Any]:
    """Rank memories against a query, by meaning, by words or by both; every filter is applied before ranking."""
    started = time.perf_counter()
    scope = Scope(space=workspaces.meant(call, query.workspace_id))
    words = query.words()
    asked = json.dumps([scope.space, query.model_dump(mode="json", exclude={"cursor"})])
    search = call.server.sealer.digest(call.tenant_id, asked)
    position = None if query.cursor is None else cursors.decode(search, query.cursor)
    request = SearchRequest(
        query=words,
        scope=scope,
        filter=every(query.condition(), lifetimes.archive_due(call, scope)),
        limit=query.limit,
        offset=0 if position is None else position.offset,
        mode=_ENGINE_MODES[query.mode],
        min_score=query.min_relevance,
    )
    found = call.memories.search(request)
    end = request.offset + len(found.hits)
    total = max(end + found.more, call.memories.matching(request) if position is None else position.total)
    return {
        "query": words if query.mode != "hybrid" else query.q or words,
        "mode": _OWN_MODES[found.mode],
        "results": [_hit(hit, words) for hit in found.hits],
        "total": total,
        "has_more": found.more,
        "next_cursor": cursors.encode(search, cursors.Position(end, total)) if found.more else None,
        "took_ms": round((time.perf_counter() - started) * 1000),
    }


def _hit(hit: Hit, words: str) -> dict[str, Any]:
    memory = hit.memory
    assert memory.created_at is not None
    return {
        "id": memory.id,
        "content": memory.content,
        "relevance_score": round(hit.score, 6),
        "metadata": memory.metadata,
        "created_at": iso(memory.created_at),
        "highlights": highlights(memory.content, words),
    }


@routes.get("/{id}", needs="read", answers=MemoryRow, errors=(404,), quick=True)
def get_memory(call: Call, id: str) -> dict[str, Any]:
    """Return a memory, also one whose time to live is over."""
    return mapping.row(call, memories.one(call, id))


class DeletedRow(Wire):
    """A memory that was deleted."""

    id: str
    status: Literal["deleted"]
    deleted_at: str


@routes.delete(
    "/{id}", needs="write", answers=DeletedRow, status=200, limit="brrain.write", errors=(404,), quick=True
)
def delete_memory(call: Call, id: str) -> dict[str, Any]:
    """Delete a memory: it is out of every answer at once, and out of the storage after the retention period."""
    with call.server.changing(call.tenant_id, id):
        memory = memories.one(call, id)
        facts = call.facts_of([memory])
        moment = lifetimes.delete(call, memory)
    for fact in facts:
        lifetimes.delete_fact(call, fact)
    call.act("delete", "memory")
    return {"id": id, "status": "deleted", "deleted_at": iso(moment)}
