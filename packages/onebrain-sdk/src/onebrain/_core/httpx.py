"""httpx as the transport of the clients, in both colours: the default."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httpx

from onebrain._core.connections import PerLoop, forks
from onebrain._core.transport import HttpOptions, Request, Response, closed, translate
from onebrain.errors import OneBrainError

if TYPE_CHECKING:
    import ssl

# The headers that httpx.Client would add to a request; building the request here skips the merging of defaults, which
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


def _built_by(client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return a request with the headers and cookies of a client that was given."""
    return client.build_request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.content,
        timeout=request.timeout,
    )


def _own_response(response: httpx.Response) -> Response:
    headers: dict[str, str] = {}
    # dict(response.headers) does the same and takes ten times as long.
    for raw, value in response.headers.raw:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return Response(response.status_code, headers, response.content)


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
                built = _built_by(self._given, request)
                return _own_response(self._given.send(built, follow_redirects=False))
            client = self._client or self._own()
            return _own_response(client.send(_httpx_request(request), follow_redirects=False))
        except OneBrainError:
            raise
        except Exception as error:
            problem = translate(error, request)
        raise problem

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
        # Another thread of the parent may have held the old lock.
        self._lock = threading.Lock()
        return parents

    def close(self) -> None:
        """Close the connections; a client that was given stays open."""
        with self._lock:
            self._closed = True
            mine, self._client = self._client, None
        if mine is not None:
            mine.close()


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
                built = _built_by(self._given, request)
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
            problem = translate(error, request)
        raise problem

    async def _first(self) -> list[_Shard]:
        if self._context is None:
            # Making one reads files.
            self._context = await asyncio.to_thread(self._options.ssl_context)
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


def multipart(
    files: list[tuple[str, tuple[str, bytes, str]]], fields: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Encode a form of `files` (field, (file name, bytes, media type)) and `fields`; return body and content type."""
    form = httpx.Request("POST", "http://form", files=files, data=dict(fields))
    return form.read(), form.headers["content-type"]
