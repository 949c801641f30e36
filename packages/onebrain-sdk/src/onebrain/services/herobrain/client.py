"""`HeroBrain` and `AsyncHeroBrain`: HeroBrain's API, version 1, every documented endpoint."""

from __future__ import annotations

import ssl
from typing import TypeAlias, Unpack

from onebrain._core import client
from onebrain._core.steps import Async, Mode, Sync
from onebrain.services.herobrain.resources.insight import Intelligence, Usage
from onebrain.services.herobrain.resources.keys import ApiKeys
from onebrain.services.herobrain.resources.memories import Memories
from onebrain.services.herobrain.resources.webhooks import Webhooks
from onebrain.services.herobrain.service import HeroBrainService, make_service

Verify: TypeAlias = bool | str | ssl.SSLContext
Cert: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


class Client(client.Client[Mode, HeroBrainService]):
    """HeroBrain's resources, without colour.

    Attributes:
        memories: Create, read, list, update, delete and search memories.
        api_keys: Make, list and revoke keys.
        webhooks: Be told when something happens.
        intelligence: Decision chains and patterns.
        usage: The tenant's usage of its plan.
    """

    def __init__(self, mode: Mode, service: HeroBrainService) -> None:
        super().__init__(mode, service)
        self.memories: Memories[Mode] = Memories(mode, service)
        self.api_keys: ApiKeys[Mode] = ApiKeys(mode, service)
        self.webhooks: Webhooks[Mode] = Webhooks(mode, service)
        self.intelligence: Intelligence[Mode] = Intelligence(mode, service)
        self.usage: Usage[Mode] = Usage(mode, service)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._service.base_url!r}, tenant_id={self.tenant_id!r})"

    @property
    def tenant_id(self) -> str | None:
        """The tenant of calls that name none."""
        return self._service.tenant_id


class HeroBrain(Client[Sync], client.Closing):
    """A client of HeroBrain; safe to share between threads.

    Args:
        api_key: A key, ``hb_...``, or a Clerk JWT; the default is ``$HEROBRAIN_API_KEY``.
        tenant_id: Whose memories; the default is ``$HEROBRAIN_TENANT_ID``. A call may name another one.
        base_url: The default is ``$HEROBRAIN_BASE_URL``, else HeroBrain's cloud.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

    Example:
        >>> with HeroBrain(api_key="hb_your_api_key_here", tenant_id="user_12345") as hb:
        ...     hb.tenant_id
        'user_12345'
    """

    def __init__(
        self,
        api_key: str | None = None,
        tenant_id: str | None = None,
        *,
        base_url: str | None = None,
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, tenant_id=tenant_id, options=options)
        super().__init__(Sync(options.sync()), service)


class AsyncHeroBrain(Client[Async], client.AsyncClosing):
    """A client of HeroBrain for asynchronous code; the arguments are those of `HeroBrain`.

    Example:
        >>> import asyncio
        >>> async def main() -> str | None:
        ...     async with AsyncHeroBrain(api_key="hb_your_api_key_here", tenant_id="user_12345") as hb:
        ...         return hb.tenant_id
        >>> asyncio.run(main())
        'user_12345'
    """

    def __init__(
        self,
        api_key: str | None = None,
        tenant_id: str | None = None,
        *,
        base_url: str | None = None,
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, tenant_id=tenant_id, options=options)
        super().__init__(Async(options.asynchronous()), service)
