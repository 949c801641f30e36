"""``/api/v1/usage``: the plan's usage."""

from __future__ import annotations

from typing import Any

from onebrain.memory.filters import TRUE
from onebrain_server.clock import now
from onebrain_server.dialects.herobrain.rules import quotas
from onebrain_server.dialects.herobrain.rules.tenants import TenantQuery, scope_of, tenant_of
from onebrain_server.dialects.herobrain.wire import Routes, Wire
from onebrain_server.http.requests import Call

routes = Routes("/usage", "usage")


class ApiCalls(Wire):
    """The account's requests to this service; the limit is a key's rate limit over 30 days, null for none."""

    today: int
    this_month: int
    limit: int | None


class MemoryCount(Wire):
    """The tenant's memories; null for no limit."""

    count: int
    limit: int | None


class Storage(Wire):
    """The bytes of the texts of the tenant's memories; null for no limit."""

    used: int
    limit: int | None


class Metrics(Wire):
    """The plan's usage."""

    api_calls: ApiCalls
    memories: MemoryCount
    storage: Storage


@routes.get("/metrics/{tenant_id}", needs="read:memories", answers=Metrics)
def usage_metrics(call: Call, tenant_id: str, query: TenantQuery) -> dict[str, Any]:
    """Return the requests since midnight and since the first of the month, both in UTC, the memories and their bytes."""
    tenant = tenant_of(call, tenant_id, query.tenant_id)
    scope = scope_of(tenant)
    return {
        "apiCalls": {
            "today": quotas.requests(call, 1),
            "thisMonth": quotas.requests(call, now().day),
            "limit": quotas.request_limit(call, 30 * 86_400),
        },
        "memories": {
            "count": call.memories.count(scope, TRUE, include_archived=True),
            "limit": quotas.memory_limit(call),
        },
        "storage": {"used": call.memories.text_bytes(tenant_id), "limit": None},
    }


__all__ = ["routes"]
