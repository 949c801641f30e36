"""The chat stores: `OneBrainChatStore` for chat engines, `AsyncOneBrainChatStore` for `Memory`.

The framework has two interfaces whose methods have the same names and different colours, so there are two classes.
They keep the same chats: a chat that one stores under a key is read by the other.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus
from pydantic import PrivateAttr

from onebrain import ConfigurationError, OneBrainValidationError, Scope
from onebrain.frameworks.connection import Method, in_space
from onebrain.frameworks.plans import Plan
from onebrain_llamaindex.chat_log import ACTIVE, ChatLog, Entry
from onebrain_llamaindex.connection import Connected

DEFAULT_SPACE = "llamaindex-chats"


def chat_scope(scope: Scope) -> Scope:
    """Return the scope of chats for a component's `scope`."""
    if scope.session is not None:
        raise ConfigurationError("scope.session: a chat's key is its session; leave it out of the scope")
    return in_space(scope, None, DEFAULT_SPACE)


class OneBrainChatStore(Connected, BaseChatStore):
    """Keeps chats in a brain, message for message, for `ChatMemoryBuffer` and the chat engines.

    Messages come back whole, every kind of block included, in the order in which they were added. Replacing a chat
    never leaves it empty or half done: readers see the old messages or the new ones. A message whose
    ``additional_kwargs["message_id"]`` is in the chat already replaces that one instead of coming twice.

    The words of people and of the assistant are found by searches of the brain; system messages and the
    output of tools are kept out of them if the service can archive.

    Attributes:
        scope: Whose chats, and where; the default space is "llamaindex-chats", and the key of a chat is its session.

    Example:
        >>> from llama_index.core.llms import ChatMessage
        >>> store = OneBrainChatStore(url="sqlite://")
        >>> store.add_message("monday", ChatMessage("I like window seats"))
        >>> store.set_messages("tuesday", [ChatMessage("Hello"), ChatMessage("Hi!", role="assistant")])
        >>> [message.content for message in store.get_messages("tuesday")]
        ['Hello', 'Hi!']
        >>> store.get_keys()
        ['monday', 'tuesday']
        >>> store.close()
    """

    _log: ChatLog = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle the space; open nothing."""
        super().model_post_init(context)
        self.scope = chat_scope(self.scope)
        self._log = ChatLog(self.scope)

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "OneBrainChatStore"

    def _set_messages(self, key: str, messages: list[ChatMessage]) -> Plan[None]:
        """Replace a chat by `messages`."""
        return self._log.set(key, messages)

    def _get_messages(self, key: str) -> Plan[list[ChatMessage]]:
        """Return a chat's messages in order; none for an unknown chat."""
        return _messages((yield from self._log.read(key)))

    def _add_message(self, key: str, message: ChatMessage, idx: int | None = None) -> Plan[None]:
        """Append a message to a chat, or insert it before the one at position `idx`, counted as in a list."""
        return self._log.add(key, [message]) if idx is None else self._log.insert(key, message, idx)

    def _delete_messages(self, key: str) -> Plan[list[ChatMessage] | None]:
        """Remove a chat and return its messages; None for an unknown chat."""
        there = yield from self._log.exists(key)
        entries = yield from self._log.clear(key)
        return _messages(entries) if there else None

    def _delete_message(self, key: str, idx: int) -> Plan[ChatMessage | None]:
        """Remove the message at position `idx`, from the end if negative, and return it; None if there is none."""
        return remove_at(self._log, key, idx)

    def _delete_last_message(self, key: str) -> Plan[ChatMessage | None]:
        """Remove the newest message and return it; None for an empty chat."""
        return remove_at(self._log, key, -1)

    def _get_keys(self) -> Plan[list[str]]:
        """Return the keys of all chats, oldest first."""
        return self._log.keys()

    set_messages = Method(_set_messages).sync
    aset_messages = Method(_set_messages).asynchronous
    get_messages = Method(_get_messages).sync
    aget_messages = Method(_get_messages).asynchronous
    add_message = Method(_add_message).sync
    async_add_message = Method(_add_message).asynchronous
    delete_messages = Method(_delete_messages).sync
    adelete_messages = Method(_delete_messages).asynchronous
    delete_message = Method(_delete_message).sync
    adelete_message = Method(_delete_message).asynchronous
    delete_last_message = Method(_delete_last_message).sync
    adelete_last_message = Method(_delete_last_message).asynchronous
    get_keys = Method(_get_keys).sync
    aget_keys = Method(_get_keys).asynchronous


class AsyncOneBrainChatStore(Connected, AsyncDBChatStore):
    """Keeps the short-term messages of `Memory` in a brain, so that a conversation survives the process.

    Messages that `Memory` flushes stay here as archived, and can be read with ``status=None``.

    Attributes:
        scope: Whose chats, and where; the default space is "llamaindex-chats", and the key of a chat is its session.

    Example:
        >>> import asyncio
        >>> from llama_index.core.llms import ChatMessage
        >>> from llama_index.core.memory import Memory
        >>> async def main() -> list[str]:
        ...     store = AsyncOneBrainChatStore(url="sqlite://")
        ...     memory = Memory.from_defaults(session_id="monday", chat_store=store)
        ...     await memory.aput(ChatMessage("I like window seats"))
        ...     found = [message.content for message in await memory.aget()]
        ...     await store.aclose()
        ...     return found
        >>> asyncio.run(main())
        ['I like window seats']
    """

    _log: ChatLog = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Settle the space; open nothing."""
        super().model_post_init(context)
        self.scope = chat_scope(self.scope)
        self._log = ChatLog(self.scope)

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "AsyncOneBrainChatStore"

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return a chat's messages of one status, or of both with None, in order."""
        for name, number in (("limit", limit), ("offset", offset)):
            if number is not None and number < 0:
                raise OneBrainValidationError(f"{name}: must not be negative")
        entries = await self._connection.arun(self._log.read(key, _status(status)))
        start = offset or 0
        return _messages(entries[start : None if limit is None else start + limit])

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """Return how many messages of one status, or of both with None, a chat has."""
        return len(await self._connection.arun(self._log.read(key, _status(status))))

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append a message to a chat."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append messages to a chat."""
        await self._connection.arun(self._log.add(key, messages, status.value))

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Replace a chat, archived messages included, by `messages`."""
        await self._connection.arun(self._log.set(key, messages, status.value))

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Remove the active message at position `idx`, from the end if negative, and return it; None if there is none."""
        return await self._connection.arun(remove_at(self._log, key, idx, ACTIVE))

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Remove a chat, or its messages of one status."""
        await self._connection.arun(self._log.clear(key, _status(status)))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Remove the oldest `n` active messages and return them."""
        return _messages(await self._connection.arun(self._delete_oldest(key, n)))

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Mark the oldest `n` active messages as archived and return them."""
        return _messages(await self._connection.arun(self._log.archive(key, n)))

    async def get_keys(self) -> list[str]:
        """Return the keys of all chats, oldest first."""
        return await self._connection.arun(self._log.keys())

    def _delete_oldest(self, key: str, n: int) -> Plan[list[Entry]]:
        oldest = (yield from self._log.read(key, ACTIVE))[: max(0, n)]
        removed: list[Entry] = []
        # One by one, so that two callers never get the same message.
        for entry in oldest:
            if (yield from self._log.remove(key, entry)):
                removed.append(entry)
        return removed


def remove_at(log: ChatLog, key: str, position: int, status: str | None = None) -> Plan[ChatMessage | None]:
    """Remove the message at `position` and return it; of two callers that want the same one, the second gets the next."""
    while True:
        entries = yield from log.read(key, status)
        if not -len(entries) <= position < len(entries):
            return None
        if (yield from log.remove(key, entries[position])):
            return entries[position].message


def _messages(entries: list[Entry]) -> list[ChatMessage]:
    return [entry.message for entry in entries]


def _status(status: MessageStatus | None) -> str | None:
    return None if status is None else MessageStatus(status).value
