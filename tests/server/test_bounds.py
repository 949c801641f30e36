"""Bytes are bounded: of a memory's metadata, of a page, and of an account, in all five formats."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from onebrain.errors import QuotaExceeded
from onebrain.memory.models import NewMemory
from onebrain_server.testing import live_server

MB = 1024 * 1024


@pytest.fixture(scope="module")
def bounded(settings, tmp_path_factory):
    """A server with small bounds."""
    file = tmp_path_factory.mktemp("bounds") / "server.db"
    allowances = {"memories": 10_000, "memory_bytes": 6 * MB}
    with live_server(
        replace(
            settings,
            database_url=f"sqlite:///{file}",
            max_metadata_bytes=256 * 1024,
            max_page_bytes=MB,
            free_plan=allowances,
        )
    ) as live:
        yield live


@pytest.fixture
def client(bounded):
    """A client of a fresh account of the free plan."""
    mail = {"email": f"{uuid.uuid4().hex}@example.com", "password": "password1"}
    with httpx.Client(base_url=bounded.url, timeout=60) as client:
        client.post("/v1/auth/register", json=mail).raise_for_status()
        token = client.post("/v1/auth/login", json=mail).json()["data"]["accessToken"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def note(n, size=200 * 1024):
    return {"type": "fact", "title": f"note {n}", "body": f"tea {n}", "metadata": {"a": "x" * size}}


def test_metadata_beyond_the_bound_are_refused_and_nothing_is_stored(client):
    answer = client.post("/v1/memory", json=note(1, 300 * 1024))
    assert answer.status_code == 400
    assert "262144" in answer.text
    made = client.post("/v1/memory", json=note(1)).json()["data"]
    changed = client.patch(f"/v1/memory/{made['id']}", json={"metadata": {"a": "é" * 200 * 1024}})
    assert changed.status_code == 400
    assert client.get("/v1/memory").json()["data"][0]["metadata"]["a"][:2] == "xx"


def test_a_list_ends_at_its_bytes_and_its_cursor_leads_on(client):
    for n in range(12):
        client.post("/v1/memory", json=note(n)).raise_for_status()
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        answer = client.get("/v1/memory", params={"limit": 100, **({"cursor": cursor} if cursor else {})})
        assert len(answer.content) < 2 * MB
        page = answer.json()
        seen += [one["title"] for one in page["data"]]
        cursor, pages = page["meta"]["pagination"]["cursor"], pages + 1
    assert pages > 2
    assert sorted(seen) == sorted(f"note {n}" for n in range(12))
    found, offset = [], 0
    while True:
        answer = client.post("/v1/memory/search", json={"query": "tea", "limit": 100, "offset": offset})
        assert len(answer.content) < 2 * MB
        results = answer.json()["data"]["results"]
        found += [one["title"] for one in results]
        offset += len(results)
        if answer.json()["data"]["exhausted"]:
            break
    assert sorted(found) == sorted(seen)


def test_an_account_gets_no_more_bytes_than_its_plan_has(client):
    statuses = [client.post("/v1/memory", json=note(n)).status_code for n in range(40)]
    kept = statuses.count(201)
    assert 25 <= kept <= 30
    assert set(statuses) == {201, 403}
    one = client.get("/v1/memory", params={"limit": 1}).json()["data"][0]
    assert client.patch(f"/v1/memory/{one['id']}", json={"body": "y" * 9_000}).status_code in (200, 403)
    assert client.delete(f"/v1/memory/{one['id']}").status_code == 204
    assert client.post("/v1/memory", json=note(99)).status_code == 201


LARGE = {
    "/v1/entities": lambda n, size: {"name": f"one {n}", "type": "person", "metadata": {"a": "x" * size}},
    "/v1/projects": lambda n, size: {"name": f"one {n}", "metadata": {"a": "x" * size}},
}


@pytest.mark.parametrize("path", LARGE)
def test_documents_and_entities_have_the_bounds_of_memories(client, path):
    made = LARGE[path]
    refused = client.post(path, json=made(0, 300 * 1024))
    assert refused.status_code == 400
    assert "262144" in refused.text
    answers = [client.post(path, json=made(n, 240 * 1024)) for n in range(30)]
    kept = [one.json()["data"]["id"] for one in answers if one.status_code == 201]
    assert {one.status_code for one in answers} == {201, 403}
    assert 20 <= len(kept) <= 25
    grown = client.patch(f"{path}/{kept[0]}", json=made("grown", 300 * 1024))
    assert grown.status_code == 400
    # A page ends at its bytes, and its cursor leads on.
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        answer = client.get(path, params={"limit": 100, **({"cursor": cursor} if cursor else {})})
        assert len(answer.content) < 2 * MB
        seen += [one["id"] for one in answer.json()["data"]]
        cursor, pages = answer.json()["meta"]["pagination"]["cursor"], pages + 1
    assert pages > 4
    assert sorted(seen) == sorted(kept)
    # They count against the bytes of the account.
    assert client.post("/v1/memory", json=note(1, 250 * 1024)).status_code == 403
    client.delete(f"{path}/{kept[1]}").raise_for_status()
    assert client.post("/v1/memory", json=note(1, 100 * 1024)).status_code == 201


def test_the_owner_has_no_allowance_but_the_same_pages(bounded):
    key = bounded.account("unlimited@example.com")
    with httpx.Client(base_url=bounded.url, headers={"authorization": f"ApiKey {key}"}, timeout=60) as client:
        for n in range(6):
            client.post("/v1/memory", json=note(n)).raise_for_status()
        assert len(client.get("/v1/memory").json()["data"]) < 6


def test_writes_at_the_same_moment_get_no_more_bytes_than_the_plan_has(bounded, monkeypatch):
    plans = bounded.server.plans
    tenant = bounded.server.accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en").id
    engine = bounded.server.engine.tenant(tenant)
    counting, size = threading.Barrier(4), plans.size

    def counted_together(asked):
        found = size(asked)
        with suppress(threading.BrokenBarrierError):
            counting.wait(1)
        return found

    monkeypatch.setattr(plans, "size", counted_together)

    def store(n):
        try:
            engine.store([NewMemory(content=f"tea {n}", metadata={"a": "x" * 240 * 1024}) for _ in range(10)])
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(store, range(4)))
    assert sum(stored) <= 2
    assert size(tenant) <= 6 * MB
    monkeypatch.undo()
    free = (6 * MB - size(tenant)) // (256 * 1024)
    assert all(
        engine.store([NewMemory(content="tea", metadata={"a": "x" * 250 * 1024})]) for _ in range(free)
    )
    with pytest.raises(QuotaExceeded):
        engine.store([NewMemory(content="tea", metadata={"a": "x" * 250 * 1024})] * 2)
