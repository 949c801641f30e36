"""``/api/v1/intelligence``: questions about many memories at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from onebrain.memory.filters import Cmp, Filter, every
from onebrain_server.clock import iso
from onebrain_server.dialects.herobrain.mapping import MemoryRow, row
from onebrain_server.dialects.herobrain.rules import reasoning
from onebrain_server.dialects.herobrain.rules.tenants import TenantQuery, scope_of, tenant_of
from onebrain_server.dialects.herobrain.wire import Routes, TenantId, Wire
from onebrain_server.http.requests import Call

routes = Routes("/intelligence", "intelligence")


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


Moment = Annotated[datetime, AfterValidator(_utc)]


class TimeRange(Wire):
    """From when to when memories count, both included; times without an offset are UTC."""

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None


class ChainFields(Wire):
    """The topic whose decisions are looked for."""

    topic: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"\S")]
    time_range: TimeRange | None = None
    tenant_id: TenantId | None = None


class ChainLink(MemoryRow):
    """A memory that bears on the topic, and its part: a decision or its context."""

    step: int
    relevance: float
    role: reasoning.Role


class Chain(Wire):
    """How decisions on a topic came about, oldest first."""

    topic: str
    chain: list[ChainLink]


@routes.post("/decision-chain", needs="read:intelligence", answers=Chain)
def decision_chain(call: Call, query: TenantQuery, body: ChainFields) -> dict[str, Any]:
    """Return the memories that bear on a topic in the order in which they were made, decisions marked.

    They are found by search and told apart by their type and their words; nothing is written by a language model.
    """
    tenant = tenant_of(call, query.tenant_id, body.tenant_id, required=True)
    span = body.time_range or TimeRange()
    parts: list[Filter] = []
    if span.since is not None:
        parts.append(Cmp("$created_at", "ge", span.since))
    if span.until is not None:
        parts.append(Cmp("$created_at", "le", span.until))
    found = reasoning.chain(call.memories, body.topic, scope_of(tenant), every(*parts))
    links = [
        {"step": step, **row(hit.memory), "relevance": round(hit.score, 6), "role": role}
        for step, (hit, role) in enumerate(found, 1)
    ]
    call.act("search", "memory")
    return {"topic": body.topic, "chain": links}


class PatternFields(Wire):
    """How often something must occur."""

    min_occurrences: Annotated[int, Field(ge=1, le=1_000_000)] = 3
    tenant_id: TenantId | None = None


class PatternRow(Wire):
    """A tag, a name, or two of them in the same memories; of those, at most twenty ids, newest first."""

    kind: reasoning.PatternKind
    values: list[str]
    occurrences: int
    memory_ids: list[str]
    first_seen: str
    last_seen: str


class Patterns(Wire):
    """The patterns of a tenant's newest memories, the most frequent first."""

    patterns: list[PatternRow]
    analyzed: int


@routes.post("/implicit-patterns", needs="read:intelligence", answers=Patterns, body_required=False)
def implicit_patterns(call: Call, query: TenantQuery, body: PatternFields) -> dict[str, Any]:
    """Count tags and names, alone and together, in the newest thousand memories; no language model is asked."""
    tenant = tenant_of(call, query.tenant_id, body.tenant_id, required=True)
    found, analyzed = reasoning.patterns(call.memories, scope_of(tenant), body.min_occurrences)
    call.act("read", "memory")
    return {"patterns": [_pattern(pattern) for pattern in found], "analyzed": analyzed}


def _pattern(pattern: reasoning.Pattern) -> dict[str, Any]:
    assert pattern.first_seen is not None
    assert pattern.last_seen is not None
    return {
        "kind": pattern.kind,
        "values": pattern.values,
        "occurrences": pattern.occurrences,
        "memoryIds": pattern.memory_ids[:20],
        "firstSeen": iso(pattern.first_seen),
        "lastSeen": iso(pattern.last_seen),
    }


__all__ = ["routes"]
