"""``/v1/memory/email``: remembering by mail, which needs a mail service."""

from __future__ import annotations

from typing import Annotated, Final, NoReturn

from pydantic import Field

from onebrain_server.dialects.rememberos.wire import Routes, Wire, unconfigured
from onebrain_server.http.requests import Call

routes = Routes("/memory/email", "email")

_REASON: Final = "This version of the server has no mail, and no setting turns it on"


class DropAddress(Wire):
    """The address whose mail is remembered."""

    address: str


class Senders(Wire):
    """Who may write to it."""

    senders: Annotated[list[Annotated[str, Field(min_length=1, max_length=320)]], Field(max_length=1000)]


@routes.get("/address", needs="admin", answers=DropAddress)
def get_address(call: Call) -> NoReturn:
    """Return the address: there is none, for this server takes no mail."""
    raise unconfigured(_REASON)


@routes.post("/address/rotate", needs="admin", answers=DropAddress)
def rotate_address(call: Call) -> NoReturn:
    """Make a new address: not here, for this server takes no mail."""
    raise unconfigured(_REASON)


@routes.get("/senders", needs="admin", answers=Senders)
def get_senders(call: Call) -> NoReturn:
    """Return who may write: nobody, for this server takes no mail."""
    raise unconfigured(_REASON)


@routes.put("/senders", needs="admin", answers=Senders)
def put_senders(call: Call, body: Senders) -> NoReturn:
    """Set who may write: not here, for this server takes no mail."""
    raise unconfigured(_REASON)
