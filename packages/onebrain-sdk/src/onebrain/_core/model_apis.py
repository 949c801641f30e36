"""Models behind an HTTP API: whether one may be called, and what to do where it refuses."""

from __future__ import annotations

import ipaddress
import os
from typing import Final

OFFLINE: Final = "ONEBRAIN_OFFLINE"


def offline() -> bool:
    """Return whether ``$ONEBRAIN_OFFLINE`` forbids to fetch models, and to call those on other machines."""
    return os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "no", "false", "off")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, which no proxy of the environment can reach.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("models.localhost"), is_loopback("example.org")
        (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def remedy(status: int, *, key: str, sent: str) -> str:
    """Return what to do where an API answers with a status that is not 200.

    Args:
        status: The status.
        key: The environment variable with the key.
        sent: The text that may have been too long, with its verb, such as ``"a text is"``.
    """
    return {
        401: f"set ${key} to a key that the server accepts",
        403: f"set ${key} to a key that may use this model",
        404: "check the address and the name of the model; some servers need the model to be loaded first",
        413: f"{sent} longer than the server accepts",
        429: "its allowance is used up; try again later",
    }.get(status, "see the log of its server")
