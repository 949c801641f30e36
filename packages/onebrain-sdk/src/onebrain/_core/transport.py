"""The seam between plans and an HTTP library: one request out, one response back, errors of our own tree.

`HttpxTransport` and `AsyncHttpxTransport` are what clients use unless told otherwise. A transport opens nothing until
its first request, belongs to whoever made it, and closes an HTTP client only if it made that client itself.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import httpx

from onebrain.errors import (
    ConfigurationError,
    OneBrainConnectionError,
    OneBrainError,
    OneBrainResponseError,
    OneBrainTimeoutError,
)

Library = Literal["httpx", "aiohttp"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete: nothing is added to it but what HTTP itself needs."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    content: bytes | None = field(default=None, repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, read to its end and decompressed; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    content: bytes = field(default=b"", repr=False)


class SyncTransport(Protocol):
    """Sends requests from the calling thread."""

    def send(self, request: Request) -> Response:
        """Send `request`; raise `OneBrainConnectionError` or a subclass when no answer comes."""
        ...

    def close(self) -> None:
        """Release every connection; a second call does nothing."""
        ...


class AsyncTransport(Protocol):
    """Sends requests on the running event loop."""

    async def send(self, request: Request) -> Response:
        """Send `request`; raise `OneBrainConnectionError` or a subclass when no answer comes."""
        ...

    async def close(self) -> None:
        """Release every connection; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How connections are made; each option means what it means to httpx.

    Attributes:
        verify: True for the usual authorities, False for none, a path to a CA bundle, or an SSL context.
        cert: A client certificate: a path, ``(certificate, key)`` or ``(certificate, key, password)``.
        proxy: The URL of a proxy for every request.
        trust_env: Whether proxies and CA files of the environment count.
    """

    verify: bool | str | ssl.SSLContext = True
    cert: str | tuple[str, str] | tuple[str, str, str] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True

    def ssl_context(self) -> ssl.SSLContext:
        """Return the SSL context for every client of a transport; building one takes milliseconds and reads files."""
        if isinstance(self.verify, ssl.SSLContext):
            context = self.verify
        elif self.cert is None and not isinstance(self.verify, str):
            names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if self.trust_env else ()
            return _usual_context(self.verify, self.trust_env, tuple(os.environ.get(name) for name in names))
        elif isinstance(self.verify, str):
            folder = Path(self.verify).is_dir()
            try:
                context = ssl.create_default_context(
                    cafile=None if folder else self.verify, capath=self.verify if folder else None
                )
            except OSError as error:
                raise ConfigurationError(f"verify: the CA bundle cannot be read ({error})") from error
        else:
            context = httpx.create_ssl_context(verify=self.verify, trust_env=self.trust_env)
        if self.cert is not None:
            try:
                context.load_cert_chain(*((self.cert,) if isinstance(self.cert, str) else self.cert))
            except OSError as error:
                raise ConfigurationError(f"cert: the client certificate cannot be read ({error})") from error
        return context


@lru_cache(maxsize=8)
def _usual_context(verify: bool, trust_env: bool, environment: tuple[str | None, ...]) -> ssl.SSLContext:
    """Return the context that all clients without an option of their own share, anew where the environment changed."""
    return httpx.create_ssl_context(verify=verify, trust_env=trust_env)


# Errors of an HTTP library by the names of their classes, so that httpx, its fork httpx2 and aiohttp are read alike.
_NEVER_SENT_TIMEOUT = frozenset({"ConnectTimeout", "PoolTimeout", "ConnectionTimeoutError"})
_TIMEOUT = frozenset({"TimeoutException", "TimeoutError"})
_NEVER_SENT = frozenset(
    {
        "ConnectError",
        "ProxyError",
        "UnsupportedProtocol",
        "InvalidURL",
        "LocalProtocolError",
        "ClientConnectorError",
        "ClientHttpProxyError",
    }
)
_UNREADABLE = frozenset({"DecodingError", "ContentEncodingError"})


def translate(error: Exception, request: Request) -> OneBrainError:
    """Return the error of our tree for an HTTP library's `error`, without the URL's query or any header."""
    where = f"{request.method} {request.url.split('?', 1)[0]}"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    name = type(error).__name__
    # A message about the request may quote a header or the URL, and with it a key: the name has to do.
    quotes = isinstance(error, ValueError | TypeError) or not kinds.isdisjoint({"LocalProtocolError"})
    reason = f"{name}: {error}" if str(error) and not quotes else name
    if not kinds.isdisjoint(_NEVER_SENT_TIMEOUT):
        return not_sent(OneBrainTimeoutError(f"no connection for {where} in time ({reason})"))
    if not kinds.isdisjoint(_TIMEOUT):
        return OneBrainTimeoutError(f"no answer to {where} within {request.timeout} s ({reason})")
    if not kinds.isdisjoint(_NEVER_SENT):
        return not_sent(OneBrainConnectionError(f"could not connect for {where} ({reason})"))
    inner = {kind.__name__ for kind in type(error.__cause__).__mro__}
    if not (kinds | inner).isdisjoint(_UNREADABLE):  # aiohttp raises it wrapped
        return OneBrainResponseError(f"the answer to {where} could not be decompressed ({reason})")
    return OneBrainConnectionError(f"the connection for {where} failed ({reason})")


def not_sent(error: OneBrainConnectionError) -> OneBrainConnectionError:
    """Mark `error` as one whose request never left, so that even a write may be sent again."""
    error.never_sent = True
    return error


def closed() -> OneBrainConnectionError:
    """Return the error for a request on a transport that was closed."""
    return not_sent(OneBrainConnectionError("this client is closed; make a new one"))


# What httpx.Client would add to a request of its own; building the request here skips the merging of defaults, which
# costs more than our whole plan. Nothing but codecs that every httpx has: it decodes br and zstd only with extras.
_DEFAULTS = {"accept-encoding": "gzip, deflate", "connection": "keep-alive"}


# Most requests of a client go to a few URLs, and httpx takes longer to parse one than pydantic to read an answer.
_url = lru_cache(maxsize=128)(httpx.URL)


def _httpx_request(request: Request) -> httpx.Request:
    limit = request.timeout
    return httpx.Request(
        request.method,
        _url(request.url),
        headers={**_DEFAULTS, **request.headers},
        content=request.content,
        extensions={"timeout": {"connect": limit, "read": limit, "write": limit, "pool": limit}},
    )


def _own_response(response: httpx.Response) -> Response:
    headers: dict[str, str] = {}
    for (
        raw,
        value,
    ) in response.headers.raw:  # dict(response.headers) does the same and takes ten times as long
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return Response(response.status_code, headers, response.content)


class _Forked:
    """Makes transports forget their parent's connections in a forked child, which must not touch those sockets."""

    def __init__(self) -> None:
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        self._kept: list[Any] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def watch(self, transport: Any) -> None:
        """Call ``transport.forked()`` in every child from now on; what it returns is kept alive, untouched."""
        self._watched.add(transport)

    def _in_child(self) -> None:
        for transport in list(self._watched):
            self._kept.append(transport.forked())


forks = _Forked()


class HttpxTransport:
    """Sends requests through one `httpx.Client`, which is safe to share between threads.

    The client is made at the first request, and anew in a forked child. A `client` that is given is used as it is,
    with its own headers, proxies and hooks, and stays open; httpx2's will do, too.
    """

    def __init__(self, options: HttpOptions | None = None, *, client: httpx.Client | None = None) -> None:
        self._options = options or HttpOptions()
        self._given = client
        self._client: httpx.Client | None = None
        self._closed = False
        self._lock = threading.Lock()
        forks.watch(self)

    def send(self, request: Request) -> Response:
        """Send `request` and return its response; redirects are never followed, for they would carry the key."""
        if self._closed:
            raise closed()
        try:
            if self._given is not None:
                built = self._given.build_request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    content=request.content,
                    timeout=request.timeout,
                )
                return _own_response(self._given.send(built, follow_redirects=False))
            client = self._client or self._own()
            return _own_response(client.send(_httpx_request(request), follow_redirects=False))
        except OneBrainError:
            raise
        except Exception as error:
            raise translate(error, request) from error

    def _own(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise closed()
            if self._client is None:
                self._client = httpx.Client(
                    verify=self._options.ssl_context(),
                    proxy=self._options.proxy,
                    trust_env=self._options.trust_env,
                )
            return self._client

    def forked(self) -> Any:
        """Forget the parent's client and return it."""
        parents, self._client = self._client, None
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        return parents

    def close(self) -> None:
        """Close the connections; a client that was given stays open."""
        with self._lock:
            self._closed = True
            mine, self._client = self._client, None
        if mine is not None:
            mine.close()


T = TypeVar("T")


class PerLoop(Generic[T]):
    """One thing for each event loop that asks for it, closed when the loop ends, however it ends.

    Connections belong to the loop that made them. A client in a global outlives an ``asyncio.run``, so the thing is
    tied to the loop by an async generator: ``asyncio.run`` and every framework's runner finish those before they close
    the loop, and the generator's end closes the thing.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._held: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None, None]]] = {}

    def here(self) -> T | None:
        """Return the running loop's thing, if it has one."""
        held = self._held.get(asyncio.get_running_loop())
        return None if held is None else held[0]

    async def make(self) -> T:
        """Return the running loop's thing, made now where it has none."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            for stale in [other for other in list(self._held) if other.is_closed()]:
                self._held.pop(stale, None)
            keeper = self._keep(loop, thing := self._make())
            self._held[loop] = thing, keeper
            await keeper.__anext__()  # runs to its yield, which tells the loop about it
        return self._held[loop][0]

    async def _keep(self, loop: asyncio.AbstractEventLoop, thing: T) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._held.pop(loop, None)
            await self._close(thing)

    async def close(self) -> None:
        """Close the running loop's thing; those of other loops are closed when these end."""
        held = self._held.get(asyncio.get_running_loop())
        if held is not None:
            await held[1].aclose()

    def forget(self) -> Any:
        """Let go of everything without closing it, and return it."""
        held, self._held = self._held, {}
        return held


class _Shard:
    """One `httpx.AsyncClient` and the number of requests it is busy with."""

    __slots__ = ("busy", "client")

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.busy = 0


async def _close_shards(shards: list[_Shard]) -> None:
    for shard in shards:
        await shard.client.aclose()


class AsyncHttpxTransport:
    """Sends requests through several `httpx.AsyncClient`s, bound to the running event loop.

    httpx's pool searches all its connections at each request, so its throughput falls as concurrency grows; a few
    clients with a few connections each stay fast. Each event loop has clients of its own, so one transport works
    across several ``asyncio.run``. A `client` that is given is used as it is and stays open.
    """

    # Two requests share a client before another is opened; from 32 clients on, the least busy takes the next one.
    _REQUESTS_PER_CLIENT = 2
    _MOST_CLIENTS = 32

    def __init__(
        self, options: HttpOptions | None = None, *, client: httpx.AsyncClient | None = None
    ) -> None:
        self._options = options or HttpOptions()
        self._given = client
        self._context: ssl.SSLContext | None = None
        self._shards: PerLoop[list[_Shard]] = PerLoop(list[_Shard], _close_shards)
        self._closed = False
        forks.watch(self)

    async def send(self, request: Request) -> Response:
        """Send `request` and return its response; redirects are never followed, for they would carry the key."""
        if self._closed:
            raise closed()
        try:
            if self._given is not None:
                built = self._given.build_request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    content=request.content,
                    timeout=request.timeout,
                )
                return _own_response(await self._given.send(built, follow_redirects=False))
            shards = self._shards.here()
            shard = self._least_busy(await self._first() if shards is None else shards)
            shard.busy += 1
            try:
                return _own_response(await shard.client.send(_httpx_request(request), follow_redirects=False))
            finally:
                shard.busy -= 1
        except OneBrainError:
            raise
        except Exception as error:
            raise translate(error, request) from error

    async def _first(self) -> list[_Shard]:
        if self._context is None:
            self._context = await asyncio.to_thread(self._options.ssl_context)  # it reads files
        return await self._shards.make()

    def _least_busy(self, shards: list[_Shard]) -> _Shard:
        best = min(shards, key=lambda shard: shard.busy, default=None)
        if best is None or (best.busy >= self._REQUESTS_PER_CLIENT and len(shards) < self._MOST_CLIENTS):
            best = _Shard(
                httpx.AsyncClient(
                    verify=self._context or True,
                    proxy=self._options.proxy,
                    trust_env=self._options.trust_env,
                )
            )
            shards.append(best)
        return best

    def forked(self) -> Any:
        """Forget the parent's clients and return them."""
        return self._shards.forget()

    async def close(self) -> None:
        """Close the connections of the running loop; a client that was given stays open."""
        self._closed = True
        await self._shards.close()


def sync_transport(options: HttpOptions, client: Any = None) -> SyncTransport:
    """Return the transport of a synchronous client, on the caller's own `client` where one is given."""
    if client is not None and not callable(getattr(client, "build_request", None)):
        raise ConfigurationError(f"http_client: must be an httpx.Client, not {type(client).__name__}")
    if client is not None and inspect.iscoroutinefunction(client.send):
        raise ConfigurationError(
            "http_client: a synchronous client needs an httpx.Client, not an AsyncClient"
        )
    return HttpxTransport(options, client=client)


def async_transport(
    options: HttpOptions, client: Any = None, library: Library | None = None
) -> AsyncTransport:
    """Return the transport of an asynchronous client, on the caller's own `client` where one is given.

    `library` is ``"httpx"``, the default, or ``"aiohttp"``, several times faster under concurrency; a `client` says it
    by its own type.
    """
    if library not in (None, "httpx", "aiohttp"):
        raise ConfigurationError(f"transport: must be 'httpx' or 'aiohttp', not {library!r:.40}")
    if library == "aiohttp" or type(client).__module__.partition(".")[0] == "aiohttp":
        if client is not None and callable(getattr(client, "build_request", None)):
            raise ConfigurationError(
                "http_client: with transport='aiohttp' it must be an aiohttp.ClientSession"
            )
        from onebrain._core.aiohttp import AiohttpTransport

        return AiohttpTransport(options, session=client)
    if client is not None and not callable(getattr(client, "build_request", None)):
        raise ConfigurationError(
            f"http_client: must be an httpx.AsyncClient or an aiohttp.ClientSession, not {type(client).__name__}"
        )
    if client is not None and not inspect.iscoroutinefunction(client.send):
        raise ConfigurationError(
            "http_client: an asynchronous client needs an httpx.AsyncClient, not a Client"
        )
    return AsyncHttpxTransport(options, client=client)


def multipart(
    files: list[tuple[str, tuple[str, bytes, str]]], fields: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Encode a form of `files` (field, (file name, bytes, media type)) and `fields`; return body and content type."""
    form = httpx.Request("POST", "http://form", files=files, data=dict(fields))
    return form.read(), form.headers["content-type"]
