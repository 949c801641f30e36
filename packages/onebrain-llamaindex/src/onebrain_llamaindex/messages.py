"""Chat messages of LlamaIndex as memories, and back."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from onebrain import Memory
from onebrain.memory.fence import unfence
from onebrain_llamaindex.filters import RESERVED

# Marks a message that holds recalled memories: it is for the model, and never stored again.
RECALLED = "onebrain_recalled"
# What is worth recalling later: the words of people and of the assistant, not instructions, not tools' output.
SPOKEN = frozenset({MessageRole.USER, MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL})


def is_recalled(message: ChatMessage) -> bool:
    """Return whether `message` was made of memories, and so must not become one."""
    if message.additional_kwargs.get(RECALLED):
        return True
    # Without the mark, which other code may drop, such a message holds nothing but fenced text.
    text = (message.content or "").strip() if message.role is MessageRole.SYSTEM else ""
    return bool(text) and not unfence(text)


def is_spoken(message: ChatMessage) -> bool:
    """Return whether `message` is something that a person or the assistant said in words."""
    return message.role in SPOKEN and bool((message.content or "").strip()) and not is_recalled(message)


def text_of(message: ChatMessage) -> str:
    """Return the words of `message`, or what stands for it where it has none."""
    text = message.content or ""
    if text.strip():
        return text
    kinds = ", ".join(dict.fromkeys(block.block_type for block in message.blocks)) or "empty"
    return f"[{message.role.value}: {kinds}]"


def dump(message: ChatMessage) -> dict[str, Any]:
    """Return the whole of `message` as JSON."""
    data: dict[str, Any] = message.model_dump(mode="json")
    # Images given in this old way are among the blocks already; reading them back would add them once more.
    data["additional_kwargs"].pop("images", None)
    return data


def load(memory: Memory) -> ChatMessage:
    """Return the message that was stored as `memory`."""
    return ChatMessage.model_validate(memory.metadata[RESERVED]["message"])


def message_id(message: ChatMessage) -> str | None:
    """Return the id that the caller gave `message` as ``additional_kwargs["message_id"]``, if there is one."""
    id = message.additional_kwargs.get("message_id")
    return None if id is None else str(id)
