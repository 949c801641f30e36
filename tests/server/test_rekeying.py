"""A server's database is sealed, and its key changed: every row of it, as a whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from onebrain.cli.app import cli
from onebrain.errors import ConfigurationError, StorageError
from onebrain_server.state import rekeying
from onebrain_server.testing import live_server

FIRST, SECOND = "ab" * 32, "cd" * 32
WORDS = [f"{word}ish" for word in ("xylophon", "quarterdeck", "zanzibar", "wombat", "gibberel", "parsnip")]
NEW = {"workspace_id": "one", "content": f"the {WORDS[4]} one", "idempotency_key": "once"}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def serving(settings, url):
    """Return a function that opens a client of a server with a memory encryption key."""
    known = {}

    @contextmanager
    def serve(key=None):
        given = None if key is None else bytes.fromhex(key)
        with live_server(replace(settings, database_url=url, memory_encryption_key=given)) as live:
            header = {"authorization": f"Bearer {known.setdefault('key', live.key)}"}
            with httpx.Client(base_url=live.url, headers=header, timeout=60) as client:
                yield client

    return serve


def fill(client):
    made = client.post(
        "/v1/memory", json={"title": "note", "body": f"Maria is {WORDS[0]}"}, headers={"idempotency-key": "a"}
    ).json()["data"]["id"]
    client.patch(f"/v1/memory/{made}", json={"body": f"Maria is {WORDS[1]}"}).raise_for_status()
    for path, body in (
        ("/v1/entities", {"name": WORDS[2], "type": "person"}),
        ("/v1/tags", {"name": WORDS[3]}),
        ("/compat/brrain/v1/memory/store", NEW),
        ("/v1/projects", {"name": WORDS[5]}),
    ):
        assert client.post(path, json=body).status_code == 201
    return made


def check(client, made):
    """All is there, and every name and key that was used is known."""
    assert client.get(f"/v1/memory/{made}").json()["data"]["body"] == f"Maria is {WORDS[1]}"
    assert [one["name"] for one in client.get("/v1/entities").json()["data"]] == [WORDS[2]]
    assert [one["name"] for one in client.get("/v1/projects").json()["data"]] == [WORDS[5]]
    assert client.post("/v1/entities", json={"name": WORDS[2], "type": "person"}).status_code == 409
    assert client.post("/v1/tags", json={"name": WORDS[3]}).status_code == 409
    again = client.post(
        "/v1/memory", json={"title": "note", "body": f"Maria is {WORDS[0]}"}, headers={"idempotency-key": "a"}
    )
    assert (again.json()["data"]["id"], again.headers["idempotency-replayed"]) == (made, "true")
    for asked, code in (
        (NEW, "duplicate_request"),
        ({**NEW, "content": "another"}, "idempotency_conflict"),
        ({**NEW, "idempotency_key": "twice"}, "duplicate"),
    ):
        answer = client.post("/compat/brrain/v1/memory/store", json=asked)
        assert answer.status_code == 409
        assert code in answer.text


def test_all_is_sealed_and_sealed_anew_and_nothing_is_lost(serving, url, tmp_path, monkeypatch):
    monkeypatch.setattr(rekeying, "_AT_ONCE", 2)
    with serving() as client:
        made = fill(client)
    rekeying.encrypt(url, FIRST)
    with serving(FIRST) as client:
        check(client, made)
    # A kill before the last statement changes nothing.
    with monkeypatch.context() as patched:
        patched.setattr(rekeying, "_SEALED", {**rekeying._SEALED, rekeying.tables.audit: "missing"})
        with pytest.raises(StorageError):
            rekeying.encrypt(url, SECOND, before=FIRST)
    answer = CliRunner().invoke(
        cli,
        ["encrypt", "--url", url],
        env={"ONEBRAIN_ENCRYPTION_KEY": SECOND, "ONEBRAIN_ENCRYPTION_KEY_BEFORE": FIRST},
    )
    assert (answer.exit_code, answer.output) == (0, "2 memories sealed\n")
    with serving(SECOND) as client:
        check(client, made)
    with pytest.raises(ConfigurationError, match="another key"), serving(FIRST):
        pass
    if url.startswith("sqlite"):
        stored = b"".join(file.read_bytes() for file in Path(tmp_path).rglob("*") if file.is_file())
        assert [word for word in WORDS if word.encode() in stored] == []


def test_a_row_that_a_server_wrote_with_the_former_key_is_sealed_by_another_run(serving, url):
    with serving(FIRST) as client:
        client.post("/v1/tags", json={"name": WORDS[3]}).raise_for_status()
    rekeying.encrypt(url, SECOND, before=FIRST)
    from onebrain_server.security.sealing import Sealer
    from onebrain_server.state.database import SERVER, Database
    from onebrain_server.state.tables import record

    database = Database(url)
    tenant = database.scalar(SERVER, record.select())
    late = Sealer(bytes.fromhex(FIRST)).seal(tenant, f'{{"name": "{WORDS[3]}", "color": null}}')
    database.run(tenant, record.update().values(body=late))
    database.close()
    rekeying.encrypt(url, SECOND, before=FIRST)
    with serving(SECOND) as client:
        assert [one["name"] for one in client.get("/v1/tags").json()["data"]] == [WORDS[3]]
