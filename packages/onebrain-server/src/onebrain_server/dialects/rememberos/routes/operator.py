"""``/v1/memory/admin/...`` for those who run the server: counts over all tenants, and no text of any memory.

All but the audit log, which is the tenant's own, take a key of an account that is flagged as an admin's, as the first one is.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from weakref import WeakKeyDictionary

from pydantic import Field

from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING, JsonObject
from onebrain_server.clock import iso_micros, now, now_micros
from onebrain_server.dialects.rememberos.routes import connections, hygiene, pulse
from onebrain_server.dialects.rememberos.routes.account import storage_of
from onebrain_server.dialects.rememberos.rules import collections
from onebrain_server.dialects.rememberos.rules.partition import Partition
from onebrain_server.dialects.rememberos.wire import PREFIX, Query, Routes, Wire
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.metrics import Snapshot, quantile
from onebrain_server.state.journal import MODEL

if TYPE_CHECKING:
    from onebrain_server.server import Server

routes = Routes("/memory/admin", "operator")

_HOUR: Final = 3600 * 1_000_000
_DAY: Final = 24 * _HOUR
_STALE_DAYS: Final = 90
_SHOWN: Final = 100

# The counters as they were when somebody set them back, for they are everyone's.
_since: WeakKeyDictionary[Server, Snapshot] = WeakKeyDictionary()

Days = Annotated[int, Field(ge=1, le=366)]


def _operator(call: Call) -> Server:
    """Return the server to its operator; raise for everyone else."""
    if call.known.account.role != "admin":
        raise Problem(403, "FORBIDDEN", "This is for the server's operator: use a key of an admin's account")
    return call.server


def _partitions(server: Server, kind: str = collections.KIND) -> list[Partition]:
    return [Partition(server, tenant) for tenant in server.records.tenants_with(kind)]


# ---- metrics --------------------------------------------------------------------------------------------------------


class MetricsQuery(Query):
    """Whether to begin to count anew."""

    reset: bool = False


class RouteRow(Wire):
    """How often a route was asked, and how fast it answered."""

    route: str
    requests: int
    errors_4xx: int
    errors_5xx: int
    p50_ms: float
    p95_ms: float


class StageRow(Wire):
    """How long a part of requests took."""

    count: int
    p50_ms: float
    p95_ms: float


class MetricsAnswer(Wire):
    """The counts of this process since it started or was reset; quantiles are as exact as their buckets."""

    routes: list[RouteRow]
    stages: dict[str, StageRow]
    counters: dict[str, int]


@routes.get("/metrics", needs="admin", answers=MetricsAnswer)
def get_metrics(call: Call, query: MetricsQuery) -> dict[str, Any]:
    """Return requests, failures and latency of each route of this format, and of the stages of searches and extraction."""
    server = _operator(call)
    current, before = server.metrics.snapshot(), _since.get(server)
    if query.reset:
        _since[server] = current
    statuses: dict[str, Counter[int]] = {}
    for (route, status), count in current.requests.items():
        count -= 0 if before is None else before.requests.get((route, status), 0)
        if count and f" {PREFIX}/" in route:
            statuses.setdefault(route, Counter())[status // 100] += count
    old = Snapshot({}, {}, {}, {}) if before is None else before
    return {
        "routes": [
            {
                "route": route.replace(PREFIX, "", 1),
                "requests": counts.total(),
                "errors_4xx": counts[4],
                "errors_5xx": counts[5],
                **_quantiles(current.durations[route], old.durations.get(route)),
            }
            for route, counts in sorted(statuses.items())
        ],
        "stages": {
            name: {"count": round(ended), **_quantiles(row, old.stages.get(name))}
            for name, row in sorted(current.stages.items())
            if (ended := sum(row[:-1]) - sum(old.stages.get(name, [0.0])[:-1]))
        },
        "counters": {
            name: count - old.events.get(name, 0)
            for name, count in sorted(current.events.items())
            if count > old.events.get(name, 0)
        },
    }


def _quantiles(row: list[float], before: list[float] | None) -> dict[str, float]:
    fresh = row if before is None else [new - old for new, old in zip(row, before, strict=True)]
    return {f"p{share}_ms": round(quantile(fresh, share / 100) * 1000, 3) for share in (50, 95)}


# ---- audit ----------------------------------------------------------------------------------------------------------


class AuditQuery(Query):
    """How far back, and how many entries."""

    days: Days = 30
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class AuditRow(Wire):
    """One write or sensitive action: its actor, time and target, and no text."""

    id: str
    action: str
    actor: str
    target: str | None
    ip_address: str | None
    created_at: str


@routes.get("/audit", needs="admin", answers=list[AuditRow])
def get_audit(call: Call, query: AuditQuery) -> list[dict[str, Any]]:
    """Return your own account's writes by keys and sensitive actions, newest first, in the server's other formats too."""
    journal, account = call.server.journal, call.tenant_id
    prefixes = {key.id: key.prefix for key in call.server.accounts.keys(account)}
    acts, _ = journal.acts(account, limit=query.limit)
    rows = [
        (
            act.created_at,
            {
                "id": act.id,
                "action": f"{act.resource}.{act.action}",
                "actor": f"key:{prefixes.get(act.key_id, act.key_id)}",
                "target": None,
                "ip_address": None,
            },
        )
        for act in acts
    ]
    rows += [
        (note["created_at"], {name: note[name] for name in ("id", "action", "actor", "target", "ip_address")})
        for note in journal.audited(account, query.limit)
    ]
    oldest = now_micros() - query.days * _DAY
    newest = sorted((row for row in rows if row[0] >= oldest), key=lambda row: row[0], reverse=True)
    return [{**row, "created_at": iso_micros(moment)} for moment, row in newest[: query.limit]]


# ---- usage ----------------------------------------------------------------------------------------------------------


class UsageQuery(Query):
    """How far back."""

    days: Days = 30


class Storage(Wire):
    """Bytes of texts and metadata, and of files, of which this server keeps none."""

    db_bytes: int
    files_bytes: int


class TenantUsage(Wire):
    """One tenant's usage."""

    tenant: str
    collections: int
    memories: int
    storage: Storage
    requests: int
    tokens: int


class UsageAnswer(Wire):
    """All tenants' usage.

    `tokens` are those that language models have told of, by the purpose of the call: chats of the proxy (``chat``),
    ``extraction``, ``contradictions``, ``rewrite``, ``rerank``, ``profile``, ``summary``, and in the server's other formats
    ``entities`` and ``skill``. This server knows no prices, so that `cost_usd` is null.
    """

    days: int
    tenants: list[TenantUsage]
    total: JsonObject
    tokens: dict[str, int]
    cost_usd: float | None


@routes.get("/usage", needs="admin", answers=UsageAnswer)
def get_usage(call: Call, query: UsageQuery) -> dict[str, Any]:
    """Return storage, requests and tokens, by tenant and in total."""
    server = _operator(call)
    tenants: list[dict[str, Any]] = []
    tokens = Counter({"chat": 0})
    for partition in _partitions(server):
        rows = server.journal.recent_usage(partition.tenant, query.days)
        spent = Counter[str]()
        for row in rows:
            if row.route.startswith(MODEL):
                spent[row.route.removeprefix(MODEL)] += row.tokens
        tokens.update(spent)
        tenants.append(
            {
                "tenant": partition.tenant,
                "collections": len(collections.every(partition)),
                "memories": partition.memories.count(EVERYTHING, TRUE, include_archived=True),
                "storage": {"db_bytes": storage_of(partition), "files_bytes": 0},
                "requests": sum(row.count for row in rows if f" {PREFIX}/" in row.route),
                "tokens": spent.total(),
            }
        )
    names = ("collections", "memories", "requests", "tokens")
    total = {name: sum(one[name] for one in tenants) for name in names}
    stored = sum(one["storage"]["db_bytes"] for one in tenants)
    return {
        "days": query.days,
        "tenants": tenants,
        "total": {**total, "storage": {"db_bytes": stored, "files_bytes": 0}},
        "tokens": dict(tokens),
        "cost_usd": None,
    }


# ---- connectors -----------------------------------------------------------------------------------------------------


class ConnectorsQuery(Query):
    """How far back."""

    hours: Annotated[int, Field(ge=1, le=24 * 366)] = 24


class ProviderRow(Wire):
    """How the syncs of one provider went."""

    runs: int
    errors: int
    last_run: str


@routes.get("/connectors", needs="admin", answers=dict[str, ProviderRow])
def get_connectors(call: Call, query: ConnectorsQuery) -> dict[str, dict[str, Any]]:
    """Return how the syncs of every provider went, over all tenants."""
    server = _operator(call)
    oldest = now_micros() - query.hours * _HOUR
    found: dict[str, dict[str, Any]] = {}
    for partition in _partitions(server, connections.RUN):
        for run in partition.records.all(partition.tenant, connections.RUN):
            if run.created_at < oldest:
                continue
            row = found.setdefault(run.body["provider"], {"runs": 0, "errors": 0, "last_run": ""})
            row["runs"] += 1
            row["errors"] += run.body["status"] == "error"
            row["last_run"] = max(row["last_run"], iso_micros(run.created_at))
    return found


class StatusRow(Wire):
    """How many connections have a status."""

    status: str
    n: int


@routes.get("/connectors/status", needs="admin", answers=list[StatusRow])
def get_connector_statuses(call: Call) -> list[dict[str, Any]]:
    """Count the connections of all tenants by status."""
    counts = Counter(
        record.status
        for partition in _partitions(_operator(call), connections.KIND)
        for record in partition.records.all(partition.tenant, connections.KIND)
    )
    return [{"status": status, "n": count} for status, count in counts.most_common()]


# ---- health and analytics -------------------------------------------------------------------------------------------


class FleetHealth(Wire):
    """The counts of a collection's health, over all collections."""

    total: int
    current: int
    archived: int
    stale: int
    expired: int
    supersessions: int
    needs_attention: int


@routes.get("/memory-health", needs="admin", answers=FleetHealth)
def get_memory_health(call: Call) -> dict[str, int]:
    """Count the current, archived, stale, expired and superseded memories of all tenants."""
    counts = dict.fromkeys(FleetHealth.model_fields, 0)
    for partition in _partitions(_operator(call)):
        health = hygiene.health_of(partition, EVERYTHING, _STALE_DAYS)
        for name in counts:
            counts[name] += health[name]
    return counts


class AnalyticsQuery(Query):
    """How far back."""

    days: Days = 7


class Funnel(Wire):
    """How many accounts were made, and how many of those have a collection by now."""

    signups: int
    activated: int


class ByDay(Wire):
    """A number of a day."""

    day: str
    n: int


class Pageviews(Wire):
    """Pageviews, by day, path and referring host."""

    total: int
    by_day: list[ByDay]
    by_path: dict[str, int]
    by_referrer: dict[str, int]


class AnalyticsAnswer(Wire):
    """Accounts and pageviews."""

    funnel: Funnel
    signups_by_day: list[ByDay]
    pageviews: Pageviews


@routes.get("/analytics", needs="admin", answers=AnalyticsAnswer)
def get_analytics(call: Call, query: AnalyticsQuery) -> dict[str, Any]:
    """Return the accounts made and the pageviews of a number of days, today included."""
    server = _operator(call)
    start = (now() - timedelta(days=query.days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    made = server.accounts.made_since(round(start.timestamp() * 1_000_000))
    active = {partition.tenant for partition in _partitions(server)}
    signups = Counter(iso_micros(moment)[:10] for _, moment in made)
    views = pulse.days(server, start.date().isoformat())
    paths, referrers = Counter[str](), Counter[str]()
    for _, by_path, by_referrer in views:
        paths.update(by_path)
        referrers.update(by_referrer)
    return {
        "funnel": {"signups": len(made), "activated": sum(id in active for id, _ in made)},
        "signups_by_day": [{"day": day, "n": count} for day, count in sorted(signups.items())],
        "pageviews": {
            "total": paths.total(),
            "by_day": [{"day": day, "n": sum(by_path.values())} for day, by_path, _ in views],
            "by_path": dict(paths.most_common(_SHOWN)),
            "by_referrer": dict(referrers.most_common(_SHOWN)),
        },
    }


__all__ = ["routes"]
