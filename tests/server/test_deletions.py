"""No route deletes everything because a condition is empty, missing or always true; each route that deletes has a row."""

from __future__ import annotations

import re

import httpx
import pytest

from onebrain_server.dialects import DIALECTS

DELETING = re.compile(
    r"archive|clear|consolidate|dedup|delete|dismiss|drop|empty|erase|expire|forget|gc\b|merge|prune|purge|remove|reset"
    r"|revoke|rotate|unlink|unsubscribe|wipe"
)
V1, AI, HERO, MEMORY = (
    "/v1",
    "/compat/ai-memory/api/v1",
    "/compat/herobrain/api/v1",
    "/compat/rememberos/v1/memory",
)
IN_COLLECTION = f"{MEMORY}/collections/{{collection}}"
# What names what it deletes by something other than the end of its path, and why it needs no condition.
NAMED = {
    ("POST", f"{V1}/memory/consolidate"): "archives what another memory says as well",
    ("POST", f"{V1}/memory/expire"): "archives what is older than a number of days",
    ("POST", f"{V1}/merge/run"): "reviews candidates",
    ("POST", f"{V1}/merge/rollback/{{version}}"): "goes back to a version",
    ("POST", f"{AI}/gc"): "removes what has expired",
    ("POST", f"{AI}/memories/{{id}}/revoke"): "a grant on one memory",
    ("POST", f"{IN_COLLECTION}/dedup"): "shows duplicates, or archives all but one of each",
    ("POST", f"{IN_COLLECTION}/memories/{{id}}/archive"): "one memory",
    ("POST", f"{IN_COLLECTION}/archive-stale"): "archives what is older than a number of days",
    ("POST", f"{IN_COLLECTION}/drop"): "takes files in",
    ("POST", f"{IN_COLLECTION}/drop/presign"): "takes a file in",
    ("POST", f"{IN_COLLECTION}/drop/complete"): "takes a file in",
    ("POST", f"{MEMORY}/admin/rotate-key"): "the key that asks",
    ("POST", f"{MEMORY}/email/address/rotate"): "one address",
    ("DELETE", f"{MEMORY}/webhook/config"): "one setting",
    ("DELETE", f"{MEMORY}/storage/config"): "one setting",
    ("DELETE", f"{MEMORY}/database/config"): "one setting",
    ("DELETE", f"{MEMORY}/extraction/config"): "one setting",
}
NOTHING = [None, "", [], {}]
ALWAYS = [
    {},
    {"$and": [{}]},
    {"$or": [{}, {"n": 1}]},
    {"n": {"$nin": []}},
    {"$or": [{"n": 1}, {"n": {"$ne": 1}}]},
    {"$content": {"$like": "%"}},
    {"$id": {"$gte": ""}},
    {"$user": {"$ne": ""}},
    {"$archived": {"$in": [True, False]}},
]
NOTHING_GONE = re.compile(r'"(?:count|deleted|removed|revoked)":(?:0|false)\b')
SCOPED = {"scope": {"user": "maria"}}


def each(*names):
    """Bodies in which every one of `names` is empty in turn, or all are, or none is there."""
    return [{}, *({name: nothing} for name in names for nothing in NOTHING), dict.fromkeys(names, "")]


# The bodies (or, for DELETE, query strings) with which a route must delete nothing.
CONDITIONAL = {
    ("POST", f"{V1}/memory/forget"): [
        *each("ids", "scope", "filter"),
        *({"filter": always} for always in ALWAYS),
        *({"filter": always, **SCOPED} for always in ALWAYS),
        {"filter": {}, "scope": {"user": None}},
        {"ids": [], **SCOPED},
    ],
    ("POST", f"{V1}/user/delete"): each("email", "confirm", "confirmation", "password"),
    ("POST", f"{V1}/entities/merge"): each("sourceId", "targetId", "keepId", "removeId"),
    ("POST", f"{AI}/forget"): [*each("namespace", "pattern", "tier"), {"pattern": " "}, {"namespace": "", "tier": ""}],
    ("DELETE", f"{AI}/links"): each("source_id", "target_id"),
    ("DELETE", f"{AI}/subscriptions"): each("id"),
    ("POST", f"{HERO}/api-keys/revoke"): each("keyId", "key_id", "id"),
    ("POST", f"{IN_COLLECTION}/forget"): [*each("query"), {"query": " "}, {"query": "", "min_score": 0, "limit": 1000}],
    ("DELETE", f"{MEMORY}/keys"): each("id"),
    ("POST", f"{MEMORY}/admin/delete-account"): each("confirm"),
}  # fmt: skip


def test_every_route_that_deletes_has_a_row():
    found = {
        (operation.method, operation.path)
        for dialect in DIALECTS
        for operation in dialect.operations
        if operation.method not in ("GET", "HEAD")
        and (
            operation.method == "DELETE"
            or DELETING.search(operation.path.removeprefix(dialect.prefix))
            or DELETING.search(operation.function.__name__)
        )
        # One thing by its id.
        and not (operation.method == "DELETE" and operation.path.endswith("}"))
    }
    rows = set(CONDITIONAL) | set(NAMED)
    assert found - rows == set()
    assert rows - found == set()


@pytest.fixture
def client(onebrain_server, onebrain_api_key):
    headers = {"authorization": f"Bearer {onebrain_api_key}", "x-api-key": onebrain_api_key}
    with httpx.Client(base_url=onebrain_server.url, headers=headers, timeout=60) as client:
        yield client


def count(client):
    own = client.post("/v1/memory/count", json={}).json()["data"]["count"]
    other = client.get(f"{AI}/stats").json()
    third = client.get(f"{MEMORY}/collections/notes/memories").json()
    return own, other.get("total", other), len(third)


def test_an_empty_condition_deletes_nothing(client):
    stored = [
        client.post("/v1/memory", json={"body": "Maria likes tea", "metadata": {"n": 1}}),
        client.post("/v1/memory/import", json={"items": [{"body": "scoped", "scope": {"user": "maria"}}]}),
        client.post(f"{AI}/memories", json={"title": "tea", "content": "Maria likes tea"}),
        client.post(f"{MEMORY}/collections", json={"name": "notes"}),
        client.post(f"{MEMORY}/collections/notes/memories", json={"text": "Maria likes tea"}),
    ]
    assert {answer.status_code for answer in stored} <= {200, 201, 207}, [answer.text for answer in stored]
    before = count(client)
    assert before[0] == 2
    for (method, path), bodies in CONDITIONAL.items():
        for body in bodies:
            sent = {"params": body} if method == "DELETE" and "links" not in path else {"json": body}
            answer = client.request(method, path.replace("{collection}", "notes"), **sent)
            refused = 400 <= answer.status_code < 500
            assert refused or NOTHING_GONE.search(answer.text), (path, body, answer.text)
    assert count(client) == before


def test_a_filter_that_always_holds_says_how_to_delete_all_of_a_scope(client):
    answer = client.post("/v1/memory/forget", json={"filter": {}, **SCOPED})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "leave it out" in answer.text
    assert client.post("/v1/memory/forget", json=SCOPED).status_code == 200
