"""``/v1/billing``: the plan and the account's usage."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import Field

from onebrain_server.clock import now
from onebrain_server.dialects.onebrain.rules import plans
from onebrain_server.dialects.onebrain.wire import Query, Routes, Wire
from onebrain_server.http.problems import invalid
from onebrain_server.http.requests import Call
from onebrain_server.state.journal import MODEL

routes = Routes("/v1", "billing")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_PERIOD = r"^(daily|weekly|monthly|current|(?!0000)[0-9]{4}-(0[1-9]|1[0-2]))$"
_STORING = re.compile(r"POST /v1/(?:memory|memory/extract|connect/memory)")


class Plan(Wire):
    """The account's plan."""

    name: str
    plan_name: str
    display_name: str
    memory_limit: int | None
    memory_used: int


@routes.get("/billing/plan", needs="brain.read", answers=Plan)
def plan(call: Call) -> dict[str, Any]:
    """Return the plan, its limit of memories, and how many there are."""
    name = call.known.account.plan
    return {
        "name": plans.NAMES.get(name, name.title()),
        "planName": name,
        "displayName": plans.NAMES.get(name, name.title()),
        "memoryLimit": plans.limit_of(call, "memories"),
        "memoryUsed": plans.memory_count(call),
    }


class PeriodQuery(Query):
    """``daily``, ``weekly``, ``monthly`` (``current``), or a month such as ``2026-01``."""

    period: Annotated[str, Field(json_schema_extra={"pattern": _PERIOD})] = "monthly"


class UsageRow(Wire):
    """How often one route was called, or a language model answered for one purpose (``MODEL chat``)."""

    type: str
    count: int
    tokens_used: int


class Usage(Wire):
    """How much was used."""

    period: str
    usage: list[UsageRow]
    api_calls: int
    memories_created: int
    search_queries: int


def _span(period: str) -> tuple[str, date, date]:
    today = now().date()
    if period == "daily":
        return period, today, today
    if period == "weekly":
        return period, today - timedelta(days=6), today
    if period in ("monthly", "current"):
        return "monthly", today.replace(day=1), today
    match = _MONTH.fullmatch(period)
    if match is None or match[1] == "0000":
        raise invalid(
            ["period"],
            "must be daily, weekly, monthly, current, or a month such as 2026-01",
            where="query parameters",
        )
    first = date(int(match[1]), int(match[2]), 1)
    following = (
        date(first.year + first.month // 12, first.month % 12 + 1, 1) if first.year < 9999 else date.max
    )
    return period, first, following - timedelta(days=1)


@routes.get("/billing/usage", needs="brain.read", answers=Usage)
def usage(call: Call, query: PeriodQuery) -> dict[str, Any]:
    """Return how much was used in a period."""
    name, first, last = _span(query.period)
    rows = call.server.journal.usage(call.tenant_id, first, last)
    counts, tokens = Counter[str](), Counter[str]()
    for row in rows:
        counts[row.route] += row.count
        tokens[row.route] += row.tokens
    return {
        "period": name,
        "usage": [
            {"type": route, "count": count, "tokensUsed": tokens[route]}
            for route, count in sorted(counts.items())
        ],
        "apiCalls": sum(row.count for row in rows if not row.route.startswith(MODEL)),
        "memoriesCreated": sum(row.count - row.errors for row in rows if _STORING.fullmatch(row.route)),
        "searchQueries": counts["POST /v1/memory/search"],
    }


class Allowance(Wire):
    """One allowance of the plan; no limit where it is null."""

    key: str
    limit: int | None
    period: str
    current: int
    percentage: float


class UsageSummary(Wire):
    """The plan's allowances and their usage."""

    plan: dict[str, str]
    limits: list[Allowance]
    total_tokens_used: int


@routes.get("/user/usage-summary", needs="brain.read", answers=UsageSummary)
def usage_summary(call: Call) -> dict[str, Any]:
    """Return the plan's allowances and their usage."""
    name = call.known.account.plan
    return {
        "plan": {"name": name, "displayName": plans.NAMES.get(name, name.title())},
        "limits": plans.allowances(call),
        "totalTokensUsed": sum(row.tokens for row in call.server.journal.recent_usage(call.tenant_id, 30)),
    }


class Analytics(Wire):
    """Calls by route and by day; rows that begin with ``MODEL`` are answers of language models, which are no calls."""

    by_type: list[dict[str, Any]]
    by_day: list[dict[str, Any]]
    totals: dict[str, int]


@routes.get("/user/usage-analytics", needs="brain.read", answers=Analytics)
def usage_analytics(call: Call) -> dict[str, Any]:
    """Return the calls of thirty days, by route and by day."""
    types, days, tokens = Counter[str](), Counter[str](), Counter[str]()
    for row in call.server.journal.recent_usage(call.tenant_id, 30):
        types[row.route] += row.count
        # An answer of a model is no call of its own.
        days[row.day] += 0 if row.route.startswith(MODEL) else row.count
        tokens.update({row.route: row.tokens, row.day: row.tokens})
    return {
        "byType": [{"type": name, "count": n, "tokens": tokens[name]} for name, n in sorted(types.items())],
        "byDay": [{"date": name, "count": n, "tokens": tokens[name]} for name, n in sorted(days.items())],
        "totals": {"count": days.total(), "tokens": sum(tokens[day] for day in days)},
    }
