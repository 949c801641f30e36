"""Searching: modes, filters, the floor, pages, highlights, and what is refused."""

from __future__ import annotations

import base64
import json

import pytest


@pytest.fixture
def five(client):
    """Store five memories; return their ids by a letter."""
    rows = {
        "a": (
            "The lighthouse keeper logs every ship",
            {"category": "log", "department": "sea", "tags": ["x", "y"]},
        ),
        "b": ("Ships report to the harbour office", {"category": "log", "department": "land", "tags": ["x"]}),
        "c": (
            "A beacon warns vessels at night",
            {"category": "note", "department": "sea", "tags": ["y", "z"]},
        ),
        "d": ("Lunch is served at noon", {"category": "note", "tags": []}),
        "e": ("The office closes at five", {}),
    }
    return {name: client.stored(text, metadata=metadata) for name, (text, metadata) in rows.items()}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abcde"),
        ({"category": "log"}, "ab"),
        ({"department": "sea"}, "ac"),
        ({"category": "log", "department": "sea"}, "a"),
        ({"tags": "x"}, "ab"),
        ({"tags": "x,y"}, "a"),
        ({"tags": " y , z "}, "c"),
        ({"tags": "X"}, ""),
        ({"category": "LOG"}, ""),
        ({"category": "", "tags": "", "department": ""}, "abcde"),
        ({"created_after": "2200-01-01"}, ""),
        ({"created_before": "2020-01-01T00:00:00"}, ""),
        ({"created_after": "2020-01-01T00:00:00+02:00", "created_before": "2200-01-01T00:00:00Z"}, "abcde"),
    ],
)
def test_filters_narrow_and_go_together(client, five, filters, expected):
    answer = client.retrieve("ships", **filters).json()
    assert {hit["id"] for hit in answer["results"]} == {five[name] for name in expected}
    assert answer["total"] == len(expected)


def test_what_was_created_after_a_memory_is_not_the_memory(client):
    first = client.stored("the lighthouse")
    at = client.get(f"/v1/memory/{first}").json()["created_at"]
    assert client.found("lighthouse", created_after=at) == []
    assert client.found("lighthouse", created_before=at) == []


def test_the_modes_look_differently(client, five):
    assert set(client.found("ships", mode="keyword")) == {five["a"], five["b"]}
    assert client.found("vessels", mode="semantic")[0] == five["c"]
    assert client.found("a boat at sea", mode="keyword") == []
    assert client.found("a boat at sea", mode="semantic")[0] in (five["a"], five["b"], five["c"])
    assert len(client.found("ships", mode="hybrid")) == 5


@pytest.mark.parametrize(
    ("parameters", "first", "query", "mode"),
    [
        ({"q": "lunch", "keyword": "beacon"}, "d", "lunch", "semantic"),
        ({"q": "lunch", "keyword": "beacon", "mode": "keyword"}, "c", "beacon", "keyword"),
        ({"keyword": "beacon"}, "c", "beacon", "semantic"),
        ({"q": "lunch", "mode": "keyword"}, "d", "lunch", "keyword"),
        ({"q": "lunch at noon", "keyword": "beacon", "mode": "hybrid"}, "d", "lunch at noon", "hybrid"),
        ({"keyword": "beacon", "mode": "hybrid"}, "c", "beacon", "hybrid"),
    ],
)
def test_the_mode_decides_between_q_and_keyword(client, five, parameters, first, query, mode):
    answer = client.retrieve(**parameters).json()
    assert answer["results"][0]["id"] == five[first]
    assert (answer["query"], answer["mode"]) == (query, mode)


def test_both_texts_count_in_hybrid_mode(client, five):
    alone = client.retrieve("lunch", mode="hybrid").json()["results"]
    both = client.retrieve("lunch", keyword="beacon", mode="hybrid").json()["results"]
    score = {hit["id"]: hit["relevance_score"] for hit in alone}
    assert next(hit for hit in both if hit["id"] == five["c"])["relevance_score"] > score[five["c"]]


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_the_floor_counts_in_every_mode(client, five, mode):
    everything = client.retrieve("ships", mode=mode).json()
    scores = [hit["relevance_score"] for hit in everything["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    floor = scores[1] - 0.001
    answer = client.retrieve("ships", mode=mode, min_relevance=floor).json()
    expected = [hit for hit in everything["results"] if hit["relevance_score"] >= floor]
    assert answer["results"] == expected
    assert answer["total"] == len(expected)


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_pages_go_on_where_the_one_before_ended(client, mode):
    ids = {client.stored(f"lighthouse number {n}") for n in range(7)}
    client.stored("nothing of the kind")
    seen, cursor, sizes = [], None, []
    while True:
        answer = client.retrieve("lighthouse", mode=mode, limit=3, cursor=cursor).json()
        seen += [hit["id"] for hit in answer["results"]]
        sizes.append(len(answer["results"]))
        assert answer["total"] == (7 if mode == "keyword" else 8)
        assert answer["has_more"] == (answer["next_cursor"] is not None)
        if not answer["has_more"]:
            break
        cursor = answer["next_cursor"]
    assert sizes == ([3, 3, 1] if mode == "keyword" else [3, 3, 2])
    assert len(set(seen)) == len(seen)
    assert ids <= set(seen)


@pytest.mark.parametrize(
    "changed",
    [
        {"q": "ship"},
        {"limit": 1},
        {"category": "log"},
        {"mode": "hybrid"},
        {"workspace_id": "w"},
        {"min_relevance": 0.1},
    ],
)
def test_a_cursor_is_good_for_its_own_search_only(client, five, refused, changed):
    search = {"q": "ships", "limit": 2}
    cursor = client.retrieve(**search).json()["next_cursor"]
    assert client.retrieve(**search, cursor=cursor).status_code == 200
    error = refused(client.retrieve(**{**search, **changed}, cursor=cursor), 400, "validation_error")
    assert "cursor" in error["message"]


def test_another_accounts_cursor_is_refused(client, stranger, five, refused):
    stranger.stored("ships")
    cursor = client.retrieve("ships", limit=2).json()["next_cursor"]
    refused(stranger.retrieve("ships", limit=2, cursor=cursor), 400, "validation_error")


@pytest.mark.parametrize(
    "cursor", ["x", "é", "AAAA", "W10", base64.b64encode(json.dumps(["", 1, 2]).encode()).decode()]
)
def test_a_cursor_that_nobody_gave_is_refused(client, refused, cursor):
    refused(client.retrieve("ships", cursor=cursor), 400, "validation_error")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"q": " "},
        {"q": "", "keyword": ""},
        {"q": "x", "limit": 0},
        {"q": "x", "limit": 101},
        {"q": "x", "limit": "ten"},
        {"q": "x", "mode": "vector"},
        {"q": "x", "min_relevance": 1.1},
        {"q": "x", "min_relevance": -0.1},
        {"q": "x", "min_relevance": "nan"},
        {"q": "x", "created_after": "yesterday"},
        {"q": "x", "created_before": "1767225600"},
        {"q": "x", "created_after": "0001-01-01T00:00:00+14:00"},
        {"q": "x", "tag": "a"},
    ],
)
def test_wrong_parameters_are_refused(client, refused, parameters):
    refused(client.retrieve(**parameters), 400, "validation_error")


# ---- highlights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("It guarantees uptime. Nothing here.", "guaranteed", ["It <em>guarantees</em> uptime."]),
        ("<script>alert(1)</script> & uptime", "uptime", ["&lt;script&gt;alert(1)&lt;/script&gt; &amp; <em>uptime</em>"]),
        ("<em>up</em> up", "up script", []),
        ("Ein Café in Zürich", "cafe zurich", ["Ein <em>Café</em> in <em>Zürich</em>"]),
        ("東京タワーに行く。", "東京", ["<em>東京</em>タワーに行く。"]),
        ("one uptime\ntwo uptime\nthree uptime\nfour uptime", "uptime",
         ["one <em>uptime</em>", "two <em>uptime</em>", "three <em>uptime</em>"]),
        ("nothing in common", "uptime", []),
    ],
)  # fmt: skip
def test_passages_show_the_words_of_the_query(client, text, query, expected):
    client.stored(text)
    [hit] = client.retrieve(query).json()["results"]
    assert hit["highlights"] == expected


def test_a_long_passage_is_cut_around_its_words(client):
    client.stored("filler " * 200 + "the uptime is fine " + "filler " * 200)
    [hit] = client.retrieve("uptime").json()["results"]
    [passage] = hit["highlights"]
    assert "<em>uptime</em>" in passage
    assert len(passage) < 330


def test_a_route_is_no_id(client, refused):
    for method, name in (("GET", "store"), ("GET", "batch"), ("DELETE", "retrieve")):
        answer = client.request(method, f"/v1/memory/{name}")
        refused(answer, 405, "method_not_allowed")
