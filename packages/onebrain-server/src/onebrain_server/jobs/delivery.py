"""Delivering webhooks: signed, with a time in what is signed, to public addresses only."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import httpx
from pydantic_core import to_json

from onebrain_server.security.addresses import AddressRefused, Fetcher


def signed(secret: str | None, body: bytes, moment: int) -> dict[str, str]:
    """Return the headers that prove who sent a body, and when.

    ``X-BrainPulse-Signature`` is OneBrain's own form, over the body alone; ``X-OneBrain-Signature`` is
    ``t=<seconds>,v1=<HMAC-SHA-256 of "<seconds>.<body>">``, which cannot be replayed later.
    """
    if not secret:
        return {}
    plain = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    timed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"x-brainpulse-signature": f"sha256={plain}", "x-onebrain-signature": f"t={moment},v1={timed}"}


async def deliver(fetcher: Fetcher, url: str, secret: str | None, event: dict[str, Any]) -> bool:
    """Send an event to a webhook, once; return whether it was taken."""
    body = to_json(event)
    headers = {"content-type": "application/json", **signed(secret, body, int(time.time()))}
    try:
        status, _, _ = await fetcher.send(
            "POST", url, headers=headers, content=body, most=64 * 1024, redirects=0
        )
    except (AddressRefused, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
        return False
    return 200 <= status < 300
