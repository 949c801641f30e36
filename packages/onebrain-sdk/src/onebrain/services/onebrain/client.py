"""`OneBrain` and `AsyncOneBrain`: the whole API of OneBrain, in both colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from onebrain._core.codec import UNSET
from onebrain._core.endpoint import endpoint
from onebrain._core.retry import RetryPolicy
from onebrain._core.service import GET, Spec
from onebrain._core.steps import Async, Coloured, Mode, Steps, Sync
from onebrain._core.transport import HttpOptions, Library, async_transport, sync_transport
from onebrain._core.wire import read
from onebrain.errors import OneBrainValidationError
from onebrain.services.onebrain.models import Health
from onebrain.services.onebrain.resources.agents import Agents
from onebrain.services.onebrain.resources.api_keys import ApiKeys
from onebrain.services.onebrain.resources.auth import Account, Auth
from onebrain.services.onebrain.resources.billing import Billing
from onebrain.services.onebrain.resources.briefing import Briefings
from onebrain.services.onebrain.resources.connect import Connect
from onebrain.services.onebrain.resources.context import Brain, Contexts
from onebrain.services.onebrain.resources.entity import Entities
from onebrain.services.onebrain.resources.export import Export
from onebrain.services.onebrain.resources.memory import Memories
from onebrain.services.onebrain.resources.merge import Merge
from onebrain.services.onebrain.resources.project import Projects
from onebrain.services.onebrain.resources.skill import Skills
from onebrain.services.onebrain.resources.tags import Tags
from onebrain.services.onebrain.service import OneBrainService, Region, enveloped

if TYPE_CHECKING:
    import aiohttp
    import httpx


class Client(Coloured[Mode]):
    """OneBrain's API without colour.

    Attributes:
        memory: Store, read, change, search, extract and import memories.
        entity: The people, organizations and things that memories are about.
        project: Workspaces that group memories.
        brain: The profile, and contexts for prompts.
        context: Contexts by scope.
        connect: How agents read, write and stay in step.
        billing: The plan and what is used of it.
        api_keys: API keys.
        skill: Reusable skills.
        briefing: Briefings.
        tags: The account's tags.
        agents: What each API key did, and the review of what it wrote.
        merge: Housekeeping, in versions.
        export: Exports of the whole brain.
        auth: Registration and login.
        account: The account's own small things.
    """

    def __init__(self, mode: Mode, service: OneBrainService) -> None:
        super().__init__(mode)
        self._service = service
        self.memory = Memories(mode, service)
        self.entity = Entities(mode, service)
        self.project = Projects(mode, service)
        self.brain = Brain(mode, service)
        self.context = Contexts(mode, service)
        self.connect = Connect(mode, service)
        self.billing = Billing(mode, service)
        self.api_keys = ApiKeys(mode, service)
        self.skill = Skills(mode, service)
        self.briefing = Briefings(mode, service)
        self.tags = Tags(mode, service)
        self.agents = Agents(mode, service)
        self.merge = Merge(mode, service)
        self.export = Export(mode, service)
        self.auth = Auth(mode, service)
        self.account = Account(mode, service)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    # A client is a connection: copies share it, and it does not travel in a pickle, for it holds the key.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled: it holds a key; make it anew where it is needed")

    @property
    def base_url(self) -> str:
        """What stands in front of ``/v1/...``."""
        return self._service.base_url

    @endpoint
    def health(self) -> Steps[Health]:
        """Return whether the server is well; needs no key."""
        reply = yield from self._service.ask(GET("/health"))
        return read(Health, enveloped(self._service, reply), service="onebrain")

    @endpoint
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        headers: Mapping[str, str] | None = None,
    ) -> Steps[Any]:
        """Make a call that has no method here yet, and return the whole decoded answer, None for an empty one.

        Key, retries and errors are those of every other call; it is repeated after failures only where `method` is GET,
        PUT or DELETE.

        Args:
            method: The HTTP method.
            path: The path from ``/v1`` on, percent-encoded.
            query: Query parameters.
            json: The JSON body; no body where left out.
            headers: Further headers.
        """
        if not path.startswith("/"):
            raise OneBrainValidationError("path: must begin with a slash, as in '/v1/memory'")
        spec = Spec(method.upper(), path, query=dict(query or {}), body=json, headers=dict(headers or {}))
        reply = yield from self._service.ask(spec)
        return reply.data


class OneBrain(Client[Sync]):
    """A client of OneBrain, hosted or self-hosted; safe to share between threads.

    Args:
        api_key: The key; ``$ONEBRAIN_API_KEY`` where left out.
        base_url: Where the API is, with or without its ``/v1``; ``$ONEBRAIN_BASE_URL``, else the EU region.
        region: ``eu`` or ``us`` (also called ``global``) of the hosted service, instead of `base_url`.
        timeout: Seconds for connecting, and again for each read or write; None for no limit.
        max_retries: Further attempts after a failure that is worth one.
        headers: Sent with every request.
        access_token: The access token of a login, instead of a key.
        anonymous: No key at all, for `auth` and the public calls.
        http: CA, client certificate and proxy.
        http_client: An `httpx.Client` of your own; it stays open when this client is closed.
        retry: The whole retry policy, instead of `max_retries`.

    Example:
        >>> client = OneBrain(api_key="ob_0123456789abcdef:secret", base_url="https://brain.example/api/v1")
        >>> client
        OneBrain(base_url='https://brain.example/api')
        >>> client.close()
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        region: Region | None = None,
        timeout: float | None = 10.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        access_token: str | None = None,
        anonymous: bool = False,
        http: HttpOptions | None = None,
        http_client: httpx.Client | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        service = OneBrainService(
            api_key=api_key,
            base_url=base_url,
            region=region,
            timeout=timeout,
            max_retries=max_retries,
            headers=headers,
            access_token=access_token,
            anonymous=anonymous,
            retry=retry,
        )
        super().__init__(Sync(sync_transport(http or HttpOptions(), http_client)), service)

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._mode.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncOneBrain(Client[Async]):
    """A client of OneBrain for asynchronous code; safe to share between the tasks of an event loop.

    The arguments are those of `OneBrain`, and `transport`: ``"aiohttp"`` is several times faster with many calls at once
    and needs ``onebrain-sdk[aiohttp]``; `http_client` takes an `httpx.AsyncClient` or an `aiohttp.ClientSession`.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     async with AsyncOneBrain(api_key="ob_0123456789abcdef:secret", region="us") as client:
        ...         return client.base_url
        >>> asyncio.run(main())
        'https://onebrain.rocks/api/us'
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        region: Region | None = None,
        timeout: float | None = 10.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        access_token: str | None = None,
        anonymous: bool = False,
        http: HttpOptions | None = None,
        http_client: httpx.AsyncClient | aiohttp.ClientSession | None = None,
        transport: Library | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        service = OneBrainService(
            api_key=api_key,
            base_url=base_url,
            region=region,
            timeout=timeout,
            max_retries=max_retries,
            headers=headers,
            access_token=access_token,
            anonymous=anonymous,
            retry=retry,
        )
        super().__init__(Async(async_transport(http or HttpOptions(), http_client, transport)), service)

    async def close(self) -> None:
        """Close the connections of the running event loop; a second call does nothing."""
        await self._mode.close()

    async def aclose(self) -> None:
        """Close the connections: `close` by its name in version 1, and in httpx."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
