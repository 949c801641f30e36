"""Deliveries of an ai-memory daemon: HMAC-SHA256 over timestamp and body, keyed with the SHA-256 of the secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr, ValidationError

from onebrain._core.codec import from_json
from onebrain._core.record import Record
from onebrain._core.signatures import key_of
from onebrain.errors import OneBrainValidationError, WebhookVerificationError

_SERVICE: Final = "ai-memory"
_SIGNATURE: Final = "x-ai-memory-signature"
_TIMESTAMP: Final = "x-ai-memory-timestamp"
_FORM: Final = re.compile(r"sha256=([0-9a-fA-F]{64})", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class AiMemoryEvent(Record):
    """An event of an ai-memory daemon; further fields, such as ``tier`` or ``relation``, depend on the event.

    Attributes:
        event: Such as ``"memory_delete"``, ``"memory_promote"``, ``"memory_link_created"``.
        memory_id: The memory it happened to.
        agent_id: Whose memory that is.
        delivered_at: When the daemon sent it, as it wrote it.
        correlation_id: From version 0.7 on; the receiver answers with it.
    """

    event: str
    memory_id: str | None = None
    namespace: str | None = None
    agent_id: str | None = None
    delivered_at: str | None = None
    correlation_id: str | None = None


def verify_ai_memory(
    body: bytes,
    headers: Mapping[str, str],
    *,
    secret: str | bytes | SecretStr,
    max_age: float = 300.0,
    max_skew: float = 60.0,
    now: float | None = None,
) -> AiMemoryEvent:
    """Return the event of a delivery, or raise where it is not to be trusted.

    Args:
        body: The raw bytes as they were received; JSON that was read and written again does not verify.
        headers: The request's headers, in any case.
        secret: The secret that the subscription was made with.
        max_age: The most seconds since the delivery was signed. The daemon signs once for all of its attempts.
        max_skew: The most seconds by which the daemon's clock may be ahead.
        now: Seconds since 1970; the default is the clock.

    Raises:
        WebhookVerificationError: A header is missing or wrong, or the delivery is too old or from the future; its
            ``reason`` says which.

    Example:
        >>> event = verify_ai_memory(
        ...     b'{"event":"memory_delete","memory_id":"m-1"}',
        ...     {
        ...         "X-AI-Memory-Timestamp": "1700000000",
        ...         "X-AI-Memory-Signature": "sha256=6072fac949e7dcfbf2cf58b79dd8b6a6d84461677c8293aa6526e22f4827deae",
        ...     },
        ...     secret="correct horse",
        ...     now=1700000010,
        ... )
        >>> event.event
        'memory_delete'
    """
    key = key_of(body, secret)
    given = {str(name).lower(): value for name, value in headers.items()}
    signature, timestamp = given.get(_SIGNATURE), given.get(_TIMESTAMP)
    if not signature:
        raise _refused("it has no X-AI-Memory-Signature header; does the subscription have a secret?")
    if not timestamp:
        raise _refused("it has no X-AI-Memory-Timestamp header")
    _verify(body, signature.strip(), timestamp.strip(), key, max_age, max_skew, now)
    try:
        return AiMemoryEvent.model_validate(from_json(bytes(body)))
    except (ValueError, ValidationError):
        raise _refused("its body is not an event of ai-memory") from None


def verify_webhook_signature(
    body: bytes,
    signature: str,
    *,
    secret: str | bytes | SecretStr,
    timestamp: str | None = None,
    max_age: float = 300.0,
    max_skew: float = 60.0,
    now: float | None = None,
    legacy_body_only: bool = False,
) -> bool:
    """Return whether a signature fits; the name is that of ai-memory's own SDK.

    No daemon signs in the form that the SDK up to 0.10 checks, the body alone keyed with the secret itself; only
    `legacy_body_only` checks that form, for senders of one's own. It has no protection against replays.

    Args:
        body: The raw bytes as they were received.
        signature: The header ``X-AI-Memory-Signature``.
        secret: The secret that the subscription was made with.
        timestamp: The header ``X-AI-Memory-Timestamp``; needed unless `legacy_body_only`.
        max_age: The most seconds since the delivery was signed.
        max_skew: The most seconds by which the sender's clock may be ahead.
        now: Seconds since 1970; the default is the clock.
        legacy_body_only: Check the old form, and only that.
    """
    key = key_of(body, secret)
    if legacy_body_only:
        if timestamp is not None:
            raise OneBrainValidationError("legacy_body_only has no timestamp; leave one of the two out")
        given = _FORM.fullmatch(signature or "")
        expected = hmac.new(key, bytes(body), hashlib.sha256).hexdigest()
        return given is not None and hmac.compare_digest(given[1].lower(), expected)
    if timestamp is None:
        raise OneBrainValidationError(
            "timestamp is needed: ai-memory signs it together with the body; pass the X-AI-Memory-Timestamp header"
        )
    try:
        _verify(body, signature or "", timestamp, key, max_age, max_skew, now)
    except WebhookVerificationError:
        return False
    return True


def _verify(
    body: bytes,
    signature: str,
    timestamp: str,
    secret: bytes,
    max_age: float,
    max_skew: float,
    now: float | None,
) -> None:
    given = _FORM.fullmatch(signature)
    if given is None:
        raise _refused("its X-AI-Memory-Signature is not 'sha256=' and 64 hexadecimal digits")
    if _SECONDS.fullmatch(timestamp) is None:
        raise _refused("its X-AI-Memory-Timestamp is not a number of seconds")
    key = hashlib.sha256(secret).digest()
    expected = hmac.new(key, timestamp.encode() + b"." + bytes(body), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(given[1].lower(), expected):
        raise _refused("its signature does not fit the body, the timestamp and this secret")
    age = (time.time() if now is None else now) - int(timestamp)
    if age > max_age:
        raise _refused(f"it was signed {age:.0f} seconds ago, more than {max_age:.0f}")
    if -age > max_skew:
        raise _refused(f"it is dated {-age:.0f} seconds in the future, more than {max_skew:.0f}")


def _refused(reason: str) -> WebhookVerificationError:
    return WebhookVerificationError(reason, service=_SERVICE)
