"""Other memories in one shape: each stores, reads and searches the same texts with the same embedder.

They do different work, which the remark of each tells. Each imports its packages when it is made.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

DIMENSIONS = 256
LIMIT = 10
# Candidates of each list that a fusion by rank takes.
FUSED = 30
BATCH = 500


class Store(Protocol):
    """A memory under measurement."""

    def bulk(self, texts: list[str]) -> None:
        """Store many texts; their ids are "0", "1" and so on."""

    def store(self, text: str) -> None:
        """Store one text."""

    def get(self, number: int) -> object:
        """Read one of the texts of `bulk`."""

    def search(self, text: str) -> object:
        """Return the best ten texts for a query."""


class Embeddings:
    """The engine's embedder with LangChain's interface."""

    def __init__(self) -> None:
        from onebrain_engine import WordLlama

        self._embedder = WordLlama()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        return self._embedder.embed_documents(list(texts)).tolist()

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return self._embedder.embed_query(text).tolist()

    def arrays(self, texts: list[str]) -> Any:
        """Return the vectors of texts as an array of float32."""
        return self._embedder.embed_documents(texts).astype("float32")


def batches(texts: list[str]) -> list[tuple[int, list[str]]]:
    """Return the texts in batches, each with the number of its first text."""
    return [(start, texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]


def words_of(text: str) -> str:
    """Return the words of a question as a query that any of them satisfies."""
    return " OR ".join(f'"{word}"' for word in re.findall(r"\w+", text))


class OneBrain:
    """The embedded brain."""

    remark = "keywords and vectors, on disk"

    def __init__(self, folder: Path) -> None:
        import onebrain

        self._brain = onebrain.connect(onebrain.sqlite_url(folder / "brain.db"))
        self.store = self._brain.store

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        items = [{"id": str(number), "content": text} for number, text in enumerate(texts)]
        self._brain.store_many(items).raise_for_failures()

    def get(self, number: int) -> object:
        """Read one text."""
        return self._brain.get(str(number))

    def search(self, text: str) -> object:
        """Search by keywords and vectors."""
        return self._brain.search(text, limit=LIMIT)


class Chroma:
    """chromadb with its index of neighbours."""

    remark = "vectors (approximate), on disk"

    def __init__(self, folder: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        self._embeddings = Embeddings()
        client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        self._rows = client.create_collection(
            "memories", embedding_function=None, metadata={"hnsw:space": "cosine"}
        )
        self._ids = map(str, itertools.count(10**7))

    def _add(self, ids: list[str], texts: list[str]) -> None:
        self._rows.add(ids=ids, documents=texts, embeddings=self._embeddings.embed_documents(texts))

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        for start, batch in batches(texts):
            self._add([str(start + n) for n in range(len(batch))], batch)

    def store(self, text: str) -> None:
        """Store one text."""
        self._add([next(self._ids)], [text])

    def get(self, number: int) -> object:
        """Read one text."""
        return self._rows.get(ids=[str(number)])

    def search(self, text: str) -> object:
        """Search by vectors."""
        return self._rows.query(query_embeddings=[self._embeddings.embed_query(text)], n_results=LIMIT)


class Lance:
    """LanceDB with a full-text index, which is brought up to date when it is made."""

    remark = "keywords and vectors, on disk; scans new rows"

    def __init__(self, folder: Path) -> None:
        import lancedb
        from lancedb.rerankers import RRFReranker

        self._embeddings = Embeddings()
        self._database = lancedb.connect(str(folder))
        self._fuse = RRFReranker()
        self._ids = itertools.count(10**7)
        self._table: Any = None

    def _rows(self, first: int, texts: list[str]) -> list[dict[str, Any]]:
        vectors = self._embeddings.arrays(texts)
        return [{"id": first + n, "text": text, "vector": vectors[n]} for n, text in enumerate(texts)]

    def bulk(self, texts: list[str]) -> None:
        """Store many texts and index their words."""
        self._table = self._database.create_table("memories", self._rows(0, texts))
        self._table.create_fts_index("text")

    def store(self, text: str) -> None:
        """Store one text."""
        self._table.add(self._rows(next(self._ids), [text]))

    def get(self, number: int) -> object:
        """Read one text."""
        return self._table.search().where(f"id = {number}").limit(1).to_list()

    def search(self, text: str) -> object:
        """Search by keywords and vectors."""
        query = self._table.search(query_type="hybrid").vector(self._embeddings.embed_query(text))
        return query.text(text.replace("?", "")).rerank(self._fuse).limit(LIMIT).to_list()


class SQLiteVec:
    """sqlite-vec and FTS5 side by side, fused by rank."""

    remark = "keywords and vectors, by hand, on disk"

    def __init__(self, folder: Path) -> None:
        import apsw
        import sqlite_vec

        self._embeddings = Embeddings()
        self._connection = apsw.Connection(str(folder / "memories.db"))
        self._connection.enable_load_extension(True)
        self._connection.load_extension(sqlite_vec.loadable_path())
        self._run = self._connection.execute
        for statement in (
            "PRAGMA journal_mode = wal",
            "PRAGMA synchronous = normal",
            "CREATE TABLE memories (id integer PRIMARY KEY, text)",
            f"CREATE VIRTUAL TABLE vectors USING vec0(embedding float[{DIMENSIONS}] distance_metric=cosine)",
            "CREATE VIRTUAL TABLE words USING "
            "fts5(text, content=memories, content_rowid=id, tokenize='porter unicode61')",
        ):
            self._run(statement)
        self._ids = itertools.count(10**7)

    def _put(self, first: int, texts: list[str]) -> None:
        vectors = self._embeddings.arrays(texts)
        with self._connection:
            for n, text in enumerate(texts):
                self._run("INSERT INTO memories VALUES (?, ?)", (first + n, text))
                self._run(
                    "INSERT INTO vectors (rowid, embedding) VALUES (?, ?)", (first + n, vectors[n].tobytes())
                )
                self._run("INSERT INTO words (rowid, text) VALUES (?, ?)", (first + n, text))

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        for start, batch in batches(texts):
            self._put(start, batch)

    def store(self, text: str) -> None:
        """Store one text."""
        self._put(next(self._ids), [text])

    def get(self, number: int) -> object:
        """Read one text."""
        return self._run("SELECT * FROM memories WHERE id = ?", (number,)).fetchall()

    def search(self, text: str) -> object:
        """Search by keywords and vectors."""
        vector = self._embeddings.arrays([text])[0].tobytes()
        lists = (
            self._run(
                "SELECT rowid FROM vectors WHERE embedding MATCH ? AND k = ?", (vector, FUSED)
            ).fetchall(),
            self._run(
                "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (words_of(text), FUSED)
            ).fetchall(),
        )
        scores: dict[int, float] = {}
        for rows in lists:
            for rank, (id,) in enumerate(rows):
                scores[id] = scores.get(id, 0) + 1 / (60 + rank)
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:LIMIT]
        return self._run(f"SELECT * FROM memories WHERE id IN ({','.join(map(str, best))})").fetchall()


class DuckDB:
    """DuckDB, which compares every vector."""

    remark = "vectors (exact), on disk"

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._embeddings = Embeddings()
        self._connection = duckdb.connect(str(folder / "memories.duckdb"))
        self._connection.execute(
            f"CREATE TABLE memories (id bigint PRIMARY KEY, text varchar, e float[{DIMENSIONS}])"
        )
        self._ids = itertools.count(10**7)

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        import pandas

        vectors = list(self._embeddings.arrays(texts))
        frame = pandas.DataFrame({"id": range(len(texts)), "text": texts, "e": vectors})
        self._connection.register("frame", frame)
        self._connection.execute(f"INSERT INTO memories SELECT id, text, e::float[{DIMENSIONS}] FROM frame")
        self._connection.unregister("frame")

    def store(self, text: str) -> None:
        """Store one text."""
        row = [next(self._ids), text, self._embeddings.embed_query(text)]
        self._connection.execute("INSERT INTO memories VALUES (?, ?, ?)", row)

    def get(self, number: int) -> object:
        """Read one text."""
        return self._connection.execute("SELECT id, text FROM memories WHERE id = ?", [number]).fetchall()

    def search(self, text: str) -> object:
        """Search by vectors."""
        return self._connection.execute(
            f"SELECT id, text, array_cosine_similarity(e, ?::float[{DIMENSIONS}]) AS score "
            f"FROM memories ORDER BY score DESC LIMIT {LIMIT}",
            [self._embeddings.embed_query(text)],
        ).fetchall()


class Qdrant:
    """qdrant's client with its local store."""

    remark = "vectors (exact), on disk"

    def __init__(self, folder: Path) -> None:
        from qdrant_client import QdrantClient, models

        self._models = models
        self._embeddings = Embeddings()
        self._client = QdrantClient(path=str(folder))
        self._client.create_collection(
            "memories",
            vectors_config=models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE),
        )
        self._ids = itertools.count(10**7)

    def _put(self, first: int, texts: list[str]) -> None:
        vectors = self._embeddings.embed_documents(texts)
        points = [
            self._models.PointStruct(id=first + n, vector=vectors[n], payload={"text": text})
            for n, text in enumerate(texts)
        ]
        self._client.upsert("memories", points)

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        for start, batch in batches(texts):
            self._put(start, batch)

    def store(self, text: str) -> None:
        """Store one text."""
        self._put(next(self._ids), [text])

    def get(self, number: int) -> object:
        """Read one text."""
        return self._client.retrieve("memories", [number])

    def search(self, text: str) -> object:
        """Search by vectors."""
        return self._client.query_points("memories", self._embeddings.embed_query(text), limit=LIMIT)


class _LangGraph:
    """A store of LangGraph."""

    _store: Any

    def __init__(self) -> None:
        self._ids = map(str, itertools.count(10**7))
        embed = Embeddings().embed_documents
        self._index = {"dims": DIMENSIONS, "embed": embed, "fields": ["text"]}

    def bulk(self, texts: list[str]) -> None:
        """Store many texts."""
        from langgraph.store.base import PutOp

        for start, batch in batches(texts):
            self._store.batch(
                [PutOp(("memories",), str(start + n), {"text": text}) for n, text in enumerate(batch)]
            )

    def store(self, text: str) -> None:
        """Store one text."""
        self._store.put(("memories",), next(self._ids), {"text": text})

    def get(self, number: int) -> object:
        """Read one text."""
        return self._store.get(("memories",), str(number))

    def search(self, text: str) -> object:
        """Search by vectors."""
        return self._store.search(("memories",), query=text, limit=LIMIT)


class LangGraphInMemory(_LangGraph):
    """LangGraph's InMemoryStore."""

    remark = "vectors (exact), nothing on disk"

    def __init__(self, folder: Path) -> None:
        from langgraph.store.memory import InMemoryStore

        super().__init__()
        self._store = InMemoryStore(index=self._index)


class LangGraphSQLite(_LangGraph):
    """LangGraph's SqliteStore."""

    remark = "vectors (exact), on disk"

    def __init__(self, folder: Path) -> None:
        import sqlite3

        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            # This Python was built without extensions of SQLite, which the store loads.
            import pysqlite3

            sys.modules["sqlite3"] = pysqlite3
            sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2
        from langgraph.store.sqlite import SqliteStore

        super().__init__()
        self._opened = SqliteStore.from_conn_string(str(folder / "store.db"), index=self._index)
        self._store = self._opened.__enter__()
        self._store.setup()


class Mem0:
    """mem0 with its local store. Inference and telemetry are off."""

    remark = "vectors (exact), on disk; stores one by one"

    def __init__(self, folder: Path) -> None:
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(folder / "mem0")
        # mem0 creates its language model, but never calls it here.
        os.environ.setdefault("OPENAI_API_KEY", "unused")
        from langchain_core.embeddings import Embeddings as Base
        from mem0 import Memory

        embeddings = type("LangChainEmbeddings", (Embeddings, Base), {})()
        local = {
            "collection_name": "memories",
            "path": str(folder / "qdrant"),
            "on_disk": True,
            "embedding_model_dims": DIMENSIONS,
        }
        embedder = {"model": embeddings, "embedding_dims": DIMENSIONS}
        self._memory = Memory.from_config(
            {
                "embedder": {"provider": "langchain", "config": embedder},
                "vector_store": {"provider": "qdrant", "config": local},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self._ids: list[str] = []

    def bulk(self, texts: list[str]) -> None:
        """Store many texts, one by one."""
        for text in texts:
            self._ids.append(self._add(text))

    def _add(self, text: str) -> str:
        return str(self._memory.add(text, user_id="maria", infer=False)["results"][0]["id"])

    def store(self, text: str) -> None:
        """Store one text."""
        self._add(text)

    def get(self, number: int) -> object:
        """Read one text."""
        return self._memory.get(self._ids[number])

    def search(self, text: str) -> object:
        """Search by vectors."""
        return self._memory.search(text, filters={"user_id": "maria"}, top_k=LIMIT)


STORES: dict[str, Callable[[Path], Store]] = {
    "OneBrain": OneBrain,
    "sqlite-vec + FTS5": SQLiteVec,
    "LanceDB": Lance,
    "chromadb": Chroma,
    "DuckDB": DuckDB,
    "qdrant local": Qdrant,
    "InMemoryStore": LangGraphInMemory,
    "SqliteStore": LangGraphSQLite,
    "mem0": Mem0,
}
