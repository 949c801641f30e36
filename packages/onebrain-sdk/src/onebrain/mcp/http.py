"""MCP over streamable HTTP: who may reach it.

A page in a browser can send requests to this machine (DNS rebinding), so the headers ``Host`` and ``Origin`` are checked.
A server that other machines can reach needs a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from onebrain.errors import ConfigurationError

if TYPE_CHECKING:
    from mcp.server import MCPServer, Server

Message: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

PATH = "/mcp"

# A host as in a URL, with or without a port.
_NAME = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Listening:
    """Where a server listens, and who may call it.

    Attributes:
        host: The address to listen on.
        port: The port; 0 selects a free one.
        token: The bearer token that clients send; None for none.
        hosts: Further names under which clients reach the server, such as that of a proxy.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    hosts: Sequence[str] = ()

    def check(self) -> None:
        """Raise `ConfigurationError` if other machines can reach the server and nothing protects it."""
        if self.token is not None and len(self.token) < 16:
            raise ConfigurationError("token: must have at least 16 characters")
        if not all(_NAME.fullmatch(_bracketed(name)) for name in self.hosts):
            raise ConfigurationError(
                "hosts: must be names such as memory.example.com, without a scheme, a path or a wildcard"
            )
        if is_loopback(self.host):
            return
        if self.token is None:
            raise ConfigurationError(
                f"other machines can reach {self.host}, so a token is needed: set $ONEBRAIN_MCP_TOKEN"
            )
        if not self.names:
            raise ConfigurationError(
                f"clients reach {self.host} by a name that is not known here: give it with --allow-host"
            )

    @property
    def names(self) -> list[str]:
        """The names under which clients may reach the server, in lower case, as browsers send them."""
        further = [_bracketed(name).lower() for name in self.hosts]
        if is_loopback(self.host):
            return ["127.0.0.1", "localhost", "[::1]", *further]
        everywhere = self.host in ("0.0.0.0", "::", "")
        own = [] if everywhere else [_bracketed(self.host).lower()]
        return [*own, *further]


def _bracketed(host: str) -> str:
    """Return a host as in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def http_app(server: Server[Any] | MCPServer[Any], where: Listening) -> App:
    """Return the ASGI app of a server at the path ``/mcp``.

    Raises:
        ConfigurationError: Other machines can reach it and nothing protects it.
    """
    from mcp.server.transport_security import TransportSecuritySettings

    where.check()
    names = where.names
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*names, *(f"{name}:*" for name in names)],
        allowed_origins=[
            f"{scheme}://{name}{port}"
            for scheme in ("http", "https")
            for name in names
            for port in ("", ":*")
        ],
    )
    app: App = server.streamable_http_app(streamable_http_path=PATH, transport_security=security)
    return app if where.token is None else with_token(app, where.token)


def with_token(app: App, token: str) -> App:
    """Return an app that answers 401 to requests without this bearer token."""
    expected = token.encode()

    async def guarded(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, value = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
        # Schemes have no case.
        if scheme.lower() == b"bearer" and hmac.compare_digest(value.strip(b" "), expected):
            await app(scope, receive, send)
            return
        body = b'{"error": "a valid bearer token is needed"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"www-authenticate", b"Bearer"),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return guarded
