"""Every example of HeroBrain's API reference over a socket: its requests word for word, its answers' keys and types."""

from __future__ import annotations

import json
import re
import shlex

import httpx
import pytest

import onebrain
from onebrain.webhooks import verify_herobrain
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

CLOUD = "https://api.herobrain.ai"
METADATA = {"request_id": "req_1234567890", "timestamp": "2025-11-19T10:00:00Z", "version": "v1"}
MEMORY = {
    "id": "mem_abc123def456",
    "content": "Met with Sarah Chen about Q4 goals. Focus on revenue growth.",
    "type": "episodic",
    "importance": 0.8,
    "tags": ["meeting", "q4"],
    "metadata": {"source": "meeting", "contact_name": "Sarah Chen", "sentiment": "positive"},
    "createdAt": "2025-11-19T10:00:00Z",
    "updatedAt": "2025-11-19T10:00:00Z",
}

CREATE = """
curl -X POST "https://api.herobrain.ai/api/v1/memories" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "content": "Met with Sarah Chen about Q4 goals. Focus on revenue growth.",
    "type": "episodic",
    "importance": 0.8,
    "tags": ["meeting", "q4"],
    "metadata": {
      "source": "meeting",
      "contact_name": "Sarah Chen",
      "sentiment": "positive"
    },
    "tenantId": "user_12345"
  }'
"""
GET = """
curl "https://api.herobrain.ai/api/v1/memories/mem_abc123def456?tenantId=user_12345" \\
  -H "Authorization: Bearer hb_your_api_key_here"
"""
LIST = """
curl "https://api.herobrain.ai/api/v1/memories?tenantId=user_12345&page=1&limit=20&type=episodic&sort=importance&order=desc" \\
  -H "Authorization: Bearer hb_your_api_key_here"
"""
UPDATE = """
curl -X PATCH "https://api.herobrain.ai/api/v1/memories/mem_abc123def456" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "importance": 0.9,
    "tags": ["meeting", "q4", "important"]
  }'
"""
DELETE = """
curl -X DELETE "https://api.herobrain.ai/api/v1/memories/mem_abc123def456?tenantId=user_12345" \\
  -H "Authorization: Bearer hb_your_api_key_here"
"""
SEARCH = """
curl -X POST "https://api.herobrain.ai/api/v1/memories/search" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "query": "Q4 planning meetings",
    "tenantId": "user_12345",
    "limit": 10,
    "minRelevance": 0.7
  }'
"""
CREATE_KEY = """
curl -X POST "https://api.herobrain.ai/api/v1/api-keys" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Production API Key",
    "tenantId": "user_12345",
    "environment": "production",
    "scopes": ["read:memories", "write:memories"]
  }'
"""
LIST_KEYS = """
curl "https://api.herobrain.ai/api/v1/api-keys?tenantId=user_12345" \\
  -H "Authorization: Bearer hb_your_api_key_here"
"""
REVOKE = """
curl -X POST "https://api.herobrain.ai/api/v1/api-keys/revoke" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "keyId": "key_abc123def456",
    "tenantId": "user_12345"
  }'
"""
CREATE_WEBHOOK = """
curl -X POST "https://api.herobrain.ai/api/v1/webhooks" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Memory Sync",
    "url": "https://your-app.com/webhooks/herobrain",
    "events": ["memory.created", "memory.updated"],
    "secret": "your-webhook-secret"
  }'
"""
DECISION_CHAIN = """
curl -X POST "https://api.herobrain.ai/api/v1/intelligence/decision-chain" \\
  -H "Authorization: Bearer hb_your_api_key_here" \\
  -H "Content-Type: application/json" \\
  -d '{
    "topic": "Q4 strategy",
    "tenantId": "user_12345",
    "timeRange": {
      "from": "2025-10-01T00:00:00Z",
      "to": "2025-11-19T23:59:59Z"
    }
  }'
"""


def curl(command, client, **ids):
    """Run a curl command of the reference with another base URL, key and ids."""
    words = shlex.split(command.replace("\\\n", " "))[1:]
    method, content, headers, url = None, None, {}, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            content = words.pop(0)
        else:
            url = word
    assert headers.pop("Authorization") == "Bearer hb_your_api_key_here"
    for name, value in ids.items():
        url = url.replace(name, value)
        content = content and content.replace(name, value)
    path = url.removeprefix(CLOUD)
    return client.request(
        method or ("POST" if content else "GET"), str(client.base_url).rstrip("/") + path,
        content=content, headers=headers,
    )  # fmt: skip


def fits(documented, given, where="body"):
    """Assert that what is documented is there, with the same types; every row of a list like the documented one."""
    if isinstance(documented, dict):
        assert isinstance(given, dict), where
        for name, value in documented.items():
            assert name in given, f"{where}.{name}"
            fits(value, given[name], f"{where}.{name}")
    elif isinstance(documented, list):
        assert isinstance(given, list), where
        for row in given:
            fits(documented[0], row, f"{where}[]")
    elif isinstance(documented, bool) or documented is None:
        assert given is documented, where
    elif isinstance(documented, int | float):
        assert isinstance(given, int | float), where
        assert not isinstance(given, bool), where
    else:
        assert isinstance(given, str), where
        if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", documented):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", given), where


@pytest.fixture
def memory(client, data):
    """The memory of the examples."""
    return data(curl(CREATE, client), 201)


def test_create_a_memory(client):
    answer = curl(CREATE, client)
    assert answer.status_code == 201
    body = answer.json()
    fits({"success": True, "data": MEMORY, "metadata": METADATA}, body)
    made = body["data"]
    assert {name: made[name] for name in ("content", "type", "importance", "tags", "metadata")} == {
        name: MEMORY[name] for name in ("content", "type", "importance", "tags", "metadata")
    }
    assert made["id"].startswith("mem_")
    assert set(made) == set(MEMORY)


def test_retrieve_a_memory(client, data, memory):
    assert data(curl(GET, client, mem_abc123def456=memory["id"])) == memory


def test_list_memories(client, memory):
    answer = curl(LIST, client)
    row = {name: MEMORY[name] for name in ("id", "content", "type", "importance", "createdAt")}
    pagination = {
        "page": 1,
        "limit": 20,
        "total": 150,
        "pages": 8,
        "hasNext": False,
        "hasPrevious": False,
    }
    fits(
        {"success": True, "data": {"memories": [row], "pagination": pagination}, "metadata": METADATA},
        answer.json(),
    )
    assert answer.json()["data"]["memories"] == [memory]
    assert answer.json()["data"]["pagination"] == {**pagination, "total": 1, "pages": 1}


def test_update_a_memory(client, data, memory):
    changed = data(curl(UPDATE, client, mem_abc123def456=memory["id"]))
    assert changed == {
        **memory,
        "importance": 0.9,
        "tags": ["meeting", "q4", "important"],
        "updatedAt": changed["updatedAt"],
    }
    assert changed["updatedAt"] > memory["updatedAt"]


def test_delete_a_memory(client, data, errors, memory):
    ids = {"mem_abc123def456": memory["id"]}
    assert data(curl(DELETE, client, **ids)) == {"id": memory["id"], "deleted": True}
    assert errors(curl(GET, client, **ids), 404) == [("RESOURCE_NOT_FOUND", None)]
    assert errors(curl(DELETE, client, **ids), 404) == [("RESOURCE_NOT_FOUND", None)]


def test_search_memories(client, memory):
    answer = curl(SEARCH, client)
    row = {
        "id": "mem_abc123def456",
        "content": "Met with Sarah Chen about Q4 goals...",
        "type": "episodic",
        "relevance": 0.89,
        "importance": 0.8,
        "createdAt": "2025-11-19T10:00:00Z",
    }
    found = {"results": [row], "query": "Q4 planning meetings", "latency": 145}
    fits({"success": True, "data": found, "metadata": METADATA}, answer.json())
    [hit] = answer.json()["data"]["results"]
    assert hit["id"] == memory["id"]
    assert 0.7 <= hit["relevance"] <= 1
    assert answer.json()["data"]["query"] == "Q4 planning meetings"


NEW_KEY = {
    "id": "key_abc123def456",
    "name": "Production API Key",
    "keyPrefix": "hb_prod_abc123",
    "plainKey": "hb_prod_abc123def456789012345678901234567890",
    "environment": "production",
    "scopes": ["read:memories", "write:memories"],
    "rateLimit": {"requestsPerMinute": 60, "requestsPerHour": 1000, "requestsPerDay": 10000},
    "createdAt": "2025-11-19T10:00:00Z",
}


@pytest.fixture(scope="module")
def limited():
    """A server as it comes, with limits, so that there are some to tell."""
    with live_server(Settings(database_url="sqlite://", log_level="error")) as live:
        headers = {"authorization": f"Bearer {live.account('limited@example.com', plan='free')}"}
        with httpx.Client(base_url=live.url + "/compat/herobrain", headers=headers) as client:
            yield client


def test_create_an_api_key(limited):
    answer = curl(CREATE_KEY, limited)
    assert answer.status_code == 201
    fits({"success": True, "data": NEW_KEY, "metadata": METADATA}, answer.json())
    made = answer.json()["data"]
    assert made["plainKey"].startswith(made["keyPrefix"])
    assert made["keyPrefix"].startswith("hb_prod_")
    assert made["scopes"] == ["read:memories", "write:memories"]


def test_list_api_keys(client, data):
    made = data(curl(CREATE_KEY, client), 201)
    [row] = data(curl(LIST_KEYS, client))["keys"]
    assert row == {name: value for name, value in made.items() if name != "plainKey"}


def test_revoke_an_api_key(client, client_of, data, errors):
    made = data(curl(CREATE_KEY, client), 201)
    holder = client_of(made["plainKey"])
    assert data(holder.get("/api/v1/memories?tenantId=user_12345"))["memories"] == []
    assert data(curl(REVOKE, client, key_abc123def456=made["id"])) == {"id": made["id"], "revoked": True}
    assert errors(holder.get("/api/v1/memories?tenantId=user_12345"), 401) == [("AUTH_INVALID", None)]


def test_create_list_and_test_a_webhook(client, data):
    made = data(curl(CREATE_WEBHOOK, client), 201)
    assert made["id"].startswith("wh_")
    assert {name: made[name] for name in ("name", "url", "events", "status")} == {
        "name": "Memory Sync",
        "url": "https://your-app.com/webhooks/herobrain",
        "events": ["memory.created", "memory.updated"],
        "status": "active",
    }
    assert "secret" not in made
    assert data(client.get("/api/v1/webhooks")) == [made]
    # Nobody is there.
    assert data(client.post(f"/api/v1/webhooks/{made['id']}/test")) == {"delivered": False}


def test_a_webhook_payload(client, data, receiver):
    hook = json.loads(CREATE_WEBHOOK.split("-d '")[1].rpartition("'")[0])
    data(client.post("/api/v1/webhooks", json={**hook, "url": receiver.url}), 201)
    memory = data(curl(CREATE, client), 201)
    headers, body = receiver.next()
    documented = {
        "event": "memory.created",
        "data": {
            "id": "mem_abc123def456",
            "content": "Met with Sarah about Q4 goals...",
            "type": "episodic",
            "tenantId": "user_12345",
            "createdAt": "2025-11-19T10:00:00Z",
        },
        "metadata": METADATA,
    }
    fits(documented, json.loads(body))
    event = verify_herobrain(body, headers, secret="your-webhook-secret")
    assert event.event == "memory.created"
    assert event.data == {
        **{name: memory[name] for name in ("id", "content", "type", "createdAt")},
        "tenantId": "user_12345",
    }


def test_the_decision_chain(client, data, memory):
    # The example's time range is over, and nothing can be stored in it.
    assert data(curl(DECISION_CHAIN, client)) == {"topic": "Q4 strategy", "chain": []}
    today = curl(DECISION_CHAIN, client, **{"2025-11-19T23:59:59Z": "2999-01-01T00:00:00Z"})
    [link] = data(today)["chain"]
    assert link["id"] == memory["id"]


def test_usage_metrics(limited):
    curl(CREATE, limited)
    answer = limited.get("/api/v1/usage/metrics/user_12345")
    documented = {
        "apiCalls": {"today": 150, "thisMonth": 3200, "limit": 100000},
        "memories": {"count": 1250, "limit": 1000000},
    }
    fits({"success": True, "data": documented, "metadata": METADATA}, answer.json())
    # What a disk can hold is no tenant's limit.
    assert answer.json()["data"]["storage"] == {"used": len(MEMORY["content"]), "limit": None}


def test_rate_limit_headers(limited):
    headers = limited.get("/api/v1/memories?tenantId=user_12345").headers
    assert int(headers["X-RateLimit-Limit"]) == 600
    assert 0 < int(headers["X-RateLimit-Remaining"]) < 600
    # The example's, and both are Unix times.
    assert int(headers["X-RateLimit-Reset"]) > 1638360000


def test_an_error_response(client):
    answer = client.post("/api/v1/memories", json={"type": "episodic", "tenantId": "user_12345"})
    assert answer.status_code == 400
    body = answer.json()
    assert body["success"] is False
    assert body["errors"] == [
        {
            "code": "VALIDATION_ERROR",
            "message": "The 'content' field is required",
            "field": "content",
        }
    ]
    fits(METADATA, body["metadata"])


def test_the_memory_object(client, data, create):
    fields = {
        "content": "Met with Sarah about Q4 goals",
        "type": "episodic",
        "importance": 0.85,
        "tags": ["meeting", "q4"],
        "metadata": {"source": "email", "contact_name": "Sarah Chen", "sentiment": "positive"},
    }
    made = create(client, **fields)
    assert data(client.get(f"/api/v1/memories/{made['id']}")) == made
    assert {name: made[name] for name in fields} == fields


def test_the_test_tenant(client, data, create):
    tenant = "00000000-0000-0000-0000-000000000001"
    made = create(client, tenantId=tenant)
    assert data(client.get(f"/api/v1/memories?tenantId={tenant}"))["memories"] == [made]


def test_the_requests_of_the_typescript_sdk(client, data):
    create = {"content": "Met with Sarah about Q4 goals", "type": "episodic", "importance": 0.8}
    memory = data(client.post("/api/v1/memories", json={**create, "tenantId": "user_12345"}), 201)
    search = {"query": "Q4 planning", "limit": 10, "tenantId": "user_12345"}
    results = data(client.post("/api/v1/memories/search", json=search))["results"]
    assert [hit["id"] for hit in results] == [memory["id"]]


def test_the_python_sdk(address, key):
    with onebrain.HeroBrain(api_key=key, tenant_id="user_12345", base_url=address) as hb:
        memory = hb.memories.create(content="Met with Sarah about Q4 goals", type="episodic", importance=0.8)
        results = hb.memories.search(query="Q4 planning", limit=10)
    assert [hit.id for hit in results] == [memory.id]
