"""``/v1/memory/webhook/config``: where events are sent; see `events` for how."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from pydantic import Field

from onebrain_server.dialects.rememberos.rules import events
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.dialects.rememberos.wire import NAME, Routes, Wire
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.ids import new_id
from onebrain_server.security.addresses import AddressRefused
from onebrain_server.state.database import Taken

routes = Routes("/memory/webhook/config", "webhook")


class HookAnswer(Wire):
    """The webhook's address and the results of its deliveries; the secret is never shown again."""

    url: str | None
    configured: bool
    events: list[str]
    delivered: int = 0
    failed: int = 0
    last_delivered_at: str | None = None
    last_failed_at: str | None = None


class NewHookAnswer(HookAnswer):
    """Where events are sent from now on, with the secret that signs them, shown this once."""

    secret: str


class HookFields(Wire):
    """Where to send events."""

    url: Annotated[str, Field(min_length=9, max_length=2000, pattern=r"^https?://[^\s]+$")]


@routes.get("", needs="admin", answers=HookAnswer)
def get_webhook(call: Call) -> dict[str, Any]:
    """Return where events are sent."""
    hook = events.subscription(partition_of(call))
    if hook is None:
        return {"url": None, "configured": False, "events": events.EVENTS}
    shown = {name: value for name, value in hook.body.items() if name not in ("secret", "target")}
    return {"configured": True, "events": events.EVENTS, **shown}


@routes.put("", needs="admin", answers=NewHookAnswer)
async def put_webhook(call: Call, body: HookFields) -> dict[str, Any]:
    """Send events to a public address; each call makes a new secret, and drops deliveries to the old address."""
    try:
        await call.server.fetcher.resolve(body.url)
    except AddressRefused as refused:
        raise Problem(400, "URL_REFUSED", f"The webhook was not set: {refused}") from None
    secret = secrets.token_hex(32)
    await call.server.loop_run(_replace, call, body.url, secret)
    return {"url": body.url, "configured": True, "events": events.EVENTS, "secret": secret}


def _replace(call: Call, url: str, secret: str) -> None:
    partition = partition_of(call)
    _remove(partition)
    # The target is new each time: deliveries to the old address are not counted for this one.
    body = {"url": url, "secret": secret, "target": new_id(), "delivered": 0, "failed": 0}
    try:
        partition.records.add(partition.tenant, events.KIND, body, id=events.ID)
    except Taken:
        raise Problem(400, "EXISTS", "Another request has just set the webhook; try again") from None
    call.audit("rememberos.webhook.set")


class Removed(Wire):
    """Whether there was a webhook."""

    deleted: bool


@routes.delete("", needs="admin", answers=Removed)
def delete_webhook(call: Call) -> dict[str, Any]:
    """Send no more events, and give up those on their way."""
    gone = _remove(partition_of(call))
    call.audit("rememberos.webhook.delete")
    return {"deleted": gone}


def _remove(partition: Partition) -> bool:
    hook = events.subscription(partition)
    if hook is None:
        return False
    partition.records.remove(partition.tenant, events.KIND, events.ID)
    partition.server.deliveries.forget(partition.tenant, NAME, hook.body["target"])
    return True
