"""The endpoints for operators. All but `audit` need the key of a tenant that is flagged as admin (403 otherwise)."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET
from onebrain._core.steps import Mode, Steps
from onebrain.services.rememberos.models import (
    Analytics,
    AuditEntry,
    ConnectionCount,
    ConnectorHealth,
    FleetHealth,
    Metrics,
    Usage,
)
from onebrain.services.rememberos.service import Resource, check_number

ADMIN = "/v1/memory/admin"


class Operator(Resource[Mode]):
    """Aggregates over all tenants, never their memories."""

    @endpoint
    def metrics(self, *, reset: bool = False) -> Steps[Metrics]:
        """Return requests, errors and latency by route and stage; `reset` begins to count anew."""
        # Resetting twice would lose counts, so such a call is not repeated.
        spec = GET(f"{ADMIN}/metrics", reset=reset or None).but(safe=not reset)
        return (yield from self._service.get(Metrics, spec))

    @endpoint
    def audit(self, *, days: int = 30, limit: int = 200) -> Steps[list[AuditEntry]]:
        """Return your own tenant's writes and sensitive actions, newest first."""
        check_number("days", days, 1)
        check_number("limit", limit, 1)
        spec = GET(f"{ADMIN}/audit", days=days, limit=limit)
        return (yield from self._service.get_rows(AuditEntry, spec, "entries", "audit", "events"))

    @endpoint
    def usage(self, *, days: int = 30) -> Steps[Usage]:
        """Return storage, tokens and cost estimates, per tenant and in total."""
        check_number("days", days, 1)
        return (yield from self._service.get(Usage, GET(f"{ADMIN}/usage", days=days)))

    @endpoint
    def connectors(self, *, hours: int = 24) -> Steps[ConnectorHealth]:
        """Return how the syncs of each provider went."""
        check_number("hours", hours, 1)
        return (yield from self._service.get(ConnectorHealth, GET(f"{ADMIN}/connectors", hours=hours)))

    @endpoint
    def connection_counts(self) -> Steps[list[ConnectionCount]]:
        """Return how many connections have which status."""
        spec = GET(f"{ADMIN}/connectors/status")
        return (yield from self._service.get_rows(ConnectionCount, spec, "statuses", "connections"))

    @endpoint
    def memory_health(self) -> Steps[FleetHealth]:
        """Return the counts of `Intelligence.health` over everything."""
        return (yield from self._service.get(FleetHealth, GET(f"{ADMIN}/memory-health")))

    @endpoint
    def analytics(self, *, days: int = 7) -> Steps[Analytics]:
        """Return signups, activation and pageviews."""
        check_number("days", days, 1)
        return (yield from self._service.get(Analytics, GET(f"{ADMIN}/analytics", days=days)))
