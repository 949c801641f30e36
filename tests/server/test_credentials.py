"""Credentials of third parties are sealed, whatever is configured; their key can be changed, and its loss is survived."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from onebrain._core.codec import to_json
from onebrain.cli.app import cli
from onebrain.errors import StorageError
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.vault import CredentialsKeyMissing, KeyFile, Vault
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.state.tables import record
from onebrain_server.testing import live_server

SECRET = "xoxb-very-secret"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'server.db'}"


@pytest.fixture
def plain(settings, url):
    """A server's settings without any key."""
    return replace(settings, database_url=url, credentials_key=None)


def on_disk(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in (path, Path(f"{path}-wal")) if file.exists())


def keep(server: Server, secret: str = SECRET) -> str:
    return server.records.add("acme", "rememberos.connection", {"credentials": {"token": secret}}).id


def kept(server: Server, id: str) -> str:
    return server.records.get("acme", "rememberos.connection", id).body["credentials"]["token"]


def test_what_users_entrust_in_every_format_is_in_no_file(plain, url):
    with live_server(plain) as live:
        with httpx.Client(
            base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}, timeout=60
        ) as client:
            hook = {"webhookUrl": "https://93.184.216.34/hook", "webhookSecret": SECRET}
            answer = client.put("/v1/briefings/config", json=hook)
            answer = answer if answer.status_code != 405 else client.patch("/v1/briefings/config", json=hook)
            assert answer.status_code == 200, answer.text
        keep(live.server)
        live.server.deliveries._outbox.add(
            "acme", "onebrain", "x", url="https://a.b", secret=SECRET, bodies=["{}"]
        )
        assert SECRET.encode() not in on_disk(url)
    assert stat.S_IMODE(Path(url.removeprefix("sqlite:///") + ".credentials-key").stat().st_mode) == 0o600


def test_what_an_earlier_version_kept_in_clear_is_sealed_and_still_opens(plain, url):
    server = Server(plain)
    id = keep(server)
    body = Sealer(None).seal("acme", to_json({"credentials": {"token": SECRET}}))
    with server.database.writing("acme") as connection:
        connection.execute(record.update().where(record.c.id == id).values(body=body))
    assert SECRET.encode() in on_disk(url)
    assert server.credentials.reseal() == 1
    assert server.credentials.reseal() == 0
    assert kept(server, id) == SECRET
    server.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        assert SECRET.encode() not in database.execute("SELECT body FROM server_record").fetchone()[0]
    database.close()


def test_a_key_file_is_changed_while_a_server_runs_and_after_a_stop(plain, url):
    server = Server(plain)
    ids = [keep(server, f"{SECRET}-{n}") for n in range(5)]
    file = KeyFile(Path(url.removeprefix("sqlite:///") + ".credentials-key"))
    before = file.keys()[0]
    # And stopped here.
    file.begin()
    assert [kept(server, id) for id in ids] == [f"{SECRET}-{n}" for n in range(5)]
    answer = CliRunner().invoke(cli, ["credentials", "rotate", "--db", url])
    assert (answer.exit_code, answer.output) == (0, "5 sealed with the new key\n")
    assert len(file.keys()) == 1
    assert file.keys()[0] != before
    assert [kept(server, id) for id in ids] == [f"{SECRET}-{n}" for n in range(5)]
    assert kept(server, keep(server, "later")) == "later"
    server.close()


def test_a_lost_key_takes_the_credentials_and_nothing_else(plain, url):
    server = Server(plain)
    id = keep(server)
    other = server.records.add("acme", "project", {"name": "p"}).id
    server.close()
    Path(url.removeprefix("sqlite:///") + ".credentials-key").unlink()
    server = Server(plain)
    with pytest.raises(StorageError, match="onebrain credentials forget"):
        kept(server, id)
    assert server.records.get("acme", "project", other).body == {"name": "p"}
    assert CliRunner().invoke(cli, ["credentials", "forget", "--db", url, "--yes"]).output == "1 removed\n"
    assert server.records.get("acme", "rememberos.connection", id) is None
    assert kept(server, keep(server)) == SECRET
    server.close()


def test_a_given_key_is_changed_through_the_one_before(plain):
    old, new = bytes(32), bytes([1]) * 32
    server = Server(replace(plain, credentials_key=old))
    id = keep(server)
    server.close()
    server = Server(replace(plain, credentials_key=new, credentials_key_before=old))
    assert kept(server, id) == SECRET
    assert server.change_credentials_key() == 1
    server.close()
    server = Server(replace(plain, credentials_key=new))
    assert kept(server, id) == SECRET
    server.close()


def test_documents_of_every_kind_are_sealed_anew_or_forgotten(plain):
    old, new = bytes(32), bytes([1]) * 32
    kinds = ("herobrain.webhook", "sixth.webhook", "project", "a-kind-of-tomorrow")
    server = Server(replace(plain, credentials_key=old))
    ids = {kind: server.records.add("acme", kind, {"secret": SECRET}).id for kind in kinds}
    plain_id = server.records.add("acme", "project", {"name": "p"}).id
    server.close()
    server = Server(replace(plain, credentials_key=new, credentials_key_before=old))
    assert server.credentials.reseal() == len(kinds)
    server.close()
    server = Server(replace(plain, credentials_key=new))
    for kind, id in ids.items():
        assert server.records.get("acme", kind, id).body == {"secret": SECRET}
    assert server.credentials.forget() == 0
    server.close()
    server = Server(replace(plain, credentials_key=bytes([2]) * 32))
    assert server.credentials.forget() == len(kinds)
    assert [server.records.get("acme", kind, id) for kind, id in ids.items()] == [None] * len(kinds)
    assert server.records.get("acme", "project", plain_id).body == {"name": "p"}
    server.close()


def test_postgresql_keeps_no_credential_without_a_key_and_says_which(settings, postgres_url):
    with live_server(replace(settings, database_url=postgres_url, credentials_key=None)) as live:
        server = live.server
        with pytest.raises(CredentialsKeyMissing, match="CREDENTIALS_KEY"):
            keep(server)
        hook = {"webhookUrl": "https://93.184.216.34/hook", "webhookSecret": SECRET}
        with httpx.Client(
            base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}, timeout=60
        ) as client:
            answer = client.put("/v1/briefings/config", json=hook)
            answer = answer if answer.status_code != 405 else client.patch("/v1/briefings/config", json=hook)
            assert (answer.status_code, "CREDENTIALS_KEY" in answer.text) == (503, True)
            assert SECRET not in answer.text
        assert server.records.add("acme", "project", {"name": "p"}).body == {"name": "p"}


def test_a_tenant_opens_nothing_of_another():
    vault = Vault(lambda: [bytes(32)], Sealer(None))
    with pytest.raises(StorageError):
        vault.open("other", vault.seal("acme", SECRET))


def test_a_garbled_key_file_is_refused_by_name(tmp_path):
    path = tmp_path / "server.db.credentials-key"
    path.write_text("not a key")
    with pytest.raises(StorageError, match="credentials-key"):
        KeyFile(path)
    assert isinstance(Settings.from_environment({"CREDENTIALS_KEY": "0f" * 32}).credentials_key, bytes)
