"""``/v1/memory/stripe``: pages of the billing provider, of which a server of one's own has none."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from onebrain_server.dialects.rememberos.wire import Routes, Wire, unconfigured
from onebrain_server.http.requests import Call

routes = Routes("/memory/stripe", "billing")

_REASON: Final = "This version of the server has no payments, and no setting turns them on"


class Session(Wire):
    """A page to send the user to."""

    url: str


@routes.post("/checkout/create", needs="admin", answers=Session, body_required=False)
def create_checkout(call: Call, body: dict[str, Any]) -> NoReturn:
    """Open a checkout: not here, for this server takes no payments."""
    raise unconfigured(_REASON)


@routes.post("/portal", needs="admin", answers=Session, body_required=False)
def open_portal(call: Call, body: dict[str, Any]) -> NoReturn:
    """Open the page of a subscription: not here, for this server takes no payments."""
    raise unconfigured(_REASON)
