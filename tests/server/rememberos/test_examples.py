"""Every request that the API reference shows for memories, over a socket, and the documented shape of its answer."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

NUMBER = (int, float)
DOCUMENTED = {
    "id": str, "text": str, "importance": NUMBER, "category": str, "source": str, "metadata": dict,
    "images": list, "created_at": str, "updated_at": str,
}  # fmt: skip
MEMORY = {**DOCUMENTED, "created_by": dict, "pinned": bool, "archived": bool}
HIT = {name: kind for name, kind in DOCUMENTED.items() if name != "updated_at"} | {"score": NUMBER}
FOUND = {"results": list, "query_embedding_ms": NUMBER, "search_ms": NUMBER, "cached": bool}
C = "/memory/collections"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def shaped(answer, shape):
    """Whether an object has the documented keys, each of the documented type."""
    for name, kind in shape.items():
        assert name in answer, name
        assert isinstance(answer[name], kind), (name, answer[name])
        assert kind is not NUMBER or not isinstance(answer[name], bool), name
    return True


def asked(client, method, path, body=None, status=200):
    answer = client.request(method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    return answer.json()


@pytest.fixture
def memory(add):
    return add("Maria prefers window seats", category="preference", metadata={"trip": {"year": 2026}})


# ---- collections ------------------------------------------------------------------------------------------------------


def test_collections(client):
    shape = {"name": str, "metadata": dict, "memory_count": int}
    made = asked(client, "POST", C, {"name": "notes", "description": "d", "metadata": {"a": 1}}, 201)
    assert shaped(made, shape)
    assert (made["name"], made["description"], made["metadata"], made["memory_count"]) == (
        "notes",
        "d",
        {"a": 1},
        0,
    )
    listed = asked(client, "GET", C)
    assert isinstance(listed, list)
    assert listed == [made]
    assert asked(client, "GET", f"{C}/notes") == made
    changed = asked(client, "PUT", f"{C}/notes", {"description": "other"})
    assert (changed["description"], changed["metadata"]) == ("other", {"a": 1})
    asked(client, "DELETE", f"{C}/notes")
    assert asked(client, "GET", f"{C}/notes", status=404) == {"detail": "Collection not found"}


def test_a_collection_is_made_by_the_first_write_and_counts_its_memories(client, add):
    add("one", "fresh")
    add("two", "fresh")
    [listed] = asked(client, "GET", C)
    assert (listed["name"], listed["memory_count"]) == ("fresh", 2)


def test_deleting_a_collection_deletes_its_memories(client, add, memory):
    asked(client, "DELETE", f"{C}/notes")
    assert asked(client, "POST", "/memory/search", {"query": "window seats"})["results"] == []
    add("another")
    assert [row["text"] for row in asked(client, "GET", f"{C}/notes/memories")] == ["another"]


# ---- memories ---------------------------------------------------------------------------------------------------------


def test_create_as_the_reference_shows_it(client):
    body = {
        "text": "…",
        "importance": 0.7,
        "category": "other",
        "source": "api",
        "metadata": {},
        "container_tag": None,
    }
    made = asked(client, "POST", f"{C}/notes/memories", body, 201)
    assert shaped(made, MEMORY)
    assert {name: made[name] for name in body} == body
    assert made["images"] == []
    assert made["created_by"]["label"] == "test"
    assert MOMENT.fullmatch(made["created_at"])
    assert made["created_at"] == made["updated_at"]
    assert (made["pinned"], made["archived"]) == (False, False)


def test_defaults_are_those_of_the_reference(add):
    made = add("x")
    assert (made["importance"], made["category"], made["source"], made["metadata"]) == (
        0.7,
        "other",
        "api",
        {},
    )


def test_one_memory_and_its_list(client, memory):
    assert asked(client, "GET", f"{C}/notes/memories/{memory['id']}") == memory
    assert asked(client, "GET", f"{C}/notes/memories?limit=200&offset=0") == [memory]


def test_lists_are_paged_newest_first_with_pinned_ones_before(client, add):
    ids = [add(f"number {n}")["id"] for n in range(6)]
    for place in (1, 3):
        asked(client, "POST", f"{C}/notes/memories/{ids[place]}/pin", {"pinned": True})
    wanted = [ids[place] for place in (3, 1, 5, 4, 2, 0)]
    for size in (1, 2, 3, 4, 200):
        found = []
        while rows := asked(client, "GET", f"{C}/notes/memories?limit={size}&offset={len(found)}"):
            assert len(rows) <= size
            found.extend(row["id"] for row in rows)
        assert found == wanted, size


def test_related(client, add, memory):
    near, far = add("Maria likes to sit at the window"), add("The database runs on port 5432")
    answer = asked(client, "GET", f"{C}/notes/memories/{memory['id']}/related?limit=5&min_score=0.0")
    assert all(shaped(row, HIT) for row in answer["results"])
    assert [row["id"] for row in answer["results"]] == [near["id"], far["id"]]
    answer = asked(client, "GET", f"{C}/notes/memories/{memory['id']}/related?limit=5&min_score=0.4")
    assert [row["id"] for row in answer["results"]] == [near["id"]]


@pytest.mark.parametrize(
    "changes",
    [{"text": "new"}, {"importance": 0.1}, {"category": "travel"}, {"metadata": {"only": True}}],
)
def test_patch(client, memory, changes):
    changed = asked(client, "PATCH", f"{C}/notes/memories/{memory['id']}", changes)
    assert changed == {**memory, **changes, "updated_at": changed["updated_at"]}
    assert asked(client, "GET", f"{C}/notes/memories/{memory['id']}") == changed


def test_a_patched_text_is_found_by_its_new_meaning(client, memory):
    asked(client, "PATCH", f"{C}/notes/memories/{memory['id']}", {"text": "Maria drinks green tea"})
    search = {"query": "tea", "mode": "vector", "min_score": 0.4}
    assert asked(client, "POST", f"{C}/notes/search", search)["results"][0]["id"] == memory["id"]
    search["query"] = "window seats"
    assert asked(client, "POST", f"{C}/notes/search", search)["results"] == []


def test_move_makes_the_target_and_keeps_everything(client, memory):
    asked(client, "POST", f"{C}/notes/memories/{memory['id']}/pin", {"pinned": True})
    moved = asked(client, "POST", f"{C}/notes/memories/{memory['id']}/move", {"to_collection": "other"})
    assert moved == {**memory, "collection": "other", "pinned": True, "updated_at": moved["updated_at"]}
    assert asked(client, "GET", f"{C}/other/memories/{memory['id']}") == moved
    asked(client, "GET", f"{C}/notes/memories/{memory['id']}", status=404)
    assert asked(client, "POST", f"{C}/other/search", {"query": "window"})["results"][0]["id"] == memory["id"]


def test_delete(client, memory):
    asked(client, "DELETE", f"{C}/notes/memories/{memory['id']}")
    assert asked(client, "DELETE", f"{C}/notes/memories/{memory['id']}", status=404) == {
        "detail": "Memory not found"
    }


def test_bulk_takes_up_to_a_hundred_in_order(client):
    made = asked(client, "POST", f"{C}/notes/memories/bulk", [{"text": f"n {n}"} for n in range(100)], 201)
    assert made["created"] == 100
    rows = asked(client, "GET", f"{C}/notes/memories?limit=200")
    assert [(row["id"], row["text"]) for row in reversed(rows)] == [
        (id, f"n {n}") for n, id in enumerate(made["ids"])
    ]
    asked(client, "POST", f"{C}/notes/memories/bulk", [{"text": "x"}] * 101, 400)
    asked(client, "POST", f"{C}/notes/memories/bulk", [], 400)
    refused = asked(client, "POST", f"{C}/notes/memories/bulk", [{"text": "x"}, {"text": ""}], 400)
    assert refused["detail"].startswith("1.text: ")
    assert len(asked(client, "GET", f"{C}/notes/memories?limit=200")) == 100


def test_forget_deletes_what_matches_in_meaning(client, add, memory):
    kept = add("The database runs on port 5432")
    answer = asked(
        client, "POST", f"{C}/notes/forget", {"query": "window seats", "min_score": 0.5, "limit": 10}
    )
    assert answer == {"deleted": 1, "ids": [memory["id"]]}
    assert [row["id"] for row in asked(client, "GET", f"{C}/notes/memories")] == [kept["id"]]


# ---- search -----------------------------------------------------------------------------------------------------------

SEARCH = {
    "query": "where does Maria sit?",
    "limit": 5,
    "min_score": 0.3,
    "mode": "hybrid",
    "category": None,
    "metadata_filter": None,
    "container_tag": None,
    "rewrite": False,
    "rerank": False,
}


@pytest.mark.parametrize("path", [f"{C}/notes/search", "/memory/search"])
@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_search_as_the_reference_shows_it(client, memory, path, mode):
    answer = asked(client, "POST", path, {**SEARCH, "mode": mode, "min_score": 0})
    assert shaped(answer, FOUND)
    [hit] = answer["results"]
    assert shaped(hit, HIT)
    assert (hit["id"], hit["collection"], answer["cached"]) == (memory["id"], "notes", False)


def test_a_search_needs_only_its_query(client, memory):
    assert asked(client, "POST", "/memory/search", {"query": "Maria"})["results"][0]["id"] == memory["id"]


# ---- graph memory -----------------------------------------------------------------------------------------------------


def test_remember_answers_with_a_job(client, until):
    body = {"content": "Maria lives in Lisbon. What a day!", "importance": 0.9}
    answer = asked(client, "POST", f"{C}/notes/remember", body, 202)
    assert answer.keys() == {"job_id"}
    path = f"/memory/extract/job/{answer['job_id']}"
    assert asked(client, "GET", path)["state"] in ("queued", "processing", "done")
    job = until(client, path, "complete")
    assert job == {"state": "done", "facts": 1, "complete": True}
    [row] = asked(client, "GET", f"{C}/notes/memories")
    assert (row["text"], row["importance"], row["category"]) == ("Maria lives in Lisbon.", 0.9, "fact")


def test_remember_answers_inline_with_sync(client):
    answer = asked(client, "POST", f"{C}/notes/remember?sync=true", {"content": "Maria lives in Lisbon."})
    assert answer["created"] == 1
    [fact] = answer["memories"]
    assert fact == {"id": fact["id"], "text": "Maria lives in Lisbon.", "type": "fact", "relation": "new"}


def test_profile(client, memory):
    asked(client, "POST", f"{C}/notes/remember?sync=true", {"content": "Maria lives in Lisbon."})
    answer = asked(client, "GET", f"{C}/notes/profile")
    assert answer == {"profile": "Maria lives in Lisbon. Maria prefers window seats.", "based_on": 2}


# ---- intelligent memory, agents, grants, keys ---------------------------------------------------------------------------


def test_dedup(client, add, memory):
    twin = add("Maria prefers window seats")
    answer = asked(client, "POST", f"{C}/notes/dedup", {"threshold": 0.95, "dry_run": True})
    [cluster] = answer["clusters"]
    assert cluster["keeper"]["id"] == twin["id"]
    assert [row["id"] for row in cluster["duplicates"]] == [memory["id"]]
    answer = asked(client, "POST", f"{C}/notes/dedup", {"threshold": 0.95, "dry_run": False})
    assert answer["deleted"] == 1
    assert [row["id"] for row in asked(client, "GET", f"{C}/notes/memories")] == [twin["id"]]


def test_contradictions(client):
    for content in ("Maria lives in Lisbon.", "Maria moved to Porto."):
        asked(client, "POST", f"{C}/notes/remember?sync=true", {"content": content})
    [pair] = asked(client, "GET", f"{C}/notes/contradictions")
    assert pair.keys() == {"current", "superseded"}
    assert (pair["current"]["text"], pair["superseded"]["text"]) == (
        "Maria moved to Porto.",
        "Maria lives in Lisbon.",
    )


@pytest.mark.parametrize("mark", ["pin", "archive"])
def test_pin_and_archive(client, memory, mark):
    field = {"pin": "pinned", "archive": "archived"}[mark]
    for value in (True, False):
        changed = asked(client, "POST", f"{C}/notes/memories/{memory['id']}/{mark}", {field: value})
        assert shaped(changed, MEMORY)
        assert changed[field] is value


def test_archive_stale(client, memory):
    path = f"{C}/notes/archive-stale"
    assert asked(client, "POST", path, {"older_than_days": 90, "dry_run": True})["would_archive"] == 0
    assert asked(client, "POST", path, {"older_than_days": 0, "dry_run": True}) == {"would_archive": 1}
    assert asked(client, "POST", path, {"older_than_days": 0, "dry_run": False}) == {"archived": 1}
    assert asked(client, "GET", f"{C}/notes/memories") == []


def test_health_of_a_collection(client, memory):
    answer = asked(client, "GET", f"{C}/notes/health?stale_days=90")
    assert answer == {
        "exists": True, "total": 1, "current": 1, "archived": 0, "pinned": 0, "stale": 0, "expired": 0,
        "supersessions": 0, "categories": {"preference": 1}, "needs_attention": 0,
    }  # fmt: skip
    assert asked(client, "GET", f"{C}/unknown/health") == {"exists": False}


def test_summary(client, memory):
    answer = asked(client, "GET", f"{C}/notes/summary?limit=50")
    assert answer["summary"] == "Maria prefers window seats."
    assert (answer["themes"], answer["based_on"]) == (["Maria"], 1)
    assert MOMENT.fullmatch(answer["generated_at"])


def test_agents_and_keys(client, url):
    made = asked(client, "POST", "/memory/keys", {"label": "support", "read_only": True}, 201)
    assert made["key"].startswith("mv_")
    assert (made["label"], made["read_only"]) == ("support", True)
    agents = asked(client, "GET", "/memory/agents")
    assert {agent["label"] for agent in agents} == {"support", "test"}
    assert all(agent.keys() == {"id", "label", "read_only", "created_at"} for agent in agents)
    listed = client.get("/memory/keys")
    assert made["key"] not in listed.text
    headers = {"authorization": f"Bearer {made['key']}"}
    assert httpx.get(f"{url}/v1/memory/collections", headers=headers).json() == []
    asked(client, "DELETE", f"/memory/keys/{made['id']}")
    assert httpx.get(f"{url}/v1/memory/collections", headers=headers).status_code == 401


def test_grants(client, agent, memory):
    bot = agent("support")
    assert asked(client, "GET", f"{C}/notes/grants") == {"restricted": False, "grants": []}
    grant = {"agent_key_id": bot.agent_id, "can_read": True, "can_write": False}
    assert asked(client, "PUT", f"{C}/notes/grants", grant) == {"restricted": True, "grants": [grant]}
    assert asked(client, "GET", f"{C}/notes/grants") == {"restricted": True, "grants": [grant]}
    answer = asked(client, "DELETE", f"{C}/notes/grants/{bot.agent_id}")
    assert answer == {"restricted": False, "grants": []}


# ---- what needs no key, failures, limits --------------------------------------------------------------------------------


def test_health_and_status_need_no_key(url):
    assert httpx.get(f"{url}/v1/memory/health").json() == {"status": "healthy"}
    answer = httpx.get(f"{url}/v1/status").json()
    assert (answer["status"], answer["uptime_24h"]) == ("operational", 100.0)
    assert answer["checks"][0]["healthy"] is True


@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer mv_nonsense"}, {"authorization": "ApiKey x"}]
)
def test_no_key_is_401_with_a_detail(url, header):
    answer = httpx.get(f"{url}/v1/memory/collections", headers=header)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


def test_what_does_not_fit_is_400_with_a_sentence_and_quotes_nothing(client):
    answer = client.post(f"{C}/notes/memories", json={"text": "secret" * 2000, "importance": 7})
    assert answer.status_code == 400
    assert "secret" not in answer.text
    text, importance = answer.json()["detail"].split("; ")
    assert (text.partition(": ")[0], importance.partition(": ")[0]) == ("text", "importance")
    answer = client.post(f"{C}/notes/memories", json={})
    assert (answer.status_code, answer.json()) == (400, {"detail": "text: Field required"})
    assert client.get(f"{C}/notes/memories?limit=201").json()["detail"].startswith("limit: ")


def test_no_route_and_no_method_have_a_detail(client):
    assert client.get("/nothing").json() == {"detail": "Not Found"}
    answer = client.delete("/memory/search")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_a_body_that_is_no_json_is_400(client):
    answer = client.post(f"{C}/notes/memories", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "The body is not valid JSON"})


def test_every_answer_tells_the_limit_and_one_too_many_is_429():
    with live_server(
        Settings(database_url="sqlite://", rate_limit_max=3, rate_limit_window=3600, log_level="error")
    ) as live:
        # No window ends during the test.
        live.server.limiter.clock = lambda: 0.0
        headers = {"authorization": f"Bearer {live.key}"}
        url = f"{live.url}/compat/rememberos/v1/memory/agents"
        for left in (2, 1, 0):
            answer = httpx.get(url, headers=headers)
            assert answer.headers["ratelimit-limit"] == "3"
            assert answer.headers["ratelimit-remaining"] == str(left)
            assert 0 < int(answer.headers["ratelimit-reset"]) - time.time() <= 3601
        answer = httpx.get(url, headers=headers)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert isinstance(answer.json()["detail"], str)
