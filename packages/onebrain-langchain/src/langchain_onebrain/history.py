"""`OneBrainChatMessageHistory` with the arguments of onebrain-langchain 0.1."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from onebrain import Memory
from onebrain.frameworks.connection import Method
from onebrain.frameworks.plans import Plan, ask
from onebrain_langchain.history import OneBrainChatMessageHistory as History


class OneBrainChatMessageHistory(History):
    """A chat history whose first argument is the key, as in version 0.1.

    `clear` archives the messages, as it did there. They are not in `messages` any more; a search that asks for archived
    memories finds them.

    Args:
        api_key: The service's key.
        session_id: The conversation.
        base_url: OneBrain's address.
        options: The further arguments of `onebrain_langchain.OneBrainChatMessageHistory`.

    Example:
        >>> history = OneBrainChatMessageHistory(session_id="s1", url="sqlite://")
        >>> history.add_user_message("I like window seats.")
        >>> [message.content for message in history.messages]
        ['I like window seats.']
        >>> history.clear()
        >>> history.messages
        []
        >>> history.close()
    """

    def __init__(
        self,
        api_key: SecretStr | str | None = None,
        session_id: str = "default",
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(session_id, api_key=api_key, base_url=base_url, **options)

    def _archive(self) -> Plan[None]:
        """Archive all messages of the conversation."""
        memories: list[Memory] = yield ask("list", **self._listing())
        for memory in memories:
            yield ask("update", memory.id, scope=self.scope, archived=True)

    clear = Method(_archive).sync
    aclear = Method(_archive).asynchronous
