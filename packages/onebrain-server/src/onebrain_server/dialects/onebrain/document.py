"""The OpenAPI document of this dialect."""

from __future__ import annotations

from typing import Any

from onebrain_server.dialects.onebrain.wire import NAME, Routes
from onebrain_server.http.requests import Call

routes = Routes("/v1", "server")


@routes.get("/openapi", needs="anyone", answers=dict[str, Any], envelope=False)
@routes.get("/openapi.json", needs="anyone", answers=dict[str, Any], envelope=False)
def openapi(call: Call) -> dict[str, Any]:
    """Return the OpenAPI document of every route."""
    return call.server.documents[NAME]()


__all__ = ["routes"]
