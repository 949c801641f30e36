"""``hb.intelligence`` and ``hb.usage``: decision chains, patterns and usage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.memory.acceptance import in_utc
from onebrain.services.herobrain.models import DecisionChain, Patterns, UsageMetrics
from onebrain.services.herobrain.service import NAME, Resource, invalid, within

When: TypeAlias = datetime | str


class Intelligence(Resource[Mode]):
    """Questions about many memories at once."""

    @endpoint
    def decision_chain(
        self,
        topic: str,
        *,
        since: When | None = None,
        until: When | None = None,
        time_range: Mapping[str, When] | None = None,
        tenant_id: str | None = None,
    ) -> Steps[DecisionChain]:
        """Reconstruct how decisions on a topic came about.

        Args:
            topic: Their subject.
            since: Only memories from then on.
            until: Only memories up to then.
            time_range: Both as the wire has them, ``{"from": ..., "to": ...}``, instead.
            tenant_id: Whose memories, instead of the client's tenant.
        """
        if not isinstance(topic, str) or not topic.strip():
            raise invalid("topic: must not be blank")
        if time_range is not None and (since is not None or until is not None):
            raise invalid("give either time_range or since and until")
        given = dict(time_range) if time_range is not None else {"from": since, "to": until}
        if not given.keys() <= {"from", "to"}:
            raise invalid("time_range: has 'from' and 'to' only")
        span = {name: _iso(value) for name, value in given.items() if value is not None}
        spec = POST(
            "/api/v1/intelligence/decision-chain",
            topic=topic,
            tenantId=self._service.tenant(tenant_id),
            timeRange=span or None,
        )
        data = yield from self._data(spec.but(safe=True))
        return read(DecisionChain, {"chain": data} if isinstance(data, list) else data, service=NAME)

    @endpoint
    def implicit_patterns(
        self, *, min_occurrences: int | None = None, tenant_id: str | None = None
    ) -> Steps[Patterns]:
        """Find patterns that occur at least `min_occurrences` times; the service's default is 3."""
        if min_occurrences is not None:
            within("min_occurrences", min_occurrences, 1, None)
        spec = POST(
            "/api/v1/intelligence/implicit-patterns",
            tenantId=self._service.tenant(tenant_id),
            minOccurrences=min_occurrences,
        )
        data = yield from self._data(spec.but(safe=True))
        return read(Patterns, {"patterns": data} if isinstance(data, list) else data, service=NAME)


class Usage(Resource[Mode]):
    """A tenant's usage of its plan."""

    @endpoint
    def metrics(self, *, tenant_id: str | None = None) -> Steps[UsageMetrics]:
        """Return the requests, memories and bytes used, with their limits."""
        return (
            yield from self._ask(
                UsageMetrics, GET(path("/api/v1/usage/metrics/{}", self._service.tenant(tenant_id)))
            )
        )


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        try:
            return in_utc(value).isoformat().replace("+00:00", "Z")
        except ValueError as error:
            raise invalid(f"a time {error}") from None
    if not isinstance(value, str):
        raise invalid("a time must be a datetime or ISO 8601 text")
    return value
