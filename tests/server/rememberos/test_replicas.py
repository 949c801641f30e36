"""Two replicas on one PostgreSQL: collections, grants, keys and jobs are shared."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from onebrain_server.testing import live_server

C = "/memory/collections/notes"


@pytest.fixture(scope="module")
def clients(postgres, settings):
    shared = replace(settings, database_url=postgres.new_database())
    with live_server(shared) as first, live_server(shared) as second:
        headers = {"authorization": f"Bearer {first.key}"}
        path = "/compat/rememberos/v1"
        with (
            httpx.Client(base_url=first.url + path, headers=headers, timeout=180) as one,
            httpx.Client(base_url=second.url + path, headers=headers, timeout=180) as other,
        ):
            yield one, other


def test_what_one_replica_does_the_other_knows(clients, until):
    one, other = clients
    made = one.post(f"{C}/memories", json={"text": "Maria lives in Lisbon.", "metadata": {"a": [1]}}).json()
    assert other.get(f"{C}/memories/{made['id']}").json() == made
    assert other.post(f"{C}/search", json={"query": "Lisbon"}).json()["results"][0]["id"] == made["id"]
    job = other.post(f"{C}/remember", json={"content": "Maria moved to Porto."}).json()["job_id"]
    until(one, f"/memory/extract/job/{job}", "complete")
    [pair] = one.get(f"{C}/contradictions").json()
    assert pair["superseded"]["id"] == made["id"]
    contained = one.post(f"{C}/search", json={"query": "Maria", "metadata_filter": {"a": [1]}}).json()
    # It is superseded.
    assert contained["results"] == []
    bot = one.post("/memory/keys", json={"label": "bot"}).json()
    other.put(f"{C}/grants", json={"agent_key_id": bot["id"]})
    assert one.get(f"{C}/memories").status_code == 403
    agent = {"authorization": f"Bearer {bot['key']}"}
    assert len(one.get(f"{C}/memories", headers=agent).json()) == 2
    assert other.post("/memory/collections", json={"name": "notes"}).status_code == 400


def test_control_characters_are_kept_in_texts_and_refused_in_names(clients):
    one, _ = clients
    odd = "a\x00b\x1f\ufffd\u2028"
    path = "/memory/collections/odd/memories"
    body = {"text": odd, "category": odd, "source": odd, "metadata": {odd: [odd]}}
    made = one.post(path, json=body)
    assert made.status_code == 201, made.text
    assert {name: made.json()[name] for name in body} == body
    assert one.get(f"{path}/{made.json()['id']}").json() == made.json()
    assert one.get("/memory/collections/odd/health").json()["categories"] == {odd: 1}
    for query in (odd, "\x00"):
        assert one.post("/memory/search", json={"query": query, "category": odd}).status_code == 200
    assert one.post(path, json={"text": "x", "container_tag": odd}).status_code == 400
    assert one.post("/memory/collections", json={"name": odd}).status_code == 400
    assert one.post("/memory/keys", json={"label": odd}).status_code == 400
    assert one.get(f"{path}/a%00b").status_code == 400
    assert one.put("/memory/collections/odd", json={"description": odd}).json()["description"] == odd


def test_files_connections_counts_and_the_proxys_parts_hold_on_postgresql(clients, until):
    one, other = clients
    files = {"files": ("note.txt", b"The office is in Braga.")}
    batch = one.post("/memory/collections/files/drop?async_ingest=true", files=files).json()["batch_id"]
    assert until(other, f"/memory/ingest/batch/{batch}", "complete")["done"] == 1
    source = {"provider": "slack", "collection": "files", "credentials": {"token": "t"}}
    connection = one.post("/memory/connections", json=source).json()["id"]
    assert other.post(f"/memory/connections/{connection}/sync").status_code == 503
    assert len(one.get(f"/memory/connections/{connection}/runs").json()) == 1
    assert one.get("/memory/admin/connectors").json()["slack"]["runs"] == 1
    assert other.get("/memory/admin/connectors/status").json() == [{"status": "error", "n": 1}]
    other.put("/memory/spend-cap", json={"monthly_usd": 3})
    assert one.get("/memory/spend-cap").json()["monthly_usd"] == 3
    # Each replica counts for itself, and both add to the same day.
    for client in (one, other, one):
        assert client.post("/pulse", json={"path": "/docs"}).status_code == 204
    other.get("/memory/admin/analytics")
    views = one.get("/memory/admin/analytics").json()["pageviews"]
    assert views["by_path"] == {"/docs": 3}
    assert one.get("/memory/database/config").json()["backend"] == "postgresql"
    actions = {row["action"] for row in one.get("/memory/admin/audit").json()}
    assert {"rememberos.connection.create", "rememberos.files.drop"} <= actions
    assert one.get("/memory/admin/memory-health").json()["total"] > 0
    assert other.get("/memory/admin/usage").json()["total"]["memories"] > 0
    dump = one.get("/memory/admin/export").json()
    made = other.post("/memory/admin/import", json={**dump, "into_collection": "copy"}).json()
    assert made["imported"] == len(dump["memories"])
