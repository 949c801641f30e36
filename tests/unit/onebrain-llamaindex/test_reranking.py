"""Rerankers and least confidence in the retriever."""

from __future__ import annotations

import pytest
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

import onebrain
from onebrain_llamaindex import OneBrainRetriever, PostprocessorReranker

FACTS = ["Maria prefers window seats", "Maria sold her seat at the opera", "Maria sits on the board"]


class Shortest(BaseNodePostprocessor):
    """Keeps the two shortest, rewritten."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        assert query_bundle.query_str == "Maria seat"
        kept = sorted(nodes, key=lambda one: len(one.node.get_content(MetadataMode.LLM)))[:2]
        return [NodeWithScore(node=TextNode(text="rewritten", metadata=one.node.metadata)) for one in kept]


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store_many(FACTS).raise_for_failures()
        yield brain


def test_a_postprocessor_orders_the_nodes_and_changes_no_text(brain):
    retriever = OneBrainRetriever(brain=brain, rerank=Shortest())
    assert [found.text for found in retriever.retrieve("Maria seat")] == sorted(FACTS, key=len)


async def test_it_does_in_async_code(brain):
    retriever = OneBrainRetriever(brain=brain, rerank=Shortest())
    assert [found.text for found in await retriever.aretrieve("Maria seat")] == sorted(FACTS, key=len)


def test_a_search_takes_one_by_its_adapter(brain):
    result = brain.search("Maria seat", rerank=PostprocessorReranker(Shortest()))
    assert result.reranked
    assert [hit.score for hit in result] == pytest.approx([1, 2 / 3, 0])


def test_least_confidence_empties_the_answer_and_confidence_is_in_the_metadata(brain):
    retriever = OneBrainRetriever(brain=brain, min_confidence=0.3)
    assert retriever.retrieve("How is the weather?") == []
    [first, *_] = retriever.retrieve("Which seats does Maria prefer?")
    assert 0.3 <= first.metadata["confidence"] <= 1


def test_the_memorys_own_confidence_wins_in_the_metadata(brain):
    brain.store("Maria prefers aisle seats in the theatre", metadata={"confidence": "hearsay"})
    found = OneBrainRetriever(brain=brain, min_confidence=0.1).retrieve("Which seats does Maria prefer?")
    own = {one.text: one.metadata["confidence"] for one in found}
    assert own.pop("Maria prefers aisle seats in the theatre") == "hearsay"
    assert all(isinstance(value, float) for value in own.values())


class Last(BaseNodePostprocessor):
    """Keeps the last node alone, with a score of 0."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [NodeWithScore(node=nodes[-1].node, score=0.0)]


def test_what_is_dropped_comes_after_what_is_kept_with_a_score_of_0(brain):
    last = brain.search("Maria seat")[-1]
    result = brain.search("Maria seat", rerank=PostprocessorReranker(Last()))
    assert result[0].id == last.id
    assert [hit.score for hit in result] == pytest.approx([0, 0, 0])
