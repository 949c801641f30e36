"""Embedding objects of frameworks, recognized by their methods; no framework is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LlamaIndexEmbedder:
    """An embedder over an object with LlamaIndex's `BaseEmbedding` interface.

    Args:
        embedding: It has `get_text_embedding_batch` and `get_query_embedding`, which put the model's own prefixes in front.
    """

    def __init__(self, embedding: Any) -> None:
        self.embedding = embedding

    def embed_documents(self, texts: list[str], /) -> Sequence[Sequence[float]]:
        """Return one vector for each text to store."""
        vectors: Sequence[Sequence[float]] = self.embedding.get_text_embedding_batch(texts)
        return vectors

    def embed_query(self, text: str, /) -> Sequence[float]:
        """Return the vector of a query."""
        vector: Sequence[float] = self.embedding.get_query_embedding(text)
        return vector


def adapted(embedder: Any) -> Any:
    """Return an object with `embed_documents` and `embed_query` over one of another known shape, or the object itself.

    LangChain's `Embeddings` have these two methods themselves.
    """
    if callable(getattr(embedder, "embed_documents", None)):
        return embedder
    if all(
        callable(getattr(embedder, name, None))
        for name in ("get_text_embedding_batch", "get_query_embedding")
    ):
        return LlamaIndexEmbedder(embedder)
    return embedder
