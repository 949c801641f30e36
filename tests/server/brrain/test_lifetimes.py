"""How memories leave: a time to live that is over, and a deletion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from onebrain.errors import ConfigurationError
from onebrain.memory.driver import Changes
from onebrain.memory.models import EVERYTHING
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


def lapse(tenant, id):
    """Let a memory's time to live be over: as a test cannot wait, its end is moved."""
    [memory] = tenant.get([id], EVERYTHING)
    past = round((datetime.now(UTC) - timedelta(seconds=1)).timestamp() * 1_000_000)
    assert memory.extra["archives_at"] > past
    tenant.update(id, Changes(fields={"extra": {**memory.extra, "archives_at": past}}), memory.scope)


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_a_memory_leaves_searches_when_its_time_is_over_and_can_still_be_read(client, tenant, mode):
    id = client.stored("the lighthouse", ttl_seconds=3600)
    other = client.stored("another lighthouse")
    assert set(client.found("lighthouse", mode=mode)) == {id, other}
    lapse(tenant, id)
    assert client.found("lighthouse", mode=mode) == [other]
    assert client.retrieve("lighthouse", mode=mode).json()["total"] == 1
    assert client.get(f"/v1/memory/{id}").json()["content"] == "the lighthouse"


def test_many_leave_at_once(client, tenant):
    batch = {"memories": [{"content": f"lighthouse {n}", "ttl_seconds": 60} for n in range(100)]}
    ids = [item["id"] for item in client.post("/v1/memory/batch", json=batch).json()["results"]]
    ids += [client.stored(f"lighthouse {n}", ttl_seconds=60) for n in range(100, 130)]
    for id in ids[5:]:
        lapse(tenant, id)
    # More than one search archives.
    for _ in range(3):
        assert set(client.found("lighthouse", limit=100)) == set(ids[:5])


def test_an_archived_text_is_still_a_duplicate(client, tenant, refused):
    id = client.stored("the lighthouse", ttl_seconds=60)
    lapse(tenant, id)
    assert client.found("lighthouse") == []
    again = client.post("/v1/memory/store", json={"content": "the lighthouse"})
    assert refused(again, 409, "duplicate_content")["existing_id"] == id


def test_the_longest_time_to_live_is_kept(client):
    id = client.stored("the lighthouse", ttl_seconds=1_000_000_000_000)
    assert client.found("lighthouse") == [id]


def test_a_deleted_memory_is_in_no_answer_and_in_storage_for_the_retention_period(client, tenant, refused):
    id = client.stored("the lighthouse")
    answer = client.delete(f"/v1/memory/{id}").json()
    refused(client.get(f"/v1/memory/{id}"), 404, "not_found")
    refused(client.delete(f"/v1/memory/{id}"), 404, "not_found")
    for mode in ("semantic", "keyword", "hybrid"):
        assert client.retrieve("lighthouse", mode=mode).json()["total"] == 0
    [kept] = tenant.get([id], EVERYTHING)
    assert kept.content == "the lighthouse"
    deleted_at = datetime.fromisoformat(answer["deleted_at"])
    assert abs(kept.expires_at - deleted_at - timedelta(days=30)) < timedelta(seconds=1)


def test_a_server_may_keep_nothing_of_what_is_deleted():
    settings = Settings(
        database_url="sqlite://", rate_limit_max=0, log_level="error", brrain_retention_days=0
    )
    with live_server(settings) as live:
        base = live.url + "/compat/brrain"
        with httpx.Client(base_url=base, headers={"authorization": f"Bearer {live.key}"}) as client:
            id = client.post("/v1/memory/store", json={"content": "the lighthouse"}).json()["id"]
            account = live.server.accounts.by_key(live.key).account.id
            assert client.delete(f"/v1/memory/{id}").status_code == 200
            assert live.server.engine.tenant(f"{account}/brrain").get([id], EVERYTHING) == []
            assert client.delete(f"/v1/memory/{id}").status_code == 404


def test_both_settings_come_from_the_environment():
    given = {"DATABASE_URL": "sqlite://", "BRRAIN_RETENTION_DAYS": "0", "BRRAIN_IDEMPOTENT_REPLAY": "true"}
    settings = Settings.from_environment(given)
    assert (settings.brrain_retention_days, settings.brrain_idempotent_replay) == (0, True)
    settings = Settings.from_environment({"DATABASE_URL": "sqlite://"})
    assert (settings.brrain_retention_days, settings.brrain_idempotent_replay) == (30, False)
    with pytest.raises(ConfigurationError, match="BRRAIN_RETENTION_DAYS"):
        Settings.from_environment({**given, "BRRAIN_RETENTION_DAYS": "-1"})
