"""Measures other memories with the same texts and the same embedder, for `engine.py --peers`.

They do different work: chromadb and mem0 search by vector only, and InMemoryStore keeps nothing on disk. A remark beside
each figure says so. Inference and telemetry of mem0 are off.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.texts import milliseconds

import onebrain
from onebrain_engine import WordLlama

Measured = dict[str, Any]


class _Embeddings:
    """The engine's embedder with LangChain's interface."""

    def __init__(self) -> None:
        self._embedder = WordLlama()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._embedder.embed_documents(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self._embedder.embed_query(text).tolist()


def onebrain_(folder: Path, texts: list[str], questions: list[str]) -> Measured:
    """Measure the embedded brain."""
    with onebrain.connect(f"sqlite:///{folder}/brain.db") as brain:
        brain.store_many(texts).raise_for_failures()
        return {
            "search": milliseconds(brain.search, questions)["p50"],
            "store": milliseconds(brain.store, questions)["p50"],
            "remark": "keywords and vectors, on disk",
        }


def chromadb_(folder: Path, texts: list[str], questions: list[str]) -> Measured:
    """Measure chromadb."""
    import chromadb
    from chromadb.config import Settings

    embeddings = _Embeddings()
    client = chromadb.PersistentClient(str(folder / "chroma"), settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection(
        "memories", embedding_function=None, metadata={"hnsw:space": "cosine"}
    )
    for start in range(0, len(texts), 1000):
        batch = texts[start : start + 1000]
        collection.add(
            ids=[str(start + n) for n in range(len(batch))],
            documents=batch,
            embeddings=embeddings.embed_documents(batch),
        )
    numbers = iter(range(len(texts), len(texts) + 10_000))
    return {
        "search": milliseconds(
            lambda text: collection.query(query_embeddings=[embeddings.embed_query(text)], n_results=10),
            questions,
        )["p50"],
        "store": milliseconds(
            lambda text: collection.add(
                ids=[str(next(numbers))], documents=[text], embeddings=embeddings.embed_documents([text])
            ),
            questions,
        )["p50"],
        "remark": "vectors only (approximate), on disk",
    }


def langgraph_(folder: Path, texts: list[str], questions: list[str]) -> Measured:
    """Measure LangGraph's InMemoryStore."""
    from langgraph.store.base import PutOp
    from langgraph.store.memory import InMemoryStore

    embeddings = _Embeddings()
    store = InMemoryStore(index={"dims": 256, "embed": embeddings.embed_documents, "fields": ["text"]})
    for start in range(0, len(texts), 1000):
        batch = texts[start : start + 1000]
        store.batch([PutOp(("memories",), str(start + n), {"text": text}) for n, text in enumerate(batch)])
    numbers = iter(range(len(texts), len(texts) + 10_000))
    return {
        "search": milliseconds(
            lambda text: store.search(("memories",), query=text, limit=10), questions[:100]
        )["p50"],
        "store": milliseconds(
            lambda text: store.put(("memories",), str(next(numbers)), {"text": text}), questions
        )["p50"],
        "remark": "vectors only (exact), nothing on disk",
    }


def mem0_(folder: Path, texts: list[str], questions: list[str]) -> Measured:
    """Measure mem0 with its local store, inference off."""
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", str(folder / "mem0"))
    # mem0 creates its language model, but never calls it here.
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    from langchain_core.embeddings import Embeddings
    from mem0 import Memory

    class LangChainEmbeddings(_Embeddings, Embeddings):
        pass

    memory = Memory.from_config(
        {
            "embedder": {
                "provider": "langchain",
                "config": {"model": LangChainEmbeddings(), "embedding_dims": 256},
            },
            "vector_store": {
                "provider": "qdrant",
                "config": {
                    "collection_name": "memories",
                    "path": str(folder / "qdrant"),
                    "on_disk": True,
                    "embedding_model_dims": 256,
                },
            },
            "history_db_path": str(folder / "history.db"),
        }
    )

    def add(text: str) -> None:
        memory.add(text, user_id="maria", infer=False)

    for text in texts:
        add(text)

    def search(text: str) -> object:
        try:
            return memory.search(text, filters={"user_id": "maria"}, top_k=10)
        except TypeError:
            # Before version 2.
            return memory.search(text, user_id="maria", limit=10)

    return {
        "search": milliseconds(search, questions[:100])["p50"],
        "store": milliseconds(add, questions[:100])["p50"],
        "remark": "vectors only (exact), on disk",
    }


PEERS: dict[str, Callable[[Path, list[str], list[str]], Measured]] = {
    "onebrain": onebrain_,
    "chromadb": chromadb_,
    "langgraph InMemoryStore": langgraph_,
    "mem0 + qdrant local": mem0_,
}


def compare(sizes: list[int], texts: list[str], questions: list[str]) -> dict[str, dict[str, Measured]]:
    """Measure every memory at every size. A missing package is reported with its installation command."""
    report: dict[str, dict[str, Measured]] = {}
    for size in sizes:
        rows = report[f"{size:,}"] = {}
        for name, measure in PEERS.items():
            with tempfile.TemporaryDirectory() as folder:
                try:
                    rows[name] = measure(Path(folder), texts[:size], questions)
                except ImportError as error:
                    rows[name] = {
                        "error": f"not installed: pip install chromadb mem0ai qdrant-client ({error.name})"
                    }
    return report
