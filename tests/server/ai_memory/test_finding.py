"""Search, recall and forget: which memories are found, in what order, from where."""

from __future__ import annotations

import pytest


def titles(answer):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [row["title"] for row in body.get("memories", body.get("results"))]


def test_search_wants_every_word_in_content_title_or_tags(http, store):
    store("Harbour", "the red lighthouse", tags=["coast"])
    store("Station", "the red house", tags=["town"])
    for q, found in (
        ("red coast harbour", {"Harbour"}),
        ("RED lighthouses", {"Harbour"}),
        ("red", {"Harbour", "Station"}),
        ("red nowhere", set()),
        ("the of", set()),
        ('red AND "house" NOT (x*)', set()),
    ):
        assert set(titles(http.get("/search", params={"q": q}))) == found, q


def test_search_finds_all_there_are_beyond_its_first_look(http):
    rows = [{"title": f"lighthouse {n}", "content": "x"} for n in range(300)]
    rows += [{"title": f"red {n}", "content": "lighthouse"} for n in range(150)]
    http.post("/memories/bulk", json=rows)
    assert http.get("/search", params={"q": "red lighthouse", "limit": 1000}).json()["count"] == 150


def test_search_filters_by_everything_that_a_list_does(http, store):
    store("lighthouse one", tier="long", namespace="a", tags=["x"], priority=9, agent_id="ai:me")
    store("lighthouse two")
    for filter in (
        {"tier": "long"},
        {"namespace": "a"},
        {"tags": "x"},
        {"min_priority": 9},
        {"agent_id": "ai:me"},
        {"limit": 1, "since": "2020-01-01T00:00:00Z", "min_priority": 6},
    ):
        for path in ("/search", "/memories"):
            assert titles(http.get(path, params={"q": "lighthouse", **filter})) == ["lighthouse one"], filter
    assert titles(http.get("/search", params={"q": "lighthouse", "until": "2020-01-01T00:00:00+00:00"})) == []


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/memories", "namespace", "a//b"),
        ("/memories", "namespace", "a b"),
        ("/memories", "since", "yesterday"),
        ("/memories", "since", "2026-01-01T00:00:00"),
        ("/memories", "agent_id", "not an agent"),
        ("/memories", "min_priority", "11"),
        ("/memories", "offset", "-1"),
        ("/search", "as_agent", "../up"),
    ],
)
def test_what_cannot_be_meant_is_refused(http, path, name, value):
    answer = http.get(path, params={"q": "x", name: value})
    assert answer.status_code == 400
    assert name in answer.text


def test_a_comma_list_of_tags_wants_all_of_them_and_a_tag_may_hold_commas(http, store):
    store("both", tags=["a", "b"])
    store("one", tags=["a"])
    store("comma", tags=["a,b"])
    assert set(titles(http.get("/memories", params={"tags": "a, b"}))) == {"both"}
    assert set(titles(http.get("/memories", params={"tags": "a,b"}))) == {"both", "comma"}
    assert set(titles(http.get("/memories", params={"tags": "a"}))) == {"both", "one"}


def test_recall_finds_by_any_word_and_by_meaning(http, store):
    store("Seats", "Maria prefers a place at the window in trains")
    assert titles(http.post("/recall", json={"context": "window something else"})) == ["Seats"]
    assert titles(http.post("/recall", json={"context": "railway journey"})) == ["Seats"]


def test_recall_in_a_path_looks_into_the_namespaces_above_it_and_counts_those_less(http, store):
    for namespace in ("team", "team/project", "team/project/task", "team/other", "teams"):
        store(namespace, "the lighthouse", namespace=namespace)
    found = http.post("/recall", json={"context": "lighthouse", "namespace": "team/project"}).json()[
        "memories"
    ]
    assert [row["namespace"] for row in found] == ["team/project", "team"]
    assert found[1]["score"] == pytest.approx(found[0]["score"] / 1.3, rel=0.05)
    assert titles(http.get("/search", params={"q": "lighthouse", "namespace": "team/project"})) == [
        "team/project"
    ]


@pytest.mark.parametrize(
    ("as_agent", "seen"),
    [
        ("acme/eng/web/alice", {"private", "none", "team", "unit", "org", "collective"}),
        ("acme/eng/web/bob", {"team", "unit", "org", "collective"}),
        ("acme/eng/app/carol", {"unit", "org", "collective"}),
        ("acme/law/tax/dave", {"org", "collective"}),
        ("other/eng/web/alice", {"collective"}),
        ("acme", {"collective"}),
    ],
)
def test_a_scope_says_how_far_from_its_namespace_a_memory_is_seen(http, store, as_agent, seen):
    place = "acme/eng/web/alice"
    store("none", "lighthouse", namespace=place)
    for scope in ("private", "team", "unit", "org", "collective"):
        store(scope, "lighthouse", namespace=place, scope=scope)
    assert set(titles(http.get("/search", params={"q": "lighthouse", "as_agent": as_agent}))) == seen
    recalled = http.post("/recall", json={"context": "lighthouse", "as_agent": as_agent, "limit": 50})
    assert set(titles(recalled)) == seen


def test_lists_go_by_priority_and_then_by_the_latest_change(http, store):
    ids = {n: store(f"t{n}", priority=n % 2 + 5)["id"] for n in range(4)}
    http.put(f"/memories/{ids[1]}", json={"content": "changed"})
    assert titles(http.get("/memories")) == ["t1", "t3", "t2", "t0"]


def test_long_lists_have_the_same_order_on_every_page(http):
    rows = [{"title": f"t{n:03}", "content": "x", "priority": n % 10 + 1} for n in range(250)]
    http.post("/memories/bulk", json=rows)
    pages = [
        titles(http.get("/memories", params={"limit": 60, "offset": start})) for start in range(0, 300, 60)
    ]
    assert [len(page) for page in pages] == [60, 60, 60, 60, 10]
    found = [title for page in pages for title in page]
    assert found == titles(http.get("/memories", params={"limit": 5000}))
    assert found == sorted(found, key=lambda title: (-(int(title[1:]) % 10), -int(title[1:])))


def test_forget_reads_its_filters_from_the_query_string_as_well(http, store):
    store("one", namespace="old")
    store("two", namespace="old", tier="long")
    assert http.post("/forget", params={"namespace": "old", "tier": "long"}).json() == {"deleted": 1}
    assert titles(http.get("/memories")) == ["one"]


def test_forget_spares_the_inboxes(http, store):
    http.post("/notify", json={"to": "ai:b", "subject": "lighthouse", "body": "x"})
    assert http.post("/forget", json={"pattern": "lighthouse"}).json() == {"deleted": 0}
    assert http.post("/forget", json={"tier": "mid"}).json() == {"deleted": 0}


def test_ids_are_matched_whole(http, store):
    id = store("t")["id"]
    for part in (id[:8], id[:-1], id.upper() if id.upper() != id else id + "0"):
        assert http.get(f"/memories/{part}").status_code == 404
        assert http.delete(f"/memories/{part}").status_code == 404
    assert http.get(f"/memories/{id}").status_code == 200
