"""RememberOS signs a delivery with HMAC-SHA256 of its raw body, in lower-case hex, in ``X-RememberOS-Signature``.

Neither the encoding nor a time in the signature is documented: a ``sha256=`` in front is accepted, and a delivery that
is sent again later cannot be told from the first one, so whoever acts on one keeps in mind what was done already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import AliasChoices, Field, SecretStr

from onebrain._core.record import Record
from onebrain._core.signatures import check_body, event_of

SERVICE: Final = "rememberos"
HEADER: Final = "X-RememberOS-Signature"

_DIGEST = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")


class RememberOSEvent(Record):
    """An event of a memory.

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
    content = check_body(
        body,
        headers,
        secret=secret,
        header=HEADER,
        form=_DIGEST,
        expected="a SHA-256 digest in hex",
        service=SERVICE,
    )
    return event_of(RememberOSEvent, content, SERVICE)
