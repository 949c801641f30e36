"""`Brrain` and `AsyncBrrain`: every endpoint of bRRAIn's Memory API, typed."""

from __future__ import annotations

import os
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from onebrain._core.credentials import credential
from onebrain._core.httpx import AsyncHttpxTransport, HttpxTransport
from onebrain._core.limits import RateLimit
from onebrain._core.retry import RetryPolicy
from onebrain._core.steps import Async, Coloured, Mode, Sync
from onebrain._core.transport import AsyncTransport, HttpOptions, SyncTransport
from onebrain.errors import ConfigurationError, OneBrainAuthenticationError
from onebrain.services.brrain.resources.keys import Keys
from onebrain.services.brrain.resources.memory import MemoryResource
from onebrain.services.brrain.service import CLOUD, NAME, BrrainService, explain


class BrrainEndpoints(Coloured[Mode]):
    """Every endpoint, without colour.

    Attributes:
        memory: Memories.
        keys: API keys.
    """

    def __init__(self, mode: Mode, service: BrrainService) -> None:
        super().__init__(mode)
        self._service = service
        self.memory: MemoryResource[Mode] = MemoryResource(mode, service)
        self.keys: Keys[Mode] = Keys(mode, service)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service.base_url!r})"

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the latest answer said about the limit, and what it counts; None where no answer said anything."""
        return self._service.rate_limit


def make_service(
    api_key: str | SecretStr | None, base_url: str | None, *, timeout: float | None, max_retries: int
) -> BrrainService:
    """Return the service for a client or a driver, with what is left out taken from the environment."""
    key = credential("api_key", api_key, "BRRAIN_API_KEY")
    if key is None:
        raise OneBrainAuthenticationError(
            "bRRAIn needs an API key: pass api_key='brr_live_...' or set BRRAIN_API_KEY", service=NAME
        )
    url = (base_url or os.environ.get("BRRAIN_BASE_URL") or CLOUD).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("base_url: must begin with https:// or http://", service=NAME)
    host = urlsplit(url).hostname or ""
    if url.startswith("http://") and (host == "brrain.io" or host.endswith(".brrain.io")):
        raise ConfigurationError(
            "base_url: bRRAIn answers on https:// only; over http:// the key would travel in the clear",
            service=NAME,
        )
    try:
        policy = RetryPolicy(max_retries=max_retries)
    except ValueError as error:
        raise ConfigurationError(str(error), service=NAME) from None
    return BrrainService(
        NAME,
        url.removesuffix("/v1") + "/v1",
        explain=explain,
        headers={"authorization": f"Bearer {key}"},
        secrets=(key,),
        timeout=timeout,
        retry=policy,
    )


class Brrain(BrrainEndpoints[Sync]):
    """A client of bRRAIn for synchronous code; it is safe to share between threads.

    Args:
        api_key: ``brr_live_...``, or an OAuth access token; the default is ``$BRRAIN_API_KEY``.
        base_url: A host of your own, with or without ``/v1``; the default is ``$BRRAIN_BASE_URL``, else the cloud.
        timeout: Seconds for connecting, and again for each read or write.
        max_retries: How often to try again; stores carry idempotency keys, so they are tried again, too.
        http: Certificates and proxies.
        transport: Sends requests instead of httpx.

    Example:
        >>> client = Brrain(api_key="brr_test_example")
        >>> client
        Brrain('https://api.brrain.io/v1')
        >>> client.close()
    """

    def __init__(
        self,
        *,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 2,
        http: HttpOptions | None = None,
        transport: SyncTransport | None = None,
    ) -> None:
        service = make_service(api_key, base_url, timeout=timeout, max_retries=max_retries)
        super().__init__(Sync(transport or HttpxTransport(http)), service)

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._mode.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncBrrain(BrrainEndpoints[Async]):
    """A client of bRRAIn for asynchronous code; its methods and arguments are those of `Brrain`.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     async with AsyncBrrain(api_key="brr_test_example") as client:
        ...         return repr(client)
        >>> asyncio.run(main())
        "AsyncBrrain('https://api.brrain.io/v1')"
    """

    def __init__(
        self,
        *,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 2,
        http: HttpOptions | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        service = make_service(api_key, base_url, timeout=timeout, max_retries=max_retries)
        super().__init__(Async(transport or AsyncHttpxTransport(http)), service)

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._mode.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


__all__ = ["AsyncBrrain", "Brrain", "BrrainEndpoints", "make_service"]
