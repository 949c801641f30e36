"""Webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onebrain._core.endpoint import endpoint
from onebrain._core.former import former
from onebrain._core.service import DELETE, GET, POST
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainNotFoundError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.fields import (
    Strings,
    request_of,
)
from onebrain.services.ai_memory.models import (
    Subscription,
    SubscriptionRequest,
    Unsubscribed,
)
from onebrain.services.ai_memory.service import Resource


class Subscriptions(Resource[Mode]):
    """The webhooks that the daemon calls."""

    @endpoint
    def create(
        self,
        request: SubscriptionRequest | Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        events: str | Strings | None = None,
        secret: str | None = None,
        namespace_filter: str | None = None,
        agent_filter: str | None = None,
        namespace: str | None = None,
        agent_id: str | None = None,
    ) -> Steps[Subscription]:
        """Have the daemon call a URL when something happens, and return the subscription.

        Up to version 0.7 the daemon fires nothing for memories stored over HTTP. `onebrain.webhooks` verifies its
        deliveries. A `url` or a `namespace` is needed.

        Args:
            request: All of it, as an object instead of arguments.
            url: Where to POST; https, or http to the daemon's own machine.
            events: The events' names, as a list or one comma-separated string; all by default.
            secret: The text that deliveries are signed with; it is never shown again.
            namespace_filter: Only memories of exactly this namespace.
            agent_filter: Only memories of exactly this agent.
            namespace: The namespace to follow, without a URL.
            agent_id: Who subscribes, instead of the client's ``agent_id``; gets registered as an agent.
        """
        fields: dict[str, Any] = {
            "url": url,
            "events": events,
            "secret": secret,
            "namespace_filter": namespace_filter,
            "agent_filter": agent_filter,
            "namespace": namespace,
            "agent_id": agent_id,
        }
        body = request_of(SubscriptionRequest, request, fields)
        if not (body.get("url") or body.get("namespace")):
            raise rules.invalid("a subscription needs a url to call, or a namespace to follow")
        if body.get("url") and body.get("namespace"):
            raise rules.invalid("with a url the daemon ignores namespace; use namespace_filter")
        rules.check_fields({"agent_id": body.get("agent_id")})
        if body.get("events") is not None:
            body["events"] = ",".join(body["events"]) or "*"
        return (yield from self._ask(Subscription, POST("/api/v1/subscriptions", **body)))

    @endpoint
    def delete(self, id: str) -> Steps[Unsubscribed]:
        """Remove a webhook; raise `OneBrainNotFoundError` where none has this id."""
        if not isinstance(id, str) or not id.strip():
            raise rules.invalid("delete needs the subscription's id")
        gone = yield from self._ask(Unsubscribed, DELETE("/api/v1/subscriptions", id=id))
        if not gone.removed:
            raise OneBrainNotFoundError("no subscription with this id", service=rules.NAME)
        return gone

    @endpoint
    def list(self, *, agent_id: str | None = None) -> Steps[Sequence[Subscription]]:
        """Return the webhooks, of one agent or of all."""
        rules.check_agent_id(agent_id)
        reply = yield from self._service.ask(GET("/api/v1/subscriptions", agent_id=agent_id))
        return self._rows(Subscription, reply, "subscriptions")

    __call__ = former(list)
