"""`OneBrainSession`: the conversation of an agent, kept in a brain."""

from __future__ import annotations

from typing import Any, Unpack

from agents import RunContextWrapper, TResponseInputItem
from agents.memory import SessionSettings

from onebrain import ConfigurationError, F, Memory, OneBrainValidationError, Scope
from onebrain.frameworks.connection import as_scope
from onebrain.frameworks.plans import Plan, ask, to_the_end
from onebrain.frameworks.scope import Scoped, ScopedOptions
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.ids import Id
from onebrain_openai_agents.items import context_of, item_of, memory_of

_ITEMS = F("kind").eq("item")


class OneBrainSession(Scoped):
    """Keeps the items of one conversation: each comes back equal, in the order in which it was added.

    The items are memories of the session in the scope, so the words of the user and the assistant are found by recall
    and tools in other sessions. Tool calls, their outputs and reasoning are kept out of searches. Items that are added
    together are stored together or not at all if the service's batches are atomic, and a run that is cancelled tears no
    write. Removing items removes no other memories.

    Args:
        session_id: The conversation: a string, a whole number or a UUID.
        session_settings: The SDK's settings of a session, such as a limit.
        options: ``brain``, ``url``, ``api_key``, ``base_url``, ``scope`` and ``scope_from``, as for
            `onebrain.frameworks.scope.Scoped`: ``scope_from={"user": "user_id"}`` takes the user from ``user_id`` in
            the run's context.

    Example:
        >>> import asyncio, onebrain
        >>> async def main() -> list[str]:
        ...     brain = onebrain.connect("sqlite://")
        ...     session = OneBrainSession("monday", brain=brain, scope={"user": "maria"})
        ...     await session.add_items([{"role": "user", "content": "I like window seats"}])
        ...     return [item["content"] for item in await session.get_items()]
        >>> asyncio.run(main())
        ['I like window seats']
    """

    session_id: str
    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: Id,
        *,
        session_settings: SessionSettings | None = None,
        **options: Unpack[ScopedOptions],
    ) -> None:
        own, given = Scope(session=session_id), as_scope(options.get("scope"))
        if own.session is None or given.session not in (None, own.session):
            raise ConfigurationError("session_id: must name the conversation, and scope.session no other one")
        options["scope"] = own.within(given)
        super().__init__(**options)
        self.session_id = own.session
        self.session_settings = session_settings

    # The SDK passes `wrapper` because all four methods have a parameter of this name.

    async def get_items(
        self, limit: int | None = None, *, wrapper: RunContextWrapper[Any] | None = None
    ) -> list[TResponseInputItem]:
        """Return the newest `limit` items in order, oldest first; the default is the limit of the settings, or all."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await self.arun(self._read(self._own(wrapper), limit))

    async def add_items(
        self, items: list[TResponseInputItem], *, wrapper: RunContextWrapper[Any] | None = None
    ) -> None:
        """Add items at the end, together.

        Raises:
            OneBrainValidationError: An item is not JSON; none was stored.
        """
        await to_the_end(self.arun(self._add(items, self._own(wrapper))))

    async def pop_item(self, *, wrapper: RunContextWrapper[Any] | None = None) -> TResponseInputItem | None:
        """Remove the newest item and return it; None if there is none. Two callers never get the same item."""
        return await to_the_end(self.arun(self._pop(self._own(wrapper))))

    async def clear_session(self, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Remove all items of the conversation, and no other memories."""
        await to_the_end(self.arun(self._clear(self._own(wrapper))))

    def _own(self, wrapper: RunContextWrapper[Any] | None) -> Scope:
        # A function of the context may name another session; the conversation is this one.
        return Scope(session=self.session_id).within(self.scope_of(context_of(wrapper)))

    def _read(self, scope: Scope, limit: int | None) -> Plan[list[TResponseInputItem]]:
        if limit is not None and limit <= 0:
            yield from ()
            return []
        newest_first = limit is not None
        found: list[Memory] = yield ask(
            "list",
            scope=scope,
            filter=_ITEMS,
            order="-sequence" if newest_first else "sequence",
            limit=limit,
            include_archived=True,
        )
        return [item_of(memory) for memory in (reversed(found) if newest_first else found)]

    def _add(self, items: list[TResponseInputItem], scope: Scope) -> Plan[None]:
        if not isinstance(items, list):
            raise OneBrainValidationError(f"items: must be a list, not {type(items).__name__}")
        can: Capabilities = yield ask("capabilities")
        memories = [memory_of(item, scope, can) for item in items]
        if memories:
            yield ask("store_many", memories, wait=True, atomic=True)

    def _pop(self, scope: Scope) -> Plan[TResponseInputItem | None]:
        while True:
            found: list[Memory] = yield ask(
                "list", scope=scope, filter=_ITEMS, order="-sequence", limit=1, include_archived=True
            )
            if not found:
                return None
            if (yield ask("delete", found[0].id, scope=scope)):
                return item_of(found[0])

    def _clear(self, scope: Scope) -> Plan[None]:
        yield ask("forget", filter=_ITEMS, scope=scope)
