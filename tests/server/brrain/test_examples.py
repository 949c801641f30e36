"""Every example of bRRAIn's documentation, over a socket: the request as it stands there, and the shape of the answer."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

import httpx
import pytest

KEY = "brr_live_YOUR_API_KEY"
HOST = "https://api.brrain.io"
ID = "mem_8a2f4b6c9d1e3g5h"

STORE = r"""
curl -X POST https://api.brrain.io/v1/memory/store \
  -H "Authorization: Bearer brr_live_YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "content": "Our SLA guarantees 99.95% uptime for enterprise customers. Downtime is calculated monthly, excluding scheduled maintenance windows announced 72 hours in advance.",
    "metadata": {
      "category": "policy",
      "department": "legal",
      "tags": ["sla", "uptime", "enterprise"],
      "source": "legal-team"
    },
    "ttl_seconds": 31536000
  }'
"""
STORED = {
    "id": ID,
    "status": "stored",
    "vault_id": "vlt_default",
    "workspace_id": "ws_engineering",
    "created_at": "2026-04-15T14:22:00Z",
    "content_hash": "sha256:a3f2b8c1d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0",
    "byte_size": 184,
    "metadata": {
        "category": "policy",
        "department": "legal",
        "tags": ["sla", "uptime", "enterprise"],
        "source": "legal-team",
    },
    "processing": {"embedding_status": "pending", "entity_extraction_status": "pending"},
}
BATCH = {
    "memories": [
        {"content": "First memory content", "metadata": {"category": "notes"}},
        {"content": "Second memory content", "metadata": {"category": "procedures"}},
    ]
}
BATCH_STORED = {
    "stored": 2,
    "failed": 0,
    "results": [{"id": "mem_abc123", "status": "stored"}, {"id": "mem_def456", "status": "stored"}],
}
RETRIEVE = r"""
curl -G "https://api.brrain.io/v1/memory/retrieve" \
  -H "Authorization: Bearer brr_live_YOUR_API_KEY" \
  --data-urlencode "q=what is our uptime SLA for enterprise customers" \
  --data-urlencode "limit=5" \
  --data-urlencode "min_relevance=0.5"
"""
RETRIEVED = {
    "query": "what is our uptime SLA for enterprise customers",
    "mode": "semantic",
    "results": [
        {
            "id": ID,
            "content": "Our SLA guarantees 99.95% uptime for enterprise customers. Downtime is calculated monthly, "
            "excluding scheduled maintenance windows announced 72 hours in advance.",
            "relevance_score": 0.96,
            "metadata": STORED["metadata"],
            "created_at": "2026-04-15T14:22:00Z",
            "highlights": [
                "Our <em>SLA</em> guarantees 99.95% <em>uptime</em> for <em>enterprise</em> customers."
            ],
        }
    ],
    "total": 1,
    "has_more": False,
    "next_cursor": None,
    "took_ms": 18,
}
GET = r"""
curl https://api.brrain.io/v1/memory/mem_8a2f4b6c9d1e3g5h \
  -H "Authorization: Bearer brr_live_YOUR_API_KEY"
"""
READ = {
    "id": ID,
    "content": "Our SLA guarantees 99.95% uptime for enterprise customers...",
    "vault_id": "vlt_default",
    "workspace_id": "ws_engineering",
    "created_at": "2026-04-15T14:22:00Z",
    "updated_at": None,
    # The example leaves the source out; an answer has all metadata as they were stored.
    "metadata": STORED["metadata"],
    "processing": {
        "embedding_status": "completed",
        "entity_extraction_status": "completed",
        "entities": ["enterprise customers", "SLA", "99.95%", "72 hours"],
    },
}
DELETE = r"""
curl -X DELETE https://api.brrain.io/v1/memory/mem_8a2f4b6c9d1e3g5h \
  -H "Authorization: Bearer brr_live_YOUR_API_KEY"
"""
DELETED = {"id": ID, "status": "deleted", "deleted_at": "2026-04-15T16:00:00Z"}
REVOKE = r"""
curl -X DELETE https://api.brrain.io/v1/auth/keys/key_abc123 \
  -H "Authorization: Bearer brr_live_YOUR_API_KEY"
"""
FAILED = {
    "error": {
        "code": "validation_error",
        "message": "The 'content' field is required.",
        "request_id": "req_xyz789",
        "status": 400,
    }
}


@pytest.fixture
def curl(address, client, key):
    """Send what a curl command sends, to our server, with a good key and, where there is one, another id."""

    def send(command, **changes):
        words = iter(shlex.split(command.replace("\\\n", " "))[1:])
        method, url, headers, data, params = "GET", "", {}, None, []
        for word in words:
            if word == "-X":
                method = next(words)
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value.replace(KEY, key)
            elif word == "-d":
                data = next(words)
            elif word == "--data-urlencode":
                name, _, value = next(words).partition("=")
                params.append((name, value))
            elif word != "-G":
                url = word
        assert url.startswith(HOST)
        path = urlsplit(url).path
        for old, new in changes.items():
            path = path.replace(old, new)
        return httpx.request(method, address + path, headers=headers, content=data, params=params or None)

    return send


def same_shape(documented, answered, where="answer"):
    """Compare keys and types all the way down; what is null in the document may have a value."""
    if documented is None:
        assert answered is None or isinstance(answered, str), where
        return
    if isinstance(documented, float):
        assert isinstance(answered, float), where
        return
    assert type(answered) is type(documented), where
    if isinstance(documented, dict):
        assert set(answered) == set(documented), where
        for name, value in documented.items():
            same_shape(value, answered[name], f"{where}.{name}")
    elif isinstance(documented, list):
        for place, value in enumerate(answered):
            same_shape(documented[0], value, f"{where}[{place}]")
    elif isinstance(documented, str):
        for pattern in (
            r"mem_[0-9a-z]+",
            r"sha256:[0-9a-f]{62,64}",
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
        ):
            if re.fullmatch(pattern, documented):
                assert re.fullmatch(pattern, answered), where


def test_the_example_of_storing(curl):
    answer = curl(STORE)
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("application/json")
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
    body = answer.json()
    same_shape(STORED, body)
    assert (body["status"], body["metadata"]) == ("stored", STORED["metadata"])
    content = RETRIEVED["results"][0]["content"]
    assert body["byte_size"] == len(content.encode())


def test_the_example_of_storing_twice_is_a_duplicate(curl):
    id = curl(STORE).json()["id"]
    answer = curl(STORE)
    assert answer.status_code == 409
    assert answer.json()["error"]["existing_id"] == id


def test_the_example_of_a_batch(client):
    answer = client.post("/v1/memory/batch", json=BATCH)
    assert answer.status_code == 201
    same_shape(BATCH_STORED, answer.json())
    assert (answer.json()["stored"], answer.json()["failed"]) == (2, 0)
    assert len({item["id"] for item in answer.json()["results"]}) == 2


def test_the_example_of_retrieving(curl):
    id = curl(STORE).json()["id"]
    answer = curl(RETRIEVE)
    assert answer.status_code == 200
    body = answer.json()
    same_shape(RETRIEVED, body)
    for name in ("query", "mode", "total", "has_more", "next_cursor"):
        assert body[name] == RETRIEVED[name], name
    [hit] = body["results"]
    assert (hit["id"], hit["content"]) == (id, RETRIEVED["results"][0]["content"])
    assert hit["metadata"] == STORED["metadata"]
    assert 0.5 <= hit["relevance_score"] <= 1
    assert hit["highlights"] == [
        "Our <em>SLA</em> guarantees 99.95% <em>uptime</em> for <em>enterprise</em> <em>customers</em>."
    ]


def test_the_example_of_reading(curl):
    id = curl(STORE).json()["id"]
    answer = curl(GET, **{ID: id})
    assert answer.status_code == 200
    body = answer.json()
    same_shape(READ, body)
    assert (body["id"], body["metadata"], body["updated_at"]) == (id, STORED["metadata"], None)
    assert body["content"] == RETRIEVED["results"][0]["content"]
    assert body["processing"]["embedding_status"] == "completed"
    assert "SLA" in body["processing"]["entities"]


def test_the_example_of_deleting(curl):
    id = curl(STORE).json()["id"]
    answer = curl(DELETE, **{ID: id})
    assert answer.status_code == 200
    same_shape(DELETED, answer.json())
    assert (answer.json()["id"], answer.json()["status"]) == (id, "deleted")
    assert curl(RETRIEVE).json()["results"] == []


def test_the_example_of_revoking_a_key(curl, client, client_of):
    made = client.post("/v1/auth/keys", json={"name": "old", "scope": "read"}).json()
    answer = curl(REVOKE, key_abc123=made["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert client_of(made["key"]).retrieve("x").status_code == 401


@pytest.mark.parametrize("command", [GET, DELETE, REVOKE])
def test_the_examples_own_ids_are_not_found(curl, command):
    answer = curl(command)
    assert answer.status_code == 404
    same_shape(FAILED, answer.json())
    assert answer.json()["error"]["code"] == "not_found"


def test_a_failure_has_the_documented_shape(client):
    answer = client.post("/v1/memory/store", json={"metadata": {}})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(FAILED["error"]) <= set(error)
    assert (error["code"], error["status"], error["message"]) == (
        "validation_error",
        400,
        "content is required",
    )


def test_every_documented_field_is_taken(client):
    answer = client.post(
        "/v1/memory/store",
        json={
            "content": "x",
            "metadata": {
                "category": "a",
                "department": "b",
                "tags": ["c"],
                "source": "d",
                "anything": {"e": [1]},
            },
            "workspace_id": "ws_engineering",
            "ttl_seconds": 60,
            "idempotency_key": "k1",
        },
    )
    assert answer.status_code == 201
    assert answer.json()["workspace_id"] == "ws_engineering"
    assert answer.json()["metadata"]["anything"] == {"e": [1]}


def test_every_documented_parameter_is_taken(client):
    id = client.stored(
        "the lighthouse",
        metadata={"category": "a", "department": "b", "tags": ["c", "d"]},
        workspace_id="ws_engineering",
    )
    assert client.found(
        "lighthouse",
        keyword="lighthouse",
        limit=100,
        category="a",
        tags="c,d",
        department="b",
        created_after="2026-01-01T00:00:00Z",
        created_before="2200-01-01T00:00:00Z",
        workspace_id="ws_engineering",
        min_relevance="0.0",
        mode="hybrid",
    ) == [id]
