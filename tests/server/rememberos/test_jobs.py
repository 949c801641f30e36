"""Extraction in the background: nothing is lost with a process, and nothing is kept for longer than it is needed."""

from __future__ import annotations

import uuid

import pytest

from onebrain_server.clock import now_micros
from onebrain_server.dialects.rememberos.routes import graph

C = "/memory/collections/notes"
DAY = 24 * 3600 * 1_000_000


@pytest.fixture
def wait(until):
    return lambda client, id: until(client, f"/memory/extract/job/{id}", "complete")


def left_behind(live, key, *, state, age, content="Maria lives in Lisbon."):
    """Note a job as a process did that has died since."""
    account = live.server.accounts.by_key(key).account.id
    body = {
        "state": state, "claim": None if state == "queued" else "another process", "since": now_micros() - age,
        "facts": 0, "collection": "notes", "by": {"id": "k", "label": "k"}, "whole": True,
        "asked": {"content": content, "importance": 0.7, "container_tag": None},
    }  # fmt: skip
    return account, live.server.records.add(account, graph.JOB, body, status=state).id


def test_many_jobs_at_once_see_each_others_facts(client, wait):
    ids = [
        client.post(f"{C}/remember", json={"content": f"Maria lives in {place}."}).json()["job_id"]
        for place in ("Lisbon", "Porto", "Braga", "Faro", "Evora")
    ]
    assert all(wait(client, id)["state"] == "done" for id in ids)
    health = client.get(f"{C}/health").json()
    assert (health["total"], health["current"], health["supersessions"]) == (5, 1, 4)


def test_a_job_does_not_bring_a_deleted_collection_back(live, client, key, wait):
    client.post("/memory/collections", json={"name": "notes"})
    _, id = left_behind(live, key, state="queued", age=3_600_000_000)
    client.delete(C)
    graph.jobs.resume(live.server)
    assert wait(client, id)["state"] == "failed"
    assert client.get("/memory/collections").json() == []


def test_a_job_that_died_with_its_process_is_done_by_another(live, client, key, wait):
    client.post("/memory/collections", json={"name": "notes"})
    for state in ("queued", "processing"):
        _, id = left_behind(live, key, state=state, age=3_600_000_000)
        assert client.get(f"/memory/extract/job/{id}").json()["state"] == state
        graph.jobs.resume(live.server)
        assert wait(client, id)["state"] == "done"
    # The second one said the same, which is known by now.
    assert [row["text"] for row in client.get(f"{C}/memories").json()] == ["Maria lives in Lisbon."]


def test_a_job_that_another_process_is_at_is_left_alone(live, client, key):
    for state in ("queued", "processing"):
        _, id = left_behind(live, key, state=state, age=0)
        graph.jobs.resume(live.server)
        assert client.get(f"/memory/extract/job/{id}").json()["state"] == state


def test_a_job_that_fails_says_so(live, client, key, wait):
    client.post("/memory/collections", json={"name": "notes"})
    _, id = left_behind(live, key, state="queued", age=3_600_000_000, content=None)
    graph.jobs.resume(live.server)
    assert wait(client, id) == {"state": "failed", "facts": 0, "complete": True}


def test_the_text_of_a_job_is_gone_when_it_is_done_and_the_job_a_day_later(live, client, key, wait):
    id = client.post(f"{C}/remember", json={"content": "Maria lives in Lisbon."}).json()["job_id"]
    wait(client, id)
    account = live.server.accounts.by_key(key).account.id
    assert live.server.records.get(account, graph.JOB, id).body["asked"] is None
    graph.jobs.tidy(live.server)
    assert client.get(f"/memory/extract/job/{id}").status_code == 200
    graph.jobs.tidy(live.server, now_micros() + DAY + 1)
    assert client.get(f"/memory/extract/job/{id}").status_code == 404


def test_an_unknown_job_is_not_found(client):
    answer = client.get(f"/memory/extract/job/{uuid.uuid4()}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Job not found"})
