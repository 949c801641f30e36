"""The same on PostgreSQL, where several servers share what is stored."""

from __future__ import annotations

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture
def replicas(postgres):
    """Clients of one account at two servers on one database."""
    settings = Settings(database_url=postgres.new_database(), rate_limit_max=0, log_level="error")
    with live_server(settings) as first, live_server(settings) as second:
        headers = {"authorization": f"Bearer {first.key}"}
        with (
            httpx.Client(base_url=first.url + "/compat/brrain/v1/memory", headers=headers) as one,
            httpx.Client(base_url=second.url + "/compat/brrain/v1/memory", headers=headers) as other,
        ):
            yield one, other


def test_what_one_server_stored_the_other_knows(replicas):
    one, other = replicas
    body = {
        "content": "the lighthouse \u0000 and the harbour",
        "metadata": {"category": "log", "tags": ["a", "b"]},
        "ttl_seconds": 3600,
        "idempotency_key": "k",
    }
    stored = one.post("/store", json=body)
    assert stored.status_code == 201, stored.text
    id = stored.json()["id"]
    assert other.get(f"/{id}").json()["content"] == body["content"]
    again = other.post("/store", json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "duplicate_request")
    error = other.post("/store", json={**body, "idempotency_key": "l"}).json()["error"]
    assert (error["code"], error["existing_id"]) == ("duplicate_content", id)
    for mode in ("semantic", "keyword", "hybrid"):
        found = other.get(
            "/retrieve", params={"q": "lighthouse", "mode": mode, "tags": "a,b", "category": "log"}
        )
        assert [hit["id"] for hit in found.json()["results"]] == [id], mode
        assert found.json()["total"] == 1
    batch = other.post("/batch", json={"memories": [{"content": f"lighthouse {n}"} for n in range(30)]})
    assert batch.json()["stored"] == 30
    page = one.get("/retrieve", params={"q": "lighthouse", "mode": "keyword", "limit": 20}).json()
    assert (page["total"], len(page["results"]), page["has_more"]) == (31, 20, True)
    # A cursor of one server is good at the other.
    params = {"q": "lighthouse", "mode": "keyword", "limit": 20, "cursor": page["next_cursor"]}
    rest = other.get("/retrieve", params=params).json()
    assert (rest["total"], len(rest["results"]), rest["has_more"]) == (31, 11, False)
    assert other.delete(f"/{id}").status_code == 200
    assert one.get(f"/{id}").status_code == 404
    assert one.post("/store", json={**body, "idempotency_key": "m"}).status_code == 201
    assert other.get(f"/{id}").status_code == 200
