"""Messages of frameworks and of chat APIs, by their shape. No framework is imported.

A message is a dict or an object with ``content``, which is text or a list of blocks, and a ``role`` or a ``type`` that names who
said it: those of OpenAI, Anthropic, LangChain and LlamaIndex.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from onebrain._core.codec import as_array, as_object, is_object

# The keys of a message that remember reads.
KEYS: Final = frozenset({"role", "content", "id", "created_at"})
# Further keys of the messages of chat APIs and frameworks, which say nothing to remember.
_FURTHER: Final = frozenset(
    {
        "additional_kwargs",
        "annotations",
        "arguments",
        "artifact",
        "audio",
        "blocks",
        "call_id",
        "example",
        "function_call",
        "invalid_tool_calls",
        "name",
        "output",
        "refusal",
        "response_metadata",
        "status",
        "tool_call_id",
        "tool_calls",
        "type",
        "usage_metadata",
    }
)
# LangChain's types of messages as roles.
_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "humanmessagechunk": "user",
    "aimessagechunk": "assistant",
    "systemmessagechunk": "system",
    "toolmessagechunk": "tool",
    "functionmessagechunk": "function",
}
# Of an item in the Responses API of OpenAI, beside tool calls.
_NO_ROLE: Final = frozenset({"message", "chat", "chatmessagechunk"})
_ANSWERS: Final = frozenset({"tool", "function"})
_CALLS: Final = ("tool_calls", "invalid_tool_calls", "function_call")


def is_message(value: object) -> bool:
    """Return whether an object, which is no dict, has the shape of a message."""
    if isinstance(value, str | Mapping | type) or not hasattr(value, "content"):
        return False
    return any(isinstance(_plain(getattr(value, name, None)), str) for name in ("role", "type"))


def fields_of(row: object) -> Mapping[str, Any] | None:
    """Return a message of any shape as a dict, or None if it has none."""
    if is_object(row):
        return row
    if not is_message(row):
        return None
    found = {name: getattr(row, name, None) for name in ("role", "type", "content", "id", *_CALLS)}
    return {name: value for name, value in found.items() if value is not None}


def unknown_keys(fields: Mapping[str, Any]) -> list[str]:
    """Return the keys that a message of no known shape has."""
    return sorted(str(key) for key in fields.keys() - KEYS - _FURTHER)


def role_of(fields: Mapping[str, Any]) -> Any:
    """Return who said a message; ``user`` if it does not say."""
    role = _plain(fields.get("role"))
    if role is not None:
        return role
    kind = _plain(fields.get("type"))
    if not isinstance(kind, str) or kind.lower() in _NO_ROLE:
        return "user"
    return _ROLES.get(kind.lower(), kind)


def is_tool_traffic(fields: Mapping[str, Any]) -> bool:
    """Return whether a message may have no text, as it calls a tool or is the answer of one."""
    if any(fields.get(name) for name in _CALLS) or fields.get("tool_call_id"):
        return True
    if _is_tools(role_of(fields)) or _is_tools(_plain(fields.get("type"))):
        return True
    blocks = as_array(fields.get("content"))
    return any(_is_tools(as_object(block).get("type")) for block in blocks)


def _is_tools(kind: object) -> bool:
    """Return whether a role or type is that of a tool's call or answer, such as ``tool_use`` and ``function_call_output``."""
    return isinstance(kind, str) and (
        kind in _ANSWERS or "tool_" in kind or "_tool" in kind or "_call" in kind
    )


def _plain(value: object) -> Any:
    return value.value if isinstance(value, Enum) else value


__all__ = ["KEYS", "fields_of", "is_message", "is_tool_traffic", "role_of", "unknown_keys"]
