"""Partitions: each service's memories are apart from all others', and everything of an account goes with it."""

from __future__ import annotations

import sqlite3
import uuid

import httpx
import pytest

from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING, NewMemory
from onebrain_server.dialects import DIALECTS
from onebrain_server.partitions import partition_name
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

PARTITIONS = [dialect.partition for dialect in DIALECTS]
TEXT = "Maria prefers window seats"


@pytest.fixture
def account(onebrain_server, onebrain_api_key):
    return onebrain_server.server.accounts.by_key(onebrain_api_key).account.id


def contents(server, account, partition):
    page = server.engine.tenant(partition_name(account, partition)).list(
        ListRequest(limit=100, include_archived=True)
    )
    return [memory.content for memory in page.data]


def test_every_service_has_a_partition_of_its_own(onebrain_server, account):
    server = onebrain_server.server
    assert len(set(PARTITIONS)) == len(DIALECTS)
    for partition in PARTITIONS:
        server.engine.tenant(partition_name(account, partition)).store([NewMemory(content=f"in {partition}")])
    for partition in PARTITIONS:
        assert contents(server, account, partition) == [f"in {partition}"]


def test_what_one_service_stored_is_in_no_others_answers(onebrain_server, onebrain_api_key, client, account):
    base, headers = (
        onebrain_server.url + "/compat/brrain/v1/memory",
        {"authorization": f"Bearer {onebrain_api_key}"},
    )
    theirs = httpx.post(base + "/store", json={"content": TEXT}, headers=headers).json()["id"]
    assert client.get("/v1/memory").json()["data"] == []
    assert client.post("/v1/memory/search", json={"query": "window seats"}).json()["data"]["results"] == []
    assert client.get(f"/v1/memory/{theirs}").status_code == 404
    assert client.delete(f"/v1/memory/{theirs}").status_code == 404
    assert TEXT not in client.get("/v1/export/json").text
    ours = client.post("/v1/memory", json={"body": "Maria sits at the window"}).json()["data"]["id"]
    assert httpx.get(f"{base}/{ours}", headers=headers).status_code == 404
    assert httpx.delete(f"{base}/{ours}", headers=headers).status_code == 404
    found = httpx.get(base + "/retrieve", params={"q": "window"}, headers=headers).json()
    assert [hit["id"] for hit in found["results"]] == [theirs]
    server = onebrain_server.server
    assert contents(server, account, "brrain") == [TEXT]
    for partition in PARTITIONS:
        if partition not in ("brrain", None):
            assert contents(server, account, partition) == []


def test_no_account_can_be_named_so_that_it_reaches_anothers_room(onebrain_server):
    server = onebrain_server.server
    made = server.accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en")
    assert "/" not in made.id


def test_an_account_that_is_deleted_leaves_nothing_in_any_partition(tmp_path):
    file = tmp_path / "server.db"
    settings = Settings(
        database_url=f"sqlite:///{file}",
        rate_limit_max=0,
        log_level="error",
        private_addresses=False,
        delivery_delays=(3600.0,),
    )
    with live_server(settings) as live:
        server = live.server
        gone, kept = (
            server.accounts.by_key(live.account(f"{name}@example.com")).account.id
            for name in ("gone", "kept")
        )
        for account in (gone, kept):
            for partition in PARTITIONS:
                name = partition_name(account, partition)
                [stored] = server.engine.tenant(name).store([NewMemory(content=TEXT)])
                service = partition or "onebrain"
                server.links.add(account, f"{service}.thing", service, stored.id, "about")
                server.records.add(account, f"{service}.thing", {"text": TEXT})
            entities = server.entities(account)
            people = [entities.add(name, "person").id for name in ("Maria", "Ana")]
            entities.link(people[0], stored.id, "about")
            server.relations(account).add(*people, "knows")
            server.deliveries.add(
                account, "onebrain", "target", url="https://127.0.0.1/", secret="s", body="{}"
            )
        server.forget_account(gone)
        for partition in PARTITIONS:
            assert contents(server, gone, partition) == []
            assert contents(server, kept, partition) == [TEXT]
            assert (
                server.engine.tenant(partition_name(kept, partition)).count(
                    EVERYTHING, TRUE, include_archived=True
                )
                == 1
            )
    with sqlite3.connect(file) as database:
        rows = {
            table: [str(row) for row in database.execute(f'SELECT * FROM "{table}"')]
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        }
    database.close()
    # The audit log alone outlives an account.
    assert {table for table, found in rows.items() if any(gone in row for row in found)} <= {"server_audit"}
    assert len([row for row in rows["server_delivery"] if kept in row]) == 1


@pytest.mark.parametrize("format", ["onebrain", "rememberos"])
def test_the_request_that_deletes_an_account_leaves_nothing_of_itself(tmp_path, format):
    file = tmp_path / "server.db"
    with live_server(Settings(database_url=f"sqlite:///{file}", rate_limit_max=0, log_level="error")) as live:
        key = live.account("gone@example.com")
        gone = live.server.accounts.by_key(key).account.id
        headers = {"authorization": f"Bearer {key}", "idempotency-key": uuid.uuid4().hex}
        with httpx.Client(base_url=live.url, headers=headers) as client:
            client.post("/v1/memory", json={"body": TEXT}).raise_for_status()
            if format == "onebrain":
                done = client.post("/v1/user/delete", json={"confirmEmail": "gone@example.com"})
            else:
                memory = "/compat/rememberos/v1/memory"
                name = client.get(f"{memory}/admin/me").json()["name"]
                done = client.post(f"{memory}/admin/delete-account", json={"confirm": name})
        assert done.is_success, done.text
    with sqlite3.connect(file) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left = {
            table
            for table in tables
            if any(gone in str(row) for row in database.execute(f'SELECT * FROM "{table}"'))
        }
    database.close()
    assert left == {"server_audit"}


def test_a_removal_that_fails_leaves_no_account_in_use(monkeypatch):
    with live_server() as live:
        server, key = live.server, live.account("gone@example.com")
        owner = server.accounts.by_key(key).account
        [stored] = server.engine.tenant(owner.id).store([NewMemory(content=TEXT)])

        def fails(name):
            raise OSError("no disk")

        with monkeypatch.context() as patch:
            patch.setattr(server.engine, "forget_tenant", fails)
            with pytest.raises(OSError, match="no disk"):
                server.forget_account(owner.id)
        headers = {"authorization": f"ApiKey {key}"}
        assert httpx.get(f"{live.url}/v1/memory/{stored.id}", headers=headers).status_code == 401
        assert not server.accounts.by_id(owner.id).is_active
        server.forget_account(owner.id)
        assert server.accounts.by_id(owner.id) is None
        assert contents(server, owner.id, None) == []
