"""A delivery is trusted only with a signature of its body."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from pydantic import SecretStr

from onebrain import OneBrainValidationError, WebhookVerificationError
from onebrain.webhooks import verify_herobrain

SECRET = "your-webhook-secret"
# The payload of the API reference.
BODY = json.dumps(
    {
        "event": "memory.created",
        "data": {
            "id": "mem_abc123def456",
            "content": "Met with Sarah about Q4 goals...",
            "type": "episodic",
            "tenantId": "user_12345",
            "createdAt": "2025-11-19T10:00:00Z",
        },
        "metadata": {"request_id": "req_1234567890", "timestamp": "2025-11-19T10:00:01Z", "version": "v1"},
    }
).encode()


def sign(body=BODY, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("prefix", ["", "sha256="])
@pytest.mark.parametrize("name", ["X-HeroBrain-Signature", "x-herobrain-signature"])
@pytest.mark.parametrize(
    "secret", [SECRET, SECRET.encode(), SecretStr(SECRET)], ids=lambda s: type(s).__name__
)
def test_a_signed_delivery_is_trusted(prefix, name, secret):
    event = verify_herobrain(BODY, {name: prefix + sign()}, secret=secret)
    assert event.event == "memory.created"
    assert event.data["tenantId"] == "user_12345"
    assert event.metadata["request_id"] == "req_1234567890"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no X-HeroBrain-Signature"),
        ({"X-HeroBrain-Signature": ""}, "no X-HeroBrain-Signature"),
        ({"X-HeroBrain-Signature": "0" * 64}, "does not fit"),
        ({"X-HeroBrain-Signature": "0" * 63}, "not 64"),
        ({"X-HeroBrain-Signature": "md5=" + sign()}, "not 64"),
        ({"X-HeroBrain-Signature": sign(secret="another")}, "does not fit"),
    ],
    ids=str,
)
def test_anything_else_is_refused_with_a_reason(headers, reason):
    with pytest.raises(WebhookVerificationError, match=reason):
        verify_herobrain(BODY, headers, secret=SECRET)


def test_a_body_written_anew_is_refused():
    again = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    with pytest.raises(WebhookVerificationError, match="does not fit"):
        verify_herobrain(again, {"X-HeroBrain-Signature": sign()}, secret=SECRET)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}"])
def test_a_signed_body_that_is_no_event_is_refused(body):
    with pytest.raises(WebhookVerificationError, match="not an event"):
        verify_herobrain(body, {"X-HeroBrain-Signature": sign(body)}, secret=SECRET)


def test_an_empty_secret_is_refused():
    with pytest.raises(OneBrainValidationError, match="secret"):
        verify_herobrain(BODY, {"X-HeroBrain-Signature": sign(secret="")}, secret="")
