"""Rerankers and least confidence in the retriever."""

from __future__ import annotations

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document

import onebrain
from onebrain_langchain import CompressorReranker, OneBrainRetriever

FACTS = ["Maria prefers window seats", "Maria sold her seat at the opera", "Maria sits on the board"]


class Shortest(BaseDocumentCompressor):
    """Keeps the two shortest, rewritten."""

    def compress_documents(self, documents, query, callbacks=None):
        kept = sorted(documents, key=lambda one: len(one.page_content))[:2]
        return [Document("rewritten", metadata=one.metadata) for one in kept]


class Scored(BaseDocumentCompressor):
    def compress_documents(self, documents, query, callbacks=None):
        ordered = sorted(documents, key=lambda one: len(one.page_content))
        return [
            Document(one.page_content, metadata={**one.metadata, "relevance_score": 0.9 - n / 10})
            for n, one in enumerate(ordered)
        ]


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store_many(FACTS).raise_for_failures()
        yield brain


def test_a_compressor_orders_the_documents_and_changes_no_text(brain):
    retriever = OneBrainRetriever(brain=brain, rerank=Shortest())
    found = [document.page_content for document in retriever.invoke("Maria seat")]
    assert found == sorted(FACTS, key=len)


async def test_it_does_in_async_code(brain):
    retriever = OneBrainRetriever(brain=brain, rerank=Shortest())
    found = [document.page_content for document in await retriever.ainvoke("Maria seat")]
    assert found == sorted(FACTS, key=len)


def test_its_scores_are_taken_if_they_agree_with_its_order(brain):
    result = brain.search("Maria seat", rerank=CompressorReranker(Scored()))
    assert [hit.score for hit in result] == pytest.approx([0.9, 0.8, 0.7])


def test_a_reranker_may_be_given_to_one_call(brain):
    retriever = OneBrainRetriever(brain=brain)
    found = retriever.invoke("Maria seat", rerank=lambda query, texts: [-len(text) for text in texts])
    assert [one.page_content for one in found] == sorted(FACTS, key=len)


def test_least_confidence_empties_the_answer_and_confidence_is_in_the_metadata(brain):
    retriever = OneBrainRetriever(brain=brain, min_confidence=0.3)
    assert retriever.invoke("How is the weather?") == []
    [first, *_] = retriever.invoke("Which seats does Maria prefer?")
    assert 0.3 <= first.metadata["confidence"] <= 1


def test_the_memorys_own_confidence_wins_in_the_metadata(brain):
    brain.store("Maria prefers aisle seats in the theatre", metadata={"confidence": "hearsay"})
    found = OneBrainRetriever(brain=brain, min_confidence=0.1).invoke("Which seats does Maria prefer?")
    own = {one.page_content: one.metadata["confidence"] for one in found}
    assert own.pop("Maria prefers aisle seats in the theatre") == "hearsay"
    assert all(isinstance(value, float) for value in own.values())


class Last(BaseDocumentCompressor):
    """Keeps the last document alone, with a score of 0."""

    def compress_documents(self, documents, query, callbacks=None):
        last = documents[-1]
        return [Document(last.page_content, metadata={**last.metadata, "relevance_score": 0.0})]


def test_what_is_dropped_comes_after_what_is_kept_with_a_score_of_0(brain):
    last = brain.search("Maria seat")[-1]
    result = brain.search("Maria seat", rerank=CompressorReranker(Last()))
    assert result[0].id == last.id
    assert [hit.score for hit in result] == pytest.approx([0, 0, 0])
