"""Replicas on one PostgreSQL: they start together, see each other's writes, and share limits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import pytest
import sqlalchemy as sa

from onebrain.errors import StorageError
from onebrain_server.settings import Settings
from onebrain_server.state.database import SERVER
from onebrain_server.testing import live_server


@pytest.fixture(scope="module")
def replicas(postgres):
    url = postgres.new_database()
    settings = Settings(
        database_url=url, rate_limit_max=100_000, rate_limit_write_max=100_000, log_level="error"
    )
    with ExitStack() as stack:
        first = stack.enter_context(live_server(settings))
        second = stack.enter_context(live_server(settings))
        yield first, second


@pytest.fixture
def clients(replicas):
    first, second = replicas
    headers = {"authorization": f"ApiKey {first.key}"}
    with (
        httpx.Client(base_url=first.url, headers=headers, timeout=180) as one,
        httpx.Client(base_url=second.url, headers=headers, timeout=180) as other,
    ):
        yield one, other


def test_only_one_first_key_is_made(replicas):
    first, second = replicas
    assert first.key.startswith("ob_")
    assert second.key == ""


def test_what_one_stores_the_other_finds(clients):
    one, other = clients
    made = one.post("/v1/memory", json={"body": "Maria prefers window seats"}).json()["data"]
    hits = other.post("/v1/memory/search", json={"query": "window seats"}).json()["data"]["results"]
    assert [hit["id"] for hit in hits] == [made["id"]]
    other.patch(f"/v1/memory/{made['id']}", json={"body": "Maria prefers aisle seats"})
    assert one.get(f"/v1/memory/{made['id']}").json()["data"]["body"] == "Maria prefers aisle seats"
    assert "aisle" in one.get("/v1/context/deep").text
    entity = one.post("/v1/entities", json={"name": "Maria", "type": "person"}).json()["data"]
    assert other.get(f"/v1/entities/{entity['id']}").status_code == 200
    assert other.post("/v1/entities", json={"name": "Maria", "type": "person"}).status_code == 409
    project = other.post("/v1/projects", json={"name": "Apollo"}).json()["data"]
    assert one.get(f"/v1/projects/{project['id']}").status_code == 200
    assert "Apollo" in one.get("/v1/context/deep").text


def test_one_idempotency_key_stores_once_on_both(clients):
    headers = {"idempotency-key": "both"}
    answers = [
        client.post("/v1/memory", json={"body": "once on both"}, headers=headers) for client in clients
    ]
    assert answers[0].json() == answers[1].json()


def test_counts_are_shared(replicas, clients, monkeypatch):
    one, other = clients
    # All of it is in one window, however long it takes.
    now = time.time()
    for replica in replicas:
        monkeypatch.setattr(replica.server.limiter, "clock", lambda: now)
    for client in clients:
        for _ in range(5):
            client.get("/v1/capabilities")
            client.get("/v1/tags")
    before = int(one.get("/v1/tags").headers["x-ratelimit-remaining"])
    for _ in range(20):
        other.get("/v1/tags")
    for replica in (*replicas, *replicas):
        replica.server.limiter.share()
    assert int(one.get("/v1/tags").headers["x-ratelimit-remaining"]) <= before - 20


def test_a_killed_replica_loses_nothing_that_it_acknowledged(postgres):
    url = postgres.new_database()
    environment = {**os.environ, "RATE_LIMIT_MAX": "0", "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "onebrain.cli", "serve", "--port", "0", "--db", url]
    first, second = (
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    )
    try:
        addresses = [process.stdout.readline().split(" at ")[1].strip() for process in (first, second)]
        lines: list[str] = []
        for process in (first, second):
            # The first line after the address is the key's, in the one replica that made it.
            os.set_blocking(process.stdout.fileno(), False)
        while not any(line.strip().startswith("ob_") for line in lines):
            lines += [line for process in (first, second) for line in process.stdout.readlines()]
        key = next(line.strip() for line in lines if line.strip().startswith("ob_"))
        headers = {"authorization": f"ApiKey {key}"}
        kept = []
        with httpx.Client(base_url=addresses[0], headers=headers, timeout=180) as client:
            for n in range(60):
                if n == 50:
                    first.kill()
                try:
                    kept.append(client.post("/v1/memory", json={"body": f"note {n}"}).json()["data"]["id"])
                except httpx.HTTPError:
                    break
        with httpx.Client(base_url=addresses[1], headers=headers, timeout=180) as client:
            rows = client.post("/v1/memory/lookup", json={"ids": kept}).json()["data"]
            assert {row["id"] for row in rows} == set(kept)
            assert len(kept) >= 50
            assert client.post("/v1/memory", json={"body": "still here"}).status_code == 201
    finally:
        for process in (first, second):
            process.kill()
            process.wait(180)
            process.stdout.close()


def test_a_query_that_forgets_its_tenant_sees_and_changes_nothing(replicas, clients):
    first, _ = replicas
    one, _ = clients
    one.post("/v1/projects", json={"name": "Gemini"})
    one.post("/v1/entities", json={"name": "Gus", "type": "person"})
    server = first.server
    tables = (
        "server_record",
        "server_entity",
        "server_api_key",
        "server_activity",
        "server_idempotency",
        "server_audit",
    )
    with server.database.reading(SERVER) as connection:
        owner = connection.execute(sa.text("SELECT DISTINCT tenant FROM server_record")).scalar()
        assert connection.execute(sa.text("SELECT count(*) FROM server_api_key")).scalar() > 0
    for stranger in ("somebody-else", ""):
        with server.database.reading(stranger) as connection:
            for table in tables:
                assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == 0
        with server.database.writing(stranger) as connection:
            assert connection.execute(sa.text("DELETE FROM server_record")).rowcount == 0
            assert connection.execute(sa.text("DELETE FROM server_entity")).rowcount == 0
    with pytest.raises(StorageError), server.database.writing("somebody-else") as connection:
        connection.execute(
            sa.text("INSERT INTO server_tombstone (tenant, memory_id, deleted_at) VALUES (:owner, 'x', 1)"),
            {"owner": owner},
        )
