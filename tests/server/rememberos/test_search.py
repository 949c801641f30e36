"""Searches: thresholds, filters, containment, archived ones, the cache."""

from __future__ import annotations

import pytest

C = "/memory/collections/notes"


@pytest.fixture
def ids(client, add):
    """Search and return the ids found."""

    def search(query="Maria", path=f"{C}/search", **fields):
        answer = client.post(path, json={"query": query, "min_score": 0, "limit": 50, **fields})
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["results"]]

    return search


def test_a_threshold_keeps_what_a_word_matched_and_what_is_near(ids, add):
    near = add("Where I like to sit is beside the aeroplane's window")["id"]
    word = add("Zebra crossings need paint on tuesdays seats")["id"]
    far = add("The database runs on port 5432")["id"]
    assert set(ids("window seats")) == {near, word, far}
    assert set(ids("window seats", min_score=0.4)) == {near, word}
    assert ids("window seats", min_score=0.4, mode="vector") == [near]
    assert set(ids("window seats", mode="text")) == {near, word}


def test_a_category_and_a_container_tag_restrict(ids, add):
    one = add("Maria sits here", category="travel", container_tag="maria")["id"]
    two = add("Maria sits there", container_tag="pedro")["id"]
    assert ids(category="travel") == [one]
    assert ids(container_tag="pedro") == [two]
    assert ids(category="travel", container_tag="pedro") == []
    assert set(ids(path="/memory/search")) == {one, two}
    assert ids(path="/memory/search", container_tag="maria") == [one]


METADATA = {
    "year": 2026, "half": 1.0, "title": "abc", "done": True, "none": None, "tags": ["a", "b"], "empty": {}, "no": [],
    "deep": {"x": {"y": [1, {"z": 2, "w": 3}]}}, "a.b": 1, "$id": "own", "": "blank", "mixed": [None, "q"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"year": 2026}, True),
        ({"year": 2026.0}, True),
        ({"year": "2026"}, False),
        ({"half": 1}, True),
        ({"done": True}, True),
        ({"done": 1}, False),
        ({"title": "abc"}, True),
        ({"title": "a"}, False),
        ({"title": ["a"]}, False),
        ({"none": None}, True),
        ({"missing": None}, False),
        ({"tags": ["b"]}, True),
        ({"tags": ["b", "a", "b"]}, True),
        ({"tags": ["c"]}, False),
        ({"tags": []}, True),
        ({"tags": {}}, False),
        ({"tags": "a"}, False),
        ({"title": []}, False),
        ({"empty": {}}, True),
        ({"year": {}}, False),
        ({"deep": {}}, True),
        ({"deep": {"x": {}}}, True),
        ({"deep": {"x": {"y": [{"z": 2}]}}}, True),
        ({"deep": {"x": {"y": [{"z": 3}]}}}, False),
        ({"deep": {"x": {"y": [1]}}}, True),
        ({"deep": {"x": 1}}, False),
        ({"a.b": 1}, True),
        ({"a": {"b": 1}}, False),
        ({"$id": "own"}, True),
        ({"": "blank"}, True),
        ({"mixed": [None]}, True),
        ({"tags": [None]}, False),
        ({"year": 2026, "tags": ["a"], "deep": {"x": {}}}, True),
        ({"year": 2025, "tags": ["a"]}, False),
    ],
)
def test_a_metadata_filter_is_containment(ids, add, wanted, found):
    one = add("Maria", metadata=METADATA)["id"]
    add("Maria", metadata={})
    expected = [one] if found else []
    if wanted == {}:
        assert len(ids(metadata_filter=wanted)) == 2
    else:
        assert ids(metadata_filter=wanted) == expected
        assert ids(path="/memory/search", metadata_filter=wanted) == expected


def test_archived_memories_are_found_only_where_asked_for(client, ids, add):
    one = add("Maria sits here")["id"]
    client.post(f"{C}/memories/{one}/archive", json={"archived": True})
    assert ids() == []
    assert ids(include_archived=True) == [one]
    assert client.get(f"{C}/memories").json() == []
    assert [row["id"] for row in client.get(f"{C}/memories?include_archived=true").json()] == [one]
    client.post(f"{C}/memories/{one}/archive", json={"archived": False})
    assert ids() == [one]


def test_an_exact_repeat_comes_from_the_cache_until_the_collection_changes(client, add):
    add("Maria sits here")
    asked = {"query": "Maria"}
    answers = [client.post(f"{C}/search", json=asked).json() for _ in range(2)]
    assert [answer["cached"] for answer in answers] == [False, True]
    assert answers[0]["results"] == answers[1]["results"]
    assert client.post(f"{C}/search", json={**asked, "limit": 6}).json()["cached"] is False
    add("Something else", "other")
    assert client.post(f"{C}/search", json=asked).json()["cached"] is True
    two = add("Maria sits there")["id"]
    fresh = client.post(f"{C}/search", json=asked).json()
    assert fresh["cached"] is False
    assert two in [row["id"] for row in fresh["results"]]


def test_another_agent_never_gets_a_cached_answer_that_it_may_not_see(client, add, agent):
    add("Maria sits here")
    bot, other = agent("bot"), agent("other")
    client.put(f"{C}/grants", json={"agent_key_id": bot.agent_id})
    for _ in range(2):
        assert len(bot.post("/memory/search", json={"query": "Maria"}).json()["results"]) == 1
        assert other.post("/memory/search", json={"query": "Maria"}).json()["results"] == []


def test_without_a_model_rewrite_and_rerank_say_that_they_did_nothing(client, add):
    add("Maria sits here")
    answer = client.post(f"{C}/search", json={"query": "Maria", "rewrite": True, "rerank": True}).json()
    assert (answer["rewritten"], answer["reranked"], len(answer["results"])) == (False, False, 1)


def test_a_name_with_slashes_and_percent_signs_is_one_collection(client, add):
    from urllib.parse import quote

    for name in ("a/b", "100%25", "ü ñ", "a%2Fb", "x#y?z"):
        made = client.post("/memory/collections", json={"name": name})
        assert made.status_code == 201, made.text
        path = f"/memory/collections/{quote(name, safe='')}"
        assert client.get(path).json()["name"] == name
        client.post(f"{path}/memories", json={"text": name})
        assert [row["text"] for row in client.get(f"{path}/memories").json()] == [name]


@pytest.mark.parametrize("tail", ["search", "forget"])
def test_an_unknown_collection_is_not_found(client, tail):
    answer = client.post(f"/memory/collections/unknown/{tail}", json={"query": "x"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Collection not found"})
