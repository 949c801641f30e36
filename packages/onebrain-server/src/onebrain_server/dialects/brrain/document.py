"""The OpenAPI document of this dialect."""

from __future__ import annotations

from typing import Any

from onebrain_server.dialects.brrain.wire import NAME, PREFIX
from onebrain_server.http.operation import Routes
from onebrain_server.http.requests import Call

routes = Routes(PREFIX, "server")


@routes.get("/openapi.json", needs="anyone", answers=dict[str, Any])
def openapi(call: Call) -> dict[str, Any]:
    """Return the OpenAPI document of every route of this service."""
    return call.server.documents[NAME]()


__all__ = ["routes"]
