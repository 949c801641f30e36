"""Input items of the SDK as memories and back, and the context of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

from agents import RunContextWrapper, TResponseInputItem

from onebrain import Memory, NewMemory, OneBrainValidationError, Scope
from onebrain.frameworks.ids import encode
from onebrain.frameworks.recall import said
from onebrain.frameworks.turns import Spoken
from onebrain.frameworks.values import is_object
from onebrain.memory.capabilities import Capabilities

# The key of a memory's metadata that belongs to this package.
RESERVED = "openai_agents"
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


def context_of(context: Any) -> Any:
    """Return the context object that a run was given, from the SDK's wrapper of it or from itself."""
    if isinstance(context, RunContextWrapper):
        return cast("RunContextWrapper[Any]", context).context
    return context


def memory_of(item: TResponseInputItem, scope: Scope, can: Capabilities) -> NewMemory:
    """Return the memory that keeps an item of a session.

    The words of the user and the assistant are found by searches. Calls, outputs and reasoning are archived if the
    service can archive.
    """
    try:
        # As text, so that every service returns an equal item.
        text = json.dumps(item, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise OneBrainValidationError(f"an item is not JSON: {type(error).__name__}") from None
    words = spoken_in(item)
    kind = item.get("type") or "message"
    return NewMemory.checked(
        # Known beforehand, so that a repeated request stores nothing twice; equal items are separate memories.
        id=encode(scope, str(uuid4()), kind="item") if can.client_ids else None,
        content=words.text if words is not None else f"({kind})",
        scope=scope,
        source="chat",
        metadata={"kind": "item", RESERVED: {"item": text}},
        archived=can.archive and words is None,
    )


def item_of(memory: Memory) -> TResponseInputItem:
    """Return the item that a memory keeps."""
    item: TResponseInputItem = json.loads(memory.metadata[RESERVED]["item"])
    return item


def spoken_in(item: TResponseInputItem, id: str | None = None) -> Spoken | None:
    """Return the words of the user or the assistant in an item; None if it holds none."""
    fields = cast("Mapping[str, Any]", item)
    role: Any = fields.get("role")
    if fields.get("type", "message") != "message" or role not in _SPEAKERS:
        return None
    words = said(_text(fields.get("content")))
    return Spoken(words, role, _SPEAKERS[role], id) if words else None


def last_question(items: str | Iterable[TResponseInputItem]) -> str | None:
    """Return the latest words of the user; None if there are none."""
    if isinstance(items, str):
        return said(items) or None
    spoken = [words for item in items if (words := spoken_in(item)) is not None and words.role == "user"]
    return spoken[-1].text if spoken else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("Sequence[Any]", content) if isinstance(content, Sequence) else ()
    texts = (part.get("text") for part in parts if is_object(part))
    return "\n".join(text for text in texts if isinstance(text, str))
