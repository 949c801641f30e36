"""The OpenAPI document of this dialect."""

from __future__ import annotations

from typing import Any

from onebrain_server.dialects.ai_memory.wire import NAME, Routes
from onebrain_server.http.requests import Call

routes = Routes("", "server")


@routes.get("/openapi.json", needs="anyone", answers=dict[str, Any])
def openapi(call: Call) -> dict[str, Any]:
    """Return the OpenAPI document of every route."""
    return call.server.documents[NAME]()


__all__ = ["routes"]
