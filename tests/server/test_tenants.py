"""Another tenant's id gives 404 on every route that takes one, and changes nothing."""

from __future__ import annotations

import re

import pytest

from onebrain_server.dialects.onebrain import dialect


def fill(client):
    """Make one of everything and return the ids by the name of their resource."""

    def made(path, **body):
        answer = client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    memory = made("/v1/memory", body="Maria prefers window seats", tags=["travel"])["id"]
    entity = made("/v1/entities", name="Maria", type="person")["id"]
    other = made("/v1/entities", name="Acme", type="organization")["id"]
    project = made("/v1/projects", name="Apollo")["id"]
    tag = made("/v1/tags", name="home")["id"]
    made(f"/v1/memory/{memory}/tags", tagId=tag)
    return {
        "memory": memory,
        "entities": entity,
        "other": other,
        "projects": project,
        "tags": tag,
        "skills": made("/v1/skills", title="Deploy", body="Run make deploy")["id"],
        "schedules": made(
            "/v1/briefings/schedules", type="morning", cronExpression="0 8 * * *", channels=["in_app"]
        )["id"],
        "triggers": made("/v1/briefings/triggers", eventType="candidate_threshold", channels=["in_app"])[
            "id"
        ],
        "connections": made("/v1/connect/connections", agentName="bot")["connectionId"],
        "api-keys": made("/v1/api-keys", name="k", scopes=["brain.read"])["id"],
        "links": made(f"/v1/entities/{entity}/links", memoryItemId=memory, linkType="about")["id"],
        "memory-links": made(f"/v1/projects/{project}/memory-links", memoryItemId=memory, linkType="context")[
            "id"
        ],
        "relations": made(f"/v1/entities/{entity}/relations", targetId=other, relation="works_at")["id"],
    }


BODIES = {
    "POST /v1/memory/{id}/tags": lambda ids: {"tagId": ids["tags"]},
    "POST /v1/entities/{id}/links": lambda ids: {"memoryItemId": ids["memory"], "linkType": "x"},
    "POST /v1/entities/{id}/relations": lambda ids: {"targetId": ids["other"], "relation": "x"},
    "POST /v1/projects/{id}/memory-links": lambda ids: {"memoryItemId": ids["memory"], "linkType": "x"},
    "POST /v1/connect/connections/{id}/sync": lambda ids: {"memories": [{"body": "stolen"}]},
    "POST /v1/agents/{id}/candidates": lambda ids: {"action": "approve"},
    "POST /v1/skills/{id}/feedback": lambda ids: {"eventType": "applied"},
    "POST /v1/skills/{id}/execute": lambda ids: {"input": "x"},
    "POST /v1/briefings/{id}/engagement": lambda ids: {"action": "opened"},
    "PATCH /v1/api-keys/{id}/trust": lambda ids: {"trustLevel": "trusted"},
    "PATCH /v1/api-keys/{id}": lambda ids: {"isActive": False},
    "PATCH /v1/memory/{id}": lambda ids: {"body": "stolen"},
    "PATCH /v1/entities/{id}": lambda ids: {"name": "stolen"},
    "PATCH /v1/projects/{id}": lambda ids: {"name": "stolen"},
    "PATCH /v1/skills/{id}": lambda ids: {"title": "stolen"},
}
RESOURCES = {"agents": "api-keys", "sessions": "sessions"}
# A word or a date, no one's id.
FREE = {"/v1/context/{scope}", "/v1/briefings/daily/{date}"}
ROUTES = [
    operation for operation in dialect.operations if operation.parameters and operation.path not in FREE
]


def path_of(operation, ids):
    """Return a route's path with the owner's ids in it."""
    segments = operation.path.split("/")
    for place, segment in enumerate(segments):
        if segment.startswith("{"):
            name = segments[place - 1]
            segments[place] = (
                "1"
                if name == "rollback"
                else ids.get(RESOURCES.get(name, name), "00000000-0000-4000-8000-000000000000")
            )
    return "/".join(segments)


def everything(client):
    """Return all that an account can see of its own."""
    exported = client.get("/v1/export/json").json()["data"]
    exported.pop("exportedAt")
    lists = [
        client.get(path).json()["data"]
        for path in (
            "/v1/api-keys",
            "/v1/briefings/schedules",
            "/v1/briefings/triggers",
            "/v1/connect/connections",
        )
    ]
    for key in lists[0]:
        key.pop("lastUsedAt")
    return [exported, *lists]


@pytest.fixture(scope="module")
def owner(onebrain_server):
    import httpx

    key = onebrain_server.account("owner-of-things@example.com")
    with httpx.Client(base_url=onebrain_server.url, headers={"authorization": f"ApiKey {key}"}) as client:
        yield client, fill(client)


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: f"{operation.method} {operation.path}")
def test_anothers_id_is_not_found_and_nothing_changes(operation, owner, stranger):
    client, ids = owner
    before = everything(client)
    body = BODIES.get(f"{operation.method} {operation.path}", lambda ids: {})(ids)
    options = {"json": body} if operation.method in ("POST", "PATCH", "PUT") else {}
    answer = stranger.request(operation.method, path_of(operation, ids), **options)
    assert answer.status_code == 404, answer.text
    assert not re.search("stolen|window seats", answer.text)
    assert everything(client) == before


def test_the_owner_reaches_what_the_stranger_does_not(owner):
    client, ids = owner
    for name in ("memory", "entities", "projects", "skills"):
        assert client.get(f"/v1/{name}/{ids[name]}").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/memory", lambda ids: {"body": "x", "entityId": ids["entities"]}),
        ("/v1/memory", lambda ids: {"body": "x", "projectId": ids["projects"]}),
        ("/v1/memory/search", lambda ids: {"query": "x", "entityId": ids["entities"]}),
        ("/v1/entities/merge", lambda ids: {"keepId": ids["entities"], "removeId": ids["other"]}),
        ("/v1/entities/auto-extract", lambda ids: {"memoryId": ids["memory"]}),
    ],
)
def test_anothers_id_in_a_body_reaches_nothing(path, body, owner, stranger):
    client, ids = owner
    before = everything(client)
    answer = stranger.post(path, json=body(ids))
    assert answer.status_code in (400, 404)
    assert everything(client) == before


def test_lists_searches_and_contexts_show_one_tenant(owner, stranger):
    client, _ = owner
    assert client.post("/v1/memory/search", json={"query": "window seats"}).json()["data"]["results"]
    for answer in (
        stranger.get("/v1/memory"),
        stranger.post("/v1/memory/search", json={"query": "window seats"}),
        stranger.post("/v1/memory/lookup", json={"ids": [owner[1]["memory"]]}),
        stranger.post("/v1/memory/query", json={}),
        stranger.get("/v1/context/deep"),
        stranger.get("/v1/connect/delta?since=2020-01-01T00:00:00Z"),
        stranger.get("/v1/entities/graph"),
        stranger.get("/v1/export/json"),
        stranger.get("/v1/user/export"),
        stranger.get("/v1/agents/activity"),
    ):
        assert answer.status_code == 200
        assert "window seats" not in answer.text
        assert "Apollo" not in answer.text


def test_a_client_id_of_another_tenant_is_free(client, stranger):
    for one, text in ((client, "mine"), (stranger, "yours")):
        assert one.post("/v1/memory", json={"id": "shared-id", "body": text}).status_code == 201
    assert client.get("/v1/memory/shared-id").json()["data"]["body"] == "mine"
    assert stranger.delete("/v1/memory/shared-id").status_code == 204
    assert client.get("/v1/memory/shared-id").status_code == 200
