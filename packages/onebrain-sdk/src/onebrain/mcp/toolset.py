"""The memory tools of an MCP server: which of them it offers, and the answer to a call."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import anyio

from onebrain.errors import OneBrainError, OneBrainValidationError
from onebrain.frameworks import review as reviewing
from onebrain.frameworks.connection import Connection
from onebrain.frameworks.tools import (
    ALL,
    CONTEXT,
    FORGET,
    LIST,
    REMEMBER,
    SEARCH,
    SUPERSEDE,
    UPDATE,
    WRITE,
    MemoryTool,
)
from onebrain.mcp.schemas import given, portable, unknown
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.models import Scope

_log = logging.getLogger("onebrain")

TITLES: Final[Mapping[str, str]] = {
    "search": "Search memory",
    "context": "Recall what is known",
    "list": "List memories",
    "entity": "Recall a person or thing",
    "entities": "List people, things and topics",
    "write": "Store a memory",
    "remember": "Keep what was said",
    "supersede": "Replace an outdated memory",
    "update": "Correct a memory",
    "forget": "Remove memories",
    "candidates": "List memories that wait for approval",
    "approve": "Approve memories",
    "reject": "Reject memories",
}
# The tools that a brain without the capability cannot serve.
_NEEDS: Final[Mapping[str, str]] = {
    "list": "list",
    "entities": "list",
    "supersede": "supersede",
    "update": "update",
    "forget": "delete",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a call of a tool: a text, and the type and facts of the error if it failed."""

    text: str
    error: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Toolset:
    """The tools over one scope of a memory.

    Attributes:
        connection: The memory.
        scope: Whose memory. No argument of a tool changes it.
        read_only: Offer only tools that change nothing.
        review: Store what an agent writes as candidates, which wait for approval.
        model: The model that finds facts in what was said, as `onebrain.Brain.remember` takes it; None leaves out the tool
            that remembers.
    """

    connection: Connection
    scope: Scope
    read_only: bool = False
    review: bool = False
    model: Any = None

    async def tools(self) -> dict[str, MemoryTool]:
        """Return the tools that the memory can serve, by full name."""
        can = (await self.connection.open()).capabilities
        return {tool.name: tool for tool in self._chosen() if _serves(can, tool)}

    def _chosen(self) -> list[MemoryTool]:
        """Return the tools that the options ask for."""
        chosen = [SEARCH, CONTEXT, LIST, *(tool for tool in ALL if tool not in (SEARCH, CONTEXT))]
        if self.review:
            # With these an agent could go around the approval.
            direct = (WRITE, REMEMBER, SUPERSEDE, UPDATE, FORGET)
            chosen = [*(tool for tool in chosen if tool not in direct), *reviewing.ALL]
        return [
            tool
            for tool in chosen
            if (tool.read_only or not self.read_only) and (tool is not REMEMBER or self.model is not None)
        ]

    async def call(self, tool: MemoryTool, arguments: Mapping[str, Any]) -> Result:
        """Return the answer to a call with unchecked arguments.

        A write that began ends, also if the client cancels the call. No error leaves this method.
        """
        try:
            return Result(await self._answer(tool, arguments))
        except OneBrainError as error:
            return Result(error.message, facts(error))
        except Exception as error:
            # Its message may quote a memory.
            kind = type(error).__name__
            _log.error("the tool %s failed: %s", tool.name, kind, exc_info=_log.isEnabledFor(logging.DEBUG))
            return Result(f"The tool failed because of a fault in onebrain ({kind}).", {"type": kind})

    async def _answer(self, tool: MemoryTool, arguments: Mapping[str, Any]) -> str:
        more = {"model": self.model} if tool is REMEMBER else {}
        plan = tool.called(self.scope, checked(tool, arguments), **more)
        text = ""
        # A shielded write also ends if the client cancels the call.
        with anyio.CancelScope(shield=not tool.read_only):
            text = (await self.connection.arun(plan)).text
        return text


def _serves(can: Capabilities, tool: MemoryTool) -> bool:
    needed = _NEEDS.get(tool.verb)
    return needed is None or bool(getattr(can, needed))


@cache
def schema_of(tool: MemoryTool) -> dict[str, Any]:
    """Return the schema of a tool's arguments in the form that every client accepts."""
    return portable(tool.schema)


def checked(tool: MemoryTool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call.

    Raises:
        OneBrainValidationError: The tool has no argument of one of the names.
    """
    schema = schema_of(tool)
    if unknown(arguments, schema):
        # The names are the model's own words, so they are not repeated.
        names = ", ".join(schema["properties"])
        raise OneBrainValidationError(f"arguments: {tool.name} takes {names}, and no others")
    return given(arguments, schema)


def facts(error: OneBrainError) -> dict[str, Any]:
    """Return the facts about an error that a program needs: its type, the status, and when to try again."""
    known = {
        "type": type(error).__name__,
        "service": error.service,
        "status": error.status_code,
        "code": error.code,
        "retry_after": error.retry_after,
        "in_doubt": error.in_doubt or None,
    }
    return {name: value for name, value in known.items() if value is not None}
