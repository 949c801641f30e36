"""Accounts, agents and keys: what each may see and do, and what is sealed at rest."""

from __future__ import annotations

import re
import uuid

import httpx
import pytest

from onebrain_server.dialects.ai_memory import dialect
from onebrain_server.security.scopes import SCOPES
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

NEEDS_LOGIN = [operation for operation in dialect.operations if operation.needs != "anyone"]
WITH_ID = [operation for operation in dialect.operations if operation.parameters]
BODIES = {"grant": {"agent_id": "ai:x"}, "revoke": {"agent_id": "ai:x"}}


def name(operation):
    return operation.route


def below(operation, id="x"):
    """Return an operation's path below the client's address."""
    return re.sub(r"{\w+}", id, operation.path)


def without_dates(export):
    return {key: value for key, value in export.items() if key != "exported_at"}


# ---- who calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", NEEDS_LOGIN, ids=name)
@pytest.mark.parametrize("login", [None, "ob_deadbeefdeadbeef_00", "not-a-key", "Bearer not-a-key"])
def test_every_route_but_health_wants_a_good_key(live, operation, login):
    headers = {} if login is None else {"x-api-key": login}
    answer = httpx.request(operation.method, live.url + below(operation), headers=headers)
    assert answer.status_code == 401
    assert answer.json().keys() == {"error"}
    if login:
        assert login not in answer.text


def test_the_document_and_health_are_there_for_everyone(live, base):
    document = httpx.get(base + "/openapi.json").json()
    assert set(document["paths"]) == {operation.path for operation in dialect.operations}
    assert httpx.get(base + "/api/v1/health").status_code == 200


def test_a_read_only_key_of_the_account_reads_and_changes_nothing(live, base, http, store, client_of):
    made = httpx.get(
        live.url + "/v1/api-keys", headers={"authorization": f"ApiKey {http.headers['x-api-key']}"}
    )
    assert made.status_code == 200
    tenant = live.server.accounts.by_key(http.headers["x-api-key"]).tenant
    id = store("t")["id"]
    reader = client_of(live.server.accounts.create_key(tenant, "r", ["brain.read"], trust="trusted")[1])
    for operation in NEEDS_LOGIN:
        path = below(operation, id).removeprefix("/compat/ai-memory/api/v1")
        if operation.needs in ("write", "admin"):
            answer = reader.request(operation.method, path, json={})
            assert (answer.status_code, operation.route) == (403, operation.route)
    assert reader.get(f"/memories/{id}").status_code == 200
    assert reader.post("/recall", json={"context": "t"}).json()["count"] == 1


def test_a_key_under_review_reads_and_does_not_write(live, http, client_of):
    tenant = live.server.accounts.by_key(http.headers["x-api-key"]).tenant
    key = live.server.accounts.create_key(tenant, "r", SCOPES, trust="review")[1]
    assert client_of(key).get("/memories").status_code == 200
    assert client_of(key).post("/memories", json={"title": "t", "content": "x"}).status_code == 403


# ---- other accounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_ID, ids=name)
def test_another_accounts_ids_answer_as_ones_that_do_not_exist(
    http, stranger, store, agent, operation, receiver
):
    one, two = store("one")["id"], store("two")["id"]
    http.post("/links", json={"source_id": one, "target_id": two})
    ids = [
        one,
        http.post("/notify", json={"to": "ai:b", "subject": "s", "body": "x"}).json()["id"],
        http.post("/subscriptions", json={"url": receiver.url}).json()["id"],
        http.post("/keys", json={"agent_id": "ai:b"}).json()["id"],
    ]
    before = without_dates(http.get("/export").json())
    path = operation.path.removeprefix("/compat/ai-memory/api/v1")
    body = BODIES.get(operation.path.rpartition("/")[2])
    missing = str(uuid.uuid4())
    expected = stranger.request(operation.method, path.replace("{id}", missing), json=body)
    for id in ids:
        answer = stranger.request(operation.method, path.replace("{id}", id), json=body)
        assert answer.status_code == expected.status_code
        assert answer.text.replace(id, missing) == expected.text
    assert without_dates(http.get("/export").json()) == before
    assert http.get("/subscriptions").json()["count"] == 1
    assert http.get("/keys").json()["count"] == 1
    assert [row["read"] for row in http.get("/inbox", params={"agent_id": "ai:b"}).json()["messages"]] == [
        False
    ]


def test_another_accounts_memories_are_in_no_answer(http, stranger, store):
    one, two = store("lighthouse one", namespace="secret")["id"], store("lighthouse two")["id"]
    http.post("/links", json={"source_id": one, "target_id": two})
    http.post("/notify", json={"to": "ai:b", "subject": "s", "body": "x"})
    http.post("/agents", json={"agent_id": "ai:b", "agent_type": "system"})
    before = without_dates(http.get("/export").json())
    own = stranger.post("/memories", json={"title": "mine", "content": "x"}).json()["id"]
    assert stranger.get("/memories").json()["count"] == 1
    assert stranger.get("/memories", params={"namespace": "secret"}).json()["count"] == 0
    assert stranger.get("/search", params={"q": "lighthouse"}).json()["count"] == 0
    assert [
        row["id"] for row in stranger.post("/recall", json={"context": "lighthouse"}).json()["memories"]
    ] == [own]
    assert stranger.get("/export").json()["count"] == 1
    assert stranger.get("/namespaces").json() == {"namespaces": [{"namespace": "global", "count": 1}]}
    assert (stranger.get("/stats").json()["total"], stranger.get("/stats").json()["links_count"]) == (1, 0)
    assert stranger.get("/agents").json()["count"] == 0
    assert stranger.get("/inbox", params={"agent_id": "ai:b"}).json()["count"] == 0
    for link in ({"source_id": own, "target_id": one}, {"source_id": one, "target_id": own}):
        assert stranger.post("/links", json=link).status_code == 404
    assert stranger.request("DELETE", "/links", json={"source_id": one, "target_id": two}).json() == {
        "deleted": False
    }
    assert stranger.post("/forget", json={"namespace": "secret"}).json() == {"deleted": 0}
    assert stranger.post("/forget", json={"pattern": "lighthouse"}).json() == {"deleted": 0}
    assert stranger.post("/memories", json={"title": "lighthouse two", "content": "y"}).json()["id"] != two
    row = {"id": one, "title": "taken over", "content": "x"}
    assert stranger.post("/import", json={"memories": [row]}).json()["imported"] == 1
    assert without_dates(http.get("/export").json()) == before


def test_what_is_stored_here_is_in_no_other_service_and_the_other_way_round(live, http, store):
    id = store("lighthouse")["id"]
    key = {"authorization": f"ApiKey {http.headers['x-api-key']}"}
    with httpx.Client(base_url=live.url, headers=key) as own:
        assert own.get("/v1/memory").json()["data"] == []
        assert own.get(f"/v1/memory/{id}").status_code == 404
        made = own.post("/v1/memory", json={"id": id, "body": "another"}).json()["data"]
        assert made["id"] == id
        assert http.get(f"/memories/{id}").json()["memory"]["title"] == "lighthouse"
        two = store("two")["id"]
        http.post("/links", json={"source_id": two, "target_id": id})
        assert own.delete(f"/v1/memory/{id}").status_code == 204
    assert len(http.get(f"/links/{id}").json()["links"]) == 1


# ---- agents -------------------------------------------------------------------------------------------------------------


def test_a_tied_key_acts_as_its_agent_and_as_no_other(http, agent):
    alice = agent("ai:alice")
    made = alice.post("/memories", json={"title": "t", "content": "x"}).json()
    assert made["agent_id"] == "ai:alice"
    other = {"x-agent-id": "ai:bob"}
    for answer in (
        alice.get("/memories", headers=other),
        alice.get(f"/memories/{made['id']}", headers=other),
        alice.post("/memories", json={"title": "t", "content": "y"}, headers=other),
        alice.post("/memories", json={"title": "t", "content": "y", "agent_id": "ai:bob"}),
        alice.post("/memories", json={"title": "t", "content": "y", "metadata": {"agent_id": "ai:bob"}}),
        alice.post("/notify", json={"to": "ai:x", "subject": "s", "body": "b", "agent_id": "ai:bob"}),
        alice.get("/inbox", params={"agent_id": "ai:bob"}),
        alice.post("/agents", json={"agent_id": "ai:bob", "agent_type": "system"}),
        alice.post("/subscriptions", json={"url": "https://example.com/x", "agent_id": "ai:bob"}),
    ):
        assert answer.status_code == 403, answer.request.url
        assert "ai:bob" not in answer.text
    rows = [{"title": "a", "content": "x", "agent_id": "ai:bob"}, {"title": "b", "content": "x"}]
    done = alice.post("/memories/bulk", json=rows).json()
    assert (done["created"], len(done["errors"])) == (1, 1)
    whole = [{"id": "i", "title": "c", "content": "x", "metadata": {"agent_id": "ai:bob"}}]
    assert alice.post("/import", json={"memories": whole}).json()["imported"] == 0
    assert {row["metadata"]["agent_id"] for row in http.get("/memories").json()["memories"]} == {"ai:alice"}


def test_a_private_memory_is_its_agents_alone(agent, store, http):
    alice, bob = agent("ai:alice"), agent("ai:bob")
    id = store("lighthouse", by=alice, namespace="team", scope="private")["id"]
    two = store("two", by=bob)["id"]
    before = without_dates(http.get("/export").json())
    for answer in (
        bob.get(f"/memories/{id}"),
        bob.put(f"/memories/{id}", json={"title": "x"}),
        bob.delete(f"/memories/{id}"),
        bob.post(f"/memories/{id}/promote"),
        bob.post(f"/memories/{id}/grant", json={"agent_id": "ai:bob"}),
        bob.post(f"/memories/{id}/revoke", json={"agent_id": "ai:alice"}),
        bob.post("/links", json={"source_id": two, "target_id": id}),
        bob.post("/links", json={"source_id": id, "target_id": two}),
    ):
        assert answer.status_code == 404, answer.request.url
    assert bob.get("/memories", params={"namespace": "team"}).json()["count"] == 0
    assert bob.get("/search", params={"q": "lighthouse"}).json()["count"] == 0
    assert [row["id"] for row in bob.post("/recall", json={"context": "lighthouse"}).json()["memories"]] == [
        two
    ]
    assert bob.post("/forget", json={"namespace": "team"}).json() == {"deleted": 0}
    assert bob.post("/forget", json={"pattern": "lighthouse"}).json() == {"deleted": 0}
    assert [row["id"] for row in bob.get("/export").json()["memories"]] == [two]
    assert bob.get("/namespaces").json() == {"namespaces": [{"namespace": "global", "count": 1}]}
    assert bob.get("/stats").json()["total"] == 1
    after = http.get("/export").json()["memories"]
    assert [row["id"] for row in after] == [row["id"] for row in before["memories"]]
    assert alice.get(f"/memories/{id}").status_code == 200


@pytest.mark.parametrize("on_conflict", ["merge", "error"])
def test_a_title_of_another_agents_private_memory_is_refused_without_telling_which(
    agent, store, http, on_conflict
):
    alice, bob = agent("ai:alice"), agent("ai:bob")
    id = store("plan", by=alice)["id"]
    body = {"title": "plan", "content": "mine now", "on_conflict": on_conflict}
    refused = bob.post("/memories", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert "existing_id" not in refused.json()
    assert bob.post("/memories/bulk", json=[body]).json()["created"] == 0
    own = store("other", by=bob)["id"]
    assert bob.put(f"/memories/{own}", json={"title": "plan"}).status_code == 409
    whole = [{"id": id, "title": "another", "content": "x"}]
    assert bob.post("/import", json={"memories": whole}).json()["imported"] == 0
    beside = bob.post("/memories", json={**body, "on_conflict": "version"}).json()
    assert beside["title"] == "plan (2)"
    assert http.get(f"/memories/{id}").json()["memory"]["content"] == "Some text"


@pytest.mark.parametrize("scope", ["team", "unit", "org", "collective"])
def test_a_shared_memory_is_read_by_all_agents_and_changed_by_its_own(agent, store, scope):
    alice, bob = agent("ai:alice"), agent("ai:bob")
    id = store("plan", by=alice, scope=scope)["id"]
    assert bob.get(f"/memories/{id}").status_code == 200
    for answer in (
        bob.put(f"/memories/{id}", json={"title": "x"}),
        bob.delete(f"/memories/{id}"),
        bob.post(f"/memories/{id}/promote"),
        bob.post(f"/memories/{id}/grant", json={"agent_id": "ai:bob"}),
    ):
        assert answer.status_code == 403
    refused = bob.post("/memories", json={"title": "plan", "content": "x"})
    assert (refused.status_code, refused.json()["existing_id"]) == (409, id)
    assert bob.post("/forget", json={"pattern": "plan"}).json() == {"deleted": 0}


def test_a_grant_opens_a_memory_and_its_end_closes_it(agent, store):
    alice, bob, carol = agent("ai:alice"), agent("ai:bob"), agent("ai:carol")
    id = store("plan", by=alice)["id"]
    assert bob.get(f"/memories/{id}").status_code == 404
    alice.post(f"/memories/{id}/grant", json={"agent_id": "ai:bob"})
    assert bob.get(f"/memories/{id}").status_code == 200
    assert bob.put(f"/memories/{id}", json={"priority": 9}).status_code == 403
    assert bob.post(f"/memories/{id}/grant", json={"agent_id": "ai:carol"}).status_code == 403
    alice.post(f"/memories/{id}/grant", json={"agent_id": "ai:bob", "permission": "write"})
    assert bob.put(f"/memories/{id}", json={"priority": 9}).status_code == 200
    assert bob.post(f"/memories/{id}/grant", json={"agent_id": "ai:carol"}).status_code == 403
    assert carol.get(f"/memories/{id}").status_code == 404
    alice.post(f"/memories/{id}/revoke", json={"agent_id": "ai:bob"})
    assert bob.get(f"/memories/{id}").status_code == 404


def test_an_inbox_is_read_by_its_agent_and_its_message_by_the_sender(agent, http):
    alice, bob, carol = agent("ai:alice"), agent("ai:bob"), agent("ai:carol")
    id = alice.post("/notify", json={"to": "ai:bob", "subject": "s", "body": "x"}).json()["id"]
    anonymous = http.post("/notify", json={"to": "ai:bob", "subject": "s", "body": "y"}).json()["id"]
    assert {row["id"] for row in bob.get("/inbox").json()["messages"]} == {id, anonymous}
    assert alice.get(f"/memories/{id}").status_code == 200
    for other in (carol, alice):
        assert other.get(f"/memories/{anonymous}").status_code == 404
        assert other.post(f"/inbox/{id}/read").status_code == 404
        assert other.get("/inbox").json()["count"] == 0
    assert carol.get("/export").json()["count"] == 0
    assert bob.post(f"/inbox/{id}/read").status_code == 200


def test_an_agent_sees_and_removes_its_own_webhooks_only(agent, http, receiver):
    alice, bob = agent("ai:alice"), agent("ai:bob")
    id = alice.post("/subscriptions", json={"url": receiver.url}).json()["id"]
    http.post("/subscriptions", json={"url": receiver.url})
    assert bob.get("/subscriptions").json()["count"] == 0
    assert bob.delete(f"/subscriptions/{id}").json() == {"id": id, "removed": False}
    assert [row["id"] for row in alice.get("/subscriptions").json()["subscriptions"]] == [id]
    assert http.get("/subscriptions").json()["count"] == 2


# ---- keys ---------------------------------------------------------------------------------------------------------------


def test_a_tied_key_is_good_for_this_service_alone(live, agent):
    key = agent("ai:alice").headers["x-api-key"]
    for method, path in (
        ("GET", "/v1/memory"),
        ("POST", "/v1/memory"),
        ("GET", "/v1/api-keys"),
        ("GET", "/compat/herobrain/api/v1/memories"),
        ("GET", "/compat/brrain/v1/memory"),
    ):
        for headers in ({"authorization": f"ApiKey {key}"}, {"authorization": f"Bearer {key}"}):
            answer = httpx.request(
                method, live.url + path, headers=headers, json={} if method == "POST" else None
            )
            assert answer.status_code in (401, 403, 404), path
            assert answer.status_code != 404 or path.startswith("/compat/")


def test_only_a_key_that_may_do_everything_makes_tied_keys(live, http, agent, client_of):
    tenant = live.server.accounts.by_key(http.headers["x-api-key"]).tenant
    writer = client_of(
        live.server.accounts.create_key(tenant, "w", ["brain.write", "brain.read"], trust="trusted")[1]
    )
    for caller in (writer, agent("ai:alice")):
        for answer in (
            caller.post("/keys", json={"agent_id": "ai:bob"}),
            caller.get("/keys"),
            caller.delete("/keys/x"),
        ):
            assert answer.status_code == 403


def test_a_tied_key_ends_with_its_removal_and_lives_no_longer_than_its_maker(live, http, agent, client_of):
    alice = agent("ai:alice")
    [row] = http.get("/keys").json()["keys"]
    assert (row["agent_id"], row["permission"]) == ("ai:alice", "write")
    assert "api_key" not in row
    assert http.delete(f"/keys/{row['id']}").json() == {"id": row["id"], "removed": True}
    assert alice.get("/memories").status_code == 401
    assert http.delete(f"/keys/{row['id']}").status_code == 404
    accounts = live.server.accounts
    tenant = accounts.by_key(http.headers["x-api-key"]).tenant
    ends = 4_000_000_000_000_000
    maker = client_of(accounts.create_key(tenant, "m", SCOPES, trust="trusted", expires_at=ends)[1])
    made = maker.post("/keys", json={"agent_id": "ai:bob"}).json()
    assert accounts.key(tenant, made["id"]).expires_at == ends


def test_no_key_is_tied_to_nobody(http):
    refused = http.post("/keys", json={"agent_id": "anonymous:req-1"})
    assert refused.status_code == 400
    assert http.get("/keys").json()["count"] == 0


def test_a_key_route_removes_no_other_key_of_the_account(live, http):
    accounts = live.server.accounts
    own = accounts.by_key(http.headers["x-api-key"]).key
    assert http.delete(f"/keys/{own.id}").status_code == 404
    assert http.get("/memories").status_code == 200


# ---- at rest ------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_text_is_in_the_files_with_an_encryption_key(tmp_path):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'server.db'}",
        rate_limit_max=0,
        log_level="error",
        memory_encryption_key=bytes(range(32)),
        private_addresses=True,
    )
    with live_server(settings) as live:
        address = live.url + "/compat/ai-memory/api/v1"
        with httpx.Client(base_url=address, headers={"x-api-key": live.key}) as http:
            body = {
                "title": "zebratitle",
                "content": "zebracontent",
                "tags": ["zebratag"],
                "metadata": {"zebrakey": "zebravalue"},
            }
            one = http.post("/memories", json=body).json()["id"]
            two = http.post("/memories", json={"title": "two", "content": "x"}).json()["id"]
            http.post("/links", json={"source_id": one, "target_id": two})
            http.post("/notify", json={"to": "ai:b", "subject": "zebrasubject", "body": "zebrabody"})
            http.post(
                "/agents", json={"agent_id": "ai:b", "agent_type": "system", "capabilities": ["zebraskill"]}
            )
            hook = {"url": "http://127.0.0.1:9/zebrahook", "secret": "zebrasecret"}
            assert http.post("/subscriptions", json=hook).status_code == 201
            http.delete(
                f"/memories/{http.post('/memories', json={**body, 'title': 'zebraevent'}).json()['id']}"
            )
            found = http.post("/recall", json={"context": "zebracontent"}).json()["memories"]
            assert (found[0]["content"], found[0]["tags"]) == ("zebracontent", ["zebratag"])
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert one.encode() in written
    assert b"zebra" not in written.lower()
