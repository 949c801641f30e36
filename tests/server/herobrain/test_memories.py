"""Memories: what is refused, how pages and tags work, what a change changes."""

from __future__ import annotations

import json

import pytest

TYPES = [
    "episodic",
    "semantic",
    "procedural",
    "working",
    "prospective",
    "emotional",
    "contextual",
    "identity",
    "relational",
    "event",
    "predictive",
    "task",
    "decision",
]


@pytest.mark.parametrize("type", TYPES)
def test_every_documented_type_is_kept(client, create, type):
    assert create(client, type=type)["type"] == type


def test_what_is_left_out_has_the_documented_defaults(client, create):
    made = create(client)
    assert (made["importance"], made["tags"], made["metadata"]) == (0.5, [], {})


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"content": None}, "content"),
        ({"content": ""}, "content"),
        ({"content": "x" * 10_001}, "content"),
        ({"type": "preference"}, "type"),
        ({"type": None}, "type"),
        ({"importance": 1.1}, "importance"),
        ({"importance": -0.1}, "importance"),
        ({"importance": "0.5"}, "importance"),
        ({"tags": "q4"}, "tags"),
        ({"tags": [1]}, "tags.0"),
        ({"metadata": [1]}, "metadata"),
        ({"tenantId": " "}, "tenantId"),
        ({"tenantId": 7}, "tenantId"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(client, errors, fields, wrong):
    answer = client.post("/api/v1/memories", json={"content": "x", "type": "task", **fields})
    assert errors(answer, 400) == [("VALIDATION_ERROR", wrong)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff"], ids=repr)
def test_a_body_that_is_no_memory_is_refused(client, errors, content):
    answer = client.post("/api/v1/memories", content=content, headers={"content-type": "application/json"})
    assert errors(answer, 400)[0][0] == "VALIDATION_ERROR"


def test_a_body_of_another_kind_is_refused(client, errors):
    answer = client.post("/api/v1/memories", data={"content": "x"})
    assert errors(answer, 415) == [("UNSUPPORTED_MEDIA_TYPE", None)]


def test_ten_thousand_characters_come_back_as_they_were(client, create, data):
    text = "ü\n\t🐈 " * 2000
    made = create(client, text, metadata={"big": 2**70, "deep": {"list": [None, True, 1.5]}})
    found = data(client.get(f"/api/v1/memories/{made['id']}"))
    assert found["content"] == text
    assert found["metadata"] == {"big": 2**70, "deep": {"list": [None, True, 1.5]}}


def test_a_message_about_a_wrong_field_shows_no_text(client):
    answer = client.post("/api/v1/memories", json={"content": ["the secret plan"], "type": "task"})
    assert answer.status_code == 400
    assert "secret" not in answer.text


def test_pages_are_numbered_and_cover_everything_once(client, create, data):
    ids = [create(client, f"note {n}")["id"] for n in range(7)]
    seen = []
    for page in (1, 2, 3, 4):
        found = data(client.get("/api/v1/memories", params={"page": page, "limit": 3}))
        seen += [row["id"] for row in found["memories"]]
        assert found["pagination"] == {
            "page": page,
            "limit": 3,
            "total": 7,
            "pages": 3,
            "hasNext": page < 3,
            "hasPrevious": page > 1,
        }
    assert seen == ids[::-1]
    assert data(client.get("/api/v1/memories"))["pagination"]["limit"] == 50


def test_an_empty_list_has_no_pages(client, data):
    found = data(client.get("/api/v1/memories"))
    assert found["memories"] == []
    assert (found["pagination"]["total"], found["pagination"]["pages"]) == (0, 0)
    assert found["pagination"]["hasNext"] is False


@pytest.mark.parametrize("sort", ["createdAt", "updatedAt", "importance"])
def test_lists_are_sorted_both_ways(client, create, data, sort):
    made = [create(client, f"{n}", importance=n / 10) for n in (1, 2, 3)]
    data(client.patch(f"/api/v1/memories/{made[0]['id']}", json={"importance": 0.9}))
    rows = {}
    for order in ("asc", "desc"):
        rows[order] = data(client.get("/api/v1/memories", params={"sort": sort, "order": order}))["memories"]
        values = [row[sort] for row in rows[order]]
        assert values == sorted(values, reverse=order == "desc")
    contents = [row["content"] for row in rows["asc"]]
    assert contents == (["1", "2", "3"] if sort == "createdAt" else ["2", "3", "1"])


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("type=preference", "type"),
        ("sort=size", "sort"),
        ("order=up", "order"),
        ("tenantId=", "tenantId"),
    ],
)
def test_a_wrong_parameter_is_named(client, errors, query, wrong):
    assert ("VALIDATION_ERROR", wrong) in errors(client.get(f"/api/v1/memories?{query}"), 400)


@pytest.mark.parametrize("listed", ["tags=a,b", "tags=a&tags=b", "tags=a&tags=b,zz", "tags=,a,b,"])
def test_of_several_tags_any_is_enough_in_every_way_to_write_them(client, create, data, listed):
    for tag in "abc":
        create(client, f"about {tag}", tags=[tag, "all"])
    found = data(client.get(f"/api/v1/memories?{listed}"))["memories"]
    assert {row["content"] for row in found} == {"about a", "about b"}
    for tags in (["a", "b"], "a,b"):
        hits = data(client.post("/api/v1/memories/search", json={"query": "about", "tags": tags}))["results"]
        assert {row["content"] for row in hits} == {"about a", "about b"}
    assert len(data(client.get("/api/v1/memories?tags="))["memories"]) == 3


def test_results_are_whole_and_sorted_by_relevance(client, create, data):
    made = create(client, "Q4 planning meeting", tags=["q4"], metadata={"n": 1})
    create(client, "a plan for the meeting")
    create(client, "the cat is black")
    found = data(client.post("/api/v1/memories/search", json={"query": "Q4 planning meeting"}))
    scores = [row["relevance"] for row in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert {**made, "relevance": scores[0]} == found["results"][0]
    # Without a floor everything is ranked; a floor cuts.
    assert len(scores) == 3
    floor = {"query": "Q4 planning meeting", "minRelevance": scores[0]}
    assert len(data(client.post("/api/v1/memories/search", json=floor))["results"]) == 1


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "query"),
        ({"query": " "}, "query"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "minRelevance": 2}, "minRelevance"),
        ({"query": "x", "type": "x"}, "type"),
        ({"query": "x", "tags": 5}, "tags"),
    ],
    ids=str,
)
def test_a_wrong_search_is_refused(client, errors, fields, wrong):
    assert errors(client.post("/api/v1/memories/search", json=fields), 400) == [("VALIDATION_ERROR", wrong)]


def test_a_change_replaces_tags_and_metadata_whole_and_leaves_the_type(client, create, data):
    made = create(client, tags=["a", "b"], metadata={"a": 1, "b": 2})
    body = {"tags": ["c", "c"], "metadata": {"c": 3}, "type": "task", "id": "mine", "createdAt": "2020"}
    changed = data(client.patch(f"/api/v1/memories/{made['id']}", json=body))
    assert (changed["tags"], changed["metadata"], changed["type"]) == (["c"], {"c": 3}, "episodic")
    assert (changed["id"], changed["createdAt"]) == (made["id"], made["createdAt"])


def test_an_empty_change_changes_nothing(client, create, data):
    made = create(client)
    assert data(client.patch(f"/api/v1/memories/{made['id']}", json={})) == made
    assert data(client.patch(f"/api/v1/memories/{made['id']}", json={"type": "task"})) == made


@pytest.mark.parametrize("name", ["content", "importance", "tags", "metadata"])
def test_null_is_no_change(client, create, errors, name):
    made = create(client)
    answer = client.patch(f"/api/v1/memories/{made['id']}", json={name: None})
    assert errors(answer, 400) == [("VALIDATION_ERROR", name)]


def test_a_changed_text_is_found_by_its_new_words(client, create, data):
    made = create(client, "the cat is black")
    create(client, "something about a dog")
    data(client.patch(f"/api/v1/memories/{made['id']}", json={"content": "revenue grows in Lisbon"}))
    found = data(client.post("/api/v1/memories/search", json={"query": "revenue in Lisbon", "limit": 1}))
    assert [row["id"] for row in found["results"]] == [made["id"]]


def test_a_json_type_without_a_body_is_no_obstacle(client, create, data):
    made = create(client)
    headers = {"content-type": "application/json"}
    assert data(client.delete(f"/api/v1/memories/{made['id']}", headers=headers))["deleted"] is True


@pytest.mark.parametrize("id", ["mem_missing", "..%2Fapi-keys", "%00", "x" * 513, "a%2Fb"])
def test_an_id_that_is_none_reaches_nothing(client, id):
    for method in ("GET", "PATCH", "DELETE"):
        answer = client.request(
            method, f"/api/v1/memories/{id}", **({"json": {}} if method == "PATCH" else {})
        )
        assert answer.status_code in (400, 404)
        assert json.loads(answer.content)["success"] is False


def test_what_does_not_exist_answers_in_the_envelope(client, errors):
    assert errors(client.get("/api/v1/nothing"), 404) == [("RESOURCE_NOT_FOUND", None)]
    assert errors(client.get("/api/v1/memories/bulk"), 404) == [("RESOURCE_NOT_FOUND", None)]
    refused = client.put("/api/v1/memories", json={})
    assert errors(refused, 405) == [("METHOD_NOT_ALLOWED", None)]
    assert refused.headers["allow"] == "GET, POST"


def test_a_request_id_of_the_clients_is_kept(client):
    answer = client.get("/api/v1/memories", headers={"x-request-id": "req_1234567890"})
    assert answer.json()["metadata"]["request_id"] == "req_1234567890"


def test_the_document_describes_every_route(client, live):
    from onebrain_server.dialects.herobrain import dialect

    document = client.get("/openapi.json").json()
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert found == {(operation.method, operation.path) for operation in dialect.operations}
    # The fifteen of the reference, two that its guide names, and the document.
    assert len(found) == 18
