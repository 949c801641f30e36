"""For those who run the server: counts that are true, over all tenants, to admins' accounts only; and public pageviews."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import httpx
import pytest

import onebrain
from onebrain.errors import OneBrainPermissionError
from onebrain_server.clock import now_micros
from onebrain_server.dialects.rememberos.routes import pulse
from onebrain_server.testing import live_server

A = "/memory/admin"
C = "/memory/collections/notes"
OPERATOR = ("metrics", "usage", "connectors", "connectors/status", "memory-health", "analytics")
TODAY = datetime.now(UTC).date().isoformat()


class Fleet:
    """A server of its own with an operator and two tenants."""

    def __init__(self, live):
        self.live = live
        self.operator = self.open(live.key)
        self.tenants = [self.open(live.account(f"{uuid.uuid4().hex}@example.com")) for _ in range(2)]

    def open(self, key):
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"{self.live.url}/compat/rememberos/v1", headers=headers, timeout=180)


@pytest.fixture(scope="module")
def fleet(settings):
    with live_server(settings) as live:
        made = Fleet(live)
        one, other = made.tenants
        one.post(f"{C}/memories", json={"text": "abc"})
        one.post(f"{C}/remember?sync=true", json={"content": "Maria lives in Lisbon."})
        one.post(f"{C}/remember?sync=true", json={"content": "Maria moved to Porto."})
        hidden = other.post(f"{C}/memories", json={"text": "Wolkenkratzer"}).json()
        other.post(f"{C}/memories/{hidden['id']}/archive", json={"archived": True})
        for tenant, provider, syncs in ((one, "slack", 1), (other, "slack", 5), (other, "notion", 0)):
            body = {"provider": provider, "collection": "notes", "credentials": {"token": "t"}}
            id = tenant.post("/memory/connections", json=body).json()["id"]
            for _ in range(syncs):
                tenant.post(f"/memory/connections/{id}/sync")
        yield made
        for client in (made.operator, *made.tenants):
            client.close()


@pytest.mark.parametrize("path", OPERATOR)
def test_only_an_admins_account_sees_all(fleet, path):
    for tenant in fleet.tenants:
        answer = tenant.get(f"{A}/{path}")
        assert answer.status_code == 403
        assert "operator" in answer.json()["detail"]
    bot = fleet.operator.post("/memory/keys", json={"label": "bot"}).json()
    with fleet.open(bot["key"]) as agent:
        assert agent.get(f"{A}/{path}").status_code == 403
    answer = fleet.operator.get(f"{A}/{path}")
    assert answer.status_code == 200
    assert "Wolkenkratzer" not in answer.text


def test_metrics_count_requests_stages_and_the_cache(fleet):
    fleet.operator.get(f"{A}/metrics?reset=true")
    one = fleet.tenants[0]
    for _ in range(3):
        one.post(f"{C}/search", json={"query": "Lisbon"})
    one.get(f"{C}/memories/none")
    answer = fleet.operator.get(f"{A}/metrics").json()
    rows = {row["route"]: row for row in answer["routes"]}
    found = rows["POST /v1/memory/collections/:collection/search"]
    assert (found["requests"], found["errors_4xx"], found["errors_5xx"]) == (3, 0, 0)
    assert 0 < found["p50_ms"] <= found["p95_ms"]
    assert rows["GET /v1/memory/collections/:collection/memories/:id"]["errors_4xx"] == 1
    assert answer["counters"] == {"search_cache_hit": 2, "search_cache_miss": 1}
    assert {name: stage["count"] for name, stage in answer["stages"].items()} == {
        "cache_get": 3, "search": 1, "embed": 1,
    }  # fmt: skip
    fleet.operator.get(f"{A}/metrics?reset=true")
    answer = fleet.operator.get(f"{A}/metrics").json()
    assert [row["route"] for row in answer["routes"]] == ["GET /v1/memory/admin/metrics"]
    assert (answer["stages"], answer["counters"]) == ({}, {})


def test_usage_by_tenant_and_in_total(fleet):
    answer = fleet.operator.get(f"{A}/usage?days=30").json()
    ids = [fleet.live.server.accounts.by_key(_key(tenant)).account.id for tenant in fleet.tenants]
    rows = {row["tenant"]: row for row in answer["tenants"]}
    assert set(rows) == set(ids)
    assert [rows[id]["memories"] for id in ids] == [3, 1]
    assert rows[ids[1]]["storage"] == {"db_bytes": len("Wolkenkratzer") + 2, "files_bytes": 0}
    assert rows[ids[0]]["requests"] >= 3
    assert answer["total"]["memories"] == 4
    assert answer["total"]["storage"]["db_bytes"] == sum(row["storage"]["db_bytes"] for row in rows.values())
    assert answer["cost_usd"] is None


def test_connectors_and_their_statuses(fleet):
    answer = fleet.operator.get(f"{A}/connectors").json()
    assert answer == {"slack": {"runs": 6, "errors": 6, "last_run": answer["slack"]["last_run"]}}
    rows = fleet.operator.get(f"{A}/connectors/status").json()
    assert {row["status"]: row["n"] for row in rows} == {"error": 1, "paused": 2}


def test_memory_health_over_all_tenants(fleet):
    assert fleet.operator.get(f"{A}/memory-health").json() == {
        "total": 4, "current": 2, "archived": 1, "stale": 0, "expired": 0, "supersessions": 1, "needs_attention": 1,
    }  # fmt: skip


def test_analytics_count_accounts_and_pageviews(fleet):
    with httpx.Client(base_url=f"{fleet.live.url}/compat/rememberos/v1") as nobody:
        for path, body in (
            ("/pulse", {"path": "/docs?token=secret#top", "referrer": "https://r.example/private?q=1"}),
            ("/track", {"path": "/docs"}),
            ("/pulse", {"path": "/", "referrer": "no url"}),
        ):
            answer = nobody.post(path, json=body)
            assert (answer.status_code, answer.content) == (204, b"")
            assert "set-cookie" not in answer.headers
        assert nobody.post("/pulse", json={}).status_code == 400
    pulse.flush(fleet.live.server)
    answer = fleet.operator.get(f"{A}/analytics").json()
    # The operator's account was made with the server, and has stored nothing.
    assert answer["funnel"] == {"signups": 3, "activated": 2}
    assert sum(row["n"] for row in answer["signups_by_day"]) == 3
    views = answer["pageviews"]
    assert (views["total"], views["by_path"], views["by_referrer"]) == (
        3, {"/docs": 2, "/": 1}, {"r.example": 1},
    )  # fmt: skip
    assert sum(row["n"] for row in views["by_day"]) == 3


def test_strangers_cannot_fill_the_database_with_paths(fleet):
    with httpx.Client(base_url=f"{fleet.live.url}/compat/rememberos/v1") as nobody:
        for number in range(520):
            nobody.post("/pulse", json={"path": f"/{number}"})
    records = fleet.live.server.records
    pulse.flush(fleet.live.server)
    [record] = records.all("-", "rememberos.views")[:1]
    assert len(record.body["paths"]) <= 501
    assert record.body["paths"]["(other)"] >= 20
    pulse.tidy(fleet.live.server, "9999-01-01")
    assert records.all("-", "rememberos.views") == []


def test_the_audit_log_is_the_tenants_own(client, stranger, add, agent):
    bot = agent("bot")
    add("Wolkenkratzer", "Quittengelee")
    bot.post(f"{C}/memories", json={"text": "x"})
    client.put("/memory/webhook/config", json={"url": "http://127.0.0.1:9/x"})
    assert bot.get(f"{A}/audit").status_code == 403
    answer = client.get(f"{A}/audit?days=30&limit=200")
    rows = answer.json()
    assert [row["action"] for row in rows] == [
        "rememberos.webhook.set", "rememberos.memories.create_memory", "rememberos.memories.create_memory",
        "rememberos.key.create",
    ]  # fmt: skip
    assert rows[1]["actor"].startswith("key:mv_")
    assert rows[2]["actor"].startswith("key:ob_")
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)
    assert "Wolkenkratzer" not in answer.text
    assert "Quittengelee" not in answer.text
    assert client.get(f"{A}/audit?limit=1").json() == rows[:1]
    assert client.get(f"{A}/audit?days=0").status_code == 400
    assert stranger.get(f"{A}/audit").json() == []


def test_the_client_reads_them(fleet, url):
    key = fleet.live.key
    with onebrain.RememberOS(api_key=key, base_url=f"{fleet.live.url}/compat/rememberos") as client:
        assert client.operator.metrics().routes
        assert client.operator.usage()["total"]["memories"] == 4
        assert client.operator.connectors()["slack"]["runs"] == 6
        assert sum(row.n for row in client.operator.connection_counts()) == 3
        assert client.operator.memory_health().total == 4
        assert client.operator.analytics()["funnel"]["signups"] == 3
        assert isinstance(client.operator.audit(), list)
        client.pulse("/docs", referrer="https://r.example")
    tenant = _key(fleet.tenants[0])
    with onebrain.RememberOS(api_key=tenant, base_url=f"{fleet.live.url}/compat/rememberos") as client:
        with pytest.raises(OneBrainPermissionError, match="operator"):
            client.operator.usage()
        assert client.operator.audit(limit=1)[0].created_at.timestamp() * 1e6 < now_micros()


def _key(client):
    return client.headers["authorization"].removeprefix("Bearer ")
