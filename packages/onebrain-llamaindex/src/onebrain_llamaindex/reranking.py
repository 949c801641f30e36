"""LlamaIndex's node postprocessors as rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from onebrain.frameworks.reranking import scores_of

_POSITION: Final = "onebrain_candidate"


class PostprocessorReranker:
    """A `BaseNodePostprocessor` as a reranker of a search.

    A postprocessor may drop and rewrite nodes. Hits that it drops come last, and no text that it writes is taken over.

    Args:
        postprocessor: The postprocessor.

    Example:
        >>> import onebrain
        >>> from llama_index.core.postprocessor.types import BaseNodePostprocessor
        >>> class Reversed(BaseNodePostprocessor):
        ...     def _postprocess_nodes(self, nodes, query_bundle=None):
        ...         return nodes[::-1]
        >>> brain = onebrain.connect("sqlite://")
        >>> brain.store_many(["a seat", "another window seat"]).failed
        ()
        >>> first = brain.search("seat")[0]
        >>> brain.search("seat", rerank=PostprocessorReranker(Reversed()))[-1].id == first.id
        True
        >>> brain.close()
    """

    def __init__(self, postprocessor: BaseNodePostprocessor) -> None:
        self.postprocessor = postprocessor

    def rerank(self, query: str, texts: list[str], /) -> list[float]:
        """Return one number for each text, by the postprocessor."""
        nodes = _nodes(texts)
        return _scores(self.postprocessor.postprocess_nodes(nodes, QueryBundle(query)), len(texts))

    async def arerank(self, query: str, texts: list[str], /) -> list[float]:
        """Do the same as `rerank`, asynchronously."""
        nodes = _nodes(texts)
        return _scores(await self.postprocessor.apostprocess_nodes(nodes, QueryBundle(query)), len(texts))


def reranker(given: Any) -> Any:
    """Return what a search takes as a reranker: a postprocessor behind `PostprocessorReranker`, all else as it is."""
    return PostprocessorReranker(given) if isinstance(given, BaseNodePostprocessor) else given


def _nodes(texts: Sequence[str]) -> list[NodeWithScore]:
    count = len(texts)
    return [NodeWithScore(node=_node(at, text), score=(count - at) / count) for at, text in enumerate(texts)]


def _node(at: int, text: str) -> TextNode:
    # The number is for the way back alone; a model must not read it as a part of the text.
    hidden = [_POSITION]
    return TextNode(
        text=text,
        metadata={_POSITION: at},
        excluded_embed_metadata_keys=hidden,
        excluded_llm_metadata_keys=hidden,
    )


def _scores(nodes: Sequence[NodeWithScore], count: int) -> list[float]:
    return scores_of({found.node.metadata[_POSITION]: found.score for found in nodes}, count)
