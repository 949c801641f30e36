"""Keys, accounts and workspaces: what each may see and do, what is sealed, and how often one may ask."""

from __future__ import annotations

import re
import sqlite3
import time

import httpx
import pytest

from onebrain_server.dialects import DIALECTS
from onebrain_server.dialects.brrain import dialect
from onebrain_server.security.scopes import SCOPES
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

WITH_ID = [operation for operation in dialect.operations if operation.parameters]
NEEDS_LOGIN = [operation for operation in dialect.operations if operation.needs != "anyone"]


def below(operation, **ids):
    """Return an operation's path below the dialect's address."""
    path = operation.path.removeprefix("/compat/brrain")
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], "mem_x"), path)


def name(operation):
    return operation.route


# ---- who calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", NEEDS_LOGIN, ids=name)
@pytest.mark.parametrize(
    ("login", "code"),
    [
        (None, "unauthenticated"),
        ("Basic not-a-login", "unauthenticated"),
        ("Bearer", "unauthenticated"),
        ("Bearer brr_live_YOUR_API_KEY", "invalid_token"),
        ("Bearer ob_deadbeefdeadbeef_00", "invalid_token"),
        ("Bearer not-a-key", "invalid_token"),
    ],
)
def test_every_route_wants_a_good_key(address, refused, operation, login, code):
    headers = {} if login is None else {"authorization": login}
    answer = httpx.request(operation.method, address + below(operation), headers=headers)
    refused(answer, 401, code)
    assert answer.headers["www-authenticate"] == "Bearer"
    if login and login.split()[1:]:
        assert login.split()[1] not in answer.text


def test_the_document_is_there_for_everyone(address):
    document = httpx.get(address + "/openapi.json").json()
    assert set(document["paths"]) == {operation.path for operation in dialect.operations}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/v1/nothing", 404, "not_found"), ("/v1/memory/store", 405, "method_not_allowed")],
)
def test_what_is_not_there_fails_like_everything_else(client, refused, path, status, code):
    refused(client.get(path), status, code)


# ---- other accounts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_ID, ids=name)
def test_another_accounts_id_answers_as_a_missing_one_and_changes_nothing(
    client, stranger, operation, client_of
):
    made = client.post("/v1/auth/keys", json={"name": "k"}).json()
    own = {"id": client.stored("the lighthouse"), "key_id": made["id"]}
    theirs = stranger.request(operation.method, below(operation, **own))
    missing = stranger.request(operation.method, below(operation))
    assert theirs.status_code == missing.status_code == 404
    for one, other in zip((theirs, missing), (missing, theirs), strict=True):
        error = {**one.json()["error"], "request_id": ""}
        assert error == {**other.json()["error"], "request_id": ""}
    assert client.get(f"/v1/memory/{own['id']}").json()["content"] == "the lighthouse"
    assert client.found("lighthouse") == [own["id"]]
    assert client_of(made["key"]).retrieve("x").status_code == 200


def test_another_accounts_memories_are_not_found_and_no_duplicates(client, stranger):
    client.stored("the lighthouse", workspace_id="ws_a")
    for mode in ("semantic", "keyword", "hybrid"):
        assert stranger.retrieve("lighthouse", mode=mode, workspace_id="ws_a").json()["total"] == 0
    assert stranger.stored("the lighthouse", workspace_id="ws_a") != client.found("lighthouse")[0]


# ---- what a key may do ----------------------------------------------------------------------------------------------


def test_a_reading_key_reads(client, minted, refused):
    id = client.stored("the lighthouse")
    reader = minted("read")
    assert reader.found("lighthouse") == [id]
    assert reader.get(f"/v1/memory/{id}").status_code == 200
    refused(reader.post("/v1/memory/store", json={"content": "x"}), 403, "forbidden")
    refused(reader.post("/v1/memory/batch", json={"memories": [{"content": "x"}]}), 403, "forbidden")
    refused(reader.delete(f"/v1/memory/{id}"), 403, "forbidden")
    refused(reader.post("/v1/auth/keys", json={"name": "k"}), 403, "forbidden")
    refused(reader.delete("/v1/auth/keys/x"), 403, "forbidden")
    assert client.found("lighthouse") == [id]


def test_a_writing_key_makes_no_keys(minted, refused):
    writer = minted("read-write")
    writer.delete(f"/v1/memory/{writer.stored('x')}").raise_for_status()
    refused(writer.post("/v1/auth/keys", json={"name": "k"}), 403, "forbidden")
    refused(writer.delete("/v1/auth/keys/x"), 403, "forbidden")


def test_the_accounts_keys_do_here_what_they_do_there(live, key, client_of):
    account = live.server.accounts.by_key(key).account.id

    def with_scopes(*scopes, trust="trusted"):
        return client_of(live.server.accounts.create_key(account, "k", scopes, trust=trust)[1])

    def statuses(client):
        return (
            client.retrieve("x").status_code,
            client.post("/v1/memory/batch", json={"memories": [{"content": "x"}]}).status_code,
            client.delete("/v1/auth/keys/x").status_code,
        )

    assert statuses(with_scopes("brain.read")) == (200, 403, 403)
    assert statuses(with_scopes("entity.read")) == (403, 403, 403)
    assert statuses(with_scopes("brain.read", "brain.write")) == (200, 201, 403)
    assert statuses(with_scopes(*SCOPES, trust="review")) == (200, 403, 403)
    assert statuses(with_scopes(*SCOPES))[2] == 404


@pytest.mark.parametrize("scope", ["read", "admin"])
def test_a_key_made_here_is_good_for_nothing_else(live, minted, scope):
    key = minted(scope).headers["authorization"].removeprefix("Bearer ")
    others = [
        operation
        for other in DIALECTS
        if other is not dialect
        for operation in other.operations
        if operation.method == "GET" and operation.needs != "anyone" and not operation.parameters
    ]
    assert len(others) > 20
    # Each of the places where one of the services looks for a key.
    headers = {"x-api-key": key, "authorization": f"Bearer {key}"}
    with httpx.Client(base_url=live.url, headers=headers) as client:
        for operation in others:
            assert client.get(operation.path).status_code in (401, 403), operation.path
        client.headers["authorization"] = f"ApiKey {key}"
        assert client.get("/v1/memory").status_code in (401, 403)


def test_a_key_ends_when_it_is_told_to_and_with_its_parent(live, key, client_of, client):
    made = client.post("/v1/auth/keys", json={"name": "k", "scope": "admin", "expires_in_days": 2}).json()
    assert made["expires_at"] is not None
    child = client_of(made["key"])
    for days in ({}, {"expires_in_days": 300}):
        grandchild = child.post("/v1/auth/keys", json={"name": "k", **days}).json()
        assert grandchild["expires_at"] == made["expires_at"]
    account = live.server.accounts.by_key(key).account.id
    live.server.accounts.change_key(account, made["id"], {"expires_at": 1})
    assert child.retrieve("x").status_code == 401


def test_an_admin_key_revokes_no_key_of_the_account(live, key, client, minted, refused):
    account = live.server.accounts.by_key(key).account.id
    [own] = live.server.accounts.keys(account)
    refused(client.delete(f"/v1/auth/keys/{own.id}"), 404, "not_found")
    refused(minted("admin").delete(f"/v1/auth/keys/{own.id}"), 404, "not_found")
    assert client.retrieve("x").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "k", "scope": "write"},
        {"name": "k", "workspace_id": "a,brrain:admin"},
        {"name": "k", "workspace_id": ""},
        {"name": "k", "expires_in_days": 0},
        {"name": "k", "scopes": ["admin"]},
    ],
)
def test_a_wrong_key_is_refused(client, refused, body):
    refused(client.post("/v1/auth/keys", json=body), 400, "validation_error")


# ---- workspaces -----------------------------------------------------------------------------------------------------


def test_a_key_of_one_workspace_sees_and_changes_nothing_else(client, minted, refused):
    here = client.stored("the lighthouse", workspace_id="ws_a")
    there = client.stored("the lighthouse", workspace_id="ws_b")
    default = client.stored("the lighthouse")
    narrow = minted("read-write", workspace_id="ws_a")
    assert narrow.found("lighthouse") == narrow.found("lighthouse", workspace_id="ws_a") == [here]
    assert narrow.get(f"/v1/memory/{here}").status_code == 200
    for id in (there, default):
        refused(narrow.get(f"/v1/memory/{id}"), 404, "not_found")
        refused(narrow.delete(f"/v1/memory/{id}"), 404, "not_found")
    refused(narrow.retrieve("lighthouse", workspace_id="ws_b"), 403, "forbidden")
    refused(narrow.post("/v1/memory/store", json={"content": "x", "workspace_id": "ws_b"}), 403, "forbidden")
    batch = {"memories": [{"content": "x", "workspace_id": "ws_b"}, {"content": "x"}]}
    results = narrow.post("/v1/memory/batch", json=batch).json()["results"]
    assert results[0]["error"]["code"] == "forbidden"
    assert client.get(f"/v1/memory/{results[1]['id']}").json()["workspace_id"] == "ws_a"
    assert set(client.found("lighthouse", limit=10)) >= {here, there, default}


def test_a_key_of_one_workspace_has_idempotency_keys_of_its_own(client, minted):
    client.stored("a secret", idempotency_key="k")
    minted("read-write", workspace_id="ws_a").stored("another", idempotency_key="k")


def test_an_admin_of_one_workspace_makes_and_revokes_keys_of_it_only(client, minted, client_of, refused):
    admin = minted("admin", workspace_id="ws_a")
    refused(admin.post("/v1/auth/keys", json={"name": "k", "workspace_id": "ws_b"}), 403, "forbidden")
    made = admin.post("/v1/auth/keys", json={"name": "k"}).json()
    assert made["workspace_id"] == "ws_a"
    other = client.post("/v1/auth/keys", json={"name": "k", "workspace_id": "ws_b"}).json()
    everywhere = client.post("/v1/auth/keys", json={"name": "k"}).json()
    for one in (other, everywhere):
        refused(admin.delete(f"/v1/auth/keys/{one['id']}"), 404, "not_found")
        assert client_of(one["key"]).retrieve("x").status_code == 200
    assert admin.delete(f"/v1/auth/keys/{made['id']}").status_code == 204


# ---- at rest, and how often -----------------------------------------------------------------------------------------


def test_nothing_of_a_memory_stands_in_the_files_of_an_encrypted_server(tmp_path):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'sealed.db'}",
        memory_encryption_key=bytes(range(32)),
        rate_limit_max=0,
        log_level="error",
    )
    secrets = ["Zanzibar", "zebrafish", "quarantine", "xylophone", "marmalade"]
    content, category, tag, more, idempotency_key = secrets
    body = {
        "content": f"{content} is far away",
        "metadata": {"category": category, "tags": [tag], "note": more},
        "idempotency_key": idempotency_key,
        "ttl_seconds": 60,
    }
    with live_server(settings) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        with httpx.Client(base_url=live.url + "/compat/brrain/v1/memory", headers=headers) as client:
            id = client.post("/store", json=body).json()["id"]
            client.post(
                "/batch", json={"memories": [{**body, "content": f"{content} twice", "idempotency_key": "b"}]}
            )
            found = client.get("/retrieve", params={"q": content, "category": category, "tags": tag}).json()
            assert found["total"] == 2
            assert client.post("/store", json=body).status_code == 409
            client.delete(f"/{id}")
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    with sqlite3.connect(tmp_path / "sealed.db") as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        written += "".join(
            str(row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"')
        ).encode()
    database.close()
    assert id.encode() in written
    for secret in secrets:
        assert secret.encode().lower() not in written.lower(), secret


def test_what_was_stored_before_a_key_was_set_is_still_a_duplicate(tmp_path):
    settings = {
        "database_url": f"sqlite:///{tmp_path / 'server.db'}",
        "rate_limit_max": 0,
        "log_level": "error",
    }
    body = {"content": "the lighthouse"}
    with live_server(Settings(**settings)) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        id = httpx.post(live.url + "/compat/brrain/v1/memory/store", json=body, headers=headers).json()["id"]
    with live_server(Settings(**settings, memory_encryption_key=bytes(range(32)))) as live:
        answer = httpx.post(live.url + "/compat/brrain/v1/memory/store", json=body, headers=headers)
    assert answer.status_code == 409
    assert answer.json()["error"]["existing_id"] == id


def test_the_budget_is_told_and_kept():
    settings = Settings(database_url="sqlite://", rate_limit_max=3, log_level="error")
    begun = int(time.time())
    with live_server(settings) as live:
        # No window ends during the test.
        live.server.limiter.clock = lambda: 0.0
        headers = {"authorization": f"Bearer {live.key}"}
        answers = [httpx.get(live.url + "/compat/brrain/v1/memory/mem_x", headers=headers) for _ in range(4)]
    told = [answer.headers for answer in answers]
    assert [int(one["x-ratelimit-remaining"]) for one in told] == [2, 1, 0, 0]
    assert all(one["x-ratelimit-limit"] == "3" and one["x-ratelimit-scope"] == "token" for one in told)
    assert all(begun + 60 <= int(one["x-ratelimit-reset"]) <= time.time() + 60 for one in told)
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(told[3]["retry-after"]) <= 60
