"""Rate limits, quotas and usage."""

from __future__ import annotations

import time

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture
def small():
    """Run a server with few requests a window, and small plans; return a client of its owner and the server."""
    opened = []

    def run(**options):
        running = live_server(Settings(database_url="sqlite://", log_level="error", **options))
        live = running.__enter__()
        opened.append(running)
        # No window ends during a test.
        live.server.limiter.clock = lambda: 0.0

        def client(key):
            headers = {"authorization": f"Bearer {key}"}
            opened.append(httpx.Client(base_url=live.url + "/compat/herobrain", headers=headers))
            return opened[-1]

        return live, client

    yield run
    for one in reversed(opened):
        one.__exit__(None, None, None)


def test_a_rate_limit_says_when_to_come_back(small, errors):
    live, client = small(rate_limit_max=2, rate_limit_window=3600)
    owner = client(live.key)
    for left in (1, 0):
        answer = owner.get("/api/v1/memories")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit"] == "2"
        assert answer.headers["x-ratelimit-remaining"] == str(left)
    refused = owner.get("/api/v1/memories")
    assert errors(refused, 429) == [("RATE_LIMIT_EXCEEDED", None)]
    wait = int(refused.headers["retry-after"])
    assert refused.headers["x-ratelimit-retry-after"] == str(wait)
    assert 0 < wait <= 3600
    assert int(refused.headers["x-ratelimit-reset"]) <= time.time() + wait


def test_a_plan_without_room_answers_402(small, errors, data):
    plan = {"memories": 2, "memory_writes_per_month": 3}
    live, client = small(rate_limit_max=0, free_plan=plan)
    free = client(live.account("free@example.com", plan="free"))
    made = [data(free.post("/api/v1/memories", json={"content": text, "type": "task"}), 201) for text in "ab"]
    refused = free.post("/api/v1/memories", json={"content": "c", "type": "task"})
    assert errors(refused, 402) == [("INSUFFICIENT_QUOTA", None)]
    assert "2 memories" in refused.text
    data(free.delete(f"/api/v1/memories/{made[0]['id']}"))
    data(free.post("/api/v1/memories", json={"content": "c", "type": "task"}), 201)
    data(free.delete(f"/api/v1/memories/{made[1]['id']}"))
    refused = free.post("/api/v1/memories", json={"content": "d", "type": "task"})
    assert errors(refused, 402) == [("INSUFFICIENT_QUOTA", None)]
    assert "3 new memories in 30 days" in refused.text
    assert data(free.get("/api/v1/usage/metrics/x"))["memories"]["limit"] == 2
    owner = client(live.key)
    for text in "abcd":
        data(owner.post("/api/v1/memories", json={"content": text, "type": "task"}), 201)


def test_usage_is_a_tenants_in_memories_and_bytes(client, create, data):
    create(client, "äöü", tenantId="one")
    create(client, "abc", tenantId="two")
    for tenant, size in (("one", 6), ("two", 3), ("three", 0)):
        found = data(client.get(f"/api/v1/usage/metrics/{tenant}"))
        assert (found["memories"]["count"], found["storage"]["used"]) == (int(size > 0), size)
    assert data(client.get("/api/v1/usage/metrics/one"))["apiCalls"]["today"] >= 5


def test_requests_to_other_formats_are_not_counted(client, data, address, key):
    with httpx.Client(base_url=address.removesuffix("/compat/herobrain")) as other:
        for _ in range(3):
            other.get("/v1/memory", headers={"authorization": f"ApiKey {key}"})
    assert data(client.get("/api/v1/usage/metrics/x"))["apiCalls"]["today"] == 0
    assert data(client.get("/api/v1/usage/metrics/x"))["apiCalls"]["today"] == 1


def test_an_account_may_have_a_hundred_webhooks(client, data, errors, receiver):
    hook = {
        "name": "w",
        "url": receiver.url,
        "events": ["memory.created"],
        "secret": "s",
        "status": "inactive",
    }
    for _ in range(100):
        data(client.post("/api/v1/webhooks", json=hook), 201)
    assert errors(client.post("/api/v1/webhooks", json=hook), 402) == [("INSUFFICIENT_QUOTA", None)]
    assert len(data(client.get("/api/v1/webhooks"))) == 100
