"""``hb.webhooks``: be told when something happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.services.herobrain.models import Deleted, Webhook, WebhookEvent, WebhookTest
from onebrain.services.herobrain.service import NAME, Resource, fields_of, invalid

Events: TypeAlias = Sequence[WebhookEvent | str]
_EVENTS = frozenset(str(event) for event in WebhookEvent)


class Webhooks(Resource[Mode]):
    """The webhooks of the key's tenant; `onebrain.webhooks` verifies their deliveries."""

    @endpoint
    def create(
        self,
        name: str,
        url: str,
        events: Events,
        secret: str,
        *,
        status: Literal["active", "inactive"] | None = None,
    ) -> Steps[Webhook]:
        """Register a webhook.

        Args:
            name: Its name.
            url: Where to POST; https only.
            events: The events to send, such as ``["memory.created"]``.
            secret: The text that deliveries are signed with.
            status: ``active``, the default, or ``inactive``.
        """
        if not all(isinstance(text, str) and text.strip() for text in (name, url, secret)):
            raise invalid("name, url and secret are required")
        if not url.lower().startswith("https://"):
            raise invalid("url: must begin with https://")
        names = [events] if isinstance(events, str) else [str(event) for event in events]
        if not names or not _EVENTS.issuperset(names):
            raise invalid(f"events: one or more of {', '.join(sorted(_EVENTS))}")
        if status not in (None, "active", "inactive"):
            raise invalid("status: must be active or inactive")
        body: dict[str, Any] = {"name": name, "url": url, "events": names, "secret": secret, "status": status}
        return (yield from self._ask(Webhook, POST("/api/v1/webhooks", **body)))

    @endpoint
    def test(self, id: str) -> Steps[WebhookTest]:
        """Have a test delivery sent to a webhook, and say whether it arrived."""
        data = yield from self._data(POST(path("/api/v1/webhooks/{}/test", id)))
        return read(WebhookTest, fields_of(data), service=NAME)

    @endpoint
    def delete(self, id: str) -> Steps[Deleted]:
        """Remove a webhook."""
        data = yield from self._data(DELETE(path("/api/v1/webhooks/{}", id)))
        return read(Deleted, {"id": id, **fields_of(data)}, service=NAME)

    # Last, because a method named list hides the type from annotations below it.
    @endpoint
    def list(self) -> Steps[Sequence[Webhook]]:
        """Return the tenant's webhooks."""
        data = yield from self._data(GET("/api/v1/webhooks"))
        return self._rows(Webhook, data, "webhooks")
