"""``/api/v1/subscriptions``: webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from onebrain.services.ai_memory.service import check_agent_id, check_namespace
from onebrain_server.dialects.ai_memory.routes import agents
from onebrain_server.dialects.ai_memory.rules import events
from onebrain_server.dialects.ai_memory.rules.identity import acting, tied
from onebrain_server.dialects.ai_memory.wire import AgentId, Id, Namespace, Routes, Wire, refused, written
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.json_values import is_array
from onebrain_server.security.addresses import AddressRefused
from onebrain_server.state.records import Record

routes = Routes("/api/v1/subscriptions", "subscriptions")

_MOST: Final = 100


def _comma_list(value: Any) -> Any:
    """Take a list of names, too, which the original's SDK sends and its daemon refuses."""
    return ",".join(map(str, value)) if is_array(value) else value


class SubscriptionFields(Wire):
    """A webhook to register: `events` is a comma list, a list, or ``*`` for all."""

    url: Annotated[str, Field(max_length=2048)] | None = None
    events: Annotated[str, BeforeValidator(_comma_list, json_schema_input_type=str | list[str])] = events.ALL
    secret: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    namespace_filter: Namespace | None = None
    agent_filter: AgentId | None = None
    agent_id: AgentId | None = None


class Subscribed(Wire):
    """A webhook as it was registered; its secret is never shown."""

    id: str
    url: str
    events: str
    namespace_filter: str | None
    agent_filter: str | None
    created_by: str | None
    agent_id: str | None


class SubscriptionRow(Subscribed):
    """A webhook, and how often it was called: `dispatch_count` counts every try."""

    namespace: str | None
    created_at: str
    dispatch_count: int
    failure_count: int


class SubscriptionList(Wire):
    """All webhooks."""

    count: int
    subscriptions: list[SubscriptionRow]


class Unsubscribed(Wire):
    """The answer to the removal of a webhook."""

    id: str
    removed: bool


@routes.post("", needs="write", answers=Subscribed, status=201)
async def subscribe(call: Call, body: SubscriptionFields) -> dict[str, Any]:
    """Have a URL called when something happens; it must be https, and lead to a public address.

    With a secret, deliveries are signed with HMAC-SHA256: the key is the SHA-256 of the secret, the message the header
    ``X-AI-Memory-Timestamp``, a dot and the body. A key that is tied to an agent receives the events that this agent may see.
    """
    agent = acting(call, body.agent_id)
    check_agent_id(body.agent_filter, "agent_filter")
    check_namespace(body.namespace_filter, "namespace_filter")
    names = _event_names(body.events)
    if not body.url:
        raise refused("url: is needed; to follow one namespace, give namespace_filter, too")
    try:
        await call.server.fetcher.check(body.url)
    except AddressRefused as error:
        raise refused(f"url: {error}") from None
    return await call.server.loop_run(_subscribe, call, body, names, agent)


def _subscribe(call: Call, body: SubscriptionFields, names: str, agent: str | None) -> dict[str, Any]:
    if call.server.records.count(call.tenant_id, events.KIND) >= _MOST:
        raise refused(f"an account may have {_MOST} subscriptions; remove one first")
    if agent is not None:
        agents.know(call, agent)
    made = call.server.records.add(
        call.tenant_id,
        events.KIND,
        {
            "url": body.url,
            "events": names,
            "secret_digest": None if body.secret is None else events.digest(body.secret),
            "namespace_filter": body.namespace_filter,
            "agent_filter": body.agent_filter,
            "agent_id": agent,
            "tied_to": tied(call),
            "dispatch_count": 0,
            "failure_count": 0,
        },
    )
    call.audit("ai-memory.subscription.create", made.id)
    return row_of(Subscribed, made, created_by=agent)


def _event_names(text: str) -> str:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in (*events.EVENTS, events.ALL)]
    if unknown or not names:
        raise refused(f"events: must be {events.ALL} or some of {', '.join(events.EVENTS)}")
    return events.ALL if events.ALL in names else ",".join(names)


class SubscriptionQuery(Wire):
    """Whose webhooks to list."""

    agent_id: AgentId | None = None


@routes.get("", needs="read", answers=SubscriptionList)
def list_subscriptions(call: Call, query: SubscriptionQuery) -> dict[str, Any]:
    """List the webhooks, of one agent or of all; a key that is tied to an agent sees its own."""
    agent = tied(call)
    check_agent_id(query.agent_id)
    found = [
        _row(one)
        for one in reversed(call.server.records.all(call.tenant_id, events.KIND))
        if agent in (None, one.body["tied_to"]) and query.agent_id in (None, one.body["agent_id"])
    ]
    return {"count": len(found), "subscriptions": found}


class UnsubscribeQuery(Wire):
    """Which webhook to remove."""

    id: Id


@routes.delete("", needs="write", answers=Unsubscribed)
def unsubscribe(call: Call, query: UnsubscribeQuery) -> dict[str, Any]:
    """Remove a webhook and its undelivered events."""
    return _unsubscribe(call, query.id)


@routes.delete("/{id}", needs="write", answers=Unsubscribed)
def unsubscribe_by_path(call: Call, id: str) -> dict[str, Any]:
    """Remove a webhook by its path, as the original's SDK does."""
    return _unsubscribe(call, id)


def _unsubscribe(call: Call, id: str) -> dict[str, Any]:
    agent = tied(call)
    found = call.server.records.get(call.tenant_id, events.KIND, id)
    own = found is not None and agent in (None, found.body["tied_to"])
    return {"id": id, "removed": own and events.unfollow(call, id)}


def _row(one: Record) -> dict[str, Any]:
    body = one.body
    return row_of(
        SubscriptionRow,
        one,
        time=written,
        namespace=body["namespace_filter"],
        created_by=body["agent_id"],
    )


__all__ = ["routes"]
