"""The address guard: which hosts the server may be sent to by its users.

A URL that a user gives (a page to ingest, a webhook) must not reach an address that only the server can reach. The name is resolved
once, every address it has must be public, and the connection goes to the very address that was checked, so that a name
that changes its address between check and use (DNS rebinding) gains nothing. Redirects are followed by hand, each checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

REDIRECTS: Final = 3
_PORTS: Final = frozenset({80, 443, 8080, 8443})


class AddressRefused(Exception):
    """The URL leads where users of this server may not send it; the text says why and names no address."""


# What is global by the registry and yet not part of the public web: protocols' own addresses, translators whose inner
# address decides, and what was set aside since or is not in the tables of every Python that this runs on.
_REFUSED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        # Protocol assignments, the anycast addresses of it included.
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        # 6to4 relays.
        "192.88.99.0/24",
        "192.175.48.0/24",
        "240.0.0.0/4",
        # NAT64 of a site's own.
        "64:ff9b:1::/48",
        # Protocol assignments: Teredo, ORCHID, benchmarks.
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
    )
)
# All that is given out for the public network of IPv6.
_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Return whether an address is known to be of the public web; IPv4 inside IPv6 decides for it.

    Example:
        >>> is_public("169.254.169.254"), is_public("::ffff:10.0.0.1"), is_public("93.184.216.34")
        (False, False, True)
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _inside(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _UNICAST or ip.is_site_local:
            return False
    return (
        ip.is_global
        and not (ip.is_multicast or ip.is_reserved or ip.is_private or ip.is_loopback)
        and not (ip.is_link_local or ip.is_unspecified)
        and not any(ip in network for network in _REFUSED if network.version == ip.version)
    )


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a packet to an IPv6 address is sent on to: mapped, 6to4 or NAT64."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None


class AddressUnknown(AddressRefused):
    """The URL's host has no address now; it may get one."""


class Fetcher:
    """Sends requests to URLs that users gave.

    Args:
        private: Whether private addresses and plain HTTP are allowed.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._private = private

    async def resolve(self, url: str) -> tuple[httpx.URL, str, str]:
        """Return the URL with a checked address for its host, the host's name, and its ``Host`` header."""
        host, port, actual = self._host_of(url)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, actual, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise AddressUnknown("the URL's host has no address") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses:
            raise AddressUnknown("the URL's host has no address")
        if not self._private and not all(is_public(address) for address in addresses):
            raise AddressRefused("the URL leads to a private address")
        try:
            target = httpx.URL(url).copy_with(host=addresses[0])
        except httpx.InvalidURL:
            raise AddressRefused("the URL cannot be read") from None
        return target, host, host if port is None else f"{host}:{port}"

    def _host_of(self, url: str) -> tuple[str, int | None, int]:
        """Return a URL's host, the port that it names, and the port that it means."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise AddressRefused("the URL cannot be read") from None
        if parts.scheme != "https" and not (self._private and parts.scheme == "http"):
            raise AddressRefused("the URL must begin with https://")
        if parts.username is not None or parts.password is not None:
            raise AddressRefused("the URL must not hold a user or password")
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise AddressRefused("the URL's port is no number from 0 to 65535") from None
        if not host:
            raise AddressRefused("the URL names no host")
        actual = port if port is not None else 443 if parts.scheme == "https" else 80
        if not self._private and actual not in _PORTS:
            raise AddressRefused("the URL's port is not one of the web")
        return host, port, actual

    async def check(self, url: str) -> None:
        """Raise `AddressRefused` for a URL that nothing may be sent to; a host without an address may get one later."""
        try:
            await self.resolve(url)
        except AddressUnknown:
            return
        except ValueError:
            raise AddressRefused("it is no URL") from None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 10.0,
        most: int = 5 * 1024 * 1024,
        redirects: int = REDIRECTS,
    ) -> tuple[int, httpx.Headers, bytes]:
        """Send a request and return status, headers and at most `most` bytes of the answer.

        Raises:
            AddressRefused: The URL, or one it redirects to, may not be reached.
            httpx.HTTPError: The request failed.
        """
        async with (
            asyncio.timeout(timeout),
            # A proxy of the environment would look the host up by itself, after it was checked here.
            httpx.AsyncClient(trust_env=False, follow_redirects=False) as client,
        ):
            for _ in range(redirects + 1):
                # The connection goes to the address that was checked; the certificate has to be that of the host's name.
                target, host, authority = await self.resolve(url)
                request = client.build_request(
                    method,
                    target,
                    headers={"user-agent": "onebrain-server", **(headers or {}), "host": authority},
                    content=content,
                    extensions={"sni_hostname": host},
                )
                async with client.stream(
                    method,
                    target,
                    headers=request.headers,
                    content=content,
                    extensions={"sni_hostname": host},
                ) as response:
                    if response.is_redirect and method == "GET":
                        url = urljoin(url, response.headers.get("location", ""))
                        continue
                    body = b""
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > most:
                            raise AddressRefused(f"the answer is larger than {most // 1024} KB")
                    return response.status_code, response.headers, body
        raise AddressRefused("too many redirects")
