"""The checks that the webhooks of all services share: the secret, the raw body, one header, and the event in the body."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from onebrain._core.codec import from_json
from onebrain.errors import OneBrainValidationError, WebhookVerificationError

E = TypeVar("E", bound=BaseModel)


def key_of(body: object, secret: Any) -> bytes:
    """Return the bytes of a secret; an empty one would let anybody sign.

    Raises:
        OneBrainValidationError: The secret is empty or no text, or the body is not the raw bytes.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise OneBrainValidationError("body: must be the raw bytes of the request")
    key = _bytes_of(secret)
    if not isinstance(key, bytes) or not key:
        raise OneBrainValidationError("secret: must be a text that is not empty")
    return key


def check_body(
    body: object,
    headers: Mapping[str, str],
    *,
    secret: Any,
    header: str,
    form: re.Pattern[str],
    expected: str,
    service: str,
) -> bytes:
    """Return the body of a delivery whose header holds the HMAC-SHA256 of the body.

    Args:
        body: The raw bytes.
        headers: The request's headers.
        secret: The secret.
        header: The name of the header.
        form: The pattern of the header; its group 1 is the digest in hex.
        expected: The form in words, for a message.
        service: The service's name.

    Raises:
        WebhookVerificationError: Something is missing or wrong.
    """
    key = _bytes_of(secret)
    if not key:
        raise WebhookVerificationError("the secret is empty", service=service)
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookVerificationError(
            f"the body must be the raw bytes of the request, not {type(body).__name__}", service=service
        )
    given = [value for name, value in headers.items() if name.lower() == header.lower()]
    if len(given) != 1:
        how = "there more than once" if given else "missing"
        raise WebhookVerificationError(f"the header {header} is {how}", service=service)
    match = form.fullmatch(given[0].strip())
    if match is None:
        raise WebhookVerificationError(f"{header} is not {expected}", service=service)
    content: bytes = bytes(body)  # pyright: ignore[reportUnknownArgumentType]
    if not hmac.compare_digest(hmac.new(key, content, hashlib.sha256).hexdigest(), match[1].lower()):
        raise WebhookVerificationError(
            "the signature does not match: the secret is another one, or the body was changed",
            service=service,
        )
    return content


def event_of(kind: type[E], content: bytes, service: str) -> E:
    """Return the event in a body whose signature is right."""
    try:
        return kind.model_validate(from_json(content))
    except (ValueError, ValidationError):
        raise WebhookVerificationError(
            "the signature is right, but the body is not the JSON of an event", service=service
        ) from None


def _bytes_of(secret: Any) -> Any:
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return text.encode() if isinstance(text, str) else text
