"""Connections: kept with credentials that nothing returns; a sync fails and is noted, for there are no connectors."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.errors import OneBrainInternalError, OneBrainNotFoundError

P = "/memory/connections"
SLACK = {
    "provider": "slack", "name": "Team", "collection": "notes", "container_tag": "team",
    "config": {"channel_id": "C1"}, "credentials": {"token": "xoxb-secret"},
}  # fmt: skip


@pytest.fixture
def made(client):
    answer = client.post(P, json=SLACK)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_connection_is_kept_without_showing_its_credentials(client, made):
    assert {name: made[name] for name in SLACK if name != "credentials"} == {
        name: value for name, value in SLACK.items() if name != "credentials"
    }
    assert (made["status"], made["cursor"]) == ("paused", None)
    assert "nothing syncs this connection" in made["last_error"]
    assert client.get(f"{P}/{made['id']}").json() == made
    assert client.get(P).json() == [made]
    for path in (P, f"{P}/{made['id']}", f"{P}/{made['id']}/runs"):
        assert "credentials" not in client.get(path).text
        assert "xoxb" not in client.get(path).text


@pytest.mark.parametrize(
    "provider", ["notion", "slack", "gdrive", "postgres", "gmail", "linear", "confluence", "hubspot"]
)
def test_every_documented_provider_can_be_kept(client, provider):
    body = {"provider": provider, "collection": "notes", "credentials": {"token": "t"}}
    made = client.post(P, json=body).json()
    assert (made["provider"], made["name"], made["config"]) == (provider, None, {})


@pytest.mark.parametrize(
    "wrong",
    [{"provider": "myspace"}, {"collection": ""}, {"credentials": None}, {"config": []}, {"name": ""}],
)
def test_what_does_not_fit_is_refused(client, wrong):
    assert client.post(P, json={**SLACK, **wrong}).status_code == 400
    assert client.get(P).json() == []


def test_a_sync_fails_is_noted_and_pauses_after_the_fifth_time(client, made):
    path = f"{P}/{made['id']}"
    assert client.get(f"{path}/runs").json() == []
    for count in range(1, 6):
        answer = client.post(f"{path}/sync")
        assert (answer.status_code, list(answer.json())) == (503, ["detail"])
        kept = client.get(path).json()
        assert kept["status"] == ("paused" if count == 5 else "error")
        assert kept["last_error"] == answer.json()["detail"]
    runs = client.get(f"{path}/runs").json()
    assert len(runs) == 5
    assert [run["created_at"] for run in runs] == sorted((run["created_at"] for run in runs), reverse=True)
    assert {(run["status"], run["synced_count"], run["error"]) for run in runs} == {
        ("error", 0, kept["last_error"]),
    }
    assert client.get(f"{path}/runs?limit=2").json() == runs[:2]
    assert client.get(f"{path}/runs?limit=0").status_code == 400
    assert client.get("/memory/collections").json() == []


def test_a_connection_is_removed_with_its_runs(live, key, client, made):
    client.post(f"{P}/{made['id']}/sync")
    assert client.delete(f"{P}/{made['id']}").json() == {"deleted": True}
    for method, tail in (("GET", ""), ("GET", "/runs"), ("POST", "/sync"), ("DELETE", "")):
        answer = client.request(method, f"{P}/{made['id']}{tail}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Connection not found"})
    account = live.server.accounts.by_key(key).account.id
    assert live.server.records.count(account, "rememberos.run") == 0


def test_a_read_only_key_sees_and_changes_nothing(client, agent, made):
    reader = agent("reader", read_only=True)
    assert reader.get(P).json() == [made]
    assert reader.post(P, json=SLACK).status_code == 403
    assert reader.post(f"{P}/{made['id']}/sync").status_code == 403
    assert reader.delete(f"{P}/{made['id']}").status_code == 403
    assert client.get(P).json() == [made]


def test_the_client_keeps_connections(ask, url, key):
    made = ask(
        lambda c: c.connections.create("notion", collection="notes", credentials={"token": "secret_1"})
    )
    assert (made.provider, made.collection, made.status) == ("notion", "notes", "paused")
    assert ask(lambda c: c.connections.get(made.id)) == made
    assert ask(lambda c: c.connections.list()) == [made]
    with (
        onebrain.RememberOS(api_key=key, base_url=url, max_retries=0) as client,
        pytest.raises(OneBrainInternalError, match="no managed connectors"),
    ):
        client.connections.sync(made.id)
    [run] = ask(lambda c: c.connections.runs(made.id))
    assert (run.status, run.synced_count) == ("error", 0)
    assert ask(lambda c: c.connections.get(made.id)).last_error == run.error
    ask(lambda c: c.connections.delete(made.id))
    with pytest.raises(OneBrainNotFoundError):
        ask(lambda c: c.connections.get(made.id))
