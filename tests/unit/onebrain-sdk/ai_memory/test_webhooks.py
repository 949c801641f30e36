"""A delivery is trusted only with a signature of the daemon's own making, in time."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from pydantic import SecretStr

from onebrain import OneBrainValidationError, WebhookVerificationError
from onebrain.services.ai_memory import verify_webhook_signature
from onebrain.webhooks import verify_ai_memory

# The conformance vector that ai-memory's SDK ships.
SECRET = "correct horse"
STAMP = "1700000000"
BODY = b'{"event":"memory_delete","memory_id":"m-1"}'
SIGNATURE = "sha256=6072fac949e7dcfbf2cf58b79dd8b6a6d84461677c8293aa6526e22f4827deae"
HEADERS = {"X-AI-Memory-Signature": SIGNATURE, "X-AI-Memory-Timestamp": STAMP}
NOW = 1_700_000_000


def sign(body, stamp=STAMP, secret=SECRET):
    key = hashlib.sha256(secret.encode()).digest()
    return "sha256=" + hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "secret", [SECRET, SECRET.encode(), SecretStr(SECRET)], ids=lambda s: type(s).__name__
)
def test_the_vector_verifies(secret):
    event = verify_ai_memory(BODY, HEADERS, secret=secret, now=NOW)
    assert (event.event, event.memory_id, event["memory_id"]) == ("memory_delete", "m-1", "m-1")


def test_fields_of_an_event_are_kept():
    body = b'{"event":"memory_promote","memory_id":"m","namespace":"n","agent_id":null,"mode":"tier","tier":"long"}'
    headers = {"x-ai-memory-signature": sign(body), "x-ai-memory-timestamp": STAMP}
    event = verify_ai_memory(body, headers, secret=SECRET, now=NOW)
    assert (event.namespace, event.agent_id, event.tier) == ("n", None, "long")


@pytest.mark.parametrize("age", [-60, 0, 300])
def test_a_delivery_within_its_time_is_trusted(age):
    assert verify_ai_memory(BODY, HEADERS, secret=SECRET, now=NOW + age).event == "memory_delete"


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"X-AI-Memory-Signature": None}, {}, "no X-AI-Memory-Signature"),
        ({"X-AI-Memory-Timestamp": None}, {}, "no X-AI-Memory-Timestamp"),
        ({"X-AI-Memory-Signature": "sha256=" + "0" * 64}, {}, "does not fit"),
        ({"X-AI-Memory-Signature": SIGNATURE[7:]}, {}, "not 'sha256='"),
        ({"X-AI-Memory-Signature": "sha1=" + SIGNATURE[7:]}, {}, "not 'sha256='"),
        ({"X-AI-Memory-Signature": SIGNATURE + "\n"}, {"now": NOW + 301}, "ago"),
        ({"X-AI-Memory-Timestamp": "yesterday"}, {}, "not a number of seconds"),
        ({"X-AI-Memory-Timestamp": "-1"}, {}, "not a number of seconds"),
        ({"X-AI-Memory-Timestamp": "1700000001"}, {}, "does not fit"),
        ({}, {"secret": "another"}, "does not fit"),
        ({}, {"now": NOW + 301}, "301 seconds ago"),
        ({}, {"now": NOW - 61}, "61 seconds in the future"),
        ({}, {"now": NOW + 11, "max_age": 10}, "11 seconds ago"),
    ],
    ids=str,
)
def test_anything_else_is_refused_with_a_reason(changes, options, reason):
    headers = {name: value for name, value in {**HEADERS, **changes}.items() if value is not None}
    with pytest.raises(WebhookVerificationError, match=reason) as caught:
        verify_ai_memory(BODY, headers, **{"secret": SECRET, "now": NOW, **options})
    assert caught.value.service == "ai-memory"
    assert SECRET not in str(caught.value)


def test_a_changed_body_is_refused():
    with pytest.raises(WebhookVerificationError, match="does not fit"):
        verify_ai_memory(BODY + b" ", HEADERS, secret=SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"", b"[1]", b"not json", b"{}"])
def test_a_signed_body_that_is_no_event_is_refused(body):
    headers = {"X-AI-Memory-Signature": sign(body), "X-AI-Memory-Timestamp": STAMP}
    with pytest.raises(WebhookVerificationError, match="not an event"):
        verify_ai_memory(body, headers, secret=SECRET, now=NOW)


def test_an_empty_secret_and_a_decoded_body_are_mistakes_of_the_caller():
    with pytest.raises(OneBrainValidationError, match="secret"):
        verify_ai_memory(BODY, HEADERS, secret="")
    with pytest.raises(OneBrainValidationError, match="raw bytes"):
        verify_ai_memory(BODY.decode(), HEADERS, secret=SECRET)


def test_the_function_of_the_sdk_verifies_what_a_daemon_sends():
    assert verify_webhook_signature(BODY, SIGNATURE, secret=SECRET, timestamp=STAMP, now=NOW)
    assert not verify_webhook_signature(BODY, SIGNATURE, secret="another", timestamp=STAMP, now=NOW)
    assert not verify_webhook_signature(BODY, SIGNATURE, secret=SECRET, timestamp=STAMP, now=NOW + 1000)
    assert not verify_webhook_signature(BODY, "", secret=SECRET, timestamp=STAMP, now=NOW)


def test_without_a_timestamp_it_says_what_is_missing():
    with pytest.raises(OneBrainValidationError, match="timestamp"):
        verify_webhook_signature(BODY, SIGNATURE, secret=SECRET)


def test_the_old_form_is_checked_only_by_its_name():
    """HMAC(secret, body), as the SDK's README has it; no daemon ever sent it."""
    old = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert verify_webhook_signature(BODY, old, secret=SECRET, legacy_body_only=True)
    assert not verify_webhook_signature(BODY, SIGNATURE, secret=SECRET, legacy_body_only=True)
    assert not verify_webhook_signature(BODY, old, secret=SECRET, timestamp=STAMP, now=NOW)
    with pytest.raises(OneBrainValidationError, match="legacy_body_only"):
        verify_webhook_signature(BODY, old, secret=SECRET, timestamp=STAMP, legacy_body_only=True)
