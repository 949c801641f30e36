"""`OneBrainMemory`: the whole memory of an agent or chat engine, short-term and long-term, in one brain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms.llm import LLM
from llama_index.core.memory.types import BaseMemory
from pydantic import BeforeValidator, Field, PrivateAttr

from onebrain import Context, F, OneBrainValidationError
from onebrain.frameworks.connection import Method, refuse
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.context import estimate_tokens
from onebrain.memory.filters import every
from onebrain.memory.ids import as_id
from onebrain.memory.window import window
from onebrain_llamaindex.chat_log import ChatLog, Entry
from onebrain_llamaindex.chat_store import chat_scope
from onebrain_llamaindex.connection import Connected
from onebrain_llamaindex.filters import translate
from onebrain_llamaindex.messages import RECALLED, in_conversation, text_of

# The share of a model's context window, as in the framework's own buffer.
_CONTEXT_SHARE = 0.75


class OneBrainMemory(Connected, BaseMemory):
    """Keeps every message of a conversation for good, and recalls memories for the next one.

    ``get`` returns the newest messages that fit `token_limit` and `max_messages`, and in front of them one system
    message with the memories that are recalled for the input: from earlier in this conversation, from other sessions of
    the scope, and from whatever else is stored there. That message is for the model: it is never stored. The history
    begins with a user's message, or with the conversation, and holds no tool's answer without its call and no call that
    lacks an answer; the last turn is whole whatever the limits say.

    ``reset`` empties this conversation and nothing else.

    Attributes:
        scope: Whose memory: recalls come from the whole scope. Chats lie in its space, by default "llamaindex-chats".
        session_id: The conversation; a new one by default. Give the same id to go on with it later.
        token_limit: How long the returned history may be.
        max_messages: How many messages of history to return, at most.
        recall_tokens: How long the recalled text may be; 0 recalls nothing.
        recall_limit: How many memories to consider at most.
        min_score: Only memories with at least this score, 0..1.
        min_confidence: Recall nothing but pinned memories if the answer is less likely than this to be among them, 0..1. None
            is the default of `Brain.context`; 0 turns it off.
        filters: Which memories count: `MetadataFilters`, a brain's filter, or a Mongo-style dict.
        count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.

    Example:
        >>> import onebrain
        >>> from llama_index.core.llms import ChatMessage
        >>> brain = onebrain.connect("sqlite://")
        >>> monday = OneBrainMemory(brain=brain, scope={"user": "maria"}, session_id="monday")
        >>> monday.put(ChatMessage("I always take the window seat"))
        >>> tuesday = OneBrainMemory(brain=brain, scope={"user": "maria"}, session_id="tuesday")
        >>> "I always take the window seat" in tuesday.get("Which seat should I book?")[0].content
        True
        >>> tuesday.get_all()
        []
        >>> brain.close()
    """

    session_id: Annotated[str, BeforeValidator(as_id)] = Field(
        default_factory=lambda: str(uuid4()), min_length=1
    )
    token_limit: int = Field(default=30000, ge=1, strict=True)
    max_messages: int = Field(default=500, ge=1, strict=True)
    recall_tokens: int = Field(default=1000, ge=0, strict=True)
    recall_limit: int = Field(default=20, ge=0, strict=True)
    min_score: float = Field(default=0.0, ge=0, le=1, strict=True)
    min_confidence: float | None = Field(default=None, ge=0, le=1, strict=True)
    filters: Any = Field(default=None, exclude=True)
    count_tokens: Callable[[str], int] | None = Field(default=None, exclude=True)

    _log: ChatLog = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle where the chat lies, and check the filters; open nothing."""
        super().model_post_init(context)
        translate(self.filters)
        self._log = ChatLog(chat_scope(self.scope))

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "OneBrainMemory"

    @classmethod
    def from_defaults(
        cls, chat_history: Sequence[ChatMessage] | None = None, llm: LLM | None = None, **kwargs: Any
    ) -> Self:
        """Return a memory with the fields `kwargs`; `llm` sets the token limit, `chat_history` replaces the messages."""
        # The framework's buffer takes its default then.
        if kwargs.get("token_limit", ...) is None:
            del kwargs["token_limit"]
        if llm is not None:
            kwargs.setdefault("token_limit", int(llm.metadata.context_window * _CONTEXT_SHARE))
        memory = cls(**kwargs)
        if chat_history is not None:
            memory.set(list(chat_history))
        return memory

    def _recall_and_read(
        self, input: str | ChatMessage | None = None, initial_token_count: int = 0, **kwargs: Any
    ) -> Plan[list[ChatMessage]]:
        """Return the messages for the model: the memories that are recalled for `input`, then the newest messages.

        Args:
            input: The next user message; the default is the newest one of the conversation.
            initial_token_count: The tokens of the limit that are taken already, such as by a system prompt.
            kwargs: None; an unknown keyword raises.

        Raises:
            OneBrainValidationError: `initial_token_count` is more than the token limit.
        """
        refuse(self, kwargs)
        if initial_token_count > self.token_limit:
            raise OneBrainValidationError(
                f"initial_token_count: is {initial_token_count}, more than the token limit of {self.token_limit}"
            )
        shown = yield from self._window(self.token_limit - initial_token_count)
        history = [message for _, message in shown]
        query = text_of(input) if isinstance(input, ChatMessage) else input
        if query is None:
            query = next((text_of(said) for said in reversed(history) if said.role is MessageRole.USER), None)
        if query is None or not self.recall_tokens:
            return history
        known = [id for entry, _ in shown for id in entry.ids]
        found: Context = yield ask(
            "context",
            query,
            scope=self.scope,
            max_tokens=self.recall_tokens,
            limit=self.recall_limit,
            min_score=self.min_score,
            min_confidence=self.min_confidence,
            filter=every(translate(self.filters), F.id.not_in(known)),
            count_tokens=self.count_tokens,
        )
        if not found.text:
            return history
        recalled = ChatMessage(found.text, role=MessageRole.SYSTEM, additional_kwargs={RECALLED: True})
        return [recalled, *history]

    def _get_all(self) -> Plan[list[ChatMessage]]:
        """Return every message of the conversation."""
        return _messages((yield from self._log.read(self.session_id)))

    def _put(self, message: ChatMessage) -> Plan[None]:
        """Append a message to the conversation."""
        return self._log.add(self.session_id, [message])

    def _put_messages(self, messages: list[ChatMessage]) -> Plan[None]:
        """Append messages to the conversation, all of them or, if one is not valid, none."""
        return self._log.add(self.session_id, messages)

    def _set(self, messages: list[ChatMessage]) -> Plan[None]:
        """Replace the conversation."""
        return self._log.set(self.session_id, messages)

    def _reset(self) -> Plan[None]:
        """Remove the messages of this conversation; other sessions and memories stay."""
        yield from self._log.clear(self.session_id)

    get = Method(_recall_and_read).sync
    aget = Method(_recall_and_read).asynchronous
    get_all = Method(_get_all).sync
    aget_all = Method(_get_all).asynchronous
    put = Method(_put).sync
    aput = Method(_put).asynchronous
    put_messages = Method(_put_messages).sync
    aput_messages = Method(_put_messages).asynchronous
    set = Method(_set).sync
    aset = Method(_set).asynchronous
    reset = Method(_reset).sync
    areset = Method(_reset).asynchronous

    def _window(self, max_tokens: int) -> Plan[list[tuple[Entry, ChatMessage]]]:
        """Return the newest messages that fit the limits; the last turn in any case, however far back it begins."""
        newest = self.max_messages
        while True:
            entries, complete = yield from self._log.tail(self.session_id, newest)
            messages = _messages(entries)
            kept = window(
                in_conversation(messages, [self._tokens(message) for message in messages]),
                max_messages=self.max_messages,
                max_tokens=max_tokens,
                complete=complete,
                whole_last_turn=True,
            )
            if kept or complete:
                return [(entries[position], messages[position]) for position in kept]
            newest *= 4

    def _tokens(self, message: ChatMessage) -> int:
        count = self.count_tokens or estimate_tokens
        return sum(count(block.model_dump_json()) for block in message.blocks)


def _messages(entries: Sequence[Entry]) -> list[ChatMessage]:
    return [entry.message for entry in entries]
