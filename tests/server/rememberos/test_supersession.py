"""What a new fact makes untrue: marked, left out of searches, kept, and the truth again when the new one goes."""

from __future__ import annotations

import pytest

from onebrain_server.dialects.rememberos.rules.supersession import claim_of, claims_of, overtakes

C = "/memory/collections/notes"


@pytest.fixture
def remember(client):
    def call(content, **fields):
        answer = client.post(f"{C}/remember?sync=true", json={"content": content, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()["memories"]

    return call


def texts(client, query, **fields):
    found = client.post(f"{C}/search", json={"query": query, "min_score": 0, "limit": 50, **fields}).json()
    return {row["text"] for row in found["results"]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Maria lives in Lisbon.", "Maria has moved to Porto."),
        ("Maria lives in Lisbon", "Maria now lives in Porto, Portugal."),
        ("I live in Lisbon", "I just moved from Lisbon to Porto last week"),
        ("Maria works at Acme Labs.", "Maria joined Globex."),
        ("Maria works at Acme Labs.", "Maria no longer works at Acme Labs."),
        ("Maria works as a designer", "Maria works as an engineer now"),
        ("Maria prefers window seats.", "Maria prefers aisle seats."),
        ("Maria prefers coffee", "Maria prefers tea over coffee"),
        ("Maria likes coriander", "Maria can't stand coriander"),
        ("Maria loves jazz", "Maria no longer loves jazz"),
        ("My favourite colour is green", "My favorite colour is now blue"),
        ("Maria's phone number is 555-1234", "Maria's phone number is 555-9876"),
        ("We use MySQL for analytics", "We use PostgreSQL for analytics"),
        ("The deploy day is Friday", "The deploy day was moved to Thursday"),
        ("Maria is 34 years old", "Maria is 35 years old"),
        ("Maria is single", "Maria got married"),
    ],
)
def test_a_claim_overtakes_an_older_one_of_its_kind(old, new):
    left, right = claim_of(old), claim_of(new)
    assert left is not None
    assert right is not None
    assert overtakes(right, left), (left, right)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Maria lives in Lisbon.", "Pedro moved to Porto."),
        ("Maria lives in Lisbon.", "Maria lives in Lisbon, Portugal."),
        ("Maria lives in Lisbon.", "Maria works at Acme Labs."),
        ("Maria prefers window seats.", "Maria prefers green tea."),
        ("Maria likes jazz", "Maria likes coriander"),
        ("Maria likes jazz", "Maria dislikes coriander"),
        ("Maria no longer works at Acme Labs.", "Maria joined Globex."),
        ("Maria's phone number is 555-1234", "Maria's birthday is in May"),
        ("We use MySQL for analytics", "We use Redis for caching"),
        ("Maria works at Acme Labs.", "Maria no longer works at Globex."),
    ],
)
def test_what_only_adds_overtakes_nothing(old, new):
    left, right = claim_of(old), claim_of(new)
    assert left is not None
    assert right is not None
    assert not overtakes(right, left), (left, right)


@pytest.mark.parametrize(
    "text", ["It rained in Lisbon.", "How nice!", "The API is fast", "Deploy with make", ""]
)
def test_what_is_no_claim_claims_nothing(text):
    assert claim_of(text) is None


def test_a_pronoun_stands_for_the_one_named_last():
    claims = claims_of(
        ["Maria lives in Lisbon.", "She works at Acme.", "I live in Rome.", "She prefers tea."]
    )
    assert [claim and claim.subject for claim in claims] == ["maria", "maria", "i", "maria"]


def test_a_superseded_fact_is_kept_and_not_found(client, remember):
    [old] = remember("Maria lives in Lisbon.")
    [new] = remember("Maria has moved to Porto.")
    assert (old["relation"], new["relation"]) == ("new", "updates")
    for mode in ("hybrid", "vector", "text"):
        assert "Maria lives in Lisbon." not in texts(client, "Maria Lisbon", mode=mode)
    assert texts(client, "where is Maria") == {"Maria has moved to Porto."}
    kept = client.get(f"{C}/memories/{old['id']}").json()
    assert (kept["text"], kept["superseded_by"]) == ("Maria lives in Lisbon.", new["id"])
    assert client.get(f"{C}/health").json()["supersessions"] == 1
    assert client.get(f"{C}/health").json()["current"] == 1


def test_a_chain_of_updates_has_a_pair_for_each(client, remember):
    for place in ("Lisbon", "Porto", "Braga"):
        remember(f"Maria lives in {place}.")
    pairs = client.get(f"{C}/contradictions").json()
    assert [(pair["current"]["text"], pair["superseded"]["text"]) for pair in pairs] == [
        ("Maria lives in Braga.", "Maria lives in Porto."),
        ("Maria lives in Porto.", "Maria lives in Lisbon."),
    ]
    assert client.get(f"{C}/profile").json()["profile"] == "Maria lives in Braga."
    summary = client.get(f"{C}/summary").json()["summary"]
    assert "Changed: Maria lives in Braga. Before: Maria lives in Porto." in summary


def test_what_was_superseded_is_the_truth_again_when_the_update_is_deleted(client, remember):
    remember("Maria lives in Lisbon.")
    [new] = remember("Maria has moved to Porto.")
    client.delete(f"{C}/memories/{new['id']}")
    assert texts(client, "Maria") == {"Maria lives in Lisbon."}
    assert client.get(f"{C}/contradictions").json() == []


def test_one_text_may_overtake_several_facts(client, remember):
    remember("Maria lives in Lisbon. She works at Acme Labs. She prefers window seats.")
    facts = remember("Maria moved to Porto. She joined Globex. She is fluent in French.")
    assert [fact["relation"] for fact in facts] == ["updates", "updates", "new"]


def test_a_memory_stored_by_itself_is_overtaken_too(client, add, remember):
    add("Maria lives in Lisbon.")
    add("Notes of the meeting: Maria lives in Lisbon, Pedro is on leave, and the budget is open.")
    assert [fact["relation"] for fact in remember("Maria moved to Porto.")] == ["updates"]
    assert len(texts(client, "Maria Lisbon Porto meeting")) == 2


def test_another_sub_namespace_is_another_person(client, remember):
    remember("I live in Lisbon.", container_tag="maria")
    [fact] = remember("I live in Porto.", container_tag="pedro")
    assert fact["relation"] == "new"
    [fact] = remember("I live in Braga.")
    assert fact["relation"] == "new"
    [fact] = remember("I live in Faro.", container_tag="maria")
    assert fact["relation"] == "updates"
    assert texts(client, "live", container_tag="maria") == {"I live in Faro."}
    assert texts(client, "live", container_tag="pedro") == {"I live in Porto."}


def test_the_same_fact_twice_is_stored_once(client, remember):
    [first] = remember("Maria lives in Lisbon.")
    answer = client.post(f"{C}/remember?sync=true", json={"content": "maria lives in lisbon."}).json()
    assert answer["created"] == 0
    assert [(fact["id"], fact["relation"]) for fact in answer["memories"]] == [(first["id"], "repeats")]


def test_a_text_without_facts_is_kept_itself(client, remember):
    [fact] = remember("Remember the milk")
    assert (fact["text"], fact["type"], fact["relation"]) == ("Remember the milk", "other", "new")
    long = "blah " * 5000
    assert "".join(fact["text"] for fact in remember(long)) == long


def test_a_text_may_correct_itself(client, remember):
    facts = remember("Maria lives in Lisbon. No, wait: that was last year. Maria has moved to Porto.")
    assert [fact["relation"] for fact in facts] == ["new", "updates"]
    assert texts(client, "Maria") == {"Maria has moved to Porto."}


@pytest.mark.parametrize("gone", [("Porto",), ("Porto", "Braga")])
def test_deleting_a_link_of_a_chain_leaves_the_newest_as_the_truth(client, remember, gone):
    ids = {}
    for place in ("Lisbon", "Porto", "Braga", "Faro"):
        [fact] = remember(f"Maria lives in {place}.")
        ids[place] = fact["id"]
    for place in gone:
        client.delete(f"{C}/memories/{ids[place]}")
    assert texts(client, "Maria") == {"Maria lives in Faro."}
    [first, *_] = [
        pair for pair in client.get(f"{C}/contradictions").json() if pair["superseded"]["id"] == ids["Lisbon"]
    ]
    assert first["current"]["text"] == (
        "Maria lives in Braga." if gone == ("Porto",) else "Maria lives in Faro."
    )


def test_forgetting_a_whole_chain_leaves_nothing_behind(client, remember):
    for place in ("Lisbon", "Porto", "Braga"):
        remember(f"Maria lives in {place}.")
    answer = client.post(f"{C}/forget", json={"query": "Maria lives in", "min_score": 0}).json()
    assert answer["deleted"] == 3
    assert client.get(f"{C}/memories").json() == []
