"""Webhooks are really delivered: signed, again when not taken, to public addresses only, and not after their deletion."""

from __future__ import annotations

import json

import httpx
import pytest

from onebrain import WebhookVerificationError
from onebrain.webhooks import verify_herobrain
from onebrain_server.settings import Settings
from onebrain_server.state.outbox import Outbox
from onebrain_server.testing import live_server

SECRET = "your-webhook-secret"
EVENTS = ["memory.created", "memory.updated", "memory.deleted", "search.performed", "api_key.created",
          "api_key.revoked"]  # fmt: skip


@pytest.fixture
def hook(receiver, data):
    """Return a function that registers the receiver."""

    def register(client, *events, **fields):
        body = {
            "name": "Sync",
            "url": receiver.url,
            "events": list(events or EVENTS),
            "secret": SECRET,
            **fields,
        }
        return data(client.post("/api/v1/webhooks", json=body), 201)

    return register


def taken(receiver):
    headers, body = receiver.next()
    return verify_herobrain(body, headers, secret=SECRET)


def test_every_event_is_told_and_its_signature_verifies(client, create, data, hook, receiver):
    hook(client)
    memory = create(client, tenantId="one")
    created = taken(receiver)
    assert created.event == "memory.created"
    assert created.data == {
        **{name: memory[name] for name in ("id", "content", "type", "createdAt")},
        "tenantId": "one",
    }
    changed = client.patch(f"/api/v1/memories/{memory['id']}", json={"content": "new"})
    updated = taken(receiver)
    assert (updated.event, updated.data["content"]) == ("memory.updated", "new")
    assert updated.metadata["request_id"] == changed.headers["x-request-id"]
    found = data(client.post("/api/v1/memories/search", json={"query": "new", "tenantId": "one"}))
    performed = taken(receiver)
    assert performed.event == "search.performed"
    assert performed.data == {"query": "new", "results": 1, "latency": found["latency"], "tenantId": "one"}
    data(client.delete(f"/api/v1/memories/{memory['id']}"))
    gone = taken(receiver)
    assert (gone.event, gone.data) == (
        "memory.deleted",
        {"id": memory["id"], "deleted": True, "tenantId": "one"},
    )
    key = data(client.post("/api/v1/api-keys", json={"name": "k", "tenantId": "one"}), 201)
    made = taken(receiver)
    assert made.event == "api_key.created"
    names = ("id", "name", "keyPrefix", "environment", "scopes", "createdAt")
    assert made.data == {**{name: key[name] for name in names}, "tenantId": "one"}
    data(client.post("/api/v1/api-keys/revoke", json={"keyId": key["id"]}))
    revoked = taken(receiver)
    assert (revoked.event, revoked.data["id"]) == ("api_key.revoked", key["id"])
    assert receiver.is_empty


def test_a_signature_fits_one_body_and_one_secret(client, create, hook, receiver):
    hook(client)
    create(client)
    headers, body = receiver.next()
    with pytest.raises(WebhookVerificationError, match="does not fit"):
        verify_herobrain(body + b" ", headers, secret=SECRET)
    with pytest.raises(WebhookVerificationError, match="does not fit"):
        verify_herobrain(body, headers, secret="another")


def test_a_delivery_that_is_not_taken_comes_again_unchanged(client, create, hook, receiver):
    receiver.answers = [500, 302, 404]
    hook(client)
    create(client)
    attempts = [receiver.next() for _ in range(4)]
    assert len({body for _, body in attempts}) == 1
    for headers, body in attempts:
        assert verify_herobrain(body, headers, secret=SECRET).event == "memory.created"


def test_a_delivery_is_given_up_after_the_last_delay(client, create, hook, receiver, live, key):
    receiver.answers = [500] * 4
    hook(client, "memory.created")
    first = create(client, "first")
    given_up = [json.loads(receiver.next()[1])["data"]["id"] for _ in range(4)]
    second = create(client, "second")
    assert given_up == [first["id"]] * 4
    assert taken(receiver).data["id"] == second["id"]


def test_only_the_events_asked_for_are_told(client, create, data, hook, receiver):
    hook(client, "memory.deleted")
    memory = create(client)
    data(client.delete(f"/api/v1/memories/{memory['id']}"))
    assert taken(receiver).event == "memory.deleted"
    assert receiver.is_empty


def test_an_inactive_webhook_is_told_of_tests_only(client, create, data, hook, receiver):
    made = hook(client, status="inactive")
    create(client)
    assert data(client.post(f"/api/v1/webhooks/{made['id']}/test")) == {"delivered": True}
    event = taken(receiver)
    assert (event.event, event.data["id"]) == ("webhook.test", made["id"])
    assert receiver.is_empty


def test_a_test_says_that_it_was_not_taken(client, data, hook, receiver):
    made = hook(client)
    receiver.answers = [500]
    assert data(client.post(f"/api/v1/webhooks/{made['id']}/test")) == {"delivered": False}
    assert data(client.post(f"/api/v1/webhooks/{made['id']}/test")) == {"delivered": True}


def test_a_deleted_webhook_is_told_nothing_more(client, create, data, hook, receiver, live, key):
    account = live.server.accounts.by_key(key).tenant
    outbox = Outbox(live.server.database, live.server.sealer, live.server.vault)
    receiver.answers = [500]
    gone, kept = hook(client, "memory.created", name="gone"), hook(client, "memory.deleted", name="kept")
    memory = create(client)
    # It is refused, and waits for another try.
    receiver.next()
    assert [target for _, target, _ in outbox.waiting(account)] == [gone["id"]]
    data(client.delete(f"/api/v1/webhooks/{gone['id']}"))
    assert outbox.waiting(account) == []
    assert data(client.get("/api/v1/webhooks")) == [kept]
    create(client, "another")
    data(client.delete(f"/api/v1/memories/{memory['id']}"))
    arrived = [json.loads(receiver.next()[1])]
    # A try may have been on its way at that very moment.
    while arrived[-1]["event"] != "memory.deleted":
        arrived.append(json.loads(receiver.next()[1]))
    assert all(event["data"]["id"] == memory["id"] for event in arrived)


def test_a_webhook_of_one_tenant_hears_of_no_other(client, minted, create, hook, receiver):
    hook(minted("write:webhooks", "read:memories", tenantId="one"), "memory.created")
    create(client, "about two", tenantId="two")
    create(client, "about nobody")
    create(client, "about one", tenantId="one")
    assert taken(receiver).data["content"] == "about one"
    assert receiver.is_empty


def test_a_key_is_told_nothing_that_it_may_not_read(minted, errors, receiver):
    body = {"name": "spy", "url": receiver.url, "secret": "s"}
    for events, holder in (
        (["memory.created"], minted("write:webhooks")),
        (["search.performed"], minted("write:webhooks", "write:memories")),
        (["memory.deleted", "api_key.created"], minted("write:webhooks", "read:memories")),
    ):
        answer = holder.post("/api/v1/webhooks", json={**body, "events": events})
        assert errors(answer, 403) == [("INSUFFICIENT_SCOPE", None)]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"url": "ftp://example.com/x"}, "url"),
        ({"url": "https://user:pass@example.com/x"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": ""}, "url"),
        ({"events": []}, "events"),
        ({"events": ["memory.read"]}, "events.0"),
        ({"secret": ""}, "secret"),
        ({"name": ""}, "name"),
        ({"status": "paused"}, "status"),
    ],
    ids=str,
)
def test_a_wrong_webhook_is_refused(client, errors, data, receiver, fields, wrong):
    body = {"name": "w", "url": receiver.url, "events": ["memory.created"], "secret": "s", **fields}
    assert errors(client.post("/api/v1/webhooks", json=body), 400) == [("VALIDATION_ERROR", wrong)]
    assert data(client.get("/api/v1/webhooks")) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/hook",
        "https://10.0.0.1/hook",
        "https://203.0.113.7:22/hook",
    ],
)
def test_private_addresses_are_refused_by_default(url, errors, public):
    body = {"name": "w", "url": url, "events": ["memory.created"], "secret": "s"}
    assert errors(public.post("/api/v1/webhooks", json=body), 400) == [("VALIDATION_ERROR", "url")]


def test_an_address_that_became_private_is_not_reached(public, public_server, data, receiver):
    """A name may pass the check at registration and lead elsewhere later; sending checks again."""
    owner = public_server.server.accounts.by_key(public_server.key).tenant
    facts = {"name": "w", "url": receiver.url, "events": EVENTS, "secret": SECRET, "tenant": None}
    kept = public_server.server.records.add(owner, "herobrain.webhook", facts, id="wh_1", status="active")
    assert data(public.post(f"/api/v1/webhooks/{kept.id}/test")) == {"delivered": False}
    assert receiver.is_empty


@pytest.fixture(scope="module")
def public_server():
    """A server as it comes."""
    with live_server(Settings(database_url="sqlite://", rate_limit_max=0, log_level="error")) as live:
        yield live


@pytest.fixture
def public(public_server):
    """A client of its owner."""
    headers = {"authorization": f"Bearer {public_server.key}"}
    with httpx.Client(base_url=public_server.url + "/compat/herobrain", headers=headers) as client:
        yield client
