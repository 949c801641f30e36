"""The seam between plans and an HTTP library: one request out, one response back, errors of our own tree.

A transport opens nothing until its first request, belongs to whoever made it, and closes an HTTP client only if it made
that client itself. The HTTP libraries stand in modules of their own, which are imported with the first client: a brain
on this machine needs none.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from onebrain.errors import (
    ConfigurationError,
    OneBrainConnectionError,
    OneBrainError,
    OneBrainResponseError,
    OneBrainTimeoutError,
    OneBrainTransportError,
)

if TYPE_CHECKING:
    import ssl

Library = Literal["httpx", "aiohttp"]
Verify: TypeAlias = "bool | str | ssl.SSLContext"
Cert: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete: only headers that HTTP itself needs are added."""

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
        """Send `request`; raise `OneBrainTransportError` when no answer comes."""
        ...

    def close(self) -> None:
        """Release every connection; a second call does nothing."""
        ...


class AsyncTransport(Protocol):
    """Sends requests on the running event loop."""

    async def send(self, request: Request) -> Response:
        """Send `request`; raise `OneBrainTransportError` when no answer comes."""
        ...

    async def close(self) -> None:
        """Release every connection; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How connections are made; the options are those of httpx.

    Attributes:
        verify: True for the usual authorities, False for none, a path to a CA bundle, or an SSL context.
        cert: A client certificate: a path, ``(certificate, key)`` or ``(certificate, key, password)``.
        proxy: The URL of a proxy for every request.
        trust_env: Whether proxies and CA files of the environment count.
    """

    verify: Verify = True
    cert: Cert | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True

    def ssl_context(self) -> ssl.SSLContext:
        """Return the SSL context for every client of a transport; building one takes milliseconds and reads files."""
        import ssl

        import httpx

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
    import httpx

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
    """Return the error of our tree for an HTTP library's `error`, without the URL's query or any header.

    `error` becomes its cause, unless it quotes the request. Raise the result outside the ``except`` block: inside,
    Python would chain `error` to it all the same.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    # A message about the request may quote a header or the URL, and with it a key.
    quotes = isinstance(error, ValueError | TypeError) or "LocalProtocolError" in kinds
    problem = _translated(error, kinds, request, quotes=quotes)
    problem.__cause__ = None if quotes else error
    return problem


def _translated(error: Exception, kinds: set[str], request: Request, *, quotes: bool) -> OneBrainError:
    where = f"{request.method} {request.url.split('?', 1)[0]}"
    name = type(error).__name__
    reason = f"{name}: {error}" if str(error) and not quotes else name
    if "LocalProtocolError" in kinds and str(error).startswith("Illegal header"):
        return ConfigurationError(
            f"{where} was not sent: a header holds a character that HTTP does not allow; check `headers` and those of "
            "your own http_client"
        )
    if not kinds.isdisjoint(_NEVER_SENT_TIMEOUT):
        return not_sent(OneBrainTimeoutError(f"no connection for {where} in time ({reason})"))
    if not kinds.isdisjoint(_TIMEOUT):
        return OneBrainTimeoutError(f"no answer to {where} within {request.timeout} s ({reason})")
    if not kinds.isdisjoint(_NEVER_SENT):
        return not_sent(OneBrainConnectionError(f"could not connect for {where} ({reason})"))
    inner = {kind.__name__ for kind in type(error.__cause__).__mro__}
    # The error that aiohttp raises wraps the one of the codec.
    if not (kinds | inner).isdisjoint(_UNREADABLE):
        return OneBrainResponseError(f"the answer to {where} could not be decompressed ({reason})")
    return OneBrainConnectionError(f"the connection for {where} failed ({reason})")


def not_sent(error: OneBrainTransportError) -> OneBrainTransportError:
    """Mark `error` as one whose request never left, so that even a write may be sent again."""
    error.never_sent = True
    return error


def closed() -> OneBrainTransportError:
    """Return the error for a request on a transport that was closed."""
    return not_sent(OneBrainConnectionError("this client is closed; make a new one"))


def sync_transport(options: HttpOptions, client: Any = None) -> SyncTransport:
    """Return the transport of a synchronous client, on the caller's own `client` where one is given."""
    if client is not None and not callable(getattr(client, "build_request", None)):
        raise ConfigurationError(f"http_client: must be an httpx.Client, not {type(client).__name__}")
    if client is not None and inspect.iscoroutinefunction(client.send):
        raise ConfigurationError(
            "http_client: a synchronous client needs an httpx.Client, not an AsyncClient"
        )
    from onebrain._core.httpx import HttpxTransport

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
    from onebrain._core.httpx import AsyncHttpxTransport

    return AsyncHttpxTransport(options, client=client)
