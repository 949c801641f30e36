"""``tenantId``: where it may stand, whose it is, and what happens without it."""

from __future__ import annotations

import uuid

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture
def two(client, create):
    """A memory in each of two tenants."""
    return [create(client, f"about {name}", tenantId=name) for name in ("one", "two")]


def test_tenants_do_not_see_each_other(client, data, errors, two):
    for memory, name, other in ((two[0], "one", "two"), (two[1], "two", "one")):
        path = f"/api/v1/memories/{memory['id']}"
        assert data(client.get(f"/api/v1/memories?tenantId={name}"))["memories"] == [memory]
        search = {"query": "about", "tenantId": name}
        assert [
            hit["id"] for hit in data(client.post("/api/v1/memories/search", json=search))["results"]
        ] == [memory["id"]]
        assert errors(client.get(f"{path}?tenantId={other}"), 404) == [("RESOURCE_NOT_FOUND", None)]
        changed = client.patch(f"{path}?tenantId={other}", json={"content": "stolen"})
        assert errors(changed, 404) == [("RESOURCE_NOT_FOUND", None)]
        assert errors(client.delete(f"{path}?tenantId={other}"), 404) == [("RESOURCE_NOT_FOUND", None)]
        assert data(client.get(path)) == memory


def test_without_a_tenant_the_accounts_keys_see_all(client, data, create, two, live, key):
    mine = create(client, "about nobody")
    assert {row["id"] for row in data(client.get("/api/v1/memories"))["memories"]} == {
        memory["id"] for memory in (*two, mine)
    }
    account = live.server.accounts.by_key(key).account.id
    assert data(client.get(f"/api/v1/memories?tenantId={account}"))["memories"] == [mine]


def test_a_tenant_may_stand_in_query_or_body(client, data, create):
    made = data(
        client.post(
            "/api/v1/memories?tenantId=one", json={"content": "x", "type": "task", "tenantId": "one"}
        ),
        201,
    )
    data(client.post("/api/v1/memories?tenantId=one", json={"content": "y", "type": "task"}), 201)
    assert data(client.get("/api/v1/memories?tenantId=one"))["pagination"]["total"] == 2
    path = f"/api/v1/memories/{made['id']}"
    assert data(client.patch(path, json={"importance": 1, "tenantId": "one"}))["importance"] == 1
    found = data(client.post("/api/v1/memories/search?tenantId=two", json={"query": "x"}))
    assert found["results"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/memories", {"content": "x", "type": "task"}),
        ("POST", "/api/v1/memories/search", {"query": "x"}),
        ("PATCH", "/api/v1/memories/m", {}),
        ("POST", "/api/v1/api-keys", {"name": "k"}),
        ("POST", "/api/v1/api-keys/revoke", {"keyId": "k"}),
        ("POST", "/api/v1/webhooks", {"name": "w", "url": "http://localhost:1", "events": ["memory.created"],
                                      "secret": "s"}),
        ("POST", "/api/v1/intelligence/decision-chain", {"topic": "x"}),
        ("POST", "/api/v1/intelligence/implicit-patterns", {}),
    ],
)  # fmt: skip
def test_two_tenants_in_one_request_are_refused(client, data, errors, method, path, body):
    answer = client.request(method, f"{path}?tenantId=one", json={**body, "tenantId": "two"})
    assert errors(answer, 403) == [("TENANT_MISMATCH", None)]
    assert data(client.get("/api/v1/memories"))["memories"] == []
    assert data(client.get("/api/v1/webhooks")) == []


def test_the_id_of_another_account_is_not_a_tenant(client, create, live, stranger, errors):
    create(stranger)
    other = live.server.accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en").id
    assert errors(client.get(f"/api/v1/memories?tenantId={other}"), 403) == [("TENANT_MISMATCH", None)]
    answer = client.post("/api/v1/memories", json={"content": "x", "type": "task", "tenantId": other})
    assert errors(answer, 403) == [("TENANT_MISMATCH", None)]
    assert errors(client.get(f"/api/v1/usage/metrics/{other}"), 403) == [("TENANT_MISMATCH", None)]


def test_a_key_of_one_tenant_knows_no_other(client, minted, data, errors, two):
    one = minted(tenantId="one")
    assert data(one.get("/api/v1/memories"))["memories"] == [two[0]]
    assert data(one.get("/api/v1/memories?tenantId=one"))["memories"] == [two[0]]
    assert errors(one.get("/api/v1/memories?tenantId=two"), 403) == [("TENANT_MISMATCH", None)]
    assert errors(one.get(f"/api/v1/memories/{two[1]['id']}"), 404) == [("RESOURCE_NOT_FOUND", None)]
    assert (
        data(one.post("/api/v1/memories/search", json={"query": "about"}))["results"][0]["id"] == two[0]["id"]
    )
    made = data(one.post("/api/v1/memories", json={"content": "more", "type": "task"}), 201)
    assert data(client.get(f"/api/v1/memories/{made['id']}?tenantId=one")) == made


@pytest.mark.parametrize("tenant", ["user,12345:x=%", "münchen", "a b", "😀" * 20])
def test_a_tenants_name_may_be_any_text(minted, create, data, tenant):
    client = minted(tenantId=tenant)
    made = create(client)
    assert data(client.get("/api/v1/memories", params={"tenantId": tenant}))["memories"] == [made]


def test_a_name_too_long_for_a_key_is_refused(client, errors):
    answer = client.post("/api/v1/api-keys", json={"name": "k", "tenantId": "x" * 301})
    assert errors(answer, 400) == [("VALIDATION_ERROR", "tenantId")]


def test_strict_mode_asks_for_what_the_reference_requires(errors, data, create):
    with live_server(
        Settings(database_url="sqlite://", rate_limit_max=0, log_level="error", strict=True)
    ) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        with httpx.Client(base_url=live.url + "/compat/herobrain", headers=headers) as client:
            for method, path, body in (
                ("POST", "/api/v1/memories", {"content": "x", "type": "task"}),
                ("GET", "/api/v1/memories", None),
                ("GET", "/api/v1/memories/m", None),
                ("POST", "/api/v1/memories/search", {"query": "x"}),
                ("POST", "/api/v1/api-keys", {"name": "k"}),
                ("POST", "/api/v1/api-keys/revoke", {"keyId": "k"}),
                ("POST", "/api/v1/intelligence/decision-chain", {"topic": "x"}),
                ("POST", "/api/v1/intelligence/implicit-patterns", {}),
            ):
                answer = client.request(method, path, **({} if body is None else {"json": body}))
                assert errors(answer, 400) == [("VALIDATION_ERROR", "tenantId")], path
            made = create(client, tenantId="one")
            # The reference shows these without a tenant.
            assert data(client.patch(f"/api/v1/memories/{made['id']}", json={})) == made
            assert data(client.get("/api/v1/webhooks")) == []
