"""Plans: an account's allowances and their usage."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from onebrain_server.clock import now
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.plans import Plans

# The routes that each monthly allowance counts.
_ROUTES: Final = {
    "memory_writes_per_month": frozenset({"POST /v1/memory"}),
    "extract_calls_per_month": frozenset({"POST /v1/memory/extract", "POST /v1/memory/batch"}),
    "context_calls_per_month": frozenset({"GET /v1/context/:scope"}),
}
NAMES: Final = {"free": "Free", "pro": "Pro", "team": "Team"}
_STORED: Final[Mapping[str, Callable[[Plans, str], int]]] = {
    "memories": Plans.count,
    "memory_bytes": Plans.size,
}
# Of a monthly allowance, which goes back day by day.
_DAYS: Final = 30


def limit_of(call: Call, name: str) -> int | None:
    """Return an allowance of the caller's plan; None for no limit."""
    return call.server.plans.limit(call.known.account, name)


def _used_by_day(call: Call, name: str, last: date) -> Mapping[str, int]:
    """Return how much of a monthly allowance was used on each of thirty days."""
    first = last - timedelta(days=_DAYS - 1)
    return call.server.journal.successes(call.tenant_id, _ROUTES[name], first, last)


def used(call: Call, name: str) -> int:
    """Return how much of a monthly allowance is used in the last thirty days."""
    return sum(_used_by_day(call, name, now().date()).values())


def charge(call: Call, name: str) -> None:
    """Raise where a monthly allowance is used up: 429, with the seconds until a part of it is free again."""
    most = limit_of(call, name)
    if most is None:
        return
    moment = now()
    days = _used_by_day(call, name, moment.date())
    if sum(days.values()) >= most:
        wait = math.ceil((_free_again(days, most) - moment).total_seconds())
        raise _exceeded(429, "LIMIT_EXCEEDED", name, most, headers={"retry-after": str(max(1, wait))})


def _free_again(days: Mapping[str, int], most: int) -> datetime:
    """Return when so many of the days have left the window that less than the allowance is used."""
    left = sum(days.values())
    for day, count in sorted(days.items()):
        left -= count
        if left < most:
            return datetime.combine(date.fromisoformat(day) + timedelta(days=_DAYS), time(), tzinfo=UTC)
    raise AssertionError("an allowance is at least 1")


@contextmanager
def storing(call: Call, more: int) -> Generator[None, None, None]:
    """Reserve memories of the plan while they are stored; raise if the plan does not allow all of them.

    That is 403 without a time to try again: waiting does not help, deleting or another plan does.
    """
    with call.server.plans.storing(call.known.account, more) as allowed:
        if allowed < more:
            raise _exceeded(403, "PLAN_LIMIT_EXCEEDED", "memories", limit_of(call, "memories") or 0)
        yield


def memory_count(call: Call) -> int:
    """Return how many memories the account has, those of the other services included."""
    return call.server.plans.count(call.tenant_id)


def allowances(call: Call) -> list[dict[str, Any]]:
    """Return every allowance of the plan and its usage."""
    rows: list[dict[str, Any]] = []
    for name in call.server.settings.free_plan:
        lifetime = _STORED.get(name)
        current = used(call, name) if lifetime is None else lifetime(call.server.plans, call.tenant_id)
        most = limit_of(call, name)
        rows.append(
            {
                "key": name,
                "limit": most,
                "period": "monthly" if lifetime is None else "lifetime",
                "current": current,
                "percentage": 0 if most is None else round(100 * current / most, 1),
            }
        )
    return rows


def _exceeded(
    status: int, code: str, name: str, most: int, headers: Mapping[str, str] | None = None
) -> Problem:
    message = f"The plan's limit is reached: {most} {name.replace('_', ' ')}"
    return Problem(status, code, message, details=[{"key": name, "limit": most}], headers=headers)
