"""Events of subscriptions: one flat JSON object for each, signed with the digest of the subscription's secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

from onebrain._core.codec import from_json, to_json
from onebrain.memory.filters import memory_matches
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.rules.identity import readable
from onebrain_server.dialects.ai_memory.wire import NAME
from onebrain_server.http.requests import Call
from onebrain_server.ids import new_id
from onebrain_server.state.outbox import Delivery
from onebrain_server.state.records import Records

KIND: Final = "ai-memory.subscription"
ALL: Final = "*"
# Those that ai-memory documents; the last two come from calls that this server does not have.
EVENTS: Final = (
    "memory_store",
    "memory_promote",
    "memory_delete",
    "memory_link_created",
    "memory_link_invalidated",
    "memory_consolidated",
    "approval_requested",
)


def now_text() -> str:
    """Return the present as ai-memory writes times."""
    return now().isoformat()


def unfollow(call: Call, id: str) -> bool:
    """Remove a subscription and its undelivered events; return whether it was there."""
    removed = call.server.records.remove(call.tenant_id, KIND, id)
    if removed:
        call.server.deliveries.forget(call.tenant_id, NAME, id)
        call.audit("ai-memory.subscription.delete", id)
    return removed


def fire(call: Call, event: str, changed: Sequence[Row], **facts: Any) -> None:
    """Send an event of these memories to its subscribers; deliveries wait in the outbox until they are taken."""
    for subscription in call.server.records.all(call.tenant_id, KIND):
        wish = subscription.body
        if wish["events"] != ALL and event not in wish["events"].split(","):
            continue
        seen = readable(wish["tied_to"])
        for row in changed:
            if wish["namespace_filter"] not in (None, row.namespace):
                continue
            if wish["agent_filter"] not in (None, row.agent) or not memory_matches(
                seen, mapping.to_judge(row)
            ):
                continue
            body = {
                "event": event,
                "memory_id": row.id,
                "namespace": row.namespace,
                "agent_id": row.shown_agent,
                **facts,
                "delivered_at": now_text(),
                "correlation_id": new_id(),
            }
            call.server.deliveries.add(
                call.tenant_id,
                NAME,
                subscription.id,
                url=wish["url"],
                secret=wish["secret_digest"],
                body=to_json(body),
            )


def digest(secret: str) -> str:
    """Return the digest of a subscription's secret, which is stored instead of it and suffices for signing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def sign(delivery: Delivery, moment: int) -> dict[str, str]:
    """Return the headers that prove who sent a delivery, and when; only the time where the subscription has no secret."""
    correlation = from_json(delivery.body)["correlation_id"]
    headers = {"x-ai-memory-timestamp": str(moment), "x-ai-memory-correlation-id": correlation}
    if delivery.secret:
        signed = f"{moment}.{delivery.body}".encode()
        signature = hmac.new(bytes.fromhex(delivery.secret), signed, hashlib.sha256).hexdigest()
        headers["x-ai-memory-signature"] = f"sha256={signature}"
    return headers


def count(records: Records, delivery: Delivery, taken: bool, again: bool) -> None:
    """Count a try, and whether it failed, with its subscription."""
    subscription = records.get(delivery.tenant, KIND, delivery.target)
    if subscription is not None:
        counts = {
            "dispatch_count": subscription.body["dispatch_count"] + 1,
            "failure_count": subscription.body["failure_count"] + (0 if taken else 1),
        }
        records.change(delivery.tenant, KIND, delivery.target, counts, touch=False)
