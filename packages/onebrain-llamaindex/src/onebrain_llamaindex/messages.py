"""Chat messages of LlamaIndex as memories, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock

from onebrain import Memory
from onebrain.frameworks.values import is_object
from onebrain.memory.fence import unfence
from onebrain.memory.window import ConversationMessage, Role
from onebrain_llamaindex.filters import RESERVED

# Marks a message that holds recalled memories: it is for the model, and never stored again.
RECALLED = "onebrain_recalled"
# Roles whose words are worth recalling later; instructions and the output of tools are not.
SPOKEN = frozenset({MessageRole.USER, MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL})

_ROLES: Final[Mapping[MessageRole, Role]] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}


def in_conversation(messages: Sequence[ChatMessage], tokens: Sequence[int]) -> list[ConversationMessage]:
    """Return the parts of `messages`, which cost `tokens` each, that decide where a conversation may be cut."""
    found: list[ConversationMessage] = []
    # The number of answers without an id directly behind the message.
    unnamed = 0
    for message, cost in zip(reversed(messages), reversed(tokens), strict=True):
        role: Role = _ROLES.get(message.role, "user")
        answers = message.additional_kwargs.get("tool_call_id") if role == "tool" else None
        calls = _calls(message) if role == "assistant" else ()
        if role == "assistant" and not calls:
            # Some models' packages show no calls, and their tools' answers name none.
            calls = (None,) * unnamed
        unnamed = unnamed + 1 if role == "tool" and answers is None else 0
        found.append(ConversationMessage(role, calls, None if answers is None else str(answers), tokens=cost))
    return found[::-1]


def _calls(message: ChatMessage) -> tuple[str | None, ...]:
    """Return the ids of the tool calls in `message`: models give them as blocks, or as arguments of their own."""
    blocks = [block.tool_call_id for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return tuple(blocks)
    given: Any = message.additional_kwargs.get("tool_calls")
    if not given:
        return (None,) if message.additional_kwargs.get("function_call") else ()
    ids = [_id_of(call) for call in cast("Sequence[Any]", given)]
    return tuple(None if id is None else str(id) for id in ids)


def _id_of(call: Any) -> Any:
    if is_object(call):
        return call.get("id")
    return getattr(call, "id", None)


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
    """Return the words of `message`, or its role and kinds of blocks in brackets if it has none."""
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
