"""Events of webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from onebrain._core.codec import to_json
from onebrain_server.dialects.herobrain.wire import NAME, metadata
from onebrain_server.http.requests import Call

KIND: Final = "herobrain.webhook"
Event = Literal[
    "memory.created",
    "memory.updated",
    "memory.deleted",
    "search.performed",
    "api_key.created",
    "api_key.revoked",
]
# The right that a key needs itself to have a webhook for an event.
NEEDED: Final[Mapping[Event, str]] = {
    "memory.created": "read:memories",
    "memory.updated": "read:memories",
    "memory.deleted": "read:memories",
    "search.performed": "read:memories",
    "api_key.created": "write:api-keys",
    "api_key.revoked": "write:api-keys",
}


def payload(call: Call, event: str, data: Mapping[str, Any], tenant: str | None) -> str:
    """Return a webhook's body."""
    facts = {**data, "tenantId": tenant or call.tenant_id}
    return to_json({"event": event, "data": facts, "metadata": metadata(call.request_id)})


def tell(call: Call, event: Event, data: Mapping[str, Any], tenant: str | None) -> None:
    """Send an event to the active webhooks of a tenant, and to those of the whole account."""
    body: str | None = None
    for hook in call.server.records.all(call.tenant_id, KIND, status="active"):
        if event in hook.body["events"] and hook.body["tenant"] in (None, tenant):
            body = body or payload(call, event, data, tenant)
            call.server.deliveries.add(
                call.tenant_id, NAME, hook.id, url=hook.body["url"], secret=hook.body["secret"], body=body
            )
