"""With a language model behind an OpenAI-compatible API: what it says is used, and what it does not say is done without it."""

from __future__ import annotations

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


def fact(text, quote, **more):
    return {"text": text, "quote": quote, "from": 1, "type": "fact", **more}


def found(*facts):
    return {"facts": list(facts)}


def remember(client, content):
    return client.post(f"{C}/remember?sync=true", json={"content": content}).json()["memories"]


def texts(client):
    return [row["text"] for row in client.get(f"{C}/memories").json()]


def test_the_model_extracts_and_says_what_is_overtaken(client, model):
    model.says = [found(fact("The office is painted green", "We painted it green", type="decision"))]
    [made] = remember(client, "We painted it green")
    assert (made["relation"], made["type"]) == ("new", "decision")
    said = "We painted it grey, and lunch is at noon"
    model.says = [
        found(
            fact("The walls of the office are grey", "painted it grey", replaces=[1, 7]),
            fact("Lunch is at noon", "lunch is at noon", type="rubbish"),
        )
    ]
    facts = remember(client, said)
    assert [(row["relation"], row["type"]) for row in facts] == [("updates", "fact"), ("new", "fact")]
    assert '{"fact": 1, "text": "The office is painted green"}' in model.heard[-1]
    # The same call again asks nobody, and gives the same facts.
    asked, again = len(model.asked), remember(client, said)
    assert [(row["id"], row["relation"]) for row in again] == [(row["id"], "repeats") for row in facts]
    assert len(model.asked) == asked


def test_a_known_fact_is_not_stored_again_though_other_words_say_it(client, model):
    model.says = [found(fact("Maria lives in Porto", "I live in Porto"))]
    [made] = remember(client, "I live in Porto.")
    model.says = [found(fact("Porto is where Maria lives", "Porto is home", same=1))]
    assert remember(client, "Porto is home.") == [{**made, "relation": "repeats"}]


def test_a_fact_that_was_overtaken_can_be_said_again(client, model):
    home = found(fact("Maria lives in Lisbon", "I live in Lisbon"))
    model.says = [home, found(fact("Maria lives in Porto", "I moved to Porto", replaces=[1]))]
    remember(client, "I live in Lisbon.")
    remember(client, "I moved to Porto.")
    model.says = [home]
    assert [row["relation"] for row in remember(client, "I live in Lisbon.")] == ["new"]


def test_a_call_that_found_known_facts_as_well_is_known_again(client, model):
    home = fact("Maria lives in Porto", "in Porto")
    model.says = [found(home), found(fact("Maria likes tea", "like tea"), home)]
    remember(client, "I live in Porto.")
    first = remember(client, "I like tea in Porto.")
    assert [row["relation"] for row in first] == ["new", "repeats"]
    assert [row["id"] for row in remember(client, "I like tea in Porto.")] == [row["id"] for row in first]
    assert len(model.asked) == 2


NONSENSE = ["no JSON", {"facts": 7}]
SAID = "Maria lives in Lisbon. What a day it was!"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([], id="fails"),
        pytest.param(NONSENSE, id="nonsense"),
        pytest.param([found(fact("Maria is rich", "I am rich"))], id="invents a quote"),
        pytest.param([found(fact("Maria has 7 cats", "Maria lives in Lisbon"))], id="invents a number"),
    ],
)
def test_a_model_that_cannot_be_trusted_leaves_the_text_and_the_rules(client, model, answers):
    model.says = list(answers)
    facts = remember(client, SAID)
    assert [(row["text"], row["type"]) for row in facts] == [
        (SAID, "other"),
        ("Maria lives in Lisbon.", "fact"),
    ]
    assert set(texts(client)) == {SAID, "Maria lives in Lisbon."}
    # It is asked again by the same call.
    model.says = [found(fact("Maria's home is Lisbon", "Maria lives in Lisbon"))]
    assert [row["text"] for row in remember(client, SAID)] == ["Maria's home is Lisbon"]


def test_a_text_without_facts_is_kept_and_asked_about_once(client, model):
    model.says = [found()]
    [row] = remember(client, SAID)
    assert (row["text"], row["type"]) == (SAID, "other")
    assert [(row["text"], row["relation"]) for row in remember(client, SAID)] == [(SAID, "repeats")]
    assert len(model.asked) == 1


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
