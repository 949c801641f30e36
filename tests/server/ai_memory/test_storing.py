"""Storing: titles that are unique in their namespace, what is kept as it was given, and what is refused."""

from __future__ import annotations

import threading
import uuid

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


def test_texts_come_back_byte_for_byte(http, store):
    given = {
        "title": " Ünïcode — ‮ title ",
        "content": "\n  line\n\n\tindented   \n\ntitle\nx y\n",
        "tags": ["a b", "a b", "ß", " x "],
        "metadata": {"nested": {"list": [1, None, "\u0000"]}, "n": 1.5},
    }
    row = http.get(f"/memories/{store(**given)['id']}").json()["memory"]
    assert (row["title"], row["content"]) == (given["title"], given["content"])
    assert row["tags"] == ["a b", "ß", " x "]
    assert row["metadata"].items() >= given["metadata"].items()


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "x" * 513},
        {"title": "a\u0007b"},
        {"content": " "},
        {"content": "x" * 65537},
        {"namespace": "a//b"},
        {"namespace": "/".join("abcdefghi")},
        {"namespace": "_agents"},
        {"source": "nobody"},
        {"tags": ["x"] * 51},
        {"tags": [""]},
        {"priority": 11},
        {"priority": 0},
        {"confidence": 1.1},
        {"ttl_secs": 0},
        {"ttl_secs": 31_536_001},
        {"expires_at": "tomorrow"},
        {"expires_at": ""},
        {"metadata": {"x": "y" * 65536}},
        {"metadata": {"agent_id": 7}},
        {"agent_id": "not an agent"},
        {"scope": "galaxy"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_allowed_is_refused_by_its_name(http, fields):
    answer = http.post("/memories", json={"title": "t", "content": "x", **fields})
    assert answer.status_code == 400
    assert next(iter(fields)) in answer.json()["error"]
    assert http.get("/memories").json()["count"] == 0


def test_a_scope_and_an_agent_may_stand_in_the_metadata(http, store):
    id = store("t", metadata={"scope": "team", "agent_id": "ai:me", "year": 2026})["id"]
    expected = {"scope": "team", "agent_id": "ai:me", "year": 2026}
    assert http.get(f"/memories/{id}").json()["memory"]["metadata"] == expected
    assert http.get("/memories", params={"agent_id": "ai:me"}).json()["count"] == 1
    changed = http.put(f"/memories/{id}", json={"metadata": {"agent_id": "ai:thief"}}).json()
    assert changed["metadata"] == {"agent_id": "ai:me"}


def test_a_scope_in_the_metadata_must_be_one_that_there_is(http):
    answer = http.post("/memories", json={"title": "t", "content": "x", "metadata": {"scope": "galaxy"}})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("scope: ")


def test_the_body_names_the_agent_before_the_header(http, store):
    answer = http.post(
        "/memories",
        json={"title": "t", "content": "x", "agent_id": "ai:body"},
        headers={"x-agent-id": "ai:header"},
    )
    assert answer.json()["agent_id"] == "ai:body"


def test_versions_are_numbered(http, store):
    assert [store("t", on_conflict="version")["title"] for _ in range(4)] == ["t", "t (2)", "t (3)", "t (4)"]
    assert store("x" * 512)["title"] == "x" * 512
    long = http.post("/memories", json={"title": "x" * 512, "content": "x", "on_conflict": "version"})
    assert long.status_code == 400


def test_the_same_title_in_another_namespace_is_another_memory(http, store):
    assert store("t")["id"] != store("t", namespace="other")["id"]
    assert store("t")["id"] != store("T")["id"]


def test_bulk_merges_with_what_is_there_and_within_itself(http, store):
    id = store("a", priority=9, agent_id="ai:me")["id"]
    rows = [{"title": title, "content": f"{title}{n}"} for n in range(3) for title in ("a", "b")]
    assert http.post("/memories/bulk", json=rows).json() == {"created": 6, "errors": []}
    found = {row["title"]: row for row in http.get("/memories").json()["memories"]}
    assert {title: row["content"] for title, row in found.items()} == {"a": "a2", "b": "b2"}
    assert (found["a"]["id"], found["a"]["priority"]) == (id, 9)
    assert found["a"]["metadata"]["agent_id"] == "ai:me"


def test_one_title_stored_by_many_at_once_is_one_memory(http, client_of, key):
    clients = [client_of(key) for _ in range(8)]
    ids = []

    def run(client):
        for _ in range(5):
            ids.append(client.post("/memories", json={"title": "same", "content": "x"}).json()["id"])

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 40
    assert len(set(ids)) == 1
    assert http.get("/memories").json()["count"] == 1


def test_recalling_and_sharing_at_once_lose_nothing_of_each_other(http, client_of, key, store):
    id = store("lighthouse", agent_id="ai:owner")["id"]
    statuses = []

    def recall(client):
        for _ in range(10):
            statuses.append(client.post("/recall", json={"context": "lighthouse"}).status_code)

    def grant(client):
        for n in range(10):
            body = {"agent_id": f"ai:{n}"}
            statuses.append(client.post(f"/memories/{id}/grant", json=body).status_code)
            gone = client.post("/memories", json={"title": f"lighthouse {n}", "content": "x"}).json()["id"]
            statuses.append(client.delete(f"/memories/{gone}").status_code)

    threads = [threading.Thread(target=recall, args=(client_of(key),)) for _ in range(3)]
    threads.append(threading.Thread(target=grant, args=(client_of(key),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert http.get(f"/memories/{id}").json()["memory"]["access_count"] == 30
    for n in range(10):
        reader = http.post("/keys", json={"agent_id": f"ai:{n}"}).json()["api_key"]
        assert http.get(f"/memories/{id}", headers={"x-api-key": reader}).status_code == 200


def test_a_memory_may_keep_its_title_when_it_is_changed(http, store):
    id = store("t")["id"]
    assert http.put(f"/memories/{id}", json={"title": "t", "content": "new"}).status_code == 200


def test_a_memory_that_moves_takes_everything_with_it(http, store):
    other = store("other")["id"]
    id = store("t", tags=["x"], agent_id="ai:me", scope="team")["id"]
    http.post("/links", json={"source_id": id, "target_id": other})
    http.post("/recall", json={"context": "t", "tags": "x"})
    before = http.get(f"/memories/{id}").json()
    moved = http.put(f"/memories/{id}", json={"namespace": "elsewhere"}).json()
    changed = {"namespace": "elsewhere", "updated_at": moved["updated_at"]}
    assert moved == {**before["memory"], **changed}
    assert http.get(f"/memories/{id}").json() == {"memory": moved, "links": before["links"]}
    assert http.get("/memories", params={"namespace": "global"}).json()["count"] == 1


def test_a_deleted_memory_takes_its_links_along(http, store):
    one, two = store("one")["id"], store("two")["id"]
    http.post("/links", json={"source_id": one, "target_id": two})
    http.post("/links", json={"source_id": two, "target_id": one})
    assert len(http.get(f"/links/{one}").json()["links"]) == 2
    http.delete(f"/memories/{two}")
    assert http.get(f"/links/{one}").json() == {"links": []}
    assert http.get("/stats").json()["links_count"] == 0


def test_forgotten_memories_take_their_links_along(http, store):
    ids = [store(f"t{n}", namespace="old")["id"] for n in range(3)]
    kept = store("kept")["id"]
    for id in ids:
        http.post("/links", json={"source_id": kept, "target_id": id})
    assert http.post("/forget", json={"namespace": "old"}).json() == {"deleted": 3}
    assert http.get(f"/links/{kept}").json() == {"links": []}


# ---- import -------------------------------------------------------------------------------------------------------------


def whole(**fields):
    return {"id": str(uuid.uuid4()), "title": "t", "content": "x", **fields}


def imported(http, *rows, links=()):
    answer = http.post("/import", json={"memories": list(rows), "links": list(links)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_import_keeps_ids_dates_and_counts(http):
    row = whole(
        tier="short",
        namespace="a/b",
        tags=["x"],
        priority=2,
        confidence=0.25,
        source="user",
        access_count=4,
        created_at="2020-01-01T00:00:00+00:00",
        updated_at="2021-01-01T00:00:00+00:00",
        last_accessed_at="2022-01-01T00:00:00+00:00",
        metadata={"agent_id": "ai:me", "scope": "team", "n": 1},
    )
    assert imported(http, row) == {"imported": 1, "errors": []}
    assert http.get(f"/memories/{row['id']}").json()["memory"] == row


def test_an_import_merges_by_title_and_links_lead_to_the_older_memory(http, store):
    old = store("t")["id"]
    one, two = whole(content="new"), whole(title="u")
    link = {"source_id": one["id"], "target_id": two["id"], "created_at": "2020-01-01T00:00:00+00:00"}
    assert imported(http, one, two, links=[link]) == {"imported": 2, "errors": []}
    assert http.get(f"/memories/{one['id']}").status_code == 404
    found = http.get(f"/memories/{old}").json()
    assert found["memory"]["content"] == "new"
    assert found["links"] == [{**link, "source_id": old, "relation": "related_to"}]


def test_an_import_reports_what_it_leaves_out(http, store):
    there = store("there")["id"]
    bad, twice = whole(title=" "), whole(title="fine")
    done = imported(
        http,
        bad,
        whole(id=there, title="another title"),
        twice,
        {**twice, "title": "once more"},
        links=[
            {"source_id": there, "target_id": "nowhere"},
            {"source_id": there, "target_id": there},
            {"source_id": there, "target_id": twice["id"], "relation": "likes"},
        ],
    )
    assert done["imported"] == 1
    assert done["errors"] == [
        f"{bad['id']}: title: must not be blank",
        f"{there}: UNIQUE constraint failed: memories.id",
        f"{twice['id']}: UNIQUE constraint failed: memories.id",
        f"{there} -> nowhere: one of its memories is not there",
        f"{there} -> {there}: a memory cannot be linked to itself",
        f"{there} -> {twice['id']}: relation: must be one of related_to, supersedes, contradicts, derived_from",
    ]


def test_an_import_takes_at_most_a_thousand(http):
    answer = http.post("/import", json={"memories": [whole(title=f"t{n}") for n in range(1001)]})
    assert answer.status_code == 400
    assert answer.json()["error"] == "memories: Array must contain at most 1000 element(s)"


def test_an_export_of_anonymous_memories_comes_back_as_anonymous(http, stranger, store):
    agent_id = store("t")["agent_id"]
    imported(stranger, *http.get("/export").json()["memories"])
    [row] = stranger.get("/memories").json()["memories"]
    assert row["metadata"]["agent_id"] == agent_id
    key = stranger.post("/keys", json={"agent_id": "ai:reader"}).json()["api_key"]
    assert stranger.get(f"/memories/{row['id']}", headers={"x-api-key": key}).status_code == 200


def test_in_strict_mode_a_taken_title_is_refused_unless_the_request_says_otherwise():
    settings = Settings(database_url="sqlite://", rate_limit_max=0, log_level="error", strict=True)
    with (
        live_server(settings) as live,
        httpx.Client(base_url=live.url + "/compat/ai-memory/api/v1", headers={"x-api-key": live.key}) as http,
    ):
        body = {"title": "t", "content": "x"}
        id = http.post("/memories", json=body).json()["id"]
        refused = http.post("/memories", json=body)
        assert (refused.status_code, refused.json()["existing_id"]) == (409, id)
        assert http.post("/memories", json={**body, "on_conflict": "merge"}).json()["id"] == id
