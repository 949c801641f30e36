"""The options that clients of all services take, and the bases of their classes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypedDict, TypeVar, cast

from onebrain._core.codec import UNSET, Unset
from onebrain._core.limits import RateLimit
from onebrain._core.retry import RetryPolicy
from onebrain._core.steps import Async, Coloured, Mode, Sync
from onebrain._core.transport import (
    AsyncTransport,
    Cert,
    HttpOptions,
    Library,
    SyncTransport,
    Verify,
    async_transport,
    sync_transport,
)
from onebrain.errors import ConfigurationError

if TYPE_CHECKING:
    import aiohttp
    import httpx


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client connects and tries again; the same for every service.

    Every attribute is also a keyword argument of each client and, for a service, of `onebrain.connect`.

    Attributes:
        timeout: Seconds for connecting, and again for each read or write; None for no limit. The default is the
            service's.
        max_retries: Further attempts after a failure that may pass. The default is the service's.
        retry: The whole retry policy, instead of `max_retries`.
        headers: Headers of every request.
        verify: True for the usual authorities, False for none, a path to a CA file or folder, or an SSL context.
        cert: A client certificate: a path, ``(certificate, key)`` or ``(certificate, key, password)``.
        proxy: The URL of a proxy for every request.
        trust_env: Whether proxies and CA files of the environment apply.
        http: `verify`, `cert`, `proxy` and `trust_env` as one object, instead of these four.
        http_client: An `httpx.Client` or, for asynchronous code, an `httpx.AsyncClient` or `aiohttp.ClientSession` of
            your own. Its own options apply, and it stays open.
        transport: ``"aiohttp"`` for asynchronous code with many calls at once, or an object that sends requests.

    Example:
        >>> options = ClientOptions(timeout=5, headers={"x-team": "travel"})
        >>> options.but(timeout=None).timeout is None
        True
    """

    timeout: float | Unset | None = UNSET
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    verify: Verify = True
    cert: Cert | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    http: HttpOptions | None = None
    http_client: Any = None
    transport: Library | SyncTransport | AsyncTransport | None = None

    def __post_init__(self) -> None:
        limit = self.timeout
        if limit is None or isinstance(limit, Unset):
            return
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not (number and limit > 0 and math.isfinite(limit)):
            raise ConfigurationError(
                f"timeout: must be a number of seconds above 0, or None for no limit, not {limit!r:.40}"
            )

    def but(self, **changes: Any) -> ClientOptions:
        """Return a copy with `changes`; an unknown name raises `TypeError`."""
        return replace(self, **changes) if changes else self

    def seconds(self, default: float) -> float | None:
        """Return the timeout, where `default` is the service's."""
        return default if isinstance(self.timeout, Unset) else self.timeout

    def policy(self, default: RetryPolicy | None = None) -> RetryPolicy:
        """Return the retry policy, where `default` is the service's."""
        default = default or RetryPolicy()
        if self.retry is not None:
            return self.retry
        return default if self.max_retries is None else replace(default, max_retries=self.max_retries)

    def sync(self) -> SyncTransport:
        """Return a fresh transport for synchronous code."""
        sender = self.transport
        if sender is None or sender == "httpx":
            return sync_transport(self._http(), self.http_client)
        if isinstance(sender, str) or _is_asynchronous(sender):
            raise ConfigurationError("transport: this one is for asynchronous code")
        return cast("SyncTransport", sender)

    def asynchronous(self) -> AsyncTransport:
        """Return a fresh transport for asynchronous code."""
        sender = self.transport
        if sender is None or isinstance(sender, str):
            return async_transport(self._http(), self.http_client, sender)
        if not _is_asynchronous(sender):
            raise ConfigurationError("transport: this one is for synchronous code")
        return cast("AsyncTransport", sender)

    def transports(self) -> tuple[SyncTransport, AsyncTransport]:
        """Return fresh transports of both colours; an object of the caller's serves its own colour only."""
        library = self.transport if isinstance(self.transport, str) else None
        own = self.http_client if library or self.transport is None else self.transport
        plain = self.but(http_client=None, transport=library)
        if own is None or _is_asynchronous(own):
            return plain.but(transport=None).sync(), self.asynchronous()
        own_sync = self.but(transport=None) if library else self
        return own_sync.sync(), plain.asynchronous()

    def _http(self) -> HttpOptions:
        return self.http or HttpOptions(self.verify, self.cert, self.proxy, self.trust_env)


class Keywords(TypedDict, total=False):
    """The options of `ClientOptions` as keyword arguments; `options` holds those that are not given by name."""

    options: ClientOptions | None
    timeout: float | None
    max_retries: int
    retry: RetryPolicy | None
    headers: Mapping[str, str] | None
    verify: Verify
    cert: Cert | None
    proxy: str | None
    trust_env: bool
    http: HttpOptions | None


class SyncKeywords(Keywords, total=False):
    """The keyword arguments of a synchronous client."""

    http_client: httpx.Client | None
    transport: SyncTransport | None


class AsyncKeywords(Keywords, total=False):
    """The keyword arguments of an asynchronous client."""

    http_client: httpx.AsyncClient | aiohttp.ClientSession | None
    transport: Library | AsyncTransport | None


class DriverKeywords(Keywords, total=False):
    """The keyword arguments of a driver, which serves synchronous and asynchronous code."""

    http_client: httpx.Client | httpx.AsyncClient | aiohttp.ClientSession | None
    transport: Library | SyncTransport | AsyncTransport | None


_NAMES = frozenset(one.name for one in fields(ClientOptions))


def client_options(owner: str, given: Mapping[str, Any]) -> ClientOptions:
    """Return the options in the keyword arguments of `owner`, a class or function; raise `TypeError` for others."""
    named = dict(given)
    options: ClientOptions | None = named.pop("options", None)
    for name in named:
        if name not in _NAMES:
            raise TypeError(f"{owner}() got an unexpected keyword argument {name!r}")
    return (options or ClientOptions()).but(**named)


def _is_asynchronous(sender: Any) -> bool:
    # A session of aiohttp has no such method.
    send = getattr(sender, "send", None)
    return send is None or inspect.iscoroutinefunction(send)


class Asked(Protocol):
    """The service that a client and its resources ask."""

    @property
    def base_url(self) -> str:
        """The URL in front of every path."""
        ...

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit as the latest answer stated it."""
        ...


S = TypeVar("S", bound=Asked)


class Resource(Coloured[Mode], Generic[Mode, S]):
    """The base of a group of calls."""

    def __init__(self, mode: Mode, service: S) -> None:
        super().__init__(mode)
        self._service = service

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._service.base_url!r})"


class Client(Resource[Mode, S]):
    """The base of a service's client: a connection, which copies share and which no pickle holds."""

    @property
    def base_url(self) -> str:
        """The URL in front of every path."""
        return self._service.base_url

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit as the latest answer stated it; None until an answer states one."""
        return self._service.rate_limit

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled: it holds a key; make it anew where it is needed")


class Closing(Coloured[Sync]):
    """Closing a synchronous client, by name or by ``with``."""

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._mode.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncClosing(Coloured[Async]):
    """Closing an asynchronous client, by name or by ``async with``."""

    async def close(self) -> None:
        """Close the connections of the running event loop; a second call does nothing."""
        await self._mode.close()

    async def aclose(self) -> None:
        """Close the connections: `close` by its name in httpx."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
