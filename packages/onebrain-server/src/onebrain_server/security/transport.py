"""httpx behind the address guard: for parts that bring an HTTP client of their own and are sent to users' URLs."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from onebrain_server.security.addresses import AddressRefused, Fetcher

_SENT: Final = ("authorization", "content-type", "accept")


class GuardedTransport(httpx.BaseTransport):
    """Sends requests through the guard, each checked anew; for threads, not for the event loop.

    Args:
        fetcher: The guard.
        most: How many bytes of an answer are read.
    """

    def __init__(self, fetcher: Fetcher, *, most: int = 5 * 1024 * 1024) -> None:
        self._fetcher = fetcher
        self._most = most

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; a refused address is a `httpx.ConnectError`."""
        content = request.read()
        try:
            status, headers, body = asyncio.run(
                self._fetcher.send(
                    request.method,
                    str(request.url),
                    headers={name: request.headers[name] for name in _SENT if name in request.headers},
                    content=content,
                    timeout=request.extensions["timeout"]["read"],
                    most=self._most,
                    redirects=0,
                )
            )
        except (AddressRefused, httpx.InvalidURL, OSError) as error:
            # A timeout is an OSError, too.
            raise httpx.ConnectError(str(error), request=request) from error
        media_type = headers.get("content-type")
        return httpx.Response(
            status,
            headers={} if media_type is None else {"content-type": media_type},
            content=body,
            request=request,
        )
