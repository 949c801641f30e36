"""Routes without a login: health, metrics, plans, and the server's capabilities."""

from __future__ import annotations

from typing import Any, Final

from onebrain_server.clock import iso, now
from onebrain_server.dialects.onebrain.rules.plans import NAMES
from onebrain_server.dialects.onebrain.wire import Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.requests import Call

root = Routes("", "server")
routes = Routes("/v1", "server")

# Features beyond OneBrain's hosted server; clients ask once. docs/http-api.md describes each.
FEATURES: Final = (
    "briefings.daily",
    "connect.connections",
    "connect.delta.cursor",
    "context.query",
    "context.scopes",
    "entities.graph",
    "entities.relations",
    "idempotency",
    "memory.asOf",
    "memory.client_ids",
    "memory.filters",
    "memory.forget",
    "memory.import",
    "memory.lookup",
    "memory.query",
    "memory.scope",
    "memory.tags",
    "skills.execute",
    "transfer",
    "usage.months",
)


class Health(Wire):
    """Whether the server is well."""

    status: str
    timestamp: str
    reason: str | None = None


@root.get("/health", needs="anyone", answers=Health, answers_also={503: ("The server cannot work", Health)})
def health(call: Call) -> Answer:
    """Say whether the server can read and write its database; where it cannot, 503 with the reason."""
    reason = call.server.health.reason()
    if reason is None:
        return Answer({"status": "ok", "timestamp": iso(now())})
    return Answer({"status": "unhealthy", "timestamp": iso(now()), "reason": reason}, status=503)


@root.get("/metrics", needs="anyone", answers=str, media_type="text/plain")
def metrics(call: Call) -> Answer:
    """Return counters in Prometheus' text format; they name no tenant."""
    return Answer(raw=call.server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Capabilities(Wire):
    """The server's version and features."""

    server: str
    version: str
    features: list[str]


@routes.get("/capabilities", needs="anyone", answers=Capabilities)
def capabilities(call: Call) -> dict[str, Any]:
    """Return the features beyond OneBrain's hosted server."""
    return {"server": "onebrain-server", "version": "2.0.0", "features": FEATURES}


class PlanLimit(Wire):
    """One allowance."""

    key: str
    value: int | None
    period: str


class PublicPlan(Wire):
    """A plan."""

    id: str
    name: str
    display_name: str
    description: str
    price_monthly: int
    price_yearly: int
    trial_days: int
    limits: list[PlanLimit]
    features: list[dict[str, str]]


@routes.get("/plans/public", needs="anyone", answers=list[PublicPlan])
def plans(call: Call) -> list[dict[str, Any]]:
    """Return the plans of this server; nothing costs money."""
    described = {
        "free": "For accounts that register themselves",
        "team": "For the owner of the server: no limits",
    }
    limits = [
        {"key": name, "value": most or None, "period": "lifetime" if name == "memories" else "monthly"}
        for name, most in call.server.settings.free_plan.items()
    ]
    return [
        {
            "id": name,
            "name": name,
            "displayName": NAMES[name],
            "description": text,
            "priceMonthly": 0,
            "priceYearly": 0,
            "trialDays": 0,
            "limits": limits if name == "free" else [{**limit, "value": None} for limit in limits],
            "features": [
                {"key": feature, "value": "true"} for feature in ("deep_recall", "skills", "briefings")
            ],
        }
        for name, text in described.items()
    ]


class PublicStats(Wire):
    """How many there are; ``memories`` is null, for how much people store is theirs to know."""

    users: int
    agents: int
    brains: int
    memories: int | None


@routes.get("/stats/public", needs="anyone", answers=PublicStats)
def stats(call: Call) -> dict[str, Any]:
    """Say how many accounts and keys of agents this server has; each account has one brain."""
    users, agents = call.server.accounts.counts()
    return {"users": users, "agents": agents, "brains": users, "memories": None}
