"""Deliveries of HeroBrain: HMAC-SHA256 over the body.

HeroBrain documents the header's name and nothing else. That the signature is the hexadecimal HMAC-SHA256 of the raw
body, keyed with the webhook's secret, is our reading, and our own server sends it so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, SecretStr, ValidationError

from onebrain._core.codec import from_json
from onebrain._core.record import Record
from onebrain._core.signatures import key_of
from onebrain.errors import WebhookVerificationError

_SERVICE: Final = "herobrain"
_SIGNATURE: Final = "x-herobrain-signature"
_FORM: Final = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})", re.ASCII)


class HeroBrainEvent(Record):
    """An event of HeroBrain.

    Attributes:
        event: Such as ``"memory.created"``.
        data: The object of the event, with its ``tenantId``.
        metadata: The delivery's ``request_id``, ``timestamp`` and ``version``.
    """

    event: str
    data: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


def verify_herobrain(
    body: bytes, headers: Mapping[str, str], *, secret: str | bytes | SecretStr
) -> HeroBrainEvent:
    """Return the event of a delivery, or raise where it is not to be trusted.

    HeroBrain signs no timestamp, so an old delivery can be sent again by whoever has seen it: keep
    the ``request_id`` of each delivery where that matters.

    Args:
        body: The raw bytes as they were received.
        headers: The request's headers, in any case.
        secret: The secret that the webhook was made with.

    Raises:
        WebhookVerificationError: The header is missing or wrong; its ``reason`` says which.

    Example:
        >>> import hashlib, hmac
        >>> body = b'{"event": "memory.created", "data": {"id": "mem_abc123def456"}}'
        >>> signature = hmac.new(b"your-webhook-secret", body, hashlib.sha256).hexdigest()
        >>> verify_herobrain(body, {"X-HeroBrain-Signature": signature}, secret="your-webhook-secret")[
        ...     "event"
        ... ]
        'memory.created'
    """
    key = key_of(body, secret)
    given = {str(name).lower(): value for name, value in headers.items()}.get(_SIGNATURE)
    if not given:
        raise _refused("it has no X-HeroBrain-Signature header")
    signature = _FORM.fullmatch(given.strip())
    if signature is None:
        raise _refused("its X-HeroBrain-Signature is not 64 hexadecimal digits")
    expected = hmac.new(key, bytes(body), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature[1].lower(), expected):
        raise _refused("its signature does not fit the body and this secret")
    try:
        return HeroBrainEvent.model_validate(from_json(bytes(body)))
    except (ValueError, ValidationError):
        raise _refused("its body is not an event of HeroBrain") from None


def _refused(reason: str) -> WebhookVerificationError:
    return WebhookVerificationError(reason, service=_SERVICE)
