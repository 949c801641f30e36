"""``/api/v1/webhooks``: subscriptions to events."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain_server.dialects.herobrain.rules import events
from onebrain_server.dialects.herobrain.rules.tenants import TenantQuery, tenant_of
from onebrain_server.dialects.herobrain.wire import (
    NAME,
    Deleted,
    Routes,
    TenantId,
    Wire,
    deleted,
    made_id,
    not_found,
)
from onebrain_server.http.problems import Problem, invalid
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security.addresses import AddressRefused
from onebrain_server.state.records import Record

routes = Routes("/webhooks", "webhooks")
Status = Literal["active", "inactive"]
# Each one costs every write a row in the outbox.
_MOST: Final = 100


class NewWebhookFields(Wire):
    """A webhook to register; whoever knows the secret can prove that a delivery is genuine."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    events: Annotated[list[events.Event], Field(min_length=1, max_length=50)]
    secret: Annotated[str, Field(min_length=1, max_length=1024)]
    status: Status = "active"
    tenant_id: TenantId | None = None


class WebhookRow(Wire):
    """A webhook, without its secret."""

    id: str
    name: str
    url: str
    events: list[events.Event]
    status: Status
    created_at: str
    updated_at: str


def _row(hook: Record) -> dict[str, Any]:
    return row_of(WebhookRow, hook)


def _visible(call: Call, tenant: str | None) -> list[Record]:
    """Return the webhooks of a tenant; without one, those of all."""
    found = call.server.records.all(call.tenant_id, events.KIND)
    return [hook for hook in found if tenant is None or hook.body["tenant"] == tenant]


def _one(call: Call, id: str, tenant: str | None) -> Record:
    hook = call.server.records.get(call.tenant_id, events.KIND, id)
    if hook is None or (tenant is not None and hook.body["tenant"] != tenant):
        raise not_found("webhook")
    return hook


@routes.post("", needs="write:webhooks", answers=WebhookRow, status=201, limit="write", errors=(402,))
async def create_webhook(call: Call, query: TenantQuery, body: NewWebhookFields) -> dict[str, Any]:
    """Register a webhook for the key's tenant; the secret is not shown again."""
    for event in body.events:
        if events.NEEDED[event] not in call.scopes:
            # Otherwise a key could receive data that it may not read.
            raise Problem(
                403, "INSUFFICIENT_SCOPE", f"API key missing required scope: {events.NEEDED[event]}"
            )
    try:
        await call.server.fetcher.check(body.url)
    except AddressRefused as refused:
        raise invalid(["url"], str(refused)) from None
    return await call.server.loop_run(_keep, call, query, body)


def _keep(call: Call, query: TenantQuery, body: NewWebhookFields) -> dict[str, Any]:
    tenant = tenant_of(call, query.tenant_id, body.tenant_id)
    records = call.server.records
    if records.count(call.tenant_id, events.KIND) >= _MOST:
        raise Problem(402, "INSUFFICIENT_QUOTA", f"An account may have {_MOST} webhooks; delete one first")
    facts = {
        "name": body.name,
        "url": body.url,
        "events": list(dict.fromkeys(body.events)),
        "secret": body.secret,
        "tenant": tenant,
    }
    hook = records.add(call.tenant_id, events.KIND, facts, id=made_id("wh"), status=body.status)
    call.audit("herobrain.webhook.create", hook.id)
    return _row(hook)


@routes.get("", needs="write:webhooks", answers=list[WebhookRow])
def list_webhooks(call: Call, query: TenantQuery) -> list[dict[str, Any]]:
    """List webhooks, newest first, without their secrets."""
    return [_row(hook) for hook in _visible(call, tenant_of(call, query.tenant_id))]


class Delivered(Wire):
    """Whether the receiver took it, with a status of 2xx."""

    delivered: bool


@routes.post("/{id}/test", needs="write:webhooks", answers=Delivered, errors=(404,), limit="write")
async def send_test(call: Call, id: str, query: TenantQuery) -> dict[str, Any]:
    """Send a test to a webhook now, once, active or not: the event ``webhook.test``, signed like all others."""
    hook = await call.server.loop_run(lambda: _one(call, id, tenant_of(call, query.tenant_id)))
    body = events.payload(call, "webhook.test", {"id": hook.id}, hook.body["tenant"])
    # In a thread beside the pool, where a slow receiver holds up nobody.
    taken = await asyncio.to_thread(
        call.server.deliveries.send_once,
        call.tenant_id,
        NAME,
        hook.id,
        url=hook.body["url"],
        secret=hook.body["secret"],
        body=body,
    )
    return {"delivered": taken}


@routes.delete("/{id}", needs="write:webhooks", answers=Deleted, errors=(404,))
def delete_webhook(call: Call, id: str, query: TenantQuery) -> dict[str, Any]:
    """Delete a webhook and its undelivered events."""
    hook = _one(call, id, tenant_of(call, query.tenant_id))
    if not call.server.records.remove(call.tenant_id, events.KIND, hook.id):
        raise not_found("webhook")
    call.server.deliveries.forget(call.tenant_id, NAME, hook.id)
    call.audit("herobrain.webhook.delete", hook.id)
    return deleted(hook.id)


__all__ = ["routes"]
