"""Intelligent memory: duplicates, contradictions, pins, archives, health and summaries of a collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, every, negate
from onebrain.memory.models import Memory, Scope
from onebrain_server.clock import now
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.mapping import MemoryRow
from onebrain_server.dialects.rememberos.routes import search
from onebrain_server.dialects.rememberos.rules import collections, memories, summaries
from onebrain_server.dialects.rememberos.rules.collections import readable, writable
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.dialects.rememberos.wire import Days, Routes, Share, Tag, Tagged, Wire
from onebrain_server.http.requests import Call

routes = Routes("/memory/collections/{collection}", "intelligence")

# Memories that are compared with each other.
_NEWEST: Final = 500
_ARCHIVED: Final = Cmp("$archived", "eq", True)
_PINNED: Final = Cmp("$pinned", "eq", True)


class DedupFields(Wire):
    """How alike duplicates are, and whether they are only shown."""

    threshold: Share = 0.95
    dry_run: bool = True
    container_tag: Tag | None = None


class Cluster(Wire):
    """Memories that are nearly the same: the one that is kept, and the others."""

    keeper: MemoryRow
    duplicates: list[MemoryRow]


class DedupAnswer(Wire):
    """The duplicates, and how many of them were deleted."""

    clusters: list[Cluster]
    deleted: int
    dry_run: bool


@routes.post("/dedup", needs="write", answers=DedupAnswer, errors=(404,), body_required=False)
def dedup(call: Call, collection: str, body: DedupFields) -> dict[str, Any]:
    """Find near-identical memories among the newest 500, of one sub-namespace each, and keep one of each cluster.

    A pinned memory is never removed; else the most important one is kept, then the newest.
    """
    partition, found = partition_of(call), writable(call, collection)
    clusters = clustered(partition, found.tagged(body.container_tag), body.threshold)
    deleted = 0
    if not body.dry_run:
        deleted = memories.remove(partition, found, [one.id for _, others in clusters for one in others])
    return {"clusters": shown(clusters), "deleted": deleted, "dry_run": body.dry_run}


def clustered(partition: Partition, scope: Scope, threshold: float) -> list[tuple[Memory, list[Memory]]]:
    """Return the duplicates among the newest memories of a scope, each keeper with its own."""
    newest = memories.everything(partition, scope, memories.CURRENT, most=_NEWEST, embeddings=True)
    return duplicates(newest, threshold)


def shown(clusters: Sequence[tuple[Memory, list[Memory]]]) -> list[dict[str, Any]]:
    """Return clusters as answers show them."""
    return [
        {"keeper": mapping.row(keeper), "duplicates": [mapping.row(one) for one in others]}
        for keeper, others in clusters
    ]


def duplicates(newest: Sequence[Memory], threshold: float) -> list[tuple[Memory, list[Memory]]]:
    """Return each keeper with its duplicates, from memories in the order of newness; each is near its keeper itself."""
    groups: dict[str | None, list[Memory]] = {}
    for one in newest:
        if one.embedding is not None:
            groups.setdefault(one.scope.user, []).append(one)
    return [cluster for group in groups.values() for cluster in _alike(group, threshold)]


def _alike(group: Sequence[Memory], threshold: float) -> Iterator[tuple[Memory, list[Memory]]]:
    """Yield the duplicates within one sub-namespace."""
    vectors = np.array([one.embedding for one in group], np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    # Equal texts may miss 1 by rounding.
    alike = vectors @ vectors.T >= threshold - 1e-6
    left = sorted(range(len(group)), key=lambda n: (not group[n].pinned, -(group[n].importance or 0.0), n))
    while left:
        first, *left = left
        others = [n for n in left if alike[first, n] and not group[n].pinned]
        if others:
            yield group[first], [group[n] for n in others]
            left = [n for n in left if n not in others]


class Contradiction(Wire):
    """The current memory and the one it replaced."""

    current: MemoryRow
    superseded: MemoryRow


@routes.get("/contradictions", needs="read", answers=list[Contradiction], errors=(404,))
def contradictions(call: Call, collection: str, query: Tagged) -> list[dict[str, Any]]:
    """Return where the current truth changed, newest first."""
    pairs = summaries.changed(partition_of(call), readable(call, collection), query.container_tag)
    return [{"current": mapping.row(new), "superseded": mapping.row(old)} for new, old in pairs]


class PinFields(Wire):
    """Whether it is pinned."""

    pinned: bool


@routes.post("/memories/{id}/pin", needs="write", answers=MemoryRow, errors=(404,))
def pin(call: Call, collection: str, id: str, query: Tagged, body: PinFields) -> dict[str, Any]:
    """Pin or unpin a memory: pinned ones rank first in lists and are never removed as duplicates."""
    return _marked(call, collection, id, query, pinned=body.pinned)


class ArchiveFields(Wire):
    """Whether it is archived."""

    archived: bool


@routes.post("/memories/{id}/archive", needs="write", answers=MemoryRow, errors=(404,))
def archive(call: Call, collection: str, id: str, query: Tagged, body: ArchiveFields) -> dict[str, Any]:
    """Archive or restore a memory: archived ones are kept, and left out of searches and lists."""
    return _marked(call, collection, id, query, archived=body.archived)


def _marked(call: Call, collection: str, id: str, query: Tagged, **mark: bool) -> dict[str, Any]:
    partition = partition_of(call)
    memory = memories.one(partition, writable(call, collection), id, query.container_tag)
    if all(getattr(memory, name) == value for name, value in mark.items()):
        return mapping.row(memory)
    return mapping.row(memories.change(partition, memory, **mark))


class StaleFields(Wire):
    """How old is stale, and whether it is only counted."""

    older_than_days: Days = 90
    dry_run: bool = True
    container_tag: Tag | None = None


class StaleAnswer(Wire):
    """How many would be archived, or were."""

    would_archive: int | None = None
    archived: int | None = None


@routes.post("/archive-stale", needs="write", answers=StaleAnswer, errors=(404,), body_required=False)
def archive_stale(call: Call, collection: str, body: StaleFields) -> dict[str, Any]:
    """Archive the memories that were not changed for a number of days; pinned ones stay."""
    partition, found = partition_of(call), writable(call, collection)
    return sweep(partition, found.tagged(body.container_tag), body.older_than_days, dry_run=body.dry_run)


def sweep(partition: Partition, scope: Scope, days: int, *, dry_run: bool) -> dict[str, int]:
    """Count the stale memories of a scope, or archive them."""
    stale = _stale(days)
    if dry_run:
        return {"would_archive": partition.memories.count(scope, stale, include_archived=False)}
    old = memories.everything(partition, scope, stale)
    for one in old:
        memories.change(partition, one, archived=True)
    return {"archived": len(old)}


def _stale(days: int) -> Filter:
    return every(Cmp("$updated_at", "lt", now() - timedelta(days=days)), negate(_PINNED))


class HealthQuery(Tagged):
    """How old is stale."""

    stale_days: Days = 90


class HealthAnswer(Wire):
    """Counts about a collection; nothing but ``exists`` for one that there is none of."""

    exists: bool
    total: int | None = None
    current: int | None = None
    archived: int | None = None
    pinned: int | None = None
    stale: int | None = None
    expired: int | None = None
    supersessions: int | None = None
    categories: dict[str, int] | None = None
    needs_attention: int | None = None


@routes.get("/health", needs="read", answers=HealthAnswer)
def health(call: Call, collection: str, query: HealthQuery) -> dict[str, Any]:
    """Count the current, archived, pinned, stale, expired and superseded memories of a collection."""
    partition = partition_of(call)
    if collections.find(partition, collection) is None:
        return {"exists": False}
    return health_of(partition, readable(call, collection).tagged(query.container_tag), query.stale_days)


def health_of(partition: Partition, scope: Scope, stale_days: int) -> dict[str, Any]:
    """Return the health of a scope: counts, none of which reads a memory."""

    def count(filter: Filter = TRUE, *, archived: bool = True) -> int:
        return partition.memories.count(scope, filter, include_archived=archived)

    stale = count(_stale(stale_days), archived=False)
    superseded = count(memories.SUPERSEDED)
    # Expired memories are invisible to the engine and soon gone, so that their number is always 0.
    expired = 0
    return {
        "exists": True,
        "total": count(),
        "current": count(memories.CURRENT, archived=False),
        "archived": count(_ARCHIVED),
        "pinned": count(_PINNED),
        "stale": stale,
        "expired": expired,
        "supersessions": superseded,
        "categories": _categories(partition, scope),
        "needs_attention": stale + expired + superseded,
    }


def _categories(partition: Partition, scope: Scope) -> dict[str, int]:
    """Return how many memories each category has: one look for each category, however many memories there are."""
    found: dict[str, int] = {}
    while True:
        rest = negate(Cmp("$type", "in", list(found))) if found else TRUE
        page = partition.memories.list(ListRequest(scope=scope, filter=rest, limit=1, include_archived=True))
        if not page.data or page.data[0].type is None:
            return found
        name = page.data[0].type
        found[name] = partition.memories.count(scope, Cmp("$type", "eq", name), include_archived=True)


class SummaryQuery(Tagged):
    """How many memories a summary looks at."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50


class SummaryAnswer(Wire):
    """A briefing, and on how many memories it is based."""

    summary: str
    themes: list[str]
    based_on: int
    generated_at: str


@routes.get("/summary", needs="read", answers=SummaryAnswer, errors=(404,))
def summary(call: Call, collection: str, query: SummaryQuery) -> dict[str, Any]:
    """Summarize the most important and newest memories; without a language model, in their own sentences."""
    partition, found = partition_of(call), readable(call, collection)
    key = ("rememberos.summary", partition.memories.name, found.id, query.container_tag, query.limit)
    current = search.version(partition, found)
    kept = call.server.contexts.get(key, current)
    if kept is None:
        kept = summaries.summary(partition, found, query.container_tag, query.limit)
        call.server.contexts.put(key, current, kept)
    return kept


__all__ = ["clustered", "duplicates", "health_of", "routes", "shown", "sweep"]
