"""Webhooks on a real receiver: signed, delivered again, to public addresses only, and no more once they are gone."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from onebrain.errors import WebhookVerificationError
from onebrain.webhooks import verify_rememberos
from onebrain_server.testing import live_server

HOOK = "/memory/webhook/config"
C = "/memory/collections/notes"


@pytest.fixture
def secret(client, receiver):
    made = client.put(HOOK, json={"url": receiver.url})
    assert made.status_code == 200, made.text
    assert made.json()["events"] == ["memory.created", "memory.updated", "memory.deleted"]
    return made.json()["secret"]


def test_every_change_of_a_memory_is_told_and_signed(client, add, receiver, secret):
    made = add("Maria prefers window seats")
    changed = client.patch(f"{C}/memories/{made['id']}", json={"text": "new"}).json()
    pinned = client.post(f"{C}/memories/{made['id']}/pin", json={"pinned": True}).json()
    client.delete(f"{C}/memories/{made['id']}")
    wanted = {
        "memory.created": [made],
        "memory.updated": [changed, pinned],
        "memory.deleted": [{"id": made["id"], "collection": "notes"}],
    }
    for _ in range(4):
        headers, body = receiver.next()
        event = verify_rememberos(body, headers, secret=secret)
        assert len(headers["x-rememberos-signature"]) == 64
        wanted[event.event].remove(event.data)
        with pytest.raises(WebhookVerificationError):
            verify_rememberos(body + b" ", headers, secret=secret)
    assert wanted == {"memory.created": [], "memory.updated": [], "memory.deleted": []}


def test_bulk_remember_and_a_deleted_collection_are_told_too(client, receiver, secret):
    client.post(f"{C}/memories/bulk", json=[{"text": "one"}, {"text": "two"}])
    client.post(f"{C}/remember?sync=true", json={"content": "Maria lives in Lisbon."})
    client.delete(C)
    events = sorted(json.loads(receiver.next()[1])["event"] for _ in range(6))
    assert events == ["memory.created"] * 3 + ["memory.deleted"] * 3


def test_a_failed_delivery_is_tried_again(client, add, receiver, secret, until):
    receiver.answers = [500, 404]
    add("x")
    tries = [receiver.next() for _ in range(3)]
    assert len({body for _, body in tries}) == 1
    kept = until(client, HOOK, "delivered")
    assert (kept["delivered"], kept["failed"], kept["url"]) == (1, 0, receiver.url)
    assert "secret" not in kept


def test_a_delivery_is_given_up_in_the_end_and_counted(client, add, receiver, secret, until):
    receiver.answers = [500] * 4
    add("x")
    assert len({receiver.next()[1] for _ in range(4)}) == 1
    kept = until(client, HOOK, "failed")
    assert (kept["delivered"], kept["failed"]) == (0, 1)


def test_after_deletion_nothing_is_sent_any_more(client, add, receiver, secret):
    receiver.answers = [500]
    add("x")
    receiver.next()
    assert client.delete(HOOK).json() == {"deleted": True}
    assert client.delete(HOOK).json() == {"deleted": False}
    add("y")
    assert client.get(HOOK).json() == {
        "url": None, "configured": False, "events": ["memory.created", "memory.updated", "memory.deleted"],
    }  # fmt: skip
    # A webhook that is set anew gets what happens from now on, and nothing of before.
    fresh = client.put(HOOK, json={"url": receiver.url}).json()["secret"]
    assert fresh != secret
    made = add("z")
    headers, body = receiver.next()
    assert verify_rememberos(body, headers, secret=fresh).data == made


def test_the_secret_is_shown_once(client, secret):
    assert secret not in client.get(HOOK).text


@pytest.mark.parametrize(
    "address", ["ftp://example.com/hook", "no url", "http://", "https://user:pw@127.0.0.1/x"]
)
def test_what_is_no_address_is_refused(client, address):
    assert client.put(HOOK, json={"url": address}).status_code in (400, 400)
    assert client.get(HOOK).json()["configured"] is False


@pytest.fixture(scope="module")
def strict(settings):
    with live_server(replace(settings, private_addresses=False)) as live:
        yield live


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/hook",
        "https://10.0.0.1/hook",
        "http://example.com/hook",
    ],
)
def test_private_addresses_are_refused_by_default(strict, address):
    answer = httpx.put(
        f"{strict.url}/compat/rememberos/v1{HOOK}",
        json={"url": address},
        headers={"authorization": f"Bearer {strict.key}"},
    )
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The webhook was not set")
