"""LangChain's document compressors as rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.documents import BaseDocumentCompressor, Document

from onebrain.frameworks.reranking import scores_of

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
    kept = {document.metadata[_POSITION]: document.metadata.get("relevance_score") for document in documents}
    return scores_of(kept, count)
