"""`AiMemoryClient` and `AsyncAiMemoryClient`: ai-memory's HTTP API, every call of its SDK, on the real daemon's wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from onebrain._core import client
from onebrain._core.endpoint import endpoint
from onebrain._core.former import former
from onebrain._core.service import GET, POST, Service, Spec
from onebrain._core.steps import Async, Mode, Steps, Sync
from onebrain.services.ai_memory.fields import object_of
from onebrain.services.ai_memory.models import Collected, Health, NamespaceCount, Stats
from onebrain.services.ai_memory.resources.agents import Agents, Messages
from onebrain.services.ai_memory.resources.links import Links
from onebrain.services.ai_memory.resources.memories import Memories
from onebrain.services.ai_memory.resources.subscriptions import Subscriptions
from onebrain.services.ai_memory.resources.transfer import Transfer
from onebrain.services.ai_memory.service import Resource, make_service


class Client(client.Client[Mode, Service], Resource[Mode]):
    """The calls of ai-memory's API, without colour.

    The names of ai-memory's own SDK, such as ``client.recall``, still work and warn with the present name.

    Attributes:
        memories: Memories.
        links: Links between memories.
        transfer: Export and import.
        subscriptions: Webhooks.
        messages: Messages between agents.
        agents: The registered agents.
    """

    def __init__(self, mode: Mode, service: Service, *, agent_id: str | None = None) -> None:
        super().__init__(mode, service)
        self.memories: Memories[Mode] = Memories(mode, service, agent_id=agent_id)
        self.links: Links[Mode] = Links(mode, service)
        self.transfer: Transfer[Mode] = Transfer(mode, service)
        self.subscriptions: Subscriptions[Mode] = Subscriptions(mode, service)
        self.messages: Messages[Mode] = Messages(mode, service)
        self.agents: Agents[Mode] = Agents(mode, service)

    @endpoint
    def health(self) -> Steps[Health]:
        """Return the state of the daemon; needs no key. A failing one raises `OneBrainInternalError` (503)."""
        return (yield from self._ask(Health, GET("/api/v1/health")))

    @endpoint
    def metrics(self) -> Steps[str]:
        """Return the daemon's metrics in Prometheus' text format."""
        reply = yield from self._service.ask(GET("/api/v1/metrics").but(expect="text"))
        text: str = reply.data or ""
        return text

    @endpoint
    def stats(self) -> Steps[Stats]:
        """Count memories, links and bytes."""
        return (yield from self._ask(Stats, GET("/api/v1/stats")))

    @endpoint
    def namespaces(self) -> Steps[Sequence[NamespaceCount]]:
        """Return the namespaces with the number of their live memories, largest first."""
        reply = yield from self._service.ask(GET("/api/v1/namespaces"))
        return self._rows(NamespaceCount, reply, "namespaces")

    @endpoint
    def gc(self) -> Steps[Collected]:
        """Remove expired memories; the daemon does so by itself every half hour."""
        return (yield from self._ask(Collected, POST("/api/v1/gc").but(safe=True)))

    @endpoint
    def cluster(self, request: Mapping[str, Any] | None = None) -> Steps[Mapping[str, Any]]:
        """Manage peers; `UnsupportedByServer` on a daemon, which has no such route."""
        reply = yield from self._service.ask(Spec("POST", "/api/v1/cluster", body=dict(request or {})))
        return object_of(reply.data)

    store = former(Memories.store, "memories")
    bulk_store = former(Memories.bulk_store, "memories")
    get = former(Memories.get, "memories")
    update = former(Memories.update, "memories")
    delete = former(Memories.delete, "memories")
    promote = former(Memories.promote, "memories")
    page = former(Memories.page, "memories")
    search = former(Memories.search, "memories")
    recall = former(Memories.recall, "memories")
    forget = former(Memories.forget, "memories")
    grant = former(Memories.grant, "memories")
    revoke = former(Memories.revoke, "memories")
    list = former(Memories.list, "memories")
    link = former(Links.create, "links")
    unlink = former(Links.delete, "links")
    get_links = former(Links.list, "links")
    export = former(Transfer.export, "transfer")
    import_ = former(Transfer.import_, "transfer")
    subscribe = former(Subscriptions.create, "subscriptions")
    unsubscribe = former(Subscriptions.delete, "subscriptions")
    notify = former(Messages.send, "messages")
    inbox = former(Messages.inbox, "messages")
    register_agent = former(Agents.register, "agents")


class AiMemoryClient(Client[Sync], client.Closing):
    """A client of an ai-memory daemon; safe to share between threads.

    Args:
        base_url: Where the daemon listens; the default is ``$AI_MEMORY_URL``, else ``http://localhost:9077``.
        api_key: Its key, where it has one; the default is ``$AI_MEMORY_API_KEY``.
        agent_id: Who you are, sent with every request; a claim that the daemon takes as it is.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

    Example:
        >>> with AiMemoryClient(base_url="http://localhost:9077") as client:
        ...     client
        AiMemoryClient(base_url='http://localhost:9077')
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        agent_id: str | None = None,
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, agent_id=agent_id, options=options)
        super().__init__(Sync(options.sync()), service, agent_id=agent_id)


class AsyncAiMemoryClient(Client[Async], client.AsyncClosing):
    """A client of an ai-memory daemon for asynchronous code; the arguments are those of `AiMemoryClient`.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with AsyncAiMemoryClient(base_url="http://localhost:9077") as client:
        ...         print(client)
        >>> asyncio.run(main())
        AsyncAiMemoryClient(base_url='http://localhost:9077')
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        agent_id: str | None = None,
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, agent_id=agent_id, options=options)
        super().__init__(Async(options.asynchronous()), service, agent_id=agent_id)


__all__ = ["AiMemoryClient", "AsyncAiMemoryClient", "Client"]
