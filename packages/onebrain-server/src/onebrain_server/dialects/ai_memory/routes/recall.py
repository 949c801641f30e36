"""``/api/v1/search``, ``/recall`` and ``/forget``: search by every word, recall by meaning, and delete by a filter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from onebrain.memory.context import estimate_tokens
from onebrain.memory.driver import SearchRequest
from onebrain.memory.filters import Cmp, Filter, every
from onebrain.memory.models import Memory
from onebrain.services.ai_memory.service import check_namespace
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.routes.memories import FilterQuery, MemoryRow, made, tagged, wanted
from onebrain_server.dialects.ai_memory.rules import memories
from onebrain_server.dialects.ai_memory.rules.identity import changeable, readable, tied, visible_from
from onebrain_server.dialects.ai_memory.rules.tiers import Tier
from onebrain_server.dialects.ai_memory.wire import Moment, Namespace, Routes, Wire, Words, refused
from onebrain_server.http.requests import Call

routes = Routes("/api/v1", "recall")

_MOST_RECALLED = 50
# The factor by which a score is reduced for each step up to a namespace's ancestor.
_FADES = 0.3


class SearchQuery(FilterQuery):
    """The words to search for."""

    q: Words
    as_agent: Namespace | None = None


class SearchAnswer(Wire):
    """The memories that hold every word, best first; without scores."""

    results: list[MemoryRow]
    count: int
    query: str


@routes.get("/search", needs="read", answers=SearchAnswer, quick=True)
def search(call: Call, query: SearchQuery) -> dict[str, Any]:
    """Find the memories that hold every word of ``q`` in content, title or tags."""
    if not query.q.strip():
        raise refused("q: must not be blank")
    check_namespace(query.as_agent, "as_agent")
    scope, anywhere = memories.within(query.namespace)
    filter = every(wanted(call, query), anywhere, visible_from(query.as_agent))
    found = islice(memories.with_all_words(call, query.q, scope, filter), query.most)
    results = [mapping.shown(mapping.of(memory)) for memory in found]
    return {"results": results, "count": len(results), "query": query.q}


class RecallFields(Wire):
    """The query of a recall; `tags` is a comma list, of which a memory must have all."""

    context: Words
    namespace: Namespace | None = None
    limit: Annotated[int, Field(ge=0)] = 10
    tags: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    as_agent: Namespace | None = None
    budget_tokens: Annotated[int, Field(ge=0)] | None = None


class RecalledRow(MemoryRow):
    """A memory, and how well it fits, 0..1."""

    score: float


class Budget(Wire):
    """The effect of a budget on a recall."""

    budget_tokens_used: int
    budget_tokens_remaining: int
    memories_dropped: int
    budget_overflow: bool


class RecallAnswer(Wire):
    """The recalled memories, best first; `mode` says whether meaning counted."""

    memories: list[RecalledRow]
    count: int
    tokens_used: int
    mode: Literal["hybrid", "keyword"]
    budget_tokens: int | None = None
    meta: Budget | None = None


@routes.post("/recall", needs="read", answers=RecallAnswer)
def recall(call: Call, body: RecallFields) -> dict[str, Any]:
    """Recall memories by words and by meaning; the namespaces above the given one are searched, too.

    A key that may write leaves a trace: ``access_count`` grows, a short or mid memory lives on for at least an hour or a
    day, a memory that was recalled five times stays for good, and every tenth recall raises the priority.
    """
    return _recall(call, body)


@routes.get("/recall", needs="read", answers=RecallAnswer)
def recall_by_query(call: Call, query: RecallFields) -> dict[str, Any]:
    """Recall with the same fields in the query string."""
    return _recall(call, query)


def _recall(call: Call, wish: RecallFields) -> dict[str, Any]:
    if not wish.context.strip():
        raise refused("context: must not be blank")
    check_namespace(wish.namespace)
    check_namespace(wish.as_agent, "as_agent")
    filter = every(
        readable(tied(call)),
        visible_from(wish.as_agent),
        *tagged(wish.tags),
        *made(wish.since, wish.until),
    )
    found, mode = _ranked(call, wish, filter)
    costs = [estimate_tokens(mapping.of(memory).content) for _, memory in found]
    kept, used = _affordable(costs, wish.budget_tokens)
    chosen = found[:kept]
    if "write" in call.scopes:
        with memories.writing(call):
            memories.recall(call, [memory.id for _, memory in chosen], now())
    answer: dict[str, Any] = {
        "memories": [{**mapping.shown(mapping.of(memory)), "score": score} for score, memory in chosen],
        "count": kept,
        "tokens_used": used,
        "mode": mode,
    }
    call.tokens = used
    if wish.budget_tokens is not None:
        answer["budget_tokens"] = wish.budget_tokens
        answer["meta"] = {
            "budget_tokens_used": used,
            "budget_tokens_remaining": max(0, wish.budget_tokens - used),
            "memories_dropped": len(found) - kept,
            "budget_overflow": used > wish.budget_tokens,
        }
    return answer


def _ranked(
    call: Call, wish: RecallFields, filter: Filter
) -> tuple[list[tuple[float, Memory]], Literal["hybrid", "keyword"]]:
    """Return the best memories with their scores, of a namespace and, damped, of those above it; and how they were found."""
    parts = [] if wish.namespace is None else wish.namespace.split("/")
    paths = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
    namespaces: list[str | None] = [*paths] or [None]
    most = min(wish.limit, _MOST_RECALLED)
    found: list[tuple[float, Memory]] = []
    mode: Literal["hybrid", "keyword"] = "keyword"
    for depth, namespace in enumerate(namespaces):
        scope, anywhere = memories.within(namespace)
        answer = call.memories.search(
            SearchRequest(query=wish.context, scope=scope, filter=every(filter, anywhere), limit=most)
        )
        if answer.mode != "keyword":
            mode = "hybrid"
        found.extend((round(hit.score / (1 + _FADES * depth), 6), hit.memory) for hit in answer.hits)
    found.sort(key=lambda one: -one[0])
    return found[:most], mode


def _affordable(costs: Sequence[int], budget: int | None) -> tuple[int, int]:
    """Return how many of the best memories fit a budget, and their tokens; the very best one fits any but none at all."""
    kept = used = 0
    for cost in costs:
        if budget is not None and (used + cost > budget if kept else budget == 0):
            break
        kept, used = kept + 1, used + cost
    return kept, used


class ForgetFields(Wire):
    """The memories to forget: those that match all given fields; a pattern matches those with any of its words."""

    namespace: Namespace | None = None
    pattern: str | None = None
    tier: Tier | None = None


class Forgotten(Wire):
    """How many memories were removed."""

    deleted: int


@routes.post("/forget", needs="write", answers=Forgotten, body_required=False)
def forget(call: Call, query: ForgetFields, body: ForgetFields) -> dict[str, Any]:
    """Remove every memory that fits; at least one of the three must be given, in the body or the query string."""
    check_namespace(query.namespace)
    wish = {**query.model_dump(exclude_none=True), **body.model_dump(exclude_none=True)}
    namespace, pattern = wish.get("namespace"), wish.get("pattern", "").strip()
    if namespace is None and not pattern and "tier" not in wish:
        raise refused("give a namespace, a pattern or a tier: nothing at all would mean everything")
    check_namespace(namespace)
    scope, anywhere = memories.within(namespace)
    tier = [Cmp("$extra.tier", "eq", wish["tier"])] if "tier" in wish else []
    filter = every(changeable(tied(call)), anywhere, *tier)
    with memories.writing(call):
        if pattern:
            ids: Sequence[str] = [memory.id for memory in memories.by_words(call, pattern, scope, filter)]
        else:
            ids = call.memories.forget(scope, filter, dry_run=True).ids
        return {"deleted": memories.remove(call, ids) if ids else 0}


__all__ = ["routes"]
