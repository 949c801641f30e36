"""What needs a third party is answered 503 and why, never with a fake success, and never as if a setting could help."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

import onebrain
from onebrain.errors import OneBrainInternalError
from onebrain_server.testing import live_server

EMAIL = {"email": "maria@example.com"}
PUBLIC = [
    ("POST", "/memory/signup", EMAIL, "no mail"),
    ("POST", "/memory/recover-key", EMAIL, "no mail"),
    ("GET", "/memory/reveal/abcdef", None, "no mail"),
    ("GET", "/memory/connections/oauth/notion/callback?code=c&state=s", None, "no OAuth app"),
]
PRIVATE = [
    ("GET", "/memory/email/address", None, "no mail"),
    ("POST", "/memory/email/address/rotate", None, "no mail"),
    ("GET", "/memory/email/senders", None, "no mail"),
    ("PUT", "/memory/email/senders", {"senders": ["a@b.example"]}, "no mail"),
    ("POST", "/memory/stripe/checkout/create", None, "no payments"),
    ("POST", "/memory/stripe/checkout/create", {"price": "p"}, "no payments"),
    ("POST", "/memory/stripe/portal", None, "no payments"),
    *[
        ("GET", f"/memory/connections/oauth/{provider}/start?collection=notes&name=N", None, "no OAuth app")
        for provider in ("notion", "slack", "gdrive", "gmail")
    ],
    (
        "POST",
        "/proxy/chat/completions",
        {"messages": [{"role": "user", "content": "x"}]},
        "No language model",
    ),
]


def asked(client, method, path, body):
    return client.request(method, path, **({} if body is None else {"json": body}))


@pytest.mark.parametrize(("method", "path", "body", "reason"), PRIVATE)
def test_with_a_key(client, method, path, body, reason):
    answer = asked(client, method, path, body)
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert reason in answer.json()["detail"]
    assert "retry-after" not in answer.headers
    assert ("configured" in answer.json()["detail"]) == (reason == "No language model")


@pytest.mark.parametrize(("method", "path", "body", "reason"), PUBLIC)
def test_without_a_key(url, method, path, body, reason):
    with httpx.Client(base_url=f"{url}/v1") as nobody:
        answer = asked(nobody, method, path, body)
    assert answer.status_code == 503
    assert reason in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path", "body", "reason"), PRIVATE)
def test_nobody_is_told_without_a_key(url, method, path, body, reason):
    with httpx.Client(base_url=f"{url}/v1") as nobody:
        assert asked(nobody, method, path, body).status_code == 401


def test_what_is_wrong_is_told_first(client):
    assert client.post("/memory/signup", json={"email": "no address"}).status_code == 400
    assert client.put("/memory/email/senders", json={"senders": "a@b.example"}).status_code == 400
    assert client.get("/memory/connections/oauth/notion/start").status_code == 400
    assert client.get("/memory/connections/oauth/linear/start?collection=x").status_code == 404


def test_a_server_that_takes_no_registrations_says_so(settings):
    with live_server(replace(settings, registration=False)) as live:
        answer = httpx.post(f"{live.url}/compat/rememberos/v1/memory/signup", json=EMAIL)
    assert (answer.status_code, answer.json()) == (403, {"detail": "This server takes no registrations"})


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.account.signup("maria@example.com"),
        lambda c: c.account.recover_key("maria@example.com"),
        lambda c: c.account.reveal("abcdef"),
        lambda c: c.email.address(),
        lambda c: c.email.rotate_address(),
        lambda c: c.email.senders(),
        lambda c: c.email.set_senders(["a@b.example"]),
        lambda c: c.billing.checkout({"price": "p"}),
        lambda c: c.billing.portal(),
        lambda c: c.connections.oauth_callback("notion", code="abcdef", state="xyz1"),
        lambda c: c.chat([{"role": "user", "content": "x"}]),
    ],
)
def test_our_client_hears_it(url, key, call):
    # Asked once: trying again would change nothing, and only take time.
    with onebrain.RememberOS(api_key=key, base_url=url, max_retries=0) as client:
        with pytest.raises(OneBrainInternalError) as caught:
            call(client)
        assert caught.value.status_code == 503


def test_oauth_is_unsupported_to_our_client(ask):
    with pytest.raises(onebrain.Unsupported, match="OAuth"):
        ask(lambda c: c.connections.oauth_start("notion", collection="notes"))


def test_it_is_no_failure_in_the_log(client, capsys):
    for method, path, body, _ in PRIVATE:
        asked(client, method, path, body)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["message"] == "failure"] == []
    assert len([line for line in lines if line["message"] == "request"]) == len(PRIVATE)
