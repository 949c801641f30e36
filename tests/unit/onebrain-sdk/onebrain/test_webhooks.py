"""Deliveries of briefings are believed only with the right signature, just sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from onebrain import WebhookVerificationError
from onebrain.webhooks import verify_onebrain

NOW = datetime(2026, 1, 15, 8, 0, 30, tzinfo=UTC).timestamp()
BODY = json.dumps(
    {
        "event": "briefing.delivered",
        "briefingId": "b1",
        "title": "Morning",
        "contentText": "All quiet.",
        "timestamp": "2026-01-15T08:00:00.000Z",
    }
).encode()


def signed(body=BODY, secret=b"s3cret", name="X-BrainPulse-Signature"):
    return {name: "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}


@pytest.mark.parametrize("secret", ["s3cret", b"s3cret", SecretStr("s3cret")])
@pytest.mark.parametrize("name", ["X-BrainPulse-Signature", "x-brainpulse-signature"])
def test_a_right_signature_is_believed(secret, name):
    event = verify_onebrain(BODY, signed(name=name), secret=secret, now=NOW)
    assert (event.event, event.briefing_id, event.title, event.text) == (
        "briefing.delivered",
        "b1",
        "Morning",
        "All quiet.",
    )


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (BODY + b" ", signed(), "does not match"),
        (BODY, signed(secret=b"other"), "does not match"),
        (BODY, {}, "missing"),
        (BODY, {"X-BrainPulse-Signature": "sha256=zz"}, "form"),
        (BODY, {"X-BrainPulse-Signature": "md5=" + "0" * 64}, "form"),
        (BODY, {**signed(), **signed(name="x-brainpulse-signature")}, "more than once"),
        (BODY.decode(), signed(), "raw bytes"),
        (b"[]", signed(b"[]"), "not the JSON"),
        (b"{", signed(b"{"), "not the JSON"),
        (b'{"event": "x"}', signed(b'{"event": "x"}'), "when it was sent"),
    ],
)
def test_anything_else_is_refused_with_its_reason(body, headers, reason):
    with pytest.raises(WebhookVerificationError, match=reason):
        verify_onebrain(body, headers, secret="s3cret", now=NOW)


def test_an_empty_secret_signs_for_everybody_and_is_refused():
    with pytest.raises(WebhookVerificationError, match="secret is empty"):
        verify_onebrain(BODY, signed(secret=b"\0"), secret="", now=NOW)


def test_a_delivery_of_long_ago_or_far_ahead_is_refused():
    with pytest.raises(WebhookVerificationError, match="ago"):
        verify_onebrain(BODY, signed(), secret="s3cret", now=NOW + 600)
    with pytest.raises(WebhookVerificationError, match="ahead"):
        verify_onebrain(BODY, signed(), secret="s3cret", now=NOW - 600)
    assert verify_onebrain(BODY, signed(), secret="s3cret", now=NOW + 10**6, max_age=None).briefing_id == "b1"
