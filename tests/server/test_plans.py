"""The free plan's allowance of memories is an account's, whichever services' formats it stores in."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta

import httpx
import pytest

import onebrain as onebrain_sdk
from onebrain.errors import QuotaExceeded
from onebrain_engine import Tenant
from onebrain_server.dialects import DIALECTS
from onebrain_server.settings import Settings
from onebrain_server.state.tables import usage
from onebrain_server.testing import live_server

MOST = 12


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def live(database_url):
    settings = Settings(
        database_url=database_url, rate_limit_max=0, log_level="error", free_plan={"memories": MOST}
    )
    with live_server(settings) as found:
        yield found


@contextmanager
def speaking(live, plan="free"):
    key = live.account(f"{uuid.uuid4().hex}@example.com", plan=plan)
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}
    with httpx.Client(base_url=live.url, headers=headers, timeout=180) as client:
        client.key = key
        client.tenant = live.server.accounts.by_key(key).account.id
        yield client


@pytest.fixture
def free(live):
    with speaking(live) as client:
        yield client


def onebrain(client, count=1):
    path = "/v1/memory" if count == 1 else "/v1/memory/import"
    items = [{"body": uuid.uuid4().hex} for _ in range(count)]
    return client.post(path, json=items[0] if count == 1 else {"items": items})


def ai_memory(client):
    fields = {"title": uuid.uuid4().hex, "content": "text"}
    return client.post("/compat/ai-memory/api/v1/memories", json=fields)


def herobrain(client):
    fields = {"content": uuid.uuid4().hex, "type": "task"}
    return client.post("/compat/herobrain/api/v1/memories", json=fields)


def rememberos(client):
    fields = {"text": uuid.uuid4().hex}
    return client.post("/compat/rememberos/v1/memory/collections/notes/memories", json=fields)


def brrain(client):
    return client.post("/compat/brrain/v1/memory/store", json={"content": uuid.uuid4().hex})


STORE = {"onebrain": onebrain, "ai-memory": ai_memory, "herobrain": herobrain, "rememberos": rememberos, "brrain": brrain}  # fmt: skip
REFUSED = {"onebrain": 403, "ai-memory": 403, "herobrain": 402, "rememberos": 403, "brrain": 403}


@pytest.fixture
def counted(monkeypatch):
    """The rooms that were counted, in order."""
    rooms = []
    count = Tenant.count

    def counting(self, *arguments, **options):
        rooms.append(self.name)
        return count(self, *arguments, **options)

    monkeypatch.setattr(Tenant, "count", counting)
    return rooms


def test_every_service_is_looked_at():
    assert set(STORE) == {dialect.name for dialect in DIALECTS}


def test_the_memories_of_all_services_count_together(live, free):
    for name in [*STORE, *STORE]:
        assert STORE[name](free).status_code == 201, name
    assert onebrain(free, MOST - 10).status_code == 201
    assert live.server.plans.count(free.tenant) == MOST
    assert {name: store(free).status_code for name, store in STORE.items()} == REFUSED
    assert live.server.plans.count(free.tenant) == MOST
    used = free.get("/v1/billing/plan").json()["data"]
    assert (used["memoryLimit"], used["memoryUsed"]) == (MOST, MOST)


def test_an_allowance_for_good_tells_no_time_to_try_again(free):
    assert onebrain(free, MOST).status_code == 201
    connection = free.post("/v1/connect/connections", json={"agentName": "bot"}).json()["data"][
        "connectionId"
    ]
    base, one = "/compat/rememberos/v1/memory/collections/notes", {"body": "one too many"}
    refused = [store(free) for store in STORE.values()]
    refused += [
        free.post("/v1/memory/import", json={"items": [one]}),
        free.post("/v1/memory/extract", json=one),
        free.post("/v1/memory/batch", json=[one]),
        free.post("/v1/memory/ai-extract", json={"text": "Maria prefers window seats.", "store": True}),
        free.post("/v1/connect/memory", json=one),
        free.post("/v1/connect/memories", json=[one]),
        free.post(f"/v1/connect/connections/{connection}/sync", json={"memories": [one]}),
        free.post("/v1/skills", json={"title": "Deploy", "body": "make deploy"}),
        free.post(f"{base}/memories/bulk", json=[{"text": "one too many"}]),
        free.post(f"{base}/remember?sync=true", json={"content": "Maria lives in Porto"}),
        free.post("/compat/brrain/v1/memory/batch", json={"memories": [{"content": "one too many"}]}),
    ]
    assert [answer.headers.get("retry-after") for answer in refused] == [None] * len(refused)
    # A batch of bRRAIn answers 200, and each of its items has the refusal.
    assert {answer.status_code for answer in refused} <= {200, 402, 403}
    error = free.post("/v1/memory", json=one).json()["error"]
    assert (error["code"], error["details"]) == ("PLAN_LIMIT_EXCEEDED", [{"key": "memories", "limit": MOST}])
    with (
        onebrain_sdk.OneBrain(api_key=free.key, base_url=str(free.base_url)) as client,
        pytest.raises(QuotaExceeded) as told,
    ):
        client.memory.create("one too many")
    assert (told.value.status_code, told.value.retry_after) == (403, None)


@pytest.mark.parametrize(
    ("used", "days"), [({0: 3}, 30), ({29: 1, 0: 2}, 1), ({20: 2, 5: 1}, 10), ({20: 1, 5: 4}, 25)]
)
def test_a_monthly_allowance_tells_when_a_part_of_it_is_free_again(tmp_path, used, days):
    plan = {"context_calls_per_month": 3}
    url = f"sqlite:///{tmp_path / 'server.db'}"
    settings = Settings(database_url=url, rate_limit_max=0, log_level="error", free_plan=plan)
    with live_server(settings) as live, speaking(live) as client:
        moment = datetime.now(UTC)
        with live.server.database.writing(client.tenant) as connection:
            for ago, count in used.items():
                day = (moment.date() - timedelta(days=ago)).isoformat()
                row = {
                    "day": day,
                    "route": "GET /v1/context/:scope",
                    "count": count,
                    "errors": 0,
                    "tokens": 0,
                }
                connection.execute(usage.insert().values(tenant=client.tenant, **row))
        answer = client.get("/v1/context/brief")
        over = datetime.now(UTC)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "LIMIT_EXCEEDED")
    free = datetime.combine(moment.date() + timedelta(days=days), time(), tzinfo=UTC)
    low, high = ((free - at).total_seconds() for at in (over, moment))
    assert low <= int(answer.headers["retry-after"]) <= high + 1


def test_what_is_deleted_in_one_service_makes_room_in_another(free):
    made = onebrain(free, MOST).json()["data"]
    assert herobrain(free).status_code == 402
    ids = [row["id"] for row in made["results"]]
    assert free.delete(f"/v1/memory/{ids[0]}").status_code in (200, 204)
    assert herobrain(free).status_code == 201
    assert rememberos(free).status_code == 403


def test_a_message_and_a_bulk_of_ai_memory_count_and_a_merge_does_not(live, free):
    base = "/compat/ai-memory/api/v1"
    rows = [{"title": f"note {n}", "content": "text"} for n in range(MOST + 1)]
    answer = free.post(f"{base}/memories/bulk", json=rows).json()
    assert answer["created"] == MOST
    [error] = answer["errors"]
    assert error.startswith(f"note {MOST}: the plan's limit is reached: {MOST} memories")
    message = {"target_agent_id": "bot", "title": "t", "payload": "p"}
    refused = free.post(f"{base}/notify", json=message)
    assert (refused.status_code, f"{MOST} memories" in refused.json()["error"]) == (403, True)
    assert free.post(f"{base}/memories", json={**rows[0], "content": "other"}).status_code == 201
    assert live.server.plans.count(free.tenant) == MOST


def test_a_whole_import_is_taken_or_none_of_it(free, live):
    path = "/compat/rememberos/v1/memory/admin/import"
    rows = [{"text": f"fact {n}", "collection": "notes"} for n in range(MOST + 1)]
    assert free.post(path, json={"memories": rows}).status_code == 403
    assert live.server.plans.count(free.tenant) == 0
    assert free.post(path, json={"memories": rows[1:]}).json()["imported"] == MOST
    assert live.server.plans.count(free.tenant) == MOST


def test_requests_at_the_same_moment_never_store_more(live, free):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: STORE[name](free), [*STORE] * 6))
    stored = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, *REFUSED.values()}
    assert len(stored) == live.server.plans.count(free.tenant) <= MOST
    # One that was refused for another still at work finds its room now.
    for _ in range(MOST - len(stored)):
        assert onebrain(free).status_code == 201
    assert onebrain(free).status_code == 403


def test_an_account_without_a_limit_is_never_counted(live, counted):
    with speaking(live, plan="team") as client:
        for store in STORE.values():
            assert store(client).status_code == 201
        assert onebrain(client, MOST + 1).status_code == 201
    assert counted == []


def test_one_far_from_its_limit_is_counted_once(live, free, counted):
    for _ in range(MOST // 2):
        assert herobrain(free).status_code == 201
    assert counted == live.server.partitions(free.tenant)


def test_an_account_that_is_full_in_one_process_is_so_in_another(postgres):
    settings = Settings(
        database_url=postgres.new_database(), rate_limit_max=0, log_level="error", free_plan={"memories": 4}
    )
    with live_server(settings) as first, live_server(settings) as second:
        key = first.account("free@example.com", plan="free")
        headers = {"authorization": f"Bearer {key}"}
        with (
            httpx.Client(base_url=first.url, headers=headers) as one,
            httpx.Client(base_url=second.url, headers=headers) as other,
        ):
            assert brrain(one).status_code == 201
            assert [herobrain(other).status_code for _ in range(4)] == [201, 201, 201, 402]
            # Within what it knew of; then it counts.
            assert brrain(one).status_code in (201, 403)
            assert brrain(one).status_code == 403
        tenant = first.server.accounts.by_key(key).account.id
        assert second.server.plans.count(tenant) in (4, 5)
