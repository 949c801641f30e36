"""The transport of clients that are sent to users' URLs: each request passes the address guard."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from onebrain._core.transport import Request, Response, not_sent
from onebrain.errors import OneBrainConnectionError, OneBrainTimeoutError
from onebrain_server.security.addresses import AddressRefused, Fetcher

_SECONDS: Final = 30.0


class GuardedTransport:
    """Sends requests through the guard, each checked anew; for threads, not for the event loop.

    Args:
        fetcher: The guard.
        most: Number of bytes of an answer that are read.
    """

    def __init__(self, fetcher: Fetcher, *, most: int = 5 * 1024 * 1024) -> None:
        self._fetcher = fetcher
        self._most = most

    def send(self, request: Request) -> Response:
        """Send one request.

        Raises:
            OneBrainConnectionError: The address is refused, or the request failed.
            OneBrainTimeoutError: There is no whole answer in time.
        """
        try:
            status, headers, body = asyncio.run(
                self._fetcher.send(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    content=request.content,
                    timeout=request.timeout or _SECONDS,
                    most=self._most,
                    redirects=0,
                )
            )
        except AddressRefused as refused:
            problem = not_sent(OneBrainConnectionError(str(refused)))
        except (TimeoutError, httpx.TimeoutException):
            problem = OneBrainTimeoutError(f"no answer within {request.timeout} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            problem = OneBrainConnectionError(f"the connection failed ({type(error).__name__})")
        else:
            return Response(status, {name.lower(): value for name, value in headers.items()}, body)
        raise problem from None

    def close(self) -> None:
        """Do nothing: no connection is kept, since each address is checked before it is used."""
