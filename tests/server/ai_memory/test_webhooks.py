"""Webhooks: really sent, signed, tried again, to public addresses, for as long as they are wanted."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest

from onebrain.errors import WebhookVerificationError
from onebrain.services.ai_memory import verify_webhook_signature
from onebrain.webhooks import verify_ai_memory
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

SECRET = "correct horse"


@pytest.fixture
def subscribe(http, receiver):
    def make(by=http, **fields):
        answer = by.post("/subscriptions", json={"url": receiver.url, "secret": SECRET, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    return make


def events(receiver, count):
    return [
        verify_ai_memory(body, headers, secret=SECRET)
        for headers, body in (receiver.next() for _ in range(count))
    ]


def test_a_deliverys_signature_verifies_with_the_secret_and_with_no_other(subscribe, receiver, store):
    subscribe()
    stored = store("t", namespace="team", agent_id="ai:me")
    headers, body = receiver.next()
    event = verify_ai_memory(body, headers, secret=SECRET)
    assert (event.event, event.memory_id, event.namespace) == ("memory_store", stored["id"], "team")
    assert event.agent_id == "ai:me"
    assert uuid.UUID(event.correlation_id).version == 7
    assert (
        event.correlation_id
        == {key.lower(): value for key, value in headers.items()}["x-ai-memory-correlation-id"]
    )
    signature, timestamp = headers["x-ai-memory-signature"], headers["x-ai-memory-timestamp"]
    assert verify_webhook_signature(body, signature, secret=SECRET, timestamp=timestamp)
    with pytest.raises(WebhookVerificationError):
        verify_ai_memory(body, headers, secret="another")
    with pytest.raises(WebhookVerificationError):
        verify_ai_memory(body + b" ", headers, secret=SECRET)


def test_each_call_tells_its_event(http, subscribe, receiver, store):
    subscribe()
    one, two = store("one")["id"], store("two")["id"]
    http.post(f"/memories/{one}/promote")
    http.post("/links", json={"source_id": one, "target_id": two, "relation": "contradicts"})
    http.request("DELETE", "/links", json={"source_id": one, "target_id": two})
    http.delete(f"/memories/{two}")
    http.post("/memories/bulk", json=[{"title": "three", "content": "x"}, {"title": "four", "content": "x"}])
    found = events(receiver, 8)
    assert sorted(event.event for event in found) == [
        "memory_delete",
        "memory_link_created",
        "memory_link_invalidated",
        "memory_promote",
        *["memory_store"] * 4,
    ]
    by_name = {event.event: event for event in found}
    assert by_name["memory_promote"].model_extra == {"mode": "tier", "tier": "long"}
    assert by_name["memory_delete"].model_extra == {"title": "two", "tier": "mid"}
    linked = {"target_id": two, "relation": "contradicts"}
    assert by_name["memory_link_created"].model_extra == linked
    assert by_name["memory_link_invalidated"].model_extra.items() >= linked.items()


def test_a_subscription_hears_of_its_events_namespace_and_agent_only(http, subscribe, receiver, store):
    subscribe(events="memory_delete", namespace_filter="team", agent_filter="ai:me")
    for namespace, agent in (("team", "ai:you"), ("team/sub", "ai:me"), ("team", "ai:me")):
        id = store(f"{namespace} {agent}", namespace=namespace, agent_id=agent)["id"]
        http.delete(f"/memories/{id}")
    [event] = events(receiver, 1)
    assert event.memory_id == id
    assert http.get("/subscriptions").json()["subscriptions"][0]["namespace_filter"] == "team"


def test_a_tied_keys_subscription_hears_only_of_what_its_agent_may_see(
    http, agent, subscribe, receiver, store
):
    subscribe(by=agent("ai:bob"))
    store("private", agent_id="ai:alice")
    shared = store("shared", agent_id="ai:alice", scope="team")["id"]
    own = store("own", agent_id="ai:bob")["id"]
    assert {event.memory_id for event in events(receiver, 2)} == {shared, own}


def test_without_a_secret_a_delivery_is_not_signed(http, receiver, store):
    http.post("/subscriptions", json={"url": receiver.url})
    store("t")
    headers, body = receiver.next()
    names = {name.lower() for name in headers}
    assert "x-ai-memory-timestamp" in names
    assert "x-ai-memory-signature" not in names
    assert json.loads(body)["event"] == "memory_store"


def test_a_delivery_that_was_not_taken_is_tried_again_and_counted(http, subscribe, receiver, store):
    receiver.answers = [503, 503]
    subscribe()
    store("t")
    assert len({body for _, body in (receiver.next() for _ in range(3))}) == 1
    counts = {}
    # Noted a moment after the answer.
    while counts != {"dispatch_count": 3, "failure_count": 2}:
        [row] = http.get("/subscriptions").json()["subscriptions"]
        counts = {name: row[name] for name in ("dispatch_count", "failure_count")}
        assert counts["dispatch_count"] <= 3


def test_what_waits_for_a_removed_subscription_is_not_sent(live, http, subscribe, receiver, store):
    receiver.answers = [503] * 100
    id = subscribe()
    store("t")
    receiver.next()
    assert http.delete("/subscriptions", params={"id": id}).json()["removed"]
    tenant = live.server.accounts.by_key(http.headers["x-api-key"]).tenant
    assert live.server.deliveries._outbox.waiting(tenant) == []
    store("u")
    assert live.server.deliveries._outbox.waiting(tenant) == []


@pytest.mark.parametrize(
    "events", ["memory.created", ["memory_store", "nonsense"], "", []], ids=["name", "list", "blank", "empty"]
)
def test_events_that_do_not_exist_are_refused(http, receiver, events):
    answer = http.post("/subscriptions", json={"url": receiver.url, "events": events})
    assert answer.status_code == 400
    assert "memory_store" in answer.json()["error"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("*", "*"),
        (["memory_store", "*"], "*"),
        (" memory_store ,memory_delete", "memory_store,memory_delete"),
    ],
)
def test_events_are_kept_as_a_comma_list(http, receiver, given, kept):
    answer = http.post("/subscriptions", json={"url": receiver.url, "events": given})
    assert answer.json()["events"] == kept


def test_an_agents_webhooks_end_with_its_last_key(http, agent, subscribe, receiver, store):
    first, second = agent("ai:bob"), agent("ai:bob")
    subscribe(by=first)
    kept = subscribe(by=agent("ai:carol"))
    keys = [row["id"] for row in http.get("/keys").json()["keys"] if row["agent_id"] == "ai:bob"]
    http.delete(f"/keys/{keys[0]}")
    assert http.get("/subscriptions").json()["count"] == 2
    http.delete(f"/keys/{keys[1]}")
    assert [row["id"] for row in http.get("/subscriptions").json()["subscriptions"]] == [kept]
    assert (first.get("/stats").status_code, second.get("/stats").status_code) == (401, 401)


def test_an_account_has_at_most_a_hundred_subscriptions(http, receiver):
    for _ in range(100):
        assert http.post("/subscriptions", json={"url": receiver.url}).status_code == 201
    assert http.post("/subscriptions", json={"url": receiver.url}).status_code == 400


def test_a_subscription_needs_a_url(http):
    answer = http.post("/subscriptions", json={"namespace": "team"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("url: ")


def test_private_addresses_are_refused_by_default():
    with live_server() as live:
        address = live.url + "/compat/ai-memory/api/v1"
        with httpx.Client(base_url=address, headers={"x-api-key": live.key}) as http:
            for url in (
                "http://127.0.0.1/hook",
                "https://127.0.0.1/hook",
                "https://169.254.169.254/latest",
                "https://[::1]/hook",
                "https://user:pass@example.com/hook",
                "ftp://example.com/hook",
                "nonsense",
            ):
                answer = http.post("/subscriptions", json={"url": url})
                assert answer.status_code == 400, url
                assert answer.json()["error"].startswith("url: ")
            assert http.get("/subscriptions").json()["count"] == 0


def test_an_address_that_became_private_is_not_sent_to(live, http, subscribe, receiver, store, monkeypatch):
    subscribe()
    monkeypatch.setattr(live.server.fetcher, "_private", False)
    store("t")
    [row] = http.get("/subscriptions").json()["subscriptions"]
    while not row["failure_count"]:
        [row] = http.get("/subscriptions").json()["subscriptions"]
    assert receiver.is_empty


def test_the_settings_default_refuses_private_addresses():
    assert Settings(database_url="sqlite://").private_addresses is False
