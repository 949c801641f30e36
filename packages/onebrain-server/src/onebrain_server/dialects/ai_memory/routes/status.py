"""Health, metrics, counts and cleaning up; and the routes that only a federation of daemons has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Literal

from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import EVERYTHING, Scope
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory.rules import links, memories
from onebrain_server.dialects.ai_memory.rules.identity import NO_MESSAGE, readable, tied
from onebrain_server.dialects.ai_memory.rules.tiers import RANKS, Tier
from onebrain_server.dialects.ai_memory.wire import NAME, Failure, Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

root = Routes("", "server")
routes = Routes("/api/v1", "server")

# The version of the daemon whose format this is; clients choose requests by it.
_SPOKEN: Final = "0.6.4"
_SOON: Final = timedelta(hours=1)


class Health(Wire):
    """The state of the server; `import_embeds` says that imported memories are found by meaning at once."""

    status: Literal["ok", "error"]
    service: str
    version: str
    embedder_ready: bool
    federation_enabled: Literal[False]
    import_embeds: bool


@routes.get("/health", needs="anyone", answers=Health, answers_also={503: ("The database is away", Health)})
def health(call: Call) -> Answer:
    """Say whether the server and its database work; needs no key."""
    ready = call.server.engine.embedder is not None
    body: dict[str, Any] = {
        "status": "ok",
        "service": NAME,
        "version": _SPOKEN,
        "embedder_ready": ready,
        "federation_enabled": False,
        "import_embeds": ready,
    }
    if call.server.health.reason() is not None:
        return Answer({**body, "status": "error"}, status=503)
    return Answer(body)


@routes.get("/metrics", needs="login", answers=str, media_type="text/plain")
def metrics(call: Call) -> Answer:
    """Return the server's counters in Prometheus' text format; they name no account."""
    return _counters(call)


@root.get("/metrics", needs="login", answers=str, media_type="text/plain")
def root_metrics(call: Call) -> Answer:
    """Return the same counters at the root, where Prometheus looks for them."""
    return _counters(call)


def _counters(call: Call) -> Answer:
    return Answer(raw=call.server.metrics.text(), media_type="text/plain; version=0.0.4")


class TierCount(Wire):
    """How many memories a tier has."""

    tier: Tier
    count: int


class NamespaceCount(Wire):
    """How many memories a namespace has."""

    namespace: str
    count: int


class Stats(Wire):
    """Totals; `expiring_soon` counts memories that expire within the hour, `db_size_bytes` the bytes of all texts."""

    total: int
    by_tier: list[TierCount]
    by_namespace: list[NamespaceCount]
    expiring_soon: int
    links_count: int
    db_size_bytes: int
    dim_violations: int
    index_evictions_total: int


@routes.get("/stats", needs="read", answers=Stats)
def stats(call: Call) -> dict[str, Any]:
    """Count the memories, links and bytes that the caller may see."""
    seen = every(readable(tied(call)), NO_MESSAGE)

    def count(*parts: Any) -> int:
        return call.memories.count(EVERYTHING, every(seen, *parts), include_archived=False)

    return {
        "total": count(),
        "by_tier": [{"tier": tier, "count": count(Cmp("$extra.tier", "eq", tier))} for tier in RANKS],
        "by_namespace": _namespaces(call),
        "expiring_soon": count(Cmp("$expires_at", "le", now() + _SOON)),
        "links_count": len(links.shown(call, links.every_one(call))),
        "db_size_bytes": sum(
            len(memory.content.encode()) for memory in memories.everything(call, EVERYTHING, seen)
        ),
        # The engine takes no vector of another dimension than its space's, and drops none from its index.
        "dim_violations": 0,
        "index_evictions_total": 0,
    }


class NamespaceList(Wire):
    """The namespaces, largest first."""

    namespaces: list[NamespaceCount]


@routes.get("/namespaces", needs="read", answers=NamespaceList)
def namespaces(call: Call) -> dict[str, Any]:
    """List the namespaces with the number of their memories, of those that the caller may see."""
    return {"namespaces": _namespaces(call)}


def _namespaces(call: Call) -> list[dict[str, Any]]:
    seen = every(readable(tied(call)), NO_MESSAGE)
    counts = {
        name: call.memories.count(Scope(space=name), seen, include_archived=False)
        for name in call.memories.changes()
    }
    return [
        {"namespace": name, "count": counts[name]}
        for name in sorted(counts, key=lambda name: (-counts[name], name))
        if counts[name]
    ]


class Collected(Wire):
    """How many expired memories were removed."""

    expired_deleted: int


@routes.post("/gc", needs="write", answers=Collected)
def collect(call: Call) -> dict[str, Any]:
    """Remove expired memories, with their links; they are invisible anyway, and removed by and by."""
    tied(call)
    removed = call.memories.purge()
    with memories.writing(call):
        links.tidy(call)
    return {"expired_deleted": removed}


@routes.post("/cluster", needs="login", answers=Failure, status=501)
def cluster(call: Call) -> None:
    """Refuse to manage peers: replicas of this server share a database, and need none."""
    raise Problem(501, "NOT_IMPLEMENTED", "this server has no peers: its replicas share one PostgreSQL")


__all__ = ["root", "routes"]
