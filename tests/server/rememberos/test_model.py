"""With a language model behind an OpenAI-compatible API: what it says is used, and what it does not say is done without it."""

from __future__ import annotations

import json

import httpx
import pytest

C = "/memory/collections/notes"


@pytest.fixture
def client(clever, request):
    key = clever.account(f"{abs(hash(request.node.nodeid))}@example.com")
    with httpx.Client(
        base_url=f"{clever.url}/compat/rememberos/v1", headers={"authorization": f"Bearer {key}"}
    ) as made:
        yield made


def proposed(*texts):
    return {"memories": [{"title": "t", "body": text, "type": "fact", "confidence": 0.9} for text in texts]}


def remember(client, content):
    return client.post(f"{C}/remember?sync=true", json={"content": content}).json()["memories"]


def test_the_model_extracts_and_says_what_is_overtaken(client, model):
    model.says = [proposed("The office is painted green")]
    assert [fact["relation"] for fact in remember(client, "We painted it green")] == ["new"]
    model.says = [
        proposed("The walls of the office are grey", "Lunch is at noon"),
        {"updates": [{"new": 0, "old": [0, 7]}]},
    ]
    facts = remember(client, "We painted it grey, and lunch is at noon")
    assert [fact["relation"] for fact in facts] == ["updates", "new"]
    assert json.loads(model.heard[-1])["old"] == {"0": "The office is painted green"}


@pytest.mark.parametrize("answer", ["no JSON", {"updates": 7}, {"updates": [{"old": [0]}]}, {"updates": [7]}])
def test_an_answer_that_says_nothing_leaves_it_to_the_rules(client, model, answer):
    model.says = [proposed("Maria lives in Lisbon.")]
    remember(client, "x")
    model.says = [proposed("Maria moved to Porto."), answer]
    assert [fact["relation"] for fact in remember(client, "x")] == ["updates"]


def test_a_model_that_is_away_is_done_without(client, model):
    remember(client, "Maria lives in Lisbon.")
    assert client.get(f"{C}/profile").json() == {"profile": "Maria lives in Lisbon.", "based_on": 1}
    assert client.get(f"{C}/summary").json()["summary"] == "Maria lives in Lisbon."
    answer = client.post(f"{C}/search", json={"query": "Maria", "rewrite": True, "rerank": True}).json()
    assert (len(answer["results"]), answer["rewritten"], answer["reranked"]) == (1, False, False)


def test_profile_and_summary_are_the_models(client, model):
    remember(client, "Maria lives in Lisbon.")
    model.says = ["She is a Lisboeta."]
    assert client.get(f"{C}/profile").json() == {"profile": "She is a Lisboeta.", "based_on": 1}
    model.says = [{"summary": "All about Maria.", "themes": ["Maria", "Lisbon"]}]
    # The second time from what is kept.
    for _ in range(2):
        answer = client.get(f"{C}/summary").json()
        assert (answer["summary"], answer["themes"]) == ("All about Maria.", ["Maria", "Lisbon"])


def test_a_query_is_rewritten_and_hits_are_ranked_anew(client, model):
    for text in ("Maria sits at the window", "Maria sits on the aisle"):
        client.post(f"{C}/memories", json={"text": text})
    model.says = ["gangway corridor aisle"]
    asked = {"query": "gangway", "mode": "text", "rewrite": True}
    answer = client.post(f"{C}/search", json=asked).json()
    assert answer["rewritten"] is True
    assert [row["text"] for row in answer["results"]] == ["Maria sits on the aisle"]
    asked = {"query": "where does Maria sit", "min_score": 0}
    plain = [row["text"] for row in client.post(f"{C}/search", json=asked).json()["results"]]
    model.says = [{"order": [1, 1, 9]}]
    answer = client.post(f"{C}/search", json={**asked, "rerank": True}).json()
    assert answer["reranked"] is True
    assert [row["text"] for row in answer["results"]] == plain[::-1]
