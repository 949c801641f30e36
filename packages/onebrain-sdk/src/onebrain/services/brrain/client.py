"""`Brrain` and `AsyncBrrain`: every endpoint of bRRAIn's Memory API, typed."""

from __future__ import annotations

from typing import Unpack

from pydantic import SecretStr

from onebrain._core import client
from onebrain._core.steps import Async, Mode, Sync
from onebrain.services.brrain.resources.keys import Keys
from onebrain.services.brrain.resources.memory import MemoryResource
from onebrain.services.brrain.service import BrrainService, make_service


class Client(client.Client[Mode, BrrainService]):
    """Every endpoint, without colour.

    Attributes:
        memory: Memories.
        keys: API keys.
    """

    def __init__(self, mode: Mode, service: BrrainService) -> None:
        super().__init__(mode, service)
        self.memory: MemoryResource[Mode] = MemoryResource(mode, service)
        self.keys: Keys[Mode] = Keys(mode, service)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service.base_url!r})"


class Brrain(Client[Sync], client.Closing):
    """A client of bRRAIn for synchronous code; it is safe to share between threads.

    Args:
        api_key: ``brr_live_...``, or an OAuth access token; the default is ``$BRRAIN_API_KEY``.
        base_url: A host of your own, with or without ``/v1``; the default is ``$BRRAIN_BASE_URL``, else the cloud.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

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
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, options=options)
        super().__init__(Sync(options.sync()), service)


class AsyncBrrain(Client[Async], client.AsyncClosing):
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
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, options=options)
        super().__init__(Async(options.asynchronous()), service)


__all__ = ["AsyncBrrain", "Brrain", "Client"]
