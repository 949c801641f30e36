"""Tenants, agents and keys: what each may not reach, by any route."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import httpx
import pytest

from onebrain_server.dialects.rememberos import dialect
from onebrain_server.testing import live_server

C = "/memory/collections/secrets"
TEXT = "Maria prefers window seats"
MISSING = "00000000-0000-4000-8000-000000000000"
PREFIX = dialect.prefix + "/v1"

BODIES = {
    "PUT /memory/collections/{name}": {"description": "stolen"},
    "PUT /memory/collections/{name}/grants": {"agent_key_id": MISSING},
    "POST /memory/collections/{collection}/memories/{id}/pin": {"pinned": True},
    "POST /memory/collections/{collection}/memories/{id}/archive": {"archived": True},
    "POST /memory/collections/{collection}/memories/{id}/move": {"to_collection": "stolen"},
    "PATCH /memory/collections/{collection}/memories/{id}": {"text": "stolen"},
    "POST /memory/collections/{collection}/search": {"query": TEXT},
    "POST /memory/collections/{collection}/forget": {"query": TEXT, "min_score": 0},
    "POST /memory/collections/{collection}/dedup": {"dry_run": False, "threshold": 0},
    "POST /memory/collections/{collection}/archive-stale": {"dry_run": False, "older_than_days": 0},
    "POST /memory/collections/{collection}/drop/presign": [
        {"filename": "a.txt", "content_type": "text/plain", "size": 1}
    ],
    "POST /memory/collections/{collection}/drop/complete": [
        {"key": "a", "filename": "a.txt", "mime": "text/plain", "size": 1}
    ],
}
# These make the collection for the caller's own account.
MAKES = {
    "POST /memory/collections/{collection}/memories": {"text": "mine"},
    "POST /memory/collections/{collection}/memories/bulk": [{"text": "mine"}],
    "POST /memory/collections/{collection}/remember": {"content": "I live in Rome."},
    "POST /memory/collections/{collection}/memories/folder": None,
    "POST /memory/collections/{collection}/drop": None,
}
ROUTES = {
    f"{operation.method} {operation.path.removeprefix(PREFIX)}": operation
    for operation in dialect.operations
    if operation.parameters
}
# A collection that is not there has a health, too; one that is restricted has not.
HEALTH = "GET /memory/collections/{collection}/health"
OF_COLLECTIONS = [route for route in ROUTES if "/collections/{" in route]


@pytest.fixture
def ids(client, add, until):
    """One of everything that has an id."""
    memory = add(TEXT, "secrets", metadata={"k": "v"})["id"]
    job = client.post(f"{C}/remember", json={"content": "Maria lives in Lisbon."}).json()["job_id"]
    until(client, f"/memory/extract/job/{job}", "complete")
    key = client.post("/memory/keys", json={"label": "support"}).json()["id"]
    source = {"provider": "slack", "collection": "secrets", "credentials": {"token": "xoxb-1"}}
    connection = client.post("/memory/connections", json=source).json()["id"]
    files = {"files": ("note.txt", b"The office is in Porto.")}
    batch = client.post(f"{C}/drop?async_ingest=true", files=files).json()["batch_id"]
    until(client, f"/memory/ingest/batch/{batch}", "complete")
    return {
        "name": "secrets", "collection": "secrets", "id": memory, "job_id": job, "key": key,
        "connection": connection, "batch_id": batch, "provider": "slack", "index": "0",
    }  # fmt: skip


def asked(client, route, ids):
    method, _, path = route.partition(" ")
    values = {**ids, "agent_key_id": ids["key"]}
    if path.startswith("/memory/keys/"):
        values["id"] = ids["key"]
    if path.startswith("/memory/connections/"):
        values["id"] = ids["connection"]
    path = re.sub(r"{(\w+)}", lambda match: values.get(match[1], MISSING), path)
    if path.endswith("/start"):
        path += f"?collection={values['collection']}"
    if ROUTES[route].form:
        return client.request(method, path, files={"files": ("a.txt", b"mine")})
    body = MAKES.get(route, BODIES.get(route))
    return client.request(method, path, **({} if body is None else {"json": body}))


def everything(client):
    """Return all that an account can see of its own."""
    found = [client.get("/memory/collections").json(), client.get("/memory/keys").json()]
    for key in found[1]:
        key.pop("last_used_at")
    found.append(client.get("/memory/connections").json())
    for one in found[0]:
        path = f"/memory/collections/{one['name']}"
        found.append(client.get(f"{path}/memories?limit=200&include_archived=true").json())
        found.append(client.get(f"{path}/grants").json())
    return found


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in MAKES and route != HEALTH])
def test_anothers_id_is_as_one_that_is_missing_and_nothing_changes(route, client, stranger, ids):
    before = everything(client)
    answer = asked(stranger, route, ids)
    missing = asked(stranger, route, {**dict.fromkeys(ids, MISSING), "provider": "slack"})
    assert (answer.status_code, answer.json()) == (missing.status_code, missing.json())
    assert answer.status_code in (404, 503), answer.text
    assert "window" not in answer.text
    assert everything(client) == before


@pytest.mark.parametrize("route", [*MAKES, HEALTH])
def test_a_collection_of_the_same_name_is_ones_own(route, client, stranger, ids):
    before = everything(client)
    answer = asked(stranger, route, ids)
    assert answer.status_code in (200, 201, 202)
    assert TEXT not in answer.text
    assert everything(client) == before
    if route in MAKES:
        assert TEXT not in stranger.get(f"{C}/memories").text


def test_lists_and_searches_show_one_tenant(stranger, ids):
    assert stranger.get("/memory/collections").json() == []
    assert stranger.post("/memory/search", json={"query": TEXT, "min_score": 0}).json()["results"] == []
    assert [agent["label"] for agent in stranger.get("/memory/agents").json()] == ["test"]
    assert [key["label"] for key in stranger.get("/memory/keys").json()] == ["test"]
    assert stranger.get("/memory/webhook/config").json()["configured"] is False


def test_anothers_agent_cannot_be_granted_anything(client, stranger, ids):
    stranger.post("/memory/collections", json={"name": "mine"})
    answer = stranger.put("/memory/collections/mine/grants", json={"agent_key_id": ids["key"]})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Agent not found"})


# ---- agents ---------------------------------------------------------------------------------------------------------------


def test_a_restricted_collection_is_shut_to_others_on_every_route(client, agent, add, ids):
    friend, other = agent("friend"), agent("other")
    client.put(f"{C}/grants", json={"agent_key_id": friend.agent_id, "can_write": True})
    before = friend.get(f"{C}/memories?include_archived=true").json()
    for route in OF_COLLECTIONS:
        answer = asked(other, route, ids)
        assert answer.status_code == 403, (route, answer.text)
        assert TEXT not in answer.text
    assert other.get(f"/memory/extract/job/{ids['job_id']}").status_code == 403
    assert friend.get(f"{C}/memories?include_archived=true").json() == before
    assert other.get("/memory/collections").json() == []
    assert other.post("/memory/search", json={"query": TEXT, "min_score": 0}).json()["results"] == []
    assert len(friend.post("/memory/search", json={"query": TEXT, "min_score": 0}).json()["results"]) == 3
    assert other.get(f"/memory/ingest/batch/{ids['batch_id']}").status_code == 403
    connection = f"/memory/connections/{ids['connection']}"
    for method, path in (("GET", ""), ("GET", "/runs"), ("POST", "/sync"), ("DELETE", "")):
        assert other.request(method, connection + path).status_code == 403, path
    assert other.get("/memory/connections").json() == []
    more = {"provider": "slack", "collection": "secrets", "credentials": {}}
    assert other.post("/memory/connections", json=more).status_code == 403
    assert friend.get(connection).json()["status"] == "paused"


def test_a_memory_cannot_be_moved_out_of_reach_or_into_it(client, agent, add, ids):
    friend, other = agent("friend"), agent("other")
    client.put(f"{C}/grants", json={"agent_key_id": friend.agent_id, "can_write": True})
    mine = add("open", "open")["id"]
    moved = other.post(f"/memory/collections/open/memories/{mine}/move", json={"to_collection": "secrets"})
    assert moved.status_code == 403
    assert other.get(f"/memory/collections/open/memories/{mine}").status_code == 200


@pytest.mark.parametrize(("can_read", "can_write"), [(True, False), (False, True), (False, False)])
def test_each_right_is_its_own(client, agent, ids, can_read, can_write):
    bot = agent("bot")
    grant = {"agent_key_id": bot.agent_id, "can_read": can_read, "can_write": can_write}
    client.put(f"{C}/grants", json=grant)
    assert bot.get(f"{C}/memories").status_code == (200 if can_read else 403)
    assert bot.post(f"{C}/search", json={"query": "x"}).status_code == (200 if can_read else 403)
    assert bot.post(f"{C}/memories", json={"text": "x"}).status_code == (201 if can_write else 403)
    assert bot.delete(f"{C}/memories/{ids['id']}").status_code == (200 if can_write else 403)


def test_the_last_grant_taken_away_opens_the_collection(client, agent, ids):
    one, two = agent("one"), agent("two")
    for bot in (one, two):
        client.put(f"{C}/grants", json={"agent_key_id": bot.agent_id})
    assert client.get(f"{C}/memories").status_code == 403
    client.delete(f"{C}/grants/{one.agent_id}")
    assert client.get(f"{C}/memories").status_code == 403
    client.delete(f"{C}/grants/{two.agent_id}")
    assert client.get(f"{C}/memories").status_code == 200
    assert client.delete(f"{C}/grants/{two.agent_id}").status_code == 404


def test_an_agent_cannot_grant_mint_or_listen(client, agent, ids):
    bot = agent("bot")
    for method, path, body in (
        ("PUT", f"{C}/grants", {"agent_key_id": bot.agent_id, "can_write": True}),
        ("DELETE", f"{C}/grants/{bot.agent_id}", None),
        ("POST", "/memory/keys", {"label": "more"}),
        ("DELETE", f"/memory/keys/{ids['key']}", None),
        ("DELETE", f"/memory/keys?id={ids['key']}", None),
        ("GET", "/memory/webhook/config", None),
        ("PUT", "/memory/webhook/config", {"url": "http://127.0.0.1:9/"}),
        ("DELETE", "/memory/webhook/config", None),
    ):
        answer = bot.request(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code == 403, (method, path)


def test_what_an_agent_writes_says_so(client, agent):
    bot = agent("support")
    made = bot.post(f"{C}/memories", json={"text": "x"}).json()
    assert made["created_by"] == {"id": bot.agent_id, "label": "support"}
    [fact] = bot.post(f"{C}/remember?sync=true", json={"content": "Maria lives in Lisbon."}).json()[
        "memories"
    ]
    changed = client.patch(f"{C}/memories/{fact['id']}", json={"importance": 0.1}).json()
    assert changed["created_by"] == {"id": bot.agent_id, "label": "support"}


# ---- keys -----------------------------------------------------------------------------------------------------------------


def test_a_read_only_key_reads_everything_and_writes_nothing(client, agent, ids):
    reader = agent("reader", read_only=True)
    before = everything(client)
    for route, operation in ROUTES.items():
        answer = asked(reader, route, ids)
        if operation.needs in ("write", "admin"):
            assert answer.status_code == 403, route
        elif operation.needs == "read":
            assert answer.status_code in (200, 404), (route, answer.text)
    assert everything(client) == before


def test_a_key_made_here_is_good_for_nothing_else(client, agent, live, url):
    bot = agent("bot")
    key = bot.headers["authorization"].removeprefix("Bearer ")
    assert bot.get("/memory/collections").status_code == 200
    for path in ("/v1/memory", "/v1/api-keys", "/v1/entities", "/v1/context/deep"):
        for scheme in ("ApiKey", "Bearer"):
            answer = httpx.get(live.url + path, headers={"authorization": f"{scheme} {key}"})
            assert answer.status_code in (401, 403), path
    answer = httpx.post(
        f"{live.url}/v1/memory", headers={"authorization": f"ApiKey {key}"}, json={"body": "x"}
    )
    assert answer.status_code in (401, 403)


def test_memories_here_are_not_those_of_the_accounts_own_format(client, key, live, add):
    add(TEXT)
    headers = {"authorization": f"ApiKey {key}"}
    assert httpx.get(f"{live.url}/v1/memory", headers=headers).json()["data"] == []
    httpx.post(f"{live.url}/v1/memory", headers=headers, json={"body": "mine"})
    assert len(client.post("/memory/search", json={"query": "mine", "min_score": 0}).json()["results"]) == 1


def test_a_key_under_review_reads_only(live, client_of):
    key = live.account(f"{uuid.uuid4().hex}@example.com", trust="review")
    reviewed = client_of(key)
    assert reviewed.get("/memory/collections").status_code == 200
    assert reviewed.post(f"{C}/memories", json={"text": "x"}).status_code == 403
    assert reviewed.post("/memory/keys", json={"label": "x"}).status_code == 403


def test_the_accounts_own_key_is_not_revoked_here(client):
    [mine] = client.get("/memory/keys").json()
    answer = client.delete(f"/memory/keys/{mine['id']}")
    assert answer.status_code == 403
    assert "/v1/api-keys" in answer.json()["detail"]


def test_a_revoked_key_stays_in_the_list_and_out_of_everything(client, agent):
    bot = agent("bot")
    assert client.delete(f"/memory/keys/{bot.agent_id}").json() == {"deleted": True}
    assert bot.get("/memory/collections").status_code == 401
    rows = {row["id"]: row["active"] for row in client.get("/memory/keys").json()}
    assert rows[bot.agent_id] is False
    assert bot.agent_id not in {row["id"] for row in client.get("/memory/agents").json()}
    assert client.delete(f"/memory/keys/{bot.agent_id}").status_code == 404


def test_the_last_active_key_is_not_revoked(live, client_of):
    account = live.server.accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en", plan="team")
    scopes = [f"rememberos:{word}" for word in ("read", "write", "admin")]
    made, key = live.server.accounts.create_key(account.id, "only", scopes, trust="trusted", kind="mv")
    client = client_of(key)
    answer = client.delete(f"/memory/keys/{made.id}")
    assert (answer.status_code, "last active key" in answer.json()["detail"]) == (400, True)
    other = client.post("/memory/keys", json={"label": "other"}).json()
    assert client.delete(f"/memory/keys/{made.id}").status_code == 200
    assert client.get("/memory/keys").status_code == 401
    assert client_of(other["key"]).get("/memory/keys").status_code == 200


def test_a_childs_key_ends_with_its_parent(live, client_of):
    from onebrain_server.clock import now_micros
    from onebrain_server.security.scopes import SCOPES

    account = live.server.accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en", plan="team")
    end = now_micros() + 3_600_000_000
    _, key = live.server.accounts.create_key(account.id, "short", SCOPES, trust="trusted", expires_at=end)
    client = client_of(key)
    made = client.post("/memory/keys", json={"label": "child"}).json()
    ends = {row["id"]: row["expires_at"] for row in client.get("/memory/keys").json()}
    assert ends[made["id"]] == next(iter({end_ for id, end_ in ends.items() if id != made["id"]})) is not None


def test_no_key_is_in_any_list(client, agent):
    bot = agent("bot")
    secret = bot.headers["authorization"].removeprefix("Bearer ").rpartition("_")[2]
    for path in ("/memory/keys", "/memory/agents", "/memory/collections"):
        assert secret not in client.get(path).text


def test_a_free_account_has_its_plans_allowance(settings):
    with live_server(replace(settings, free_plan={"memories": 3})) as live:
        headers = {"authorization": f"Bearer {live.account('free@example.com', plan='free')}"}
        with httpx.Client(base_url=f"{live.url}/compat/rememberos/v1", headers=headers) as free:
            assert free.post(f"{C}/memories/bulk", json=[{"text": "x"}] * 4).status_code == 403
            assert free.post(f"{C}/memories/bulk", json=[{"text": "x"}] * 3).status_code == 201
            for path, body in (
                ("memories", {"text": "y"}),
                ("remember?sync=true", {"content": "I live here."}),
            ):
                answer = free.post(f"{C}/{path}", json=body)
                assert (answer.status_code, answer.json()["detail"][:27]) == (
                    403,
                    "The plan's limit is reached",
                )
            assert len(free.get(f"{C}/memories").json()) == 3
