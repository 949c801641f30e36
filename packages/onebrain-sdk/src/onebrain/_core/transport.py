"""The seam between plans and an HTTP library: one request out, one response back, errors of our own tree.

`HttpxTransport` and `AsyncHttpxTransport` are what clients use unless told otherwise. A transport opens nothing until
its first request, belongs to whoever made it, and closes an HTTP client only if it made that client itself.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from onebrain.errors import (
    OneBrainConnectionError,
    OneBrainError,
    OneBrainResponseError,
    OneBrainTimeoutError,
)


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
        """Build the SSL context that every client of a transport shares: building one costs milliseconds."""
        if isinstance(self.verify, ssl.SSLContext):
            context = self.verify
        elif isinstance(self.verify, str):
            folder = Path(self.verify).is_dir()
            context = ssl.create_default_context(
                cafile=None if folder else self.verify, capath=self.verify if folder else None
            )
        else:
            context = httpx.create_ssl_context(verify=self.verify, trust_env=self.trust_env)
        if self.cert is not None:
            context.load_cert_chain(*((self.cert,) if isinstance(self.cert, str) else self.cert))
        return context


def translate(error: Exception, request: Request) -> OneBrainError:
    """Return the error of our tree for an HTTP library's `error`, without the URL's query or any header."""
    where = f"{request.method} {request.url.split('?', 1)[0]}"
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return not_sent(OneBrainTimeoutError(f"no connection for {where} in time ({reason})"))
    if isinstance(error, httpx.TimeoutException):
        return OneBrainTimeoutError(f"no answer to {where} within {request.timeout} s ({reason})")
    if isinstance(
        error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol | httpx.InvalidURL
    ):
        return not_sent(OneBrainConnectionError(f"could not connect for {where} ({reason})"))
    if isinstance(error, httpx.DecodingError):
        return OneBrainResponseError(f"the answer to {where} could not be decompressed ({reason})")
    return OneBrainConnectionError(f"the connection for {where} failed ({reason})")


def not_sent(error: OneBrainConnectionError) -> OneBrainConnectionError:
    """Mark `error` as one whose request never left, so that even a write may be sent again."""
    error.never_sent = True
    return error


# What an HTTP library may raise: httpx's own family, bad URLs, and the socket and TLS errors it lets through.
HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, RuntimeError, ValueError)


class HttpxTransport:
    """Sends requests through one `httpx.Client`, which is safe to share between threads.

    The client is made at the first request and made anew after a fork, because a forked child must not use its
    parent's sockets.
    """

    def __init__(self, options: HttpOptions | None = None, *, client: httpx.Client | None = None) -> None:
        self._options = options or HttpOptions()
        self._given = client
        self._client: httpx.Client | None = None
        self._pid = 0
        self._closed = False
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Send `request` and return its response; redirects are never followed, for they would carry the key."""
        client = self._given or self._own()
        try:
            response = client.request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.content,
                timeout=request.timeout,
                follow_redirects=False,
            )
        except HTTPX_ERRORS as error:
            raise translate(error, request) from error
        return Response(response.status_code, dict(response.headers), response.content)

    def _own(self) -> httpx.Client:
        if self._client is not None and self._pid == os.getpid() and not self._closed:
            return self._client
        with self._lock:
            if self._closed:
                raise not_sent(OneBrainConnectionError("this client is closed; make a new one"))
            if self._client is None or self._pid != os.getpid():
                self._client = httpx.Client(
                    verify=self._options.ssl_context(),
                    proxy=self._options.proxy,
                    trust_env=self._options.trust_env,
                )
                self._pid = os.getpid()
            return self._client

    def close(self) -> None:
        """Close the connections; a client that was given stays open."""
        with self._lock:
            self._closed = True
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None


class _Shard:
    """One `httpx.AsyncClient` and the number of requests it is busy with."""

    __slots__ = ("busy", "client")

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.busy = 0


class AsyncHttpxTransport:
    """Sends requests through several `httpx.AsyncClient`s, bound to the running event loop.

    httpx's pool searches all its connections at each request, so its throughput falls as concurrency grows; a few
    clients with a few connections each stay fast. The clients of a loop that is closed are dropped, so one transport
    works across several ``asyncio.run``.
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
        self._shards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Shard]] = (
            weakref.WeakKeyDictionary()
        )
        self._pid = os.getpid()
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send `request` and return its response; redirects are never followed, for they would carry the key."""
        shard = _Shard(self._given) if self._given is not None else self._least_busy()
        shard.busy += 1
        try:
            response = await shard.client.request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.content,
                timeout=request.timeout,
                follow_redirects=False,
            )
        except HTTPX_ERRORS as error:
            raise translate(error, request) from error
        finally:
            shard.busy -= 1
        return Response(response.status_code, dict(response.headers), response.content)

    def _least_busy(self) -> _Shard:
        if self._closed:
            raise not_sent(OneBrainConnectionError("this client is closed; make a new one"))
        if self._pid != os.getpid():
            self._shards, self._pid = weakref.WeakKeyDictionary(), os.getpid()
        shards = self._shards.setdefault(asyncio.get_running_loop(), [])
        best = min(shards, key=lambda shard: shard.busy, default=None)
        if best is None or (best.busy >= self._REQUESTS_PER_CLIENT and len(shards) < self._MOST_CLIENTS):
            if self._context is None:
                self._context = self._options.ssl_context()
            best = _Shard(
                httpx.AsyncClient(
                    verify=self._context, proxy=self._options.proxy, trust_env=self._options.trust_env
                )
            )
            shards.append(best)
        return best

    async def close(self) -> None:
        """Close the connections of the running loop; a client that was given stays open."""
        self._closed = True
        shards = self._shards.pop(asyncio.get_running_loop(), [])
        self._shards.clear()
        for shard in shards:
            await shard.client.aclose()


def multipart(
    files: list[tuple[str, tuple[str, bytes, str]]], fields: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Encode a form of `files` (field, (file name, bytes, media type)) and `fields`; return body and content type."""
    form = httpx.Request("POST", "http://form", files=files, data=dict(fields))
    return form.read(), form.headers["content-type"]
