"""Messages as memories: every type and field, exactly.

A message is kept as ``{"kind": "message", "role": type, "message": {...}}`` in a memory's metadata, its text as the
memory's content, where searches find it. Values that JSON lacks but messages hold in practice are marked: documents, messages,
tuples, dates and bytes, for the most part inside a tool's artifact. A pydantic object comes back as a dict. Anything
else is refused when it is stored, because it could not come back.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, cast

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    ToolMessage,
    message_chunk_to_message,
    messages_from_dict,
)
from pydantic import BaseModel

from onebrain import Memory, OneBrainValidationError
from onebrain.frameworks.values import is_array, is_object
from onebrain.memory.window import ConversationMessage, Role

# The key of an object that names the kind of value which the object encodes.
_MARK = "$langchain"
# An object that equals nothing else.
_REQUIRED = object()
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    # A notice that another message is gone; no person said it.
    "remove": "assistant",
}
_TYPES = frozenset({"human", "ai", "system", "chat", "function", "tool", "remove"})


def to_fields(message: BaseMessage) -> dict[str, Any]:
    """Return the content and metadata of the memory that keeps `message`."""
    if not isinstance(message, BaseMessage):
        raise OneBrainValidationError(f"a message must be a BaseMessage, not {type(message).__name__}")
    whole = message_chunk_to_message(message)
    if whole.type not in _TYPES:
        raise OneBrainValidationError(
            f"a message of type {whole.type!r:.40} could not be read back; LangChain has {', '.join(sorted(_TYPES))}"
        )
    data = {name: _encode(value, f"message.{name}") for name, value in _fields(whole).items()}
    content = text_of(whole)
    if not content.strip():
        content = _outline(whole)
    elif data.get("content") == content:
        # The content is the memory's own.
        del data["content"]
    return {
        "content": content,
        "source": "chat",
        "metadata": {"kind": "message", "role": whole.type, "message": data},
    }


def from_memory(memory: Memory) -> BaseMessage:
    """Return the message that a memory keeps."""
    data = {"content": memory.content, **memory.metadata["message"]}
    (message,) = messages_from_dict([{"type": memory.metadata["role"], "data": _decode(data)}])
    return message


def text_of(message: BaseMessage) -> str:
    """Return the text of a message, without its other content blocks."""
    return str(message.text)


def conversation_message(message: BaseMessage) -> ConversationMessage:
    """Return the part of a message that decides where a window may begin."""
    if isinstance(message, ToolMessage):
        return ConversationMessage("tool", answers=message.tool_call_id)
    if isinstance(message, FunctionMessage):
        return ConversationMessage("tool")
    if isinstance(message, AIMessage):
        calls = [call.get("id") for call in (*message.tool_calls, *message.invalid_tool_calls)]
        if not calls and message.additional_kwargs.get("function_call"):
            calls = [None]
        return ConversationMessage("assistant", tuple(calls))
    role = message.role if isinstance(message, ChatMessage) else message.type
    return ConversationMessage(_ROLES.get(role, "user"))


def _fields(message: BaseMessage) -> dict[str, Any]:
    """Return the fields of a message that say more than their defaults do."""
    fields = {
        name: value
        for name, default in _defaults(type(message)).items()
        if (value := getattr(message, name)) != default
    }
    return {**fields, **(message.model_extra or {})}


@lru_cache(maxsize=64)
def _defaults(kind: type[BaseMessage]) -> dict[str, Any]:
    return {
        name: _REQUIRED
        if name == "content" or field.is_required()
        else field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
    }


def _outline(message: BaseMessage) -> str:
    """Return a line about a message without text, such as its tool calls, for searches and readers of the memory."""
    calls = cast("Sequence[Mapping[str, Any]]", getattr(message, "tool_calls", None) or ())
    if calls:
        return "; ".join(f"{call['name']}({json.dumps(call['args'], default=str)})" for call in calls)
    return f"({message.type} message without text)"


def _encode(value: Any, where: str) -> Any:
    """Return a value as JSON, with marks on the values that JSON lacks; raise if it could not come back."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value, where)
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OneBrainValidationError(
                f"{where}: holds NaN or an infinity, which cannot be written as JSON"
            )
        return value
    if is_array(value):
        return [_encode(item, where) for item in value]
    if is_object(value):
        return _encode_object(value, where)
    return _encode_marked(value, where)


def _encode_object(entries: Mapping[Any, Any], where: str) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in entries):
        raise OneBrainValidationError(f"{where}: holds an object with keys that are not strings")
    plain = {key: _encode(item, where) for key, item in entries.items()}
    return _marked("object", plain) if _MARK in plain else plain


def _encode_marked(value: Any, where: str) -> Any:
    if type(value) is Document:
        return _marked("document", _encode(value.model_dump(), where))
    if isinstance(value, BaseMessage):
        whole = message_chunk_to_message(value)
        return _marked("message", [whole.type, _encode(_fields(whole), where)])
    if isinstance(value, tuple):
        return _marked("tuple", [_encode(item, where) for item in cast("tuple[Any, ...]", value)])
    # A datetime is a date, too.
    if isinstance(value, date):
        return _marked("datetime" if isinstance(value, datetime) else "date", value.isoformat())
    if isinstance(value, bytes):
        return _marked("bytes", base64.b64encode(value).decode())
    if isinstance(value, BaseModel):
        return _encode(value.model_dump(mode="json"), where)
    raise OneBrainValidationError(
        f"{where}: holds a {type(value).__name__}, which cannot be written as JSON and would not come back; "
        "turn it into plain data first"
    )


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OneBrainValidationError(
            f"{where}: holds a lone surrogate, which UTF-8 cannot carry; repair it with "
            "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from None


def _marked(kind: str, value: Any) -> dict[str, Any]:
    return {_MARK: kind, "value": value}


def _decode(value: Any) -> Any:
    if is_array(value):
        return [_decode(item) for item in value]
    if not is_object(value):
        return value
    kind = value.get(_MARK)
    if kind is None:
        return {key: _decode(item) for key, item in value.items()}
    return _DECODERS[kind](value["value"])


_DECODERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "object": lambda inner: {key: _decode(item) for key, item in inner.items()},
    "document": lambda inner: Document(**_decode(inner)),
    "message": lambda inner: messages_from_dict([{"type": inner[0], "data": _decode(inner[1])}])[0],
    "tuple": lambda inner: tuple(map(_decode, inner)),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "bytes": base64.b64decode,
}
