"""OneBrain signs a briefing (BrainPulse) with HMAC-SHA256 of its raw body, in ``X-BrainPulse-Signature: sha256=<hex>``.

The time of sending stands in the body, and so is signed with it. OneBrain sends once and does not try again, so a delivery
that is old was sent again by somebody else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final

from pydantic import AliasChoices, Field, SecretStr

from onebrain._core.record import Record
from onebrain._core.signatures import check_body, event_of
from onebrain.errors import WebhookVerificationError
from onebrain.memory.filters import instant_of

SERVICE: Final = "onebrain"
HEADER: Final = "X-BrainPulse-Signature"

_FORM: Final = re.compile(r"sha256=([0-9a-fA-F]{64})", re.ASCII)


class OneBrainEvent(Record):
    """A briefing that was delivered.

    Attributes:
        event: ``"briefing.delivered"``.
        briefing_id: The briefing, for ``client.briefing.get``.
        title: Its title.
        text: Its text.
        timestamp: When it was sent, as OneBrain wrote it.
    """

    event: str
    briefing_id: str | None = Field(default=None, validation_alias=AliasChoices("briefingId", "briefing_id"))
    title: str = ""
    text: str = Field(default="", validation_alias=AliasChoices("contentText", "text"))
    timestamp: str | None = None


def verify_onebrain(
    body: bytes,
    headers: Mapping[str, str],
    *,
    secret: str | bytes | SecretStr,
    max_age: float | None = 300.0,
    max_skew: float = 60.0,
    now: float | None = None,
) -> OneBrainEvent:
    """Check the signature of a briefing's delivery and return its event.

    Args:
        body: The raw bytes as they were received; JSON that was read and written again does not verify.
        headers: The request's headers, in any case.
        secret: The ``webhook_secret`` given to ``client.briefing.update_config``.
        max_age: The most seconds since the delivery was sent; None for any age.
        max_skew: The most seconds by which the sender's clock may be ahead.
        now: Seconds since 1970; the default is the clock.

    Raises:
        WebhookVerificationError: The signature is missing or wrong, the delivery is too old or too new, or the body is
            no event; ``reason`` says which.

    Example:
        >>> import hashlib, hmac
        >>> body = b'{"event": "briefing.delivered", "briefingId": "b1", "timestamp": "2026-01-15T08:00:00Z"}'
        >>> signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        >>> headers = {"X-BrainPulse-Signature": f"sha256={signature}"}
        >>> verify_onebrain(body, headers, secret="s3cret", now=1768464030).briefing_id
        'b1'
    """
    content = check_body(
        body,
        headers,
        secret=secret,
        header=HEADER,
        form=_FORM,
        expected="of the form sha256=<hex>",
        service=SERVICE,
    )
    event = event_of(OneBrainEvent, content, SERVICE)
    if max_age is not None:
        sent = instant_of(event.timestamp)
        if sent is None:
            raise WebhookVerificationError("it does not say when it was sent", service=SERVICE)
        age = (time.time() if now is None else now) - sent.timestamp()
        if age > max_age:
            raise WebhookVerificationError(f"it was sent {age:.0f} s ago", service=SERVICE)
        if age < -max_skew:
            raise WebhookVerificationError(f"it is dated {-age:.0f} s ahead", service=SERVICE)
    return event
