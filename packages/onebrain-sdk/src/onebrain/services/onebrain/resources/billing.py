"""Billing: the plan and its usage."""

from __future__ import annotations

import re
from typing import Any, cast

from onebrain._core.codec import is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainNotFoundError, OneBrainPermissionError, OneBrainValidationError
from onebrain.services.onebrain.models import Json, Plan, PublicPlan, Usage, UsageSummary
from onebrain.services.onebrain.resources.resource import Resource

_PERIODS = frozenset({"daily", "weekly", "monthly"})
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_STORING = re.compile(r"POST /v1/(?:memory(?:/extract|/batch|/import)?|connect/memor(?:y|ies))")


class Billing(Resource[Mode]):
    """The plan and its usage."""

    @endpoint
    def plan(self) -> Steps[Plan]:
        """Return the plan with its limit of memories and how many there are."""
        row = yield from self._object(GET("/v1/billing/plan"))
        if "memoryLimit" not in row:
            try:
                summary = yield from self._one(UsageSummary, GET("/v1/user/usage-summary"))
            except (OneBrainNotFoundError, OneBrainPermissionError):
                return read(Plan, row, service="onebrain")
            for limit in summary.limits:
                if limit.key in ("memories", "memory"):
                    row = {**row, "memoryLimit": limit.limit, "memoryUsed": limit.current}
        return read(Plan, row, service="onebrain")

    @endpoint
    def usage(self, period: str = "current") -> Steps[Usage]:
        """Return how much was used in a period.

        Args:
            period: ``current`` (this month), ``daily``, ``weekly``, ``monthly``, or a month such as ``2026-01``.

        Raises:
            UnsupportedByServer: The server cannot go back to a month, and would have answered for another period.
        """
        month = bool(isinstance(period, str) and _MONTH.fullmatch(period))
        if period != "current" and period not in _PERIODS and not month:
            raise OneBrainValidationError(
                f"period: must be current, daily, weekly, monthly or like 2026-01, not {period!r:.40}"
            )
        asked = "monthly" if period == "current" else period
        facts = yield from self._object(GET("/v1/billing/usage", period=asked))
        if month and facts.get("period") != period:
            raise self._service.lacks("usage of a past month", "it knows daily, weekly and monthly")
        return read(Usage, _counted(facts), service="onebrain")

    @endpoint
    def usage_summary(self) -> Steps[UsageSummary]:
        """Return the plan's allowances and the usage of each."""
        return (yield from self._one(UsageSummary, GET("/v1/user/usage-summary")))

    @endpoint
    def usage_analytics(self) -> Steps[dict[str, Any]]:
        """Return the calls by type and by day."""
        return (yield from self._object(GET("/v1/user/usage-analytics")))

    @endpoint
    def plans(self) -> Steps[tuple[PublicPlan, ...]]:
        """Return the plans on offer; needs no key."""
        return (yield from self._many(PublicPlan, GET("/v1/plans/public")))


def _counted(facts: Json) -> Json:
    """Add up the calls by route where the server does not do it itself."""
    calls: list[tuple[str, int]] = []
    for row in cast("list[Any]", facts.get("usage") or []):
        if is_object(row):
            calls.append((str(row.get("type") or ""), int(row.get("count") or 0)))
    return {
        "apiCalls": sum(count for _, count in calls),
        "memoriesCreated": sum(count for route, count in calls if _STORING.fullmatch(route)),
        "searchQueries": sum(count for route, count in calls if route == "POST /v1/memory/search"),
        **facts,
    }
