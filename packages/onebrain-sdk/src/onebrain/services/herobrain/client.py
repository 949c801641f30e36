"""`HeroBrain` and `AsyncHeroBrain`: HeroBrain's API, version 1, every documented endpoint."""

from __future__ import annotations

import os
import ssl
from typing import Any, Self, TypeAlias

from onebrain._core.credentials import credential
from onebrain._core.limits import RateLimit
from onebrain._core.retry import RetryPolicy
from onebrain._core.steps import Async, Coloured, Mode, Sync
from onebrain._core.transport import HttpOptions, async_transport, sync_transport
from onebrain.errors import OneBrainAuthenticationError
from onebrain.services.herobrain.resources.insight import Intelligence, Usage
from onebrain.services.herobrain.resources.keys import ApiKeys
from onebrain.services.herobrain.resources.memories import Memories
from onebrain.services.herobrain.resources.webhooks import Webhooks
from onebrain.services.herobrain.service import DEFAULT_URL, NAME, HeroBrainService

Verify: TypeAlias = bool | str | ssl.SSLContext
Cert: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


class Client(Coloured[Mode]):
    """HeroBrain's resources, without colour.

    Attributes:
        memories: Create, read, list, update, delete and search memories.
        api_keys: Make, list and revoke keys.
        webhooks: Be told when something happens.
        intelligence: Decision chains and patterns.
        usage: What the tenant uses of its plan.
    """

    def __init__(self, mode: Mode, service: HeroBrainService) -> None:
        super().__init__(mode)
        self._service = service
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

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit as the latest answer stated it."""
        return self._service.rate_limit


def make_service(
    api_key: str | None,
    tenant_id: str | None,
    base_url: str | None,
    timeout: float | None,
    retry: RetryPolicy | None,
) -> HeroBrainService:
    """Return what all requests share, with what is not given taken from the environment."""
    key = credential("api_key", api_key, "HEROBRAIN_API_KEY")
    if key is None:
        raise OneBrainAuthenticationError(
            "HeroBrain needs a key: pass api_key, or set HEROBRAIN_API_KEY", service=NAME
        )
    return HeroBrainService(
        base_url or os.environ.get("HEROBRAIN_BASE_URL") or DEFAULT_URL,
        api_key=key,
        tenant_id=tenant_id or os.environ.get("HEROBRAIN_TENANT_ID") or None,
        timeout=timeout,
        retry=retry,
    )


class HeroBrain(Client[Sync]):
    """A client of HeroBrain; safe to share between threads.

    Args:
        api_key: A key, ``hb_...``, or a Clerk JWT; the default is ``$HEROBRAIN_API_KEY``.
        tenant_id: Whose memories; the default is ``$HEROBRAIN_TENANT_ID``. A call may name another one.
        base_url: The default is ``$HEROBRAIN_BASE_URL``, else HeroBrain's cloud.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        retry: When to try again; the default is three times.
        verify: True for the usual authorities, False for none, a path to a CA file, or an SSL context.
        cert: A client certificate: a path, ``(certificate, key)`` or ``(certificate, key, password)``.
        http_client: Your own ``httpx.Client``, whose own options then count; it stays open.

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
        timeout: float | None = 30.0,
        retry: RetryPolicy | None = None,
        verify: Verify = True,
        cert: Cert | None = None,
        http_client: Any = None,
    ) -> None:
        transport = sync_transport(HttpOptions(verify=verify, cert=cert), http_client)
        super().__init__(Sync(transport), make_service(api_key, tenant_id, base_url, timeout, retry))

    def close(self) -> None:
        """Release the connections; a second call does nothing."""
        self._mode.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncHeroBrain(Client[Async]):
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
        timeout: float | None = 30.0,
        retry: RetryPolicy | None = None,
        verify: Verify = True,
        cert: Cert | None = None,
        http_client: Any = None,
    ) -> None:
        transport = async_transport(HttpOptions(verify=verify, cert=cert), http_client)
        super().__init__(Async(transport), make_service(api_key, tenant_id, base_url, timeout, retry))

    async def close(self) -> None:
        """Release the connections; a second call does nothing."""
        await self._mode.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
