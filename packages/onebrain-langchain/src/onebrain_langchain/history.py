"""`OneBrainChatMessageHistory`: a conversation, message by message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, RemoveMessage
from pydantic import SecretStr

from onebrain import ConfigurationError, F, Memory, NewMemory, OneBrainValidationError, Scope
from onebrain.frameworks.connection import AnyBrain, Component, Connection, Method, ScopeLike, as_scope
from onebrain.frameworks.ids import encode
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_whole
from onebrain.memory.ids import Id
from onebrain.memory.window import window
from onebrain_langchain.messages import conversation_message, from_memory, to_fields

_KIND = "message"
_MESSAGES = F("kind").eq(_KIND)


class OneBrainChatMessageHistory(Component, BaseChatMessageHistory):
    """Keeps the messages of one conversation: each comes back equal, in the order in which it was added.

    Every field is kept: ids, tool calls, content blocks, usage, ``additional_kwargs``, a tool's artifact. Chunks of a
    stream become whole messages. A message with an id is kept once: adding it again replaces it in its place, so a
    failed ``add_messages`` may be repeated. Several messages added together are stored together or not at all, up to a
    thousand and where the service can.

    The messages are memories of the session, so a retriever or an agent with the same scope can recall them.

    Args:
        session_id: The conversation: a string, a whole number or a UUID.
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose conversation, such as ``Scope(user="maria")``.
        window: The most of the latest messages to return; all are kept. Such a window is a conversation that models
            accept: it begins with a person's message, system messages before it included, or with the conversation
            itself, and holds no tool's answer without its call. A call whose answers are missing is left out, except
            at the end. It is empty if the last turn alone is longer.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> history = OneBrainChatMessageHistory("s1", brain=brain, scope=onebrain.Scope(user="maria"))
        >>> history.add_user_message("I like window seats.")
        >>> history.add_ai_message("I will remember that.")
        >>> [(message.type, message.content) for message in history.messages]
        [('human', 'I like window seats.'), ('ai', 'I will remember that.')]
        >>> brain.close()
    """

    def __init__(
        self,
        session_id: Id,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        window: int | None = None,
    ) -> None:
        given = as_scope(scope)
        own = Scope(session=session_id)
        if own.session is None:
            raise ConfigurationError("session_id: must name the conversation")
        if given.session not in (None, own.session):
            raise ConfigurationError("session_id and scope.session differ: give one of the two")
        if window is not None:
            check_whole("window", window, 1, error=ConfigurationError)
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = own.within(given)
        self._window = window

    @property
    def session_id(self) -> str:
        """The conversation."""
        return self._scope.session or ""

    @property
    def scope(self) -> Scope:
        """Where the messages are."""
        return self._scope

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # an attribute in the base, read as one
        """The messages in order, oldest first."""
        return self._connection.run(self.plan_read())

    def plan_read(self) -> Plan[list[BaseMessage]]:
        """Return the messages in order, oldest first."""
        memories: list[Memory] = yield ask("list", **self._listing())
        messages = [from_memory(memory) for memory in memories]
        if self._window is None:
            return messages
        latest = messages[: self._window][::-1]
        complete = len(messages) == len(latest)
        kept = window([conversation_message(message) for message in latest], complete=complete)
        return [latest[position] for position in kept]

    def plan_add(self, messages: Sequence[BaseMessage]) -> Plan[None]:
        """Add messages at the end, together; one whose id is there already is replaced in its place.

        Raises:
            OneBrainValidationError: A message holds something that cannot be written as JSON; none was stored.
        """
        can: Capabilities = yield ask("capabilities")
        yield ask("store_many", self._memories(messages, can.client_ids), wait=True, atomic=True)

    def plan_clear(self) -> Plan[None]:
        """Remove all messages of the conversation, and nothing else."""
        yield ask("forget", filter=_MESSAGES, scope=self._scope)

    aget_messages = Method(plan_read).asynchronous
    add_messages = Method(plan_add).sync
    aadd_messages = Method(plan_add).asynchronous
    clear = Method(plan_clear).sync
    aclear = Method(plan_clear).asynchronous

    def _listing(self) -> dict[str, Any]:
        where: dict[str, Any] = {"scope": self._scope, "filter": _MESSAGES}
        if self._window is None:
            return {**where, "order": "sequence"}
        # The message before the window tells whether the conversation begins with it.
        return {**where, "order": "-sequence", "limit": self._window + 1}

    def _memories(self, messages: Iterable[BaseMessage], client_ids: bool) -> list[NewMemory]:
        if isinstance(messages, BaseMessage):
            raise OneBrainValidationError("add_messages takes a list; use add_message for one message")
        items: list[NewMemory] = []
        for message in messages:
            # An id made here, beforehand: a request that is repeated on a bad connection stores nothing twice.
            # A RemoveMessage carries the id of another message, which it must not replace.
            kind = "removal" if isinstance(message, RemoveMessage) else _KIND
            id = encode(self._scope, message.id or str(uuid4()), kind=kind, hashed=True)
            items.append(
                NewMemory.checked(id=id if client_ids else None, scope=self._scope, **to_fields(message))
            )
        return items
