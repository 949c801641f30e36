"""Measures `OneBrainVectorStore` against other LlamaIndex vector stores, with the same nodes and embeddings.

    python benchmarks/llamaindex.py [--sizes 1000 10000] [--queries 200] [--json]

`SimpleVectorStore` is part of the framework. Chroma and Qdrant are measured if their packages are installed
(``pip install llama-index-vector-stores-chroma llama-index-vector-stores-qdrant``), both in memory, which is their
fastest form; ours writes a file. Every store gets the embeddings with the nodes and with the queries, so no embedding
model is measured. The filter keeps one node in fifty. Recall compares the results with an exact search.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import gc
import json
import platform
import statistics
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from onebrain_llamaindex import OneBrainVectorStore

DIMENSION = 384
TOPICS = 50
TOP_K = 10
WORDS = [
    "window",
    "seat",
    "harbour",
    "lantern",
    "orchard",
    "violin",
    "granite",
    "letter",
    "saffron",
    "engine",
    "meadow",
    "anchor",
    "copper",
    "winter",
]


def make_nodes(count: int, rng: np.random.Generator) -> list[TextNode]:
    """Return nodes of about 60 words with clustered vectors, as real embeddings are."""
    centres = rng.normal(size=(max(10, count // 100), DIMENSION))
    nodes = []
    for number in range(count):
        vector = centres[number % len(centres)] + rng.normal(size=DIMENSION)
        vector /= np.linalg.norm(vector)
        nodes.append(
            TextNode(
                # Qdrant accepts UUIDs only.
                id_=str(uuid.UUID(int=number + 1)),
                text=" ".join(rng.choice(WORDS, size=60)),
                metadata={"topic": f"topic-{number % TOPICS}", "year": 2000 + number % 26},
                embedding=vector.tolist(),
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{number // 10}")},
            )
        )
    return nodes


@contextmanager
def ours() -> Iterator[BasePydanticVectorStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = OneBrainVectorStore(url=f"sqlite:///{Path(folder) / 'brain.db'}", use_embeddings=True)
        yield store
        store.close()


@contextmanager
def simple() -> Iterator[BasePydanticVectorStore]:
    yield SimpleVectorStore()


@contextmanager
def chroma() -> Iterator[BasePydanticVectorStore]:
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
    collection = client.create_collection(uuid.uuid4().hex, metadata={"hnsw:space": "cosine"})
    yield ChromaVectorStore(chroma_collection=collection)
    client.delete_collection(collection.name)


@contextmanager
def qdrant() -> Iterator[BasePydanticVectorStore]:
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    yield QdrantVectorStore(collection_name="benchmark", client=client)
    client.close()


STORES: dict[str, Callable[[], Any]] = {
    "OneBrainVectorStore": ours,
    "SimpleVectorStore": simple,
    "ChromaVectorStore": chroma,
    "QdrantVectorStore": qdrant,
}


def milliseconds(action: Callable[[Any], Any], inputs: list[Any]) -> float:
    """Return the median time of a call, after a few calls to warm up."""
    for each in inputs[:5]:
        action(each)
    times = []
    for each in inputs:
        start = time.perf_counter()
        action(each)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def measure(
    store: BasePydanticVectorStore, nodes: list[TextNode], queries: list[list[float]], exact: list[set[str]]
) -> dict[str, float]:
    start = time.perf_counter()
    for batch in range(0, len(nodes), 1000):
        store.add(nodes[batch : batch + 1000])
    seconds = time.perf_counter() - start
    plain = [VectorStoreQuery(query_embedding=query, similarity_top_k=TOP_K) for query in queries]
    filtered = [
        VectorStoreQuery(
            query_embedding=query,
            similarity_top_k=TOP_K,
            filters=MetadataFilters(filters=[MetadataFilter(key="topic", value=f"topic-{number % TOPICS}")]),
        )
        for number, query in enumerate(queries)
    ]
    gc.collect()
    found = [set(store.query(query).ids or []) for query in plain]
    return {
        "add_per_s": len(nodes) / seconds,
        "query_ms": milliseconds(store.query, plain),
        "filtered_ms": milliseconds(store.query, filtered),
        "recall": statistics.mean(
            len(got & wanted) / TOP_K for got, wanted in zip(found, exact, strict=True)
        ),
    }


def run(sizes: list[int], count: int) -> dict[str, dict[str, dict[str, float]]]:
    results: dict[str, dict[str, dict[str, float]]] = {}
    for size in sizes:
        rng = np.random.default_rng(7)
        nodes = make_nodes(size, rng)
        matrix = np.array([node.embedding for node in nodes])
        queries = [
            (matrix[rng.integers(size)] + 0.3 * rng.normal(size=DIMENSION) / DIMENSION**0.5).tolist()
            for _ in range(count)
        ]
        exact = [
            {nodes[i].node_id for i in np.argsort(-(matrix @ np.array(query)))[:TOP_K]} for query in queries
        ]
        results[str(size)] = rows = {}
        for name, opened in STORES.items():
            # Fewer queries of a slow peer are enough for a fair median.
            few = queries if name == "OneBrainVectorStore" or size <= 1000 else queries[:40]
            with suppress(ImportError), opened() as store, warnings.catch_warnings():
                # Peers call their own deprecated functions.
                warnings.simplefilter("ignore")
                rows[name] = measure(store, nodes, few, exact[: len(few)])
    return results


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        f"{platform.platform()}, Python {platform.python_version()}, {DIMENSION} dimensions, top {TOP_K}"
    ]
    for size, rows in results.items():
        best = rows["OneBrainVectorStore"]
        lines += [
            "",
            f"{int(size):,} nodes",
            f"{'':22}{'add/s':>10}{'query':>18}{'filtered':>18}{'recall':>9}",
        ]
        for name, row in rows.items():
            query = f"{row['query_ms']:.2f} ms ({row['query_ms'] / best['query_ms']:.1f}x)"
            filtered = f"{row['filtered_ms']:.2f} ms ({row['filtered_ms'] / best['filtered_ms']:.1f}x)"
            lines.append(f"{name:22}{row['add_per_s']:>10,.0f}{query:>18}{filtered:>18}{row['recall']:>9.3f}")
    missing = [name for name in STORES if name not in next(iter(results.values()))]
    if missing:
        lines += ["", f"not installed: {', '.join(missing)}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    results = run(arguments.sizes, arguments.queries)
    print(json.dumps(results) if arguments.json else table(results))


if __name__ == "__main__":
    main()
