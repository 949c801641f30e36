"""Duplicates, staleness, health and summaries beyond the documented examples."""

from __future__ import annotations

import pytest

C = "/memory/collections/notes"
TEXT = "Maria prefers window seats"


def dedup(client, **fields):
    answer = client.post(f"{C}/dedup", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def left(client):
    return {row["id"] for row in client.get(f"{C}/memories?limit=200").json()}


def test_the_most_important_is_kept_then_the_newest(client, add):
    ids = [add(TEXT, importance=importance)["id"] for importance in (0.5, 0.9, 0.9, 0.1)]
    assert dedup(client)["deleted"] == 0
    assert left(client) == set(ids)
    assert dedup(client, dry_run=False)["deleted"] == 3
    assert left(client) == {ids[2]}


def test_a_pinned_memory_is_never_removed_even_two_in_one_cluster(client, add):
    ids = [add(TEXT, importance=importance)["id"] for importance in (0.1, 0.2, 0.9)]
    for id in ids[:2]:
        client.post(f"{C}/memories/{id}/pin", json={"pinned": True})
    [cluster] = dedup(client)["clusters"]
    assert [row["id"] for row in cluster["duplicates"]] == [ids[2]]
    dedup(client, dry_run=False)
    assert left(client) == set(ids[:2])


def test_what_only_resembles_is_no_duplicate(client, add):
    add(TEXT)
    add("Maria prefers aisle seats")
    assert dedup(client)["clusters"] == []
    assert len(dedup(client, threshold=0.3)["clusters"]) == 1


def test_the_same_text_of_two_users_is_two_memories(client, add):
    for tag in ("maria", "pedro", None):
        add(TEXT, container_tag=tag)
    assert dedup(client)["clusters"] == []
    add(TEXT, container_tag="maria")
    assert dedup(client, container_tag="pedro")["clusters"] == []
    assert len(dedup(client)["clusters"]) == 1


def test_stale_memories_are_archived_but_for_pinned_ones(client, add):
    ids = [add(f"number {n}")["id"] for n in range(3)]
    client.post(f"{C}/memories/{ids[0]}/pin", json={"pinned": True})
    client.post(f"{C}/memories/{ids[1]}/archive", json={"archived": True})
    assert client.post(f"{C}/archive-stale").json() == {"would_archive": 0}
    assert client.get(f"{C}/health?stale_days=0").json()["stale"] == 1
    assert client.post(f"{C}/archive-stale", json={"older_than_days": 0, "dry_run": False}).json() == {
        "archived": 1
    }
    assert left(client) == {ids[0]}
    health = client.get(f"{C}/health").json()
    assert (health["total"], health["current"], health["archived"], health["pinned"]) == (3, 1, 2, 1)


def test_health_counts_categories(client, add):
    for category in ("travel", "travel", "food"):
        add(TEXT, category=category)
    assert client.get(f"{C}/health").json()["categories"] == {"travel": 2, "food": 1}


def test_a_summary_begins_with_what_matters_and_is_kept_until_something_changes(client, add):
    add("Pedro likes jazz", importance=0.2)
    add("Maria lives in Lisbon", importance=1)
    first = client.get(f"{C}/summary").json()
    assert first["summary"] == "Maria lives in Lisbon. Pedro likes jazz."
    assert first["themes"][0] in ("Maria", "Lisbon", "Pedro")
    assert client.get(f"{C}/summary").json() == first
    add("Maria speaks French", importance=0.9)
    second = client.get(f"{C}/summary?limit=2").json()
    assert (second["summary"], second["based_on"]) == ("Maria lives in Lisbon. Maria speaks French.", 2)


def test_an_empty_collection_has_an_empty_summary_and_profile(client):
    client.post("/memory/collections", json={"name": "notes"})
    assert client.get(f"{C}/summary").json()["based_on"] == 0
    assert client.get(f"{C}/profile").json() == {"profile": "", "based_on": 0}


def test_the_container_tag_is_honoured_everywhere(client, add):
    mine = add(TEXT, container_tag="maria")["id"]
    yours = add(TEXT, container_tag="pedro")["id"]
    assert [row["id"] for row in client.get(f"{C}/memories?container_tag=maria").json()] == [mine]
    for method, path, body in (
        ("GET", f"{C}/memories/{yours}", None),
        ("GET", f"{C}/memories/{yours}/related", None),
        ("PATCH", f"{C}/memories/{yours}", {"text": "x"}),
        ("POST", f"{C}/memories/{yours}/pin", {"pinned": True}),
        ("POST", f"{C}/memories/{yours}/move", {"to_collection": "other"}),
        ("DELETE", f"{C}/memories/{yours}", None),
    ):
        answer = client.request(method, f"{path}?container_tag=maria", **({"json": body} if body else {}))
        assert (answer.status_code, answer.json()["detail"]) == (404, "Memory not found"), (method, path)
    forgotten = client.post(f"{C}/forget", json={"query": TEXT, "container_tag": "maria"}).json()
    assert forgotten["ids"] == [mine]
    assert left(client) == {yours}


@pytest.mark.parametrize("body", [{}, {"text": None}, {"unknown": 1}])
def test_a_patch_that_changes_nothing_says_so(client, add, body):
    id = add(TEXT)["id"]
    answer = client.patch(f"{C}/memories/{id}", json=body)
    assert answer.status_code == 400
    assert "at least one" in answer.json()["detail"]
