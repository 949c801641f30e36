"""No other account's thing can be reached or told from a missing one; keys do what they may; nothing readable at rest."""

from __future__ import annotations

import json

import httpx
import pytest

from onebrain_server.dialects.herobrain import dialect
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

ROUTES = [operation for operation in dialect.operations if "{id}" in operation.path]
READS = ("GET /api/v1/memories", "POST /api/v1/memories/search", "POST /api/v1/intelligence/decision-chain",
         "POST /api/v1/intelligence/implicit-patterns", "GET /api/v1/usage/metrics/one")  # fmt: skip


@pytest.fixture
def filled(client, create, data, receiver):
    """One of everything of an account, by the name of its resource."""
    hook = {"name": "w", "url": receiver.url, "events": ["memory.deleted"], "secret": "s"}
    return {
        "memories": create(client, "Maria prefers window seats", tags=["travel"], tenantId="one")["id"],
        "webhooks": data(client.post("/api/v1/webhooks", json=hook), 201)["id"],
        "api-keys": data(client.post("/api/v1/api-keys", json={"name": "k", "tenantId": "one"}), 201)["id"],
    }


def everything(client, data):
    """Return all that an account can see of its own."""
    keys = data(client.get("/api/v1/api-keys"))["keys"]
    return [
        data(client.get("/api/v1/memories")),
        data(client.get("/api/v1/webhooks")),
        [{name: value for name, value in key.items() if name != "lastUsedAt"} for key in keys],
    ]


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: f"{operation.method} {operation.path}")
def test_anothers_id_answers_as_a_missing_one_and_changes_nothing(
    operation, client, stranger, filled, data, receiver
):
    before = everything(client, data)
    resource = operation.path.removeprefix(dialect.prefix).split("/")[3]
    options = {"json": {"content": "stolen"}} if operation.method == "PATCH" else {}
    answers = []
    for id in (filled[resource], resource[:3] + "_0123456789abcdef"):
        path = operation.path.removeprefix(dialect.prefix).replace("{id}", id)
        for query in ("", "?tenantId=one"):
            answer = stranger.request(operation.method, path + query, **options)
            assert answer.status_code == 404
            answers.append(json.dumps(answer.json()["errors"]))
    assert len(set(answers)) == 1
    assert everything(client, data) == before
    assert receiver.is_empty


def test_anothers_key_is_neither_revoked_nor_counted(client, stranger, filled, data, errors):
    before = everything(client, data)
    body = {"keyId": filled["api-keys"], "tenantId": "one"}
    assert errors(stranger.post("/api/v1/api-keys/revoke", json=body), 404) == [("RESOURCE_NOT_FOUND", None)]
    usage = stranger.get(f"/api/v1/api-keys/usage?keyId={filled['api-keys']}")
    assert errors(usage, 404) == [("RESOURCE_NOT_FOUND", None)]
    assert everything(client, data) == before


@pytest.mark.parametrize("route", READS)
def test_another_accounts_tenant_of_the_same_name_is_another_tenant(stranger, filled, data, route):
    method, path = route.split()
    body = {"query": "window seats", "topic": "window seats", "minOccurrences": 1, "tenantId": "one"}
    options = {"json": body} if method == "POST" else {"params": {"tenantId": "one"}}
    answer = stranger.request(method, path, **options)
    found = data(answer)
    assert "Maria" not in answer.text
    assert "travel" not in answer.text
    assert found.get("memories", {}) in ({}, [], {"count": 0, "limit": None})


def test_a_reading_key_changes_nothing(client, minted, filled, data, errors, live, client_of, key):
    from onebrain_server.security.scopes import READ_ONLY

    account = live.server.accounts.by_key(key).tenant
    reading = live.server.accounts.create_key(account, "reader", READ_ONLY, trust="trusted")[1]
    # What a key under review writes would need a review, which this service does not have.
    review = live.server.accounts.create_key(account, "review", ["brain.read", "brain.write"])[1]
    before = everything(client, data)
    for holder in (client_of(reading), client_of(review), minted("read:memories")):
        assert data(holder.get(f"/api/v1/memories/{filled['memories']}"))["content"].startswith("Maria")
        for operation in dialect.operations:
            if not operation.needs.startswith("write:"):
                continue
            path = operation.path.removeprefix(dialect.prefix).replace("{id}", filled["memories"])
            options = {"json": {}} if operation.method in ("POST", "PATCH") else {}
            answer = holder.request(operation.method, path, **options)
            assert errors(answer, 403) == [("INSUFFICIENT_SCOPE", None)], path
    found = everything(client, data)
    found[2] = [row for row in found[2] if row["name"] != "minted"]
    assert found == before


def test_every_route_but_the_document_needs_a_scope():
    assert {operation.path for operation in dialect.operations if operation.needs in ("anyone", "login")} == {
        "/compat/herobrain/openapi.json"
    }


def test_a_minted_key_is_good_for_this_service_only(client, data, live):
    scopes = ["read:memories", "write:memories", "read:intelligence", "write:webhooks", "write:api-keys"]
    made = data(client.post("/api/v1/api-keys", json={"name": "k", "scopes": scopes}), 201)
    with httpx.Client(base_url=live.url) as other:
        for scheme in ("ApiKey", "Bearer"):
            headers = {"authorization": f"{scheme} {made['plainKey']}"}
            for path in ("/v1/memory", "/v1/api-keys", "/v1/connect", "/v1/export/json", "/v1/user/profile"):
                assert other.get(path, headers=headers).status_code in (401, 403, 404), path
            assert other.post("/v1/memory", headers=headers, json={"body": "x"}).status_code in (401, 403)


def test_a_key_of_another_service_is_good_for_nothing_here(live, key, client_of, errors):
    account = live.server.accounts.by_key(key).tenant
    made = live.server.accounts.create_key(
        account, "k", ["rememberos:read", "rememberos:write"], trust="trusted", kind="mv"
    )
    for path in ("/api/v1/memories", "/api/v1/api-keys", "/api/v1/webhooks", "/api/v1/usage/metrics/x"):
        assert errors(client_of(made[1]).get(path), 403) == [("INSUFFICIENT_SCOPE", None)]


def test_the_rooms_of_the_services_are_apart(client, create, data, live, key):
    made = create(client, "Maria prefers window seats")
    headers = {"authorization": f"ApiKey {key}"}
    with httpx.Client(base_url=live.url, headers=headers) as own:
        assert own.get("/v1/memory").json()["data"] == []
        assert own.get(f"/v1/memory/{made['id']}").status_code == 404
        stored = own.post("/v1/memory", json={"body": "the cat is black"}).json()["data"]["id"]
    assert data(client.get("/api/v1/memories"))["memories"] == [made]
    assert client.get(f"/api/v1/memories/{stored}").status_code == 404


def test_a_removed_account_leaves_nothing(client, create, data, live, key, filled):
    account = live.server.accounts.by_key(key).tenant
    live.server.forget_account(account)
    assert live.server.records.count(account, "herobrain.webhook") == 0
    assert live.server.engine.tenant(f"{account}/herobrain").get([filled["memories"]], _everything()) == []
    assert client.get("/api/v1/memories").status_code == 401


def _everything():
    from onebrain import Scope

    return Scope()


def test_nothing_is_readable_at_rest(tmp_path, receiver, data, create):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'server.db'}",
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
        memory_encryption_key=bytes(range(32)),
        delivery_delays=(600.0,),
    )
    with live_server(settings) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        with httpx.Client(base_url=live.url + "/compat/herobrain", headers=headers) as client:
            receiver.answers = [500] * 3
            hook = {"name": "hookname", "url": receiver.url + "/hookpath", "events": ["memory.created"],
                    "secret": "hooksecret"}  # fmt: skip
            data(client.post("/api/v1/webhooks", json=hook), 201)
            made = create(client, "xylophone quartets", tags=["tagword"], metadata={"metakey": "metaword"})
            # And it waits in the outbox for its next try.
            receiver.next()
            plain = data(client.post("/api/v1/api-keys", json={"name": "k"}), 201)["plainKey"]
            search = {"query": "xylophone"}
            assert data(client.post("/api/v1/memories/search", json=search))["results"][0]["id"] == made["id"]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert len(written) > 10_000
    for word in (
        "xylophone",
        "quartets",
        "tagword",
        "metakey",
        "metaword",
        "hookname",
        "hookpath",
        "hooksecret",
    ):
        assert word.encode() not in written, word
    assert plain.rpartition("_")[2].encode() not in written
    with live_server(settings) as live:
        headers = {"authorization": f"Bearer {plain}"}
        with httpx.Client(base_url=live.url + "/compat/herobrain", headers=headers) as client:
            assert data(client.get("/api/v1/memories"))["memories"] == [made]
