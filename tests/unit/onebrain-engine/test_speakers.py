"""A word before a colon is a speaker's name where it recurs, and a heading elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain_engine.index.text import least_turns

DOCUMENTS = [
    "Refunds: money comes back to your card within five days.",
    "Shipping: parcels leave the warehouse daily.",
    "Customers who are unhappy can return goods and get money reimbursed.",
    "The company was founded in 1990 in Ohio.",
]
TALK = [
    "Maria: I moved to Porto in spring.",
    "Paulo: How is the new flat?",
    "Maria: It has a view of the river.",
    "Paulo: My sister lives in Lisbon.",
]


def _scores(texts, query, mode="hybrid", **options):
    with onebrain.connect("sqlite://", **options) as brain:
        brain.store_many(texts)
        return {hit.memory.content: hit.score for hit in brain.search(query, mode=mode, limit=10)}


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_heading_counts_like_any_other_word(mode):
    query = "Tell me about refunds"
    marked = _scores(DOCUMENTS, query, mode)
    plain = _scores([text.replace(":", " -") for text in DOCUMENTS], query, mode)
    assert max(marked, key=lambda text: marked[text]).startswith("Refunds")
    for text, score in marked.items():
        assert score == pytest.approx(plain[text.replace(":", " -")], abs=0.02)


def test_a_heading_does_not_mark_other_headings_down():
    found = _scores(DOCUMENTS, "refunds parcels")
    assert found[DOCUMENTS[1]] > found[DOCUMENTS[3]]


def test_a_speakers_own_words_come_before_those_of_others():
    found = _scores(TALK, "Where does Maria live?")
    assert max(found, key=lambda text: found[text]).startswith("Maria")


def test_a_name_before_one_of_many_memories_is_no_speaker():
    texts = [*TALK, *(f"note {n} about the garden" for n in range(60))]
    few = _scores(texts, "Maria Porto")
    plain = _scores([text.replace(":", " -") for text in texts], "Maria Porto")
    assert few[TALK[0]] == pytest.approx(plain[TALK[0].replace(":", " -")], abs=0.02)


@given(st.integers(0, 10_000))
def test_a_speaker_has_two_turns_and_a_twentieth_of_all(memories):
    least = least_turns(memories)
    assert least >= 2
    assert least * 20 >= memories
    assert least == 2 or (least - 1) * 20 < memories


class Recording:
    """An embedder that keeps what it was asked for."""

    def __init__(self):
        self.documents, self.queries = [], []

    def embed_documents(self, texts):
        self.documents += texts
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text):
        self.queries.append(text)
        return [1.0, float(len(text))]


def test_vectors_are_made_of_whole_texts_and_of_queries_without_speakers():
    embedder = Recording()
    with onebrain.connect("sqlite://", embedder=embedder) as brain:
        ids = brain.store_many(DOCUMENTS).ids
        brain.search("Tell me about refunds")
        brain.update(ids[0], content="Returns: send it back.")
        assert embedder.documents == [*DOCUMENTS, "Returns: send it back."]
        assert embedder.queries == ["Tell me about refunds"]
        brain.forget(everything=True)
        brain.store_many(TALK)
        brain.search("Where does Maria live?")
        assert embedder.queries[1:] == ["Where does live?"]


def test_speakers_follow_what_is_stored_changed_and_removed():
    """A living index and a fresh one agree on who speaks."""
    from onebrain.memory.driver import SearchRequest
    from onebrain.memory.models import NewMemory
    from onebrain_engine import Engine, SqliteStore

    engine = Engine(SqliteStore(":memory:"))
    tenant = engine.tenant()
    request = SearchRequest(query="Maria Porto", mode="hybrid", limit=20)
    kept = [tenant.store([NewMemory(content=text)])[0].id for text in TALK]
    for step in range(3):
        tenant.search(request)
        if step == 1:
            tenant.store([NewMemory(content=f"note {n}") for n in range(50)])
        if step == 2:
            tenant.delete(kept[:1], onebrain.Scope())
        living = [(hit.memory.id, hit.score) for hit in tenant.search(request).hits]
        engine.indexes.partitions.clear()
        assert living == [(hit.memory.id, hit.score) for hit in tenant.search(request).hits]
    engine.close()
