"""`OneBrain` and `AsyncOneBrain`: the whole API of OneBrain, in both colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from onebrain._core import client
from onebrain._core.codec import UNSET
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, Spec
from onebrain._core.steps import Async, Mode, Steps, Sync
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


class Client(client.Client[Mode, OneBrainService]):
    """OneBrain's API without colour.

    Attributes:
        memory: Store, read, change, search, extract and import memories.
        entity: The people, organizations and things that memories are about.
        project: Workspaces that group memories.
        brain: The profile, and contexts for prompts.
        context: Contexts by scope.
        connect: How agents read, write and stay in step.
        billing: The plan and its usage.
        api_keys: API keys.
        skill: Reusable skills.
        briefing: Briefings.
        tags: The account's tags.
        agents: The actions of each API key, and the review of its memories.
        merge: Housekeeping, in versions.
        export: Exports of the whole brain.
        auth: Registration and login.
        account: The account's own small things.
    """

    def __init__(self, mode: Mode, service: OneBrainService) -> None:
        super().__init__(mode, service)
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


class OneBrain(Client[Sync], client.Closing):
    """A client of OneBrain, hosted or self-hosted; safe to share between threads.

    Args:
        api_key: The key; ``$ONEBRAIN_API_KEY`` where left out.
        base_url: Where the API is, with or without its ``/v1``; ``$ONEBRAIN_BASE_URL``, else the EU region.
        region: ``eu`` or ``us`` (also called ``global``) of the hosted service, instead of `base_url`.
        access_token: The access token of a login, instead of a key.
        anonymous: No key at all, for `auth` and the public calls.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

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
        access_token: str | None = None,
        anonymous: bool = False,
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = OneBrainService(
            api_key=api_key,
            base_url=base_url,
            region=region,
            access_token=access_token,
            anonymous=anonymous,
            options=options,
        )
        super().__init__(Sync(options.sync()), service)


class AsyncOneBrain(Client[Async], client.AsyncClosing):
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
        access_token: str | None = None,
        anonymous: bool = False,
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = OneBrainService(
            api_key=api_key,
            base_url=base_url,
            region=region,
            access_token=access_token,
            anonymous=anonymous,
            options=options,
        )
        super().__init__(Async(options.asynchronous()), service)
