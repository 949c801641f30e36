"""A plan's allowances and their usage; the owner's plan, and those that an operator gives, allow everything."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from onebrain_server.clock import now
from onebrain_server.dialects.herobrain.wire import PREFIX
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

_STORING: Final = frozenset({f"POST {PREFIX}/api/v1/memories"})


def memory_limit(call: Call) -> int | None:
    """Return how many memories the caller's plan allows; None for any number."""
    return call.server.plans.limit(call.known.account, "memories")


def request_limit(call: Call, seconds: int) -> int | None:
    """Return how many requests a key may make in a time, by the server's rate limit; None for any number."""
    settings = call.server.settings
    if not settings.rate_limit_max:
        return None
    return round(settings.rate_limit_max * seconds / settings.rate_limit_window)


@contextmanager
def storing(call: Call) -> Generator[None, None, None]:
    """Reserve one memory of the plan while it is stored; raise 402 if the plan allows no more memories, or no more writes this month."""
    with call.server.plans.storing(call.known.account, 1) as allowed:
        if not allowed:
            raise _used_up(f"{memory_limit(call)} memories")
        most = call.server.plans.limit(call.known.account, "memory_writes_per_month")
        if most is not None and _stored(call) >= most:
            raise _used_up(f"{most} new memories in 30 days")
        yield


def _stored(call: Call) -> int:
    """Return how many memories the account stored one by one in the last thirty days."""
    today = now().date()
    days = call.server.journal.successes(call.tenant_id, _STORING, today - timedelta(days=29), today)
    return sum(days.values())


def requests(call: Call, days: int) -> int:
    """Return how many requests the account made here in a number of days, today included."""
    rows = call.server.journal.recent_usage(call.tenant_id, days)
    return sum(row.count for row in rows if f" {PREFIX}/" in row.route)


def _used_up(what: str) -> Problem:
    return Problem(402, "INSUFFICIENT_QUOTA", f"The plan's quota is used up: {what}")
