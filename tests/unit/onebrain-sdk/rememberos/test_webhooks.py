"""Deliveries of RememberOS: a fixed vector, and everything that must not pass."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from onebrain.errors import WebhookVerificationError
from onebrain.webhooks import verify_rememberos

BODY = b'{"event":"memory.created","data":{"id":"m1","text":"Maria prefers window seats"}}'
SECRET = "whsec_rememberos_test"
# printf '%s' "$BODY" | openssl dgst -sha256 -hmac "$SECRET"
SIGNATURE = "e5df2e01841d3a0e62815c25651e664f0e2d1a7813b164d314fc3075f60c677b"
HEADER = "X-RememberOS-Signature"


@pytest.mark.parametrize(
    "secret", [SECRET, SECRET.encode(), SecretStr(SECRET)], ids=["str", "bytes", "SecretStr"]
)
@pytest.mark.parametrize("header", [HEADER, HEADER.lower(), HEADER.upper()])
@pytest.mark.parametrize("signature", [SIGNATURE, f"sha256={SIGNATURE}", f" {SIGNATURE} ", SIGNATURE.upper()])
def test_a_right_signature_gives_the_event(secret, header, signature):
    event = verify_rememberos(BODY, {header: signature, "content-type": "application/json"}, secret=secret)
    assert (event.event, event.data["id"]) == ("memory.created", "m1")


@pytest.mark.parametrize(
    ("body", "headers", "secret", "reason"),
    [
        (BODY, {}, SECRET, "missing"),
        (BODY, {HEADER: ""}, SECRET, "not a SHA-256 digest"),
        (BODY, {HEADER: SIGNATURE[:-1]}, SECRET, "not a SHA-256 digest"),
        (BODY, {HEADER: f"sha1={SIGNATURE}"}, SECRET, "not a SHA-256 digest"),
        (BODY, {HEADER: "é" * 64}, SECRET, "not a SHA-256 digest"),
        (BODY, {HEADER: "0" * 64}, SECRET, "does not match"),
        (BODY + b" ", {HEADER: SIGNATURE}, SECRET, "does not match"),
        (BODY, {HEADER: SIGNATURE}, "wrong-secret", "does not match"),
        (BODY, {HEADER: SIGNATURE}, "", "empty"),
        (BODY.decode(), {HEADER: SIGNATURE}, SECRET, "raw bytes"),
        (BODY, {HEADER: SIGNATURE, HEADER.lower(): SIGNATURE}, SECRET, "more than once"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body, headers, secret, reason):
    with pytest.raises(WebhookVerificationError, match=reason) as caught:
        verify_rememberos(body, headers, secret=secret)
    assert caught.value.service == "rememberos"
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"data":{}}'])
def test_a_signed_body_that_is_no_event_is_refused(body):
    import hashlib
    import hmac

    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with pytest.raises(WebhookVerificationError, match="not the JSON of an event"):
        verify_rememberos(body, {HEADER: signature}, secret=SECRET)
