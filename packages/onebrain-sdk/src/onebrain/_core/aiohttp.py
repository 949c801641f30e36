"""aiohttp as the transport of the async clients, with the extra ``onebrain-sdk[aiohttp]``.

Its pool keeps its speed as concurrency grows, where httpx's loses it; `docs/clients/onebrain.md` says when that matters.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.request import getproxies, proxy_bypass

from onebrain._core.connections import PerLoop, forks
from onebrain._core.transport import HttpOptions, Request, Response, closed, translate
from onebrain.errors import MissingDependency, OneBrainError

try:
    import aiohttp
    from yarl import URL
except ImportError as missing:  # pragma: no cover - the test environment has every extra
    raise MissingDependency(
        "the aiohttp transport is not installed: pip install 'onebrain-sdk[aiohttp]'"
    ) from missing


async def _close(session: aiohttp.ClientSession) -> None:
    await session.close()


class AiohttpTransport:
    """Sends requests through one `aiohttp.ClientSession` for each event loop; a `session` that is given stays open."""

    def __init__(
        self, options: HttpOptions | None = None, *, session: aiohttp.ClientSession | None = None
    ) -> None:
        self._options = options or HttpOptions()
        self._given = session
        self._context: ssl.SSLContext | None = None
        self._sessions: PerLoop[aiohttp.ClientSession] = PerLoop(self._open, _close)
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._closed = False
        forks.watch(self)

    async def send(self, request: Request) -> Response:
        """Send `request` and return its response; redirects are never followed, for they would carry the key."""
        if self._closed:
            raise closed()
        try:
            session = self._given or self._sessions.here() or await self._first()
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.content,
                timeout=self._timeouts.get(request.timeout) or self._timeout(request.timeout),
                proxy=self._proxy(request.url),
                allow_redirects=False,
            ) as response:
                content = await response.read()
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, headers, content)
        except OneBrainError:
            raise
        except Exception as error:
            problem = translate(error, request)
        raise problem

    async def _first(self) -> aiohttp.ClientSession:
        if self._context is None:
            # Making one reads files.
            self._context = await asyncio.to_thread(self._options.ssl_context)
        return await self._sessions.make()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context or True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _proxy(self, url: str) -> str | None:
        if self._options.proxy is not None or not self._options.trust_env:
            return self._options.proxy
        # aiohttp would read the environment, and a file, at every request; here it is read once for each host.
        scheme, _, rest = url.partition("://")
        origin = scheme, rest.partition("/")[0]
        if origin not in self._proxies:
            found = getproxies()
            wanted = found.get(scheme) or found.get("all")
            self._proxies[origin] = None if wanted is None or proxy_bypass(origin[1]) else wanted
        return self._proxies[origin]

    def _timeout(self, seconds: float | None) -> aiohttp.ClientTimeout:
        # As in httpx: for connecting, and again for each read; never for the whole, which may be an upload.
        limit = aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=seconds, sock_read=seconds)
        self._timeouts[seconds] = limit
        return limit

    def forked(self) -> Any:
        """Forget the parent's sessions and return them."""
        return self._sessions.forget()

    async def close(self) -> None:
        """Close the running loop's session; one that was given stays open."""
        self._closed = True
        await self._sessions.close()
