"""Simple memories to compare with, for `memory.py`: each takes all texts, and returns a function that searches them.

They see the texts alone: no session, date or scope. The vectors are those of the embedder that the brain uses.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

# A search for the best `limit` texts: their positions and scores, the best first.
Found: TypeAlias = list[tuple[int, float]]
Search: TypeAlias = Callable[[str, int], Found]
Baseline: TypeAlias = Callable[[Sequence[str]], Search]

_RRF = 60  # the constant of reciprocal rank fusion, as in its paper
_FUSED = 100  # hits of each kind that are fused


def fts5(texts: Sequence[str]) -> Search:
    """Return SQLite's full-text search: BM25 over stemmed words, any of which may match."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE texts USING fts5(content, tokenize='porter unicode61')")
    database.executemany("INSERT INTO texts(rowid, content) VALUES (?, ?)", enumerate(texts))

    def search(query: str, limit: int) -> Found:
        words = dict.fromkeys(re.findall(r"\w+", query.casefold()))
        if not words:
            return []
        rows = database.execute(
            "SELECT rowid, -rank FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?",
            (" OR ".join(f'"{word}"' for word in words), limit),
        )
        return [(int(row), float(score)) for row, score in rows]

    return search


class Embedded:
    """Baselines that need vectors: those of each text are made once.

    Args:
        embedder: An object with `embed_documents` and `embed_query`.
    """

    def __init__(self, embedder: Any) -> None:
        self._embedder = embedder
        self._made: dict[str, Any] = {}

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of texts, scaled to length one."""
        return self._vectors(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query, scaled to length one."""
        return self._query(text).tolist()

    def cosine(self, texts: Sequence[str]) -> Search:
        """Return a search by the cosine of query and text."""
        vectors = self._vectors(texts)

        def search(query: str, limit: int) -> Found:
            scores = vectors @ self._query(query)
            return [(int(row), float(scores[row])) for row in np.argsort(-scores, kind="stable")[:limit]]

        return search

    def rrf(self, texts: Sequence[str]) -> Search:
        """Return the reciprocal rank fusion of both."""
        searches = (fts5(texts), self.cosine(texts))

        def search(query: str, limit: int) -> Found:
            scores: dict[int, float] = {}
            for one in searches:
                for rank, (row, _) in enumerate(one(query, _FUSED), 1):
                    scores[row] = scores.get(row, 0.0) + 1 / (_RRF + rank)
            return sorted(scores.items(), key=lambda hit: -hit[1])[:limit]

        return search

    def langchain(self, texts: Sequence[str]) -> Search:
        """Return LangChain's InMemoryVectorStore."""
        from langchain_core.embeddings import Embeddings
        from langchain_core.vectorstores import InMemoryVectorStore

        class Adapted(Embeddings):
            embed_documents = staticmethod(self.embed_documents)  # type: ignore[assignment]
            embed_query = staticmethod(self.embed_query)  # type: ignore[assignment]

        store = InMemoryVectorStore(Adapted())
        store.add_texts(list(texts), ids=[str(row) for row in range(len(texts))])

        def search(query: str, limit: int) -> Found:
            return [
                (int(document.id or 0), score)
                for document, score in store.similarity_search_with_score(query, k=limit)
            ]

        return search

    def mem0(self, texts: Sequence[str]) -> Search:
        """Return mem0 with its local store; `infer=False`, so that no language model is asked."""
        folder = tempfile.mkdtemp()
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ.setdefault("MEM0_DIR", f"{folder}/mem0")
        # mem0 creates its language model, but never calls it here.
        os.environ.setdefault("OPENAI_API_KEY", "unused")
        from langchain_core.embeddings import Embeddings
        from mem0 import Memory  # pyright: ignore[reportMissingImports]

        class Adapted(Embeddings):
            embed_documents = staticmethod(self.embed_documents)  # type: ignore[assignment]
            embed_query = staticmethod(self.embed_query)  # type: ignore[assignment]

        size = len(self._query("size"))
        memory = Memory.from_config(
            {
                "embedder": {"provider": "langchain", "config": {"model": Adapted(), "embedding_dims": size}},
                "vector_store": {
                    "provider": "qdrant",
                    "config": {
                        "collection_name": "memories",
                        "path": f"{folder}/qdrant",
                        "embedding_model_dims": size,
                    },
                },
                "history_db_path": f"{folder}/history.db",
            }
        )
        for row, text in enumerate(texts):
            memory.add(text, user_id="all", infer=False, metadata={"row": row})

        def search(query: str, limit: int) -> Found:
            try:
                found = memory.search(query, filters={"user_id": "all"}, top_k=limit)
            except TypeError:
                # Before version 2.
                found = memory.search(query, user_id="all", limit=limit)
            return [(int(hit["metadata"]["row"]), float(hit["score"])) for hit in found["results"]]

        return search

    def _vectors(self, texts: Sequence[str]) -> Any:
        missing = [text for text in dict.fromkeys(texts) if text not in self._made]
        if missing:
            made = _unit(np.asarray(self._embedder.embed_documents(missing), np.float32))
            self._made.update(zip(missing, made, strict=True))
        return np.stack([self._made[text] for text in texts])

    def _query(self, text: str) -> Any:
        return _unit(np.asarray([self._embedder.embed_query(text)], np.float32))[0]


def _unit(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def baselines(embedder: Any) -> dict[str, Baseline]:
    """Return all baselines by name."""
    embedded = Embedded(embedder)
    return {
        "fts5": fts5,
        "cosine": embedded.cosine,
        "rrf": embedded.rrf,
        "langchain": embedded.langchain,
        "mem0": embedded.mem0,
    }
