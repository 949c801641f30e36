"""A disk without space: each answer says so, `/health` is unhealthy, and both end with it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from onebrain_server.state.database import SERVER
from onebrain_server.testing import live_server


@pytest.fixture
def full(settings, tmp_path):
    """A server whose database may not grow, and what lets it grow again."""
    with live_server(replace(settings, database_url=f"sqlite:///{tmp_path / 'server.db'}")) as live:

        def limit(pages):
            statement = f"PRAGMA max_page_count = {pages}"
            live.server.engine.store._writer.execute(statement)
            with live.server.database.writing(SERVER) as connection:
                connection.exec_driver_sql(statement)

        yield live, limit


def test_a_full_disk_is_the_reason_that_is_given(full):
    live, limit = full
    with httpx.Client(
        base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}, timeout=60
    ) as client:
        kept = client.post("/v1/memory", json={"body": "x"}).json()["data"]["id"]
        assert client.get("/health").status_code == 200
        # As few as there are now.
        limit(1)
        big = {"body": "y" * 9_000, "metadata": {"a": "z" * 500_000}}
        answer = client.post("/v1/memory", json=big)
        assert (answer.status_code, "no space left" in answer.text) == (503, True)
        health = client.get("/health")
        assert (health.status_code, health.json()["data"]["status"]) == (503, "unhealthy")
        assert "no space left" in health.json()["data"]["reason"]
        assert client.get("/compat/rememberos/v1/memory/health").status_code == 503
        assert client.get(f"/v1/memory/{kept}").status_code == 200
        # The server's own tables say the same.
        named = client.post("/v1/projects", json={"name": "p", "description": "d" * 4_000})
        while named.status_code == 201:
            named = client.post(
                "/v1/projects", json={"name": f"p{named.headers['x-request-id']}", "description": "d" * 4_000}
            )
        assert (named.status_code, "no space left" in named.text) == (503, True)
        limit(1_000_000)
        assert client.post("/v1/memory", json=big).status_code == 201
        live.server.health._until = 0.0
        assert client.get("/health").json()["data"]["status"] == "ok"
