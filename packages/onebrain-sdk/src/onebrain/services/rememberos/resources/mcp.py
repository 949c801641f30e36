"""The MCP endpoint: JSON-RPC with the same key."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from onebrain._core.codec import as_object, is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import POST
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainError, OneBrainResponseError, OneBrainValidationError, Unsupported
from onebrain.services.rememberos.models import ToolResult
from onebrain.services.rememberos.service import NAME, SLOW, Resource, wrong


class Mcp(Resource[Mode]):
    """The tools that a host offers to agents.

    They are search_memory, store_memory, get_memory, list_collections, related_memory, what_changed,
    collection_health, summarize_collection, find_duplicates and archive_stale.
    """

    @endpoint
    def request(self, method: str, params: Mapping[str, Any] | None = None) -> Steps[Any]:
        """Make one JSON-RPC call and return its ``result``; a JSON-RPC error is raised."""
        if not method:
            raise wrong("method: must not be empty")
        id = uuid.uuid4().hex
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not None:
            body["params"] = dict(params)
        reply = yield from self._service.ask(POST("/v1/mcp", **body).but(timeout=SLOW))
        answer: Any = reply.data
        if not is_object(answer):
            raise OneBrainResponseError("the MCP endpoint answered with no JSON-RPC object", service=NAME)
        said = answer
        if said.get("error") is not None:
            raise _failure(method, said["error"])
        if said.get("id") != id or "result" not in said:
            raise OneBrainResponseError("the MCP endpoint answered another call than this one", service=NAME)
        return said["result"]

    @endpoint
    def tools(self) -> Steps[list[dict[str, Any]]]:
        """Return the tools with their schemas."""
        result = yield from Mcp.request.plan(self, "tools/list")
        return [dict(row) for row in rows(result, "tools", service=NAME)]

    @endpoint
    def call(self, tool: str, arguments: Mapping[str, Any] | None = None) -> Steps[ToolResult]:
        """Call a tool; one that fails says so in its result (``is_error``), as MCP has it."""
        params = {"name": tool, "arguments": dict(arguments or {})}
        result = yield from Mcp.request.plan(self, "tools/call", params)
        return read(ToolResult, result, service=NAME)


def _failure(method: str, error: Any) -> OneBrainError:
    said: Mapping[str, Any] = as_object(error)
    code, message = said.get("code"), said.get("message")
    text = message if isinstance(message, str) else "no reason given"
    if code == -32601:
        return Unsupported(f"the MCP method {method!r:.60}", NAME, code=str(code))
    kind = OneBrainValidationError if code in (-32600, -32602, -32700) else OneBrainError
    return kind(f"the MCP call failed: {text}", service=NAME, code=None if code is None else str(code))
