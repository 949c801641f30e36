"""Keys of the service's own: what they may do, when they end, and that none can gain by making another."""

from __future__ import annotations

import time

import httpx
import pytest

ALL = ["read:intelligence", "read:memories", "write:api-keys", "write:memories", "write:webhooks"]
# One request for each scope, with the status that a key with the scope gets.
REQUESTS = {
    "read:memories": ("GET", "/api/v1/memories", None, 200),
    "write:memories": ("POST", "/api/v1/memories", {"content": "x", "type": "task"}, 201),
    "read:intelligence": ("POST", "/api/v1/intelligence/implicit-patterns", {}, 200),
    "write:webhooks": ("GET", "/api/v1/webhooks", None, 200),
    "write:api-keys": ("GET", "/api/v1/api-keys", None, 200),
}


@pytest.mark.parametrize("scope", ALL)
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(minted, errors, scope):
    holder = minted(scope)
    for needed, (method, path, body, status) in REQUESTS.items():
        answer = holder.request(method, path, **({} if body is None else {"json": body}))
        if needed == scope:
            assert answer.status_code == status, answer.text
        else:
            assert errors(answer, 403) == [("INSUFFICIENT_SCOPE", None)]
            assert needed in answer.json()["errors"][0]["message"]


def test_a_key_without_scopes_reads_and_writes_memories(client, data):
    made = data(client.post("/api/v1/api-keys", json={"name": "k"}), 201)
    assert (made["scopes"], made["environment"], made["tenantId"]) == (
        ["read:memories", "write:memories"],
        "production",
        None,
    )


def test_a_key_makes_no_wider_key_and_none_for_another_tenant(minted, data, errors):
    holder = minted("write:api-keys", "read:memories", tenantId="one")
    for scopes in (["write:memories"], ["read:memories", "write:webhooks"]):
        answer = holder.post("/api/v1/api-keys", json={"name": "k", "scopes": scopes})
        assert errors(answer, 403) == [("INSUFFICIENT_SCOPE", None)]
    answer = holder.post("/api/v1/api-keys", json={"name": "k", "tenantId": "two"})
    assert errors(answer, 403) == [("TENANT_MISMATCH", None)]
    child = data(holder.post("/api/v1/api-keys", json={"name": "k"}), 201)
    assert (child["scopes"], child["tenantId"]) == (["read:memories"], "one")


def test_a_key_that_may_nothing_usual_has_to_say_what_its_child_may(minted, errors, data):
    holder = minted("write:api-keys")
    assert errors(holder.post("/api/v1/api-keys", json={"name": "k"}), 400) == [
        ("VALIDATION_ERROR", "scopes")
    ]
    made = data(holder.post("/api/v1/api-keys", json={"name": "k", "scopes": ["write:api-keys"]}), 201)
    assert made["scopes"] == ["write:api-keys"]


def test_a_key_sees_and_revokes_only_what_is_within_it(client, minted, data, errors):
    wide = data(client.post("/api/v1/api-keys", json={"name": "wide", "tenantId": "one", "scopes": ALL}), 201)
    other = data(client.post("/api/v1/api-keys", json={"name": "other", "tenantId": "two"}), 201)
    holder = minted("write:api-keys", tenantId="one")
    assert {row["name"] for row in data(holder.get("/api/v1/api-keys"))["keys"]} == {"wide", "minted"}
    revoke = {"keyId": wide["id"]}
    assert errors(holder.post("/api/v1/api-keys/revoke", json=revoke), 403) == [("INSUFFICIENT_SCOPE", None)]
    revoke = {"keyId": other["id"]}
    assert errors(holder.post("/api/v1/api-keys/revoke", json=revoke), 404) == [("RESOURCE_NOT_FOUND", None)]
    usage = f"/api/v1/api-keys/usage?keyId={other['id']}"
    assert errors(holder.get(usage), 404) == [("RESOURCE_NOT_FOUND", None)]
    assert len(data(client.get("/api/v1/api-keys"))["keys"]) == 3


def test_the_accounts_own_keys_are_neither_shown_nor_revoked_here(client, data, errors, live, key):
    own = live.server.accounts.by_key(key).key
    assert data(client.get("/api/v1/api-keys"))["keys"] == []
    for id in (own.id, f"key_{own.id}"):
        answer = client.post("/api/v1/api-keys/revoke", json={"keyId": id})
        assert errors(answer, 404) == [("RESOURCE_NOT_FOUND", None)]


def test_a_child_does_not_outlive_its_parent(client, client_of, data):
    soon = time.time() + 3600
    body = {"name": "parent", "scopes": ["write:api-keys"], "expiresAt": soon}
    parent = data(client.post("/api/v1/api-keys", json=body), 201)
    holder = client_of(parent["plainKey"])
    for later in (None, soon + 9999):
        body = {"name": "child", "scopes": ["write:api-keys"], "expiresAt": later}
        assert data(holder.post("/api/v1/api-keys", json=body), 201)["expiresAt"] == parent["expiresAt"]
    body = {"name": "child", "scopes": ["write:api-keys"], "expiresAt": soon - 60}
    assert data(holder.post("/api/v1/api-keys", json=body), 201)["expiresAt"] < parent["expiresAt"]


def test_an_end_counts_seconds_or_milliseconds(client, data):
    end = round(time.time()) + 86_400
    for given in (end, end * 1000):
        made = data(client.post("/api/v1/api-keys", json={"name": "k", "expiresAt": given}), 201)
        assert made["expiresAt"] == end * 1000


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"environment": "staging"}, "environment"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes.0"),
        ({"expiresAt": 0}, "expiresAt"),
        ({"expiresAt": 1_600_000_000}, "expiresAt"),
        ({"expiresAt": 1e300}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(client, errors, fields, wrong):
    answer = client.post("/api/v1/api-keys", json={"name": "k", **fields})
    assert errors(answer, 400) == [("VALIDATION_ERROR", wrong)]


def test_an_expired_key_is_refused(client, client_of, data, errors, live):
    made = data(client.post("/api/v1/api-keys", json={"name": "k"}), 201)
    holder = client_of(made["plainKey"])
    data(holder.get("/api/v1/memories"))
    caller = live.server.accounts.by_key(made["plainKey"])
    live.server.accounts.change_key(caller.tenant, caller.key.id, {"expires_at": 1})
    assert errors(holder.get("/api/v1/memories"), 401) == [("AUTH_INVALID", None)]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "AUTH_REQUIRED"),
        ("Basic not-a-login", "AUTH_REQUIRED"),
        ("Bearer", "AUTH_REQUIRED"),
        ("Bearer not-a-key", "AUTH_INVALID"),
        ("Bearer hb_your_api_key_here", "AUTH_INVALID"),
        ("Bearer hb_prod_0123456789abcdef_00", "AUTH_INVALID"),
        ("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...", "AUTH_INVALID"),
    ],
    ids=str,
)
def test_a_bad_login_is_refused_without_repeating_it(address, errors, value, code):
    headers = {} if value is None else {"authorization": value}
    answer = httpx.get(f"{address}/api/v1/memories", headers=headers)
    assert errors(answer, 401) == [(code, None)]
    if value and " " in value:
        assert value.split()[-1] not in answer.text


def test_a_login_of_this_server_stands_where_a_jwt_stood(address, live, data):
    accounts = live.server.accounts
    account = accounts.register(f"{time.time_ns()}@example.com", None, None, "en")
    session, _ = live.server.sessions.open(account.id, "127.0.0.1", None)
    token = live.server.tokens.make(account.id, session)
    answer = httpx.get(f"{address}/api/v1/memories", headers={"authorization": f"Bearer {token}"})
    assert data(answer)["memories"] == []


def test_usage_counts_what_a_key_did_in_the_last_days(client, client_of, data, create):
    made = data(client.post("/api/v1/api-keys", json={"name": "k"}), 201)
    holder = client_of(made["plainKey"])
    memory = create(holder)
    data(holder.get(f"/api/v1/memories/{memory['id']}"))
    data(holder.get("/api/v1/memories"))
    data(holder.post("/api/v1/memories/search", json={"query": "x"}))
    data(holder.delete(f"/api/v1/memories/{memory['id']}"))
    found = data(client.get(f"/api/v1/api-keys/usage?keyId={made['id']}&days=1"))
    assert (found["total"], found["byAction"]) == (5, {"delete": 1, "read": 2, "search": 1, "write": 1})
