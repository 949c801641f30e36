"""RememberOS signs a delivery with HMAC-SHA256 of its raw body, in lower-case hex, in ``X-RememberOS-Signature``.

Neither the encoding nor a time in the signature is documented: a ``sha256=`` in front is accepted, and a delivery that
is sent again later cannot be told from the first one, so whoever acts on one keeps in mind what was done already.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import AliasChoices, Field, SecretStr, ValidationError

from onebrain._core.codec import from_json
from onebrain._core.record import Record
from onebrain.errors import WebhookVerificationError

SERVICE: Final = "rememberos"
HEADER: Final = "X-RememberOS-Signature"

_DIGEST = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")


class RememberOSEvent(Record):
    """What happened to a memory.

    Attributes:
        event: ``"memory.created"``, ``"memory.updated"`` or ``"memory.deleted"``.
        data: The memory, as the service describes it.
    """

    event: str = Field(validation_alias=AliasChoices("event", "type"))
    data: dict[str, Any] = Field(default_factory=dict, validation_alias=AliasChoices("data", "memory"))


def verify_rememberos(
    body: bytes, headers: Mapping[str, str], *, secret: str | bytes | SecretStr
) -> RememberOSEvent:
    """Check the signature of a RememberOS delivery and return its event.

    Args:
        body: The request's body, byte for byte as it came: parsing and writing it again breaks the signature.
        headers: The request's headers; case does not matter.
        secret: The secret that ``client.webhook.set(url)`` returned.

    Raises:
        WebhookVerificationError: The signature is missing or wrong, or the body is no event; ``reason`` says which.

    Example:
        >>> import hashlib, hmac
        >>> body = b'{"event": "memory.deleted", "data": {"id": "m1"}}'
        >>> signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
        >>> verify_rememberos(body, {"X-RememberOS-Signature": signature}, secret="secret").event
        'memory.deleted'
    """
    if isinstance(secret, SecretStr):
        secret = secret.get_secret_value()
    key = secret.encode() if isinstance(secret, str) else secret
    if not key:
        raise WebhookVerificationError("the secret is empty", service=SERVICE)
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookVerificationError(
            f"the body must be the raw bytes of the request, not {type(body).__name__}", service=SERVICE
        )
    given = [value for name, value in headers.items() if name.lower() == HEADER.lower()]
    if not given:
        raise WebhookVerificationError(f"the header {HEADER} is missing", service=SERVICE)
    if len(given) > 1:
        raise WebhookVerificationError(f"the header {HEADER} is there more than once", service=SERVICE)
    match = _DIGEST.fullmatch(given[0].strip())
    if match is None:
        raise WebhookVerificationError(f"{HEADER} is not a SHA-256 digest in hex", service=SERVICE)
    wanted = hmac.new(key, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, match[1].lower()):
        raise WebhookVerificationError(
            "the signature does not match: the secret is another one, or the body was changed",
            service=SERVICE,
        )
    try:
        return RememberOSEvent.model_validate(from_json(bytes(body)))
    except (ValueError, ValidationError):
        raise WebhookVerificationError(
            "the signature is right, but the body is not the JSON of an event", service=SERVICE
        ) from None
