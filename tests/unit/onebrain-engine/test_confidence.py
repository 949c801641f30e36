"""How likely a search found the answer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

import onebrain
from onebrain import AsyncBrain, OneBrainValidationError
from onebrain.memory.confidence import ABSTAIN, from_scores
from onebrain.memory.models import Hit, Memory
from onebrain_engine.embedders import from_name
from onebrain_engine.wordllama import WordLlama

FACTS = (
    "Maria prefers window seats",
    "Bob is allergic to peanuts",
    "The deploy needs two people",
    "Our office is in Lisbon, by the river",
)


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store_many(list(FACTS)).raise_for_failures()
        yield brain


def test_a_plain_search_has_no_confidence_and_embeds_nothing_for_it(brain, monkeypatch):
    monkeypatch.setattr(brain.driver, "confidence", None)  # which would fail
    assert brain.search("window seats").confidence is None


def test_an_answer_is_more_likely_than_none(brain):
    answered = brain.search("Where does Maria like to sit?", confidence=True).confidence
    assert answered > 0.5
    assert brain.search("How is the weather?", confidence=True).confidence < ABSTAIN
    assert 0 <= brain.search("Who won the Nobel prize?", confidence=True).confidence < answered


def test_less_than_min_confidence_returns_no_hit_and_says_how_little(brain):
    result = brain.search("How is the weather?", min_confidence=0.3)
    assert not result
    assert result.confidence < 0.3
    assert brain.search("How is the weather?", confidence=True)
    assert brain.search("Is Bob allergic to something?", min_confidence=0.3)[0].content == FACTS[1]


def test_a_context_is_empty_where_nothing_answers_and_can_be_told_not_to_be(brain):
    assert brain.context("How is the weather?").text == ""
    assert brain.context("How is the weather?", min_confidence=0).memories
    assert FACTS[0] in brain.context("Which seat should I book?").text


def test_pinned_memories_stay_in_a_context_that_abstains(brain):
    brain.store("Always answer in French", pinned=True)
    assert [one.content for one in brain.context("How is the weather?").memories] == [
        "Always answer in French"
    ]


@pytest.mark.parametrize(
    ("memory", "query"),
    [
        ("Maria prefers window seats", "Where does she like to sit?"),
        ("I always take the window seat", "Which seat should I book?"),
        ("Maria prefers window seats", "Who is Maria?"),
        ("Maria prefers window seats", "Tell me about Maria"),
        ("My name is Maria", "Who am I?"),
        ("Maria prefers window seats", "What do you know about me?"),
        ("Maria prefers window seats", "And then?"),
        ("窓側の席が好きです", "どの席が好きですか"),
        ("Мария любит сидеть у окна", "Где любит сидеть Мария?"),
        ("外婆喜欢种花", "外婆喜欢什么?"),
        ("The wifi password is hunter2", "wifi password"),
        ("Maria sitzt gern am Fenster", "Wo sitzt Maria gern?"),
    ],
)
def test_a_memory_that_plainly_answers_is_recalled_from_a_store_of_one(memory, query):
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store(memory)
        assert memory in brain.context(query).text


def test_a_memory_of_the_time_that_is_asked_for_is_recalled():
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store("We went rowing on the lake", created_at="2024-05-06T10:00:00Z")
        brain.store("Bob is allergic to peanuts", created_at="2023-01-01T10:00:00Z")
        assert "rowing" in brain.context("what happened yesterday?", now="2024-05-07T09:00:00Z").text


def test_without_vectors_the_confidence_is_not_known_and_hits_stay():
    with onebrain.connect("sqlite://", embedder=None) as brain:
        brain.store(FACTS[0])
        result = brain.search("window weather", min_confidence=0.9)
        assert result.confidence is None
        assert result[0].content == FACTS[0]
        assert brain.context("window weather").memories


def test_nothing_found_is_no_confidence_and_no_query_none(brain):
    with onebrain.connect("sqlite://") as empty:
        assert empty.search("anything at all", confidence=True).confidence == 0
    listed = brain.search(min_confidence=0.9)
    assert len(listed) == len(FACTS)
    assert listed.confidence is None


class Hashing:
    """An embedder without a fitted curve: one dimension for each word, and a large part that all texts share."""

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        vector = np.full(256, 0.15)
        for word in text.lower().split():
            vector[sum(word.encode()) % 256] += 1
        return vector.tolist()


class Static(Hashing):
    static = True


def test_a_static_embedder_without_a_curve_is_judged_as_a_static_one():
    assert WordLlama().static
    assert from_name("model2vec:x/y").static
    known = []
    for embedder in (Hashing(), Static()):
        with onebrain.connect("sqlite://", embedder=embedder) as brain:
            brain.store("the hat of the uncle is on the shelf of the aunt")
            question = "Where is the coat of the uncle?"
            known.append(brain.search(question, confidence=True).confidence)
    # Function words that both have make sentences near to each other.
    assert known[1] < known[0]


class Constant:
    def embed_documents(self, texts):
        return [[1.0, 0.0]] * len(texts)

    def embed_query(self, text):
        return [1.0, 0.0]


def test_an_unknown_embedder_is_measured_with_unrelated_sentences():
    with onebrain.connect("sqlite://", embedder=Hashing()) as brain:
        brain.store_many(list(FACTS)).raise_for_failures()
        sure = brain.search("maria prefers window seats", confidence=True).confidence
        unsure = brain.search("nobel literature quantum", confidence=True).confidence
        assert sure > 0.5 > unsure


def test_an_embedder_that_tells_nothing_apart_gives_no_confidence():
    with onebrain.connect("sqlite://", embedder=Constant()) as brain:
        brain.store(FACTS[0])
        assert brain.search("nobel literature", confidence=True).confidence is None
        assert brain.context("nobel literature").memories


def test_an_embedder_that_fails_for_the_confidence_loses_no_hit():
    class Failing(Hashing):
        broken = False

        def embed_documents(self, texts):
            if self.broken:
                raise RuntimeError("out of reach")
            return super().embed_documents(texts)

    embedder = Failing()
    with onebrain.connect("sqlite://", embedder=embedder) as brain:
        brain.store(FACTS[0])
        embedder.broken = True
        result = brain.search("window seats", min_confidence=0.9)
        assert result.confidence is None
        assert result.memories


async def test_an_async_brain_does_the_same(brain):
    other: AsyncBrain = brain.to_async()
    found = await other.search("Where does Maria like to sit?", confidence=True)
    assert found.confidence == brain.search("Where does Maria like to sit?", confidence=True).confidence
    assert (await other.context("How is the weather?")).text == ""


@pytest.mark.parametrize("wrong", [-0.1, 1.1, "high", None, float("nan")])
def test_a_wrong_min_confidence_is_refused(brain, wrong):
    with pytest.raises(OneBrainValidationError, match="min_confidence"):
        brain.search("window", min_confidence=wrong)


def test_without_a_judge_scores_and_words_tell():
    hits = [Hit(memory=Memory(id="1", content="Maria prefers window seats"), score=0.2)]
    assert from_scores("window seats", hits) == 1
    assert from_scores("how is the weather", hits) == 0.2
    assert from_scores("", []) == 0


def test_that_a_memory_is_of_today_tells_little():
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(["Maria prefers window seats", "Maria is allergic to hazelnuts"])
        for query in ("How is the weather today?", "How is the weather this week?"):
            assert brain.search(query, confidence=True).confidence < ABSTAIN
            assert brain.context(query).text == ""


def test_a_memory_is_recalled_by_the_words_of_those_that_it_replaces():
    with onebrain.connect("sqlite://") as brain:
        first = brain.store("The user's wifi password is hunter2").id
        second = brain.supersede(first, "It is now swordfish").id
        assert "swordfish" in brain.context("What is the wifi password?").text
        brain.supersede(second, "Changed again, to marlin")
        assert "marlin" in brain.context("What is the wifi password?").text
        assert brain.context("How is the weather?").text == ""


def test_words_far_into_a_long_memory_count():
    with onebrain.connect("sqlite://") as brain:
        brain.store("The deploy needs two people. " * 100 + "The harpsichord stands in Lisbon.")
        assert "harpsichord" in brain.context("harpsichord?", max_tokens=5000).text


@pytest.mark.parametrize("memory", ["窓側の席が好きです", "Мария любит сидеть у окна"])
def test_an_answer_in_another_script_is_recalled(memory):
    with onebrain.connect("sqlite://") as brain:
        brain.store(memory)
        assert memory in brain.context("Where does she like to sit?").text


@pytest.mark.parametrize(
    "query",
    [
        "What happened this month?",
        "What happened since Friday?",
        "What happened in the last three days?",
        "What happened this year?",
    ],
)
def test_a_time_that_is_not_over_counts_up_to_the_day_before(query):
    now = datetime(2024, 5, 12, 9, tzinfo=timezone(timedelta(hours=2)))  # a Sunday
    with onebrain.connect("sqlite://") as brain:
        brain.store("We went rowing on the lake", created_at="2024-05-11T21:59:00Z")
        assert "rowing" in brain.context(query, now=now).text
    with onebrain.connect("sqlite://") as brain:
        brain.store("We went rowing on the lake", created_at="2024-05-11T22:01:00Z")  # today, in that zone
        assert brain.search(query, now=now, confidence=True).confidence < 0.5


def test_words_of_asking_and_numbers_make_no_memory_related():
    with onebrain.connect("sqlite://") as brain:
        brain.store("I like chess")
        assert brain.context("What's the weather like tomorrow?").text == ""
        assert "chess" in brain.context("What do I like?").text
        assert "chess" in brain.context("What is the thing that I like?").text
    with onebrain.connect("sqlite://") as brain:
        brain.store("My size is 42")
        assert brain.context("What is 2+2?").text == ""
        assert "42" in brain.context("Who of us has 42?").text
