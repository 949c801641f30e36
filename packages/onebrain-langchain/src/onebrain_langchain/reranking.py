"""LangChain's document compressors as rerankers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from langchain_core.documents import BaseDocumentCompressor, Document

_POSITION: Final = "onebrain_candidate"


class CompressorReranker:
    """A `BaseDocumentCompressor` as a reranker of a search.

    A compressor may drop and rewrite documents. Hits that it drops come last, and no text that it writes is taken over.

    Args:
        compressor: The compressor.

    Example:
        >>> import onebrain
        >>> from langchain_core.documents import BaseDocumentCompressor
        >>> class Reversed(BaseDocumentCompressor):
        ...     def compress_documents(self, documents, query, callbacks=None):
        ...         return documents[::-1]
        >>> brain = onebrain.connect("sqlite://")
        >>> brain.store_many(["a seat", "another window seat"]).failed
        ()
        >>> first = brain.search("seat")[0]
        >>> brain.search("seat", rerank=CompressorReranker(Reversed()))[-1].id == first.id
        True
        >>> brain.close()
    """

    def __init__(self, compressor: BaseDocumentCompressor) -> None:
        self.compressor = compressor

    def rerank(self, query: str, texts: list[str], /) -> list[float]:
        """Return one number for each text, by the compressor."""
        return _scores(self.compressor.compress_documents(_documents(texts), query), len(texts))

    async def arerank(self, query: str, texts: list[str], /) -> list[float]:
        """Do the same as `rerank`, asynchronously."""
        return _scores(await self.compressor.acompress_documents(_documents(texts), query), len(texts))


def reranker(given: Any) -> Any:
    """Return what a search takes as a reranker: a compressor behind `CompressorReranker`, all else as it is."""
    return CompressorReranker(given) if isinstance(given, BaseDocumentCompressor) else given


def _documents(texts: Sequence[str]) -> list[Document]:
    return [Document(text, metadata={_POSITION: at}) for at, text in enumerate(texts)]


def _scores(documents: Sequence[Document], count: int) -> list[float]:
    """Return the compressor's scores if they agree with its order, otherwise numbers in its order; 0 for a dropped text."""
    order = list(dict.fromkeys(document.metadata[_POSITION] for document in documents))
    own: dict[int, Any] = {
        document.metadata[_POSITION]: document.metadata.get("relevance_score") for document in documents
    }
    scores = [float(score) for at in order if isinstance(score := own[at], int | float) and 0 <= score <= 1]
    if len(scores) < len(order) or scores != sorted(scores, reverse=True):
        scores = [(count - place) / count for place in range(len(order))]
    # A text that was kept with a score of 0 comes before those that were dropped.
    least = sys.float_info.min if len(order) < count else 0.0
    ranked = {at: max(score, least) for at, score in zip(order, scores, strict=True)}
    return [ranked.get(at, 0.0) for at in range(count)]
