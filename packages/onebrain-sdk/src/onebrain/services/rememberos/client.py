"""`RememberOS` and `AsyncRememberOS`: every endpoint of RememberOS, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack, get_args

from pydantic import SecretStr

from onebrain._core import client
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST, Spec
from onebrain._core.steps import Async, Mode, Steps, Sync
from onebrain._core.wire import read
from onebrain.services.rememberos.models import (
    Agent,
    ChatCompletion,
    Health,
    SearchMode,
    SearchResults,
    ServiceStatus,
)
from onebrain.services.rememberos.resources.account import AccountResource, Billing, Keys, SpendCapResource
from onebrain.services.rememberos.resources.collections import CollectionGrants, Collections
from onebrain.services.rememberos.resources.connections import Connections
from onebrain.services.rememberos.resources.files import Files
from onebrain.services.rememberos.resources.graph import Graph
from onebrain.services.rememberos.resources.intelligence import Intelligence
from onebrain.services.rememberos.resources.mcp import Mcp
from onebrain.services.rememberos.resources.memories import Memories
from onebrain.services.rememberos.resources.operator import Operator
from onebrain.services.rememberos.resources.settings import Configuration, Email, Webhook
from onebrain.services.rememberos.service import (
    MAX_SEARCH,
    NAME,
    SLOW,
    RememberOSService,
    check_number,
    collection_path,
    make_service,
    wrong,
)

MODES: tuple[str, ...] = get_args(SearchMode)


class Client(client.Client[Mode, RememberOSService]):
    """Every endpoint, without colour.

    Attributes:
        collections: The collections.
        grants: Which agents may use a collection.
        memories: The memories of a collection.
        graph: Facts extracted from texts, with their jobs, and the profile.
        files: Files that become memories.
        account: The tenant, its data out and in.
        keys: API keys.
        spend_cap: The cap on the platform's language models.
        billing: Pages of the billing provider.
        email: Memories by mail.
        configuration: The tenant's own storage, database and language model.
        connections: Sources that are synced into a collection.
        intelligence: Housekeeping of a collection.
        webhook: Where events are sent.
        operator: The endpoints for operators.
        mcp: The tools for agents.
    """

    def __init__(self, mode: Mode, service: RememberOSService) -> None:
        super().__init__(mode, service)
        self.collections: Collections[Mode] = Collections(mode, service)
        self.grants: CollectionGrants[Mode] = CollectionGrants(mode, service)
        self.memories: Memories[Mode] = Memories(mode, service)
        self.graph: Graph[Mode] = Graph(mode, service)
        self.files: Files[Mode] = Files(mode, service)
        self.account: AccountResource[Mode] = AccountResource(mode, service)
        self.keys: Keys[Mode] = Keys(mode, service)
        self.spend_cap: SpendCapResource[Mode] = SpendCapResource(mode, service)
        self.billing: Billing[Mode] = Billing(mode, service)
        self.email: Email[Mode] = Email(mode, service)
        self.configuration: Configuration[Mode] = Configuration(mode, service)
        self.connections: Connections[Mode] = Connections(mode, service)
        self.intelligence: Intelligence[Mode] = Intelligence(mode, service)
        self.webhook: Webhook[Mode] = Webhook(mode, service)
        self.operator: Operator[Mode] = Operator(mode, service)
        self.mcp: Mcp[Mode] = Mcp(mode, service)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service.base_url!r})"

    @endpoint
    def search(
        self,
        query: str,
        *,
        collection: str | None = None,
        limit: int = 5,
        min_score: float = 0.3,
        mode: SearchMode = "hybrid",
        category: str | None = None,
        metadata_filter: Mapping[str, Any] | None = None,
        container_tag: str | None = None,
        rewrite: bool = False,
        rerank: bool = False,
        include_archived: bool = False,
    ) -> Steps[SearchResults]:
        """Search one collection or, without `collection`, all that the key may read.

        Superseded and expired memories are left out. `min_score` is a threshold of the vector search; the ``score``
        of a hit is another number (in hybrid mode one of rank fusion), so do not compare the two.

        Args:
            query: The question or keywords.
            collection: Where; None for everywhere.
            limit: 1..50.
            min_score: 0..1.
            mode: ``hybrid``, ``vector`` or ``text``.
            category: Only this category.
            metadata_filter: Only memories whose metadata contains this object.
            container_tag: Only this sub-namespace.
            rewrite: Have a language model expand the query.
            rerank: Have a language model rank the best hits.
            include_archived: Archived memories, too.
        """
        if not query.strip():
            raise wrong("query: must not be blank")
        check_number("limit", limit, 1, MAX_SEARCH)
        check_number("min_score", min_score, 0, 1)
        if mode not in MODES:
            raise wrong(f"mode: must be one of {', '.join(MODES)}, not {mode!r:.20}")
        where = "/v1/memory/search" if collection is None else collection_path(collection, "/search")
        spec = POST(
            where,
            query=query,
            limit=limit,
            min_score=min_score,
            mode=mode,
            category=category,
            metadata_filter=metadata_filter,
            container_tag=container_tag,
            rewrite=rewrite,
            rerank=rerank,
            include_archived=include_archived or None,
        )
        # A search changes nothing, so it may be repeated although it is a POST.
        spec = spec.but(safe=True, timeout=SLOW if rewrite or rerank else None)
        return (yield from self._service.get(SearchResults, spec))

    @endpoint
    def agents(self) -> Steps[list[Agent]]:
        """Return the tenant's agent identities, which are its keys without key material."""
        return (yield from self._service.get_rows(Agent, GET("/v1/memory/agents"), "agents"))

    @endpoint
    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str | None = None,
        collection: str | None = None,
        container_tag: str | None = None,
        memory_limit: int = 5,
        store: bool = True,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> Steps[ChatCompletion]:
        """Complete a chat with the relevant memories put before it; there is no streaming.

        Args:
            messages: The chat, as an OpenAI-compatible API takes it.
            model: A model of the host.
            collection: Whose memories to use, and where to store.
            container_tag: The sub-namespace.
            memory_limit: How many memories to use at most.
            store: Extract facts from the user's message afterwards.
            temperature: For the model.
            max_tokens: For the model.
        """
        if not messages:
            raise wrong("messages: give at least one")
        check_number("memory_limit", memory_limit, 0)
        spec = POST(
            "/v1/proxy/chat/completions",
            messages=[dict(message) for message in messages],
            model=model,
            collection=collection,
            container_tag=container_tag,
            memory_limit=memory_limit,
            store=store,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        return (yield from self._service.get(ChatCompletion, spec.but(timeout=SLOW)))

    @endpoint
    def health(self) -> Steps[Health]:
        """Return whether the service is alive. Needs no key."""
        reply = yield from self._service.public.ask(GET("/v1/memory/health"))
        return read(Health, reply.data, service=NAME)

    @endpoint
    def status(self) -> Steps[ServiceStatus]:
        """Return the public status of the service. Needs no key."""
        reply = yield from self._service.public.ask(GET("/v1/status"))
        return read(ServiceStatus, reply.data, service=NAME)

    @endpoint
    def pulse(self, path: str, *, referrer: str | None = None) -> Steps[None]:
        """Count a pageview, without cookies or personal data. Needs no key."""
        body = {"path": path} if referrer is None else {"path": path, "referrer": referrer}
        yield from self._service.public.ask(Spec("POST", "/v1/pulse", body=body, expect="bytes"))


class RememberOS(Client[Sync], client.Closing):
    """A client of RememberOS for synchronous code; it is safe to share between threads.

    Args:
        api_key: ``mv_...``; the default is ``$REMEMBEROS_API_KEY``, else ``$LONGMEM_API_KEY``.
        base_url: A host of your own; the default is ``$REMEMBEROS_BASE_URL``, else ``$LONGMEM_BASE_URL``, else the cloud.
        anonymous: Have no key, for the public endpoints only.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

    Example:
        >>> client = RememberOS(api_key="mv_example")
        >>> client
        RememberOS('https://rememberos.ai')
        >>> client.close()
    """

    def __init__(
        self,
        *,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        anonymous: bool = False,
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(
            base_url,
            api_key=api_key,
            anonymous=anonymous,
            options=options,
        )
        super().__init__(Sync(options.sync()), service)


class AsyncRememberOS(Client[Async], client.AsyncClosing):
    """A client of RememberOS for asynchronous code; its methods and arguments are those of `RememberOS`.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     async with AsyncRememberOS(api_key="mv_example") as client:
        ...         return repr(client)
        >>> asyncio.run(main())
        "AsyncRememberOS('https://rememberos.ai')"
    """

    def __init__(
        self,
        *,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        anonymous: bool = False,
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(
            base_url,
            api_key=api_key,
            anonymous=anonymous,
            options=options,
        )
        super().__init__(Async(options.asynchronous()), service)


__all__ = ["AsyncRememberOS", "Client", "RememberOS"]
