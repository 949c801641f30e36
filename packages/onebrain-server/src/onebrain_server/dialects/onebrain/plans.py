"""Plans: what an account may use, and what it has used."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from onebrain_server.clock import now
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

# The routes that each monthly allowance counts.
_ROUTES: Final = {
    "memory_writes_per_month": frozenset({"POST /v1/memory"}),
    "extract_calls_per_month": frozenset({"POST /v1/memory/extract", "POST /v1/memory/batch"}),
    "context_calls_per_month": frozenset({"GET /v1/context/:scope"}),
}
NAMES: Final = {"free": "Free", "pro": "Pro", "team": "Team"}
_MONTH: Final = 30 * 86_400


def limit_of(call: Call, name: str) -> int | None:
    """Return an allowance of the caller's plan; None for no limit."""
    return call.server.plans.limit(call.known.account, name)


def used(call: Call, name: str) -> int:
    """Return how much of a monthly allowance is used in the last thirty days."""
    last = now()
    first = (last - timedelta(days=29)).date().isoformat()
    routes = _ROUTES[name]
    rows = call.server.journal.usage(call.tenant_id, first, last.date().isoformat())
    return sum(count - errors for _, route, count, errors, _ in rows if route in routes)


def charge(call: Call, name: str) -> None:
    """Raise where a monthly allowance is used up."""
    most = limit_of(call, name)
    if most is not None and used(call, name) >= most:
        raise _exceeded(name, most, _MONTH)


@contextmanager
def storing(call: Call, more: int) -> Generator[None, None, None]:
    """Keep room for so many more memories while they are stored; raise where they would be too many for the plan."""
    with call.server.plans.storing(call.known.account, more) as room:
        if room < more:
            raise _exceeded("memories", limit_of(call, "memories") or 0, _MONTH)
        yield


def memory_count(call: Call) -> int:
    """Return how many memories the account has, those of the other services included."""
    return call.server.plans.count(call.tenant_id)


def allowances(call: Call) -> list[dict[str, Any]]:
    """Return every allowance of the plan and what is used of it."""
    rows: list[dict[str, Any]] = []
    for name in call.server.settings.free_plan:
        current = memory_count(call) if name == "memories" else used(call, name)
        most = limit_of(call, name)
        rows.append(
            {
                "key": name,
                "limit": most,
                "period": "lifetime" if name == "memories" else "monthly",
                "current": current,
                "percentage": 0 if most is None else round(100 * current / most, 1),
            }
        )
    return rows


def _exceeded(name: str, most: int, seconds: int) -> Problem:
    return Problem(
        429,
        "LIMIT_EXCEEDED",
        f"The plan's limit is reached: {most} {name.replace('_', ' ')}",
        details=[{"key": name, "limit": most}],
        headers={"retry-after": str(seconds)},
    )
