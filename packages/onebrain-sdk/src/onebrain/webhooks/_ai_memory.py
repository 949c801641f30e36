"""Deliveries of an ai-memory daemon: HMAC-SHA256 over timestamp and body, keyed with the SHA-256 of the secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from onebrain._core.codec import from_json
from onebrain.errors import OneBrainValidationError, WebhookVerificationError

_SERVICE: Final = "ai-memory"
_SIGNATURE: Final = "x-ai-memory-signature"
_TIMESTAMP: Final = "x-ai-memory-timestamp"
_FORM: Final = re.compile(r"sha256=([0-9a-fA-F]{64})", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


def verify_ai_memory(
    body: bytes,
    headers: Mapping[str, str],
    *,
    secret: str,
    max_age: float = 300.0,
    max_skew: float = 60.0,
    now: float | None = None,
) -> dict[str, Any]:
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
        >>> event["event"]
        'memory_delete'
    """
    _check_input(body, secret)
    given = {str(name).lower(): value for name, value in headers.items()}
    signature, timestamp = given.get(_SIGNATURE), given.get(_TIMESTAMP)
    if not signature:
        raise _refused("it has no X-AI-Memory-Signature header; does the subscription have a secret?")
    if not timestamp:
        raise _refused("it has no X-AI-Memory-Timestamp header")
    _verify(body, signature.strip(), timestamp.strip(), secret, max_age, max_skew, now)
    try:
        event: Any = from_json(bytes(body))
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise _refused("its body is not a JSON object")
    return cast("dict[str, Any]", event)


def verify_webhook_signature(
    body: bytes,
    signature: str,
    *,
    secret: str,
    timestamp: str | None = None,
    max_age: float = 300.0,
    max_skew: float = 60.0,
    now: float | None = None,
    legacy_body_only: bool = False,
) -> bool:
    """Say whether a signature fits: the function by its name in ai-memory's own SDK.

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
    _check_input(body, secret)
    if legacy_body_only:
        if timestamp is not None:
            raise OneBrainValidationError("legacy_body_only has no timestamp; leave one of the two out")
        given = _FORM.fullmatch(signature or "")
        expected = hmac.new(secret.encode(), bytes(body), hashlib.sha256).hexdigest()
        return given is not None and hmac.compare_digest(given[1].lower(), expected)
    if timestamp is None:
        raise OneBrainValidationError(
            "timestamp is needed: ai-memory signs it together with the body; pass the X-AI-Memory-Timestamp header"
        )
    try:
        _verify(body, signature or "", timestamp, secret, max_age, max_skew, now)
    except WebhookVerificationError:
        return False
    return True


def _check_input(body: Any, secret: Any) -> None:
    if not isinstance(body, bytes | bytearray | memoryview):
        raise OneBrainValidationError("body: must be the raw bytes of the request")
    if not isinstance(secret, str) or not secret:
        raise OneBrainValidationError("secret: must not be empty, for then anybody could sign")


def _verify(
    body: bytes,
    signature: str,
    timestamp: str,
    secret: str,
    max_age: float,
    max_skew: float,
    now: float | None,
) -> None:
    given = _FORM.fullmatch(signature)
    if given is None:
        raise _refused("its X-AI-Memory-Signature is not 'sha256=' and 64 hexadecimal digits")
    if _SECONDS.fullmatch(timestamp) is None:
        raise _refused("its X-AI-Memory-Timestamp is not a number of seconds")
    key = hashlib.sha256(secret.encode()).digest()
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
