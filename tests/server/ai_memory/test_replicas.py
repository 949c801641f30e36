"""Two replicas on one PostgreSQL: each sees at once what the other wrote."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture(scope="module")
def replicas(postgres):
    settings = Settings(
        database_url=postgres.new_database(),
        rate_limit_max=0,
        log_level="error",
        memory_encryption_key=bytes(range(32)),
    )
    with ExitStack() as stack:
        first = stack.enter_context(live_server(settings))
        second = stack.enter_context(live_server(settings))
        options = {"headers": {"x-api-key": first.key}, "timeout": 30}
        yield [
            stack.enter_context(httpx.Client(base_url=live.url + "/compat/ai-memory/api/v1", **options))
            for live in (first, second)
        ]


def test_what_one_replica_stores_the_other_merges_links_recalls_moves_and_forgets(replicas):
    one, other = replicas
    id = one.post("/memories", json={"title": "Lighthouse", "content": "by the sea", "tags": ["x"]}).json()[
        "id"
    ]
    body = {"title": "Lighthouse", "content": "on a hill", "priority": 9}
    assert other.post("/memories", json=body).json()["id"] == id
    second = other.post("/memories", json={"title": "Harbour", "content": "with ships"}).json()["id"]
    assert one.post("/links", json={"source_id": id, "target_id": second}).status_code == 201
    found = one.post("/recall", json={"context": "lighthouse", "limit": 1}).json()["memories"]
    assert [row["content"] for row in found] == ["on a hill"]
    assert other.get(f"/memories/{id}").json()["memory"]["access_count"] == 1
    assert other.get("/search", params={"q": "lighthouse hill"}).json()["count"] == 1
    assert (
        other.put(f"/memories/{id}", json={"namespace": "coast/north"}).json()["namespace"] == "coast/north"
    )
    row = one.get(f"/memories/{id}").json()
    assert (row["memory"]["namespace"], len(row["links"])) == ("coast/north", 1)
    assert one.get("/namespaces").json()["namespaces"] == [
        {"namespace": "coast/north", "count": 1},
        {"namespace": "global", "count": 1},
    ]
    assert other.post("/forget", json={"pattern": "hill"}).json() == {"deleted": 1}
    assert one.get(f"/memories/{id}").status_code == 404
    assert one.get(f"/links/{second}").json() == {"links": []}


def test_long_ids_that_are_imported_are_linked(replicas):
    one, other = replicas
    first, second = "a" * 128, "ü" * 64
    rows = [{"id": id, "title": id, "content": "x"} for id in (first, second)]
    link = {"source_id": first, "target_id": second}
    assert one.post("/import", json={"memories": rows, "links": [link]}).json() == {
        "imported": 2,
        "errors": [],
    }
    assert other.get(f"/memories/{second}").json()["memory"]["id"] == second
    assert len(other.get(f"/links/{first}").json()["links"]) == 1


def test_messages_agents_keys_and_expired_memories_live_there_too(replicas):
    one, other = replicas
    sent = one.post("/notify", json={"to": "ai:bob", "subject": "s", "body": "b"}).json()
    key = one.post("/keys", json={"agent_id": "ai:bob"}).json()["api_key"]
    bob = {"x-api-key": key}
    assert other.post(f"/inbox/{sent['id']}/read", headers=bob).json()["read"] is True
    assert one.get("/inbox", headers=bob).json()["messages"][0]["read"] is True
    other.post("/agents", json={"agent_id": "ai:bob", "agent_type": "human"})
    assert one.get("/agents").json()["agents"][0]["agent_type"] == "human"
    past = {"id": "old", "title": "old", "content": "x", "expires_at": "2020-01-01T00:00:00+00:00"}
    assert one.post("/import", json={"memories": [past]}).json()["imported"] == 1
    assert other.get("/memories/old").status_code == 404
    assert other.post("/gc").json()["expired_deleted"] == 1
