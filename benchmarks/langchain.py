"""Measures the LangChain and LangGraph components against others and against a plain `Brain`.

    python benchmarks/langchain.py [--sizes 1000 10000] [--queries 200] [--only gathered] [--json]

Vector stores: LangChain's `InMemoryVectorStore`, and, if their packages are installed, Chroma and Qdrant
(``pip install langchain-chroma langchain-qdrant``), both in memory, which is their fastest form. Stores: LangGraph's
`InMemoryStore`, and, if it is installed, `SqliteStore` (``pip install langgraph-checkpoint-sqlite``). Ours writes a file.

All get their embeddings from one table of vectors, so no embedding model is measured. The filter keeps one document in
fifty. The operations of a store in one ``asyncio.gather`` are put, get, list, search, put and delete in turn; the peer is
`AsyncSqliteStore`, and both write a file. Recall compares the results with an exact search. The last table is the overhead
of the adapters: the same memories through the component and through the `Brain` below it, alternating.
"""

# ruff: noqa: E402  # the search path comes first

from __future__ import annotations

import sys
from pathlib import Path

# The scripts of this folder have the names of libraries, and would hide them if the folder were searched first.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

import argparse
import asyncio
import gc
import json
import platform
import sqlite3
import statistics
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import HumanMessage
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore

import onebrain
from onebrain import NewMemory, Scope
from onebrain_langchain import OneBrainChatMessageHistory, OneBrainStore, OneBrainVectorStore

DIMENSION = 384
TOPICS = 50
TOP_K = 10
# SqliteStore keeps its vectors with an extension of SQLite. If Python cannot load extensions, its searches are unranked.
LOADS_EXTENSIONS = hasattr(sqlite3.Connection, "enable_load_extension")
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


class Table(Embeddings):
    """Returns vectors from a table, so that embedding costs no store anything."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._vectors[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._vectors[text]


@dataclass
class Data:
    documents: list[Document]
    queries: list[str]
    embedding: Table
    exact: list[set[str]]


def make_data(size: int, count: int) -> Data:
    """Return documents of about 60 words with clustered vectors, as real embeddings are, and queries near some."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(max(10, size // 100), DIMENSION))
    matrix = centres[np.arange(size) % len(centres)] + rng.normal(size=(size, DIMENSION))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    near = matrix[rng.integers(size, size=count)] + 0.3 * rng.normal(size=(count, DIMENSION)) / DIMENSION**0.5
    documents = [
        Document(
            f"{number} " + " ".join(rng.choice(WORDS, size=60)),
            # Qdrant accepts UUIDs only.
            id=str(uuid.UUID(int=number + 1)),
            metadata={"topic": f"topic-{number % TOPICS}", "year": 2000 + number % 26},
        )
        for number in range(size)
    ]
    queries = [f"query {number}" for number in range(count)]
    texts = [document.page_content for document in documents]
    vectors = dict(zip([*texts, *queries], [*matrix.tolist(), *near.tolist()], strict=True))
    best = np.argsort(-(near @ matrix.T), axis=1)[:, :TOP_K]
    exact = [{texts[index] for index in row} for row in best]
    return Data(documents, queries, Table(vectors), exact)


# ---- the candidates -------------------------------------------------------------------------------------------------


@contextmanager
def file_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'brain.db'}"


@contextmanager
def our_vectors(embedding: Embeddings) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    with file_url() as url:
        store = OneBrainVectorStore(embedding, url=url)
        yield store, lambda topic: {"topic": topic}
        store.close()


@contextmanager
def in_memory_vectors(embedding: Embeddings) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    yield InMemoryVectorStore(embedding), lambda topic: lambda document: document.metadata["topic"] == topic


@contextmanager
def chroma(embedding: Embeddings) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    import chromadb
    from langchain_chroma import Chroma

    client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
    name = uuid.uuid4().hex
    yield (
        Chroma(
            name,
            embedding_function=embedding,
            client=client,
            collection_metadata={"hnsw:space": "cosine"},
        ),
        lambda topic: {"topic": topic},
    )
    client.delete_collection(name)


@contextmanager
def qdrant(embedding: Embeddings) -> Iterator[tuple[Any, Callable[[str], Any]]]:
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection(
        "benchmark", vectors_config=models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    )

    def only(topic: str) -> models.Filter:
        match = models.MatchValue(value=topic)
        return models.Filter(must=[models.FieldCondition(key="metadata.topic", match=match)])

    yield QdrantVectorStore(client, "benchmark", embedding, validate_collection_config=False), only
    client.close()


@contextmanager
def our_store(embedding: Embeddings) -> Iterator[Any]:
    with file_url() as url:
        store = OneBrainStore(url=url, index={"dims": DIMENSION, "embed": embedding, "fields": ["text"]})
        yield store
        store.close()


@contextmanager
def in_memory_store(embedding: Embeddings) -> Iterator[Any]:
    yield InMemoryStore(index={"dims": DIMENSION, "embed": embedding, "fields": ["text"]})


@contextmanager
def sqlite_store(embedding: Embeddings) -> Iterator[Any]:
    from langgraph.store.sqlite import SqliteStore

    index: Any = {"dims": DIMENSION, "embed": embedding, "fields": ["text"]} if LOADS_EXTENSIONS else None
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteStore.from_conn_string(str(Path(folder) / "store.db"), index=index) as store,
    ):
        store.setup()
        yield store


VECTOR_STORES = {
    "OneBrainVectorStore": our_vectors,
    "InMemoryVectorStore": in_memory_vectors,
    "Chroma": chroma,
    "QdrantVectorStore": qdrant,
}
STORES = {"OneBrainStore": our_store, "InMemoryStore": in_memory_store, "SqliteStore": sqlite_store}


# ---- measuring ------------------------------------------------------------------------------------------------------


def milliseconds(action: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    """Return the median time of a call, after a few calls to warm up."""
    for each in inputs[:5]:
        action(each)
    return 1000 * statistics.median(seconds(action, each) for each in inputs)


def seconds(action: Callable[[Any], Any], argument: Any) -> float:
    start = time.perf_counter()
    action(argument)
    return time.perf_counter() - start


def measure_vectors(
    store: Any, only: Callable[[str], Any], data: Data, queries: Sequence[str]
) -> dict[str, float]:
    def add(_: Any) -> None:
        for start in range(0, len(data.documents), 1000):
            store.add_documents(data.documents[start : start + 1000])

    took = seconds(add, None)
    gc.collect()
    found = [{each.page_content for each in store.similarity_search(query, k=TOP_K)} for query in queries]
    topics = [f"topic-{number % TOPICS}" for number in range(len(queries))]
    return {
        "add_per_s": len(data.documents) / took,
        "search_ms": milliseconds(lambda query: store.similarity_search(query, k=TOP_K), queries),
        "filtered_ms": milliseconds(
            lambda pair: store.similarity_search(pair[0], k=TOP_K, filter=only(pair[1])),
            list(zip(queries, topics, strict=True)),
        ),
        "recall": statistics.mean(
            len(got & wanted) / TOP_K for got, wanted in zip(found, data.exact, strict=False)
        ),
    }


def measure_store(store: Any, data: Data, queries: Sequence[str]) -> dict[str, float]:
    """Return a namespace for each topic, so that a search below one of them covers one item in fifty."""
    items = [
        (
            ("docs", document.metadata["topic"]),
            document.id,
            {"text": document.page_content, **document.metadata},
        )
        for document in data.documents
    ]

    def fill(_: Any) -> None:
        for start in range(0, len(items), 1000):
            store.batch([PutOp(*item) for item in items[start : start + 1000]])

    took = seconds(fill, None)
    gc.collect()
    some = items[: len(queries)]
    topics = [f"topic-{number % TOPICS}" for number in range(len(queries))]
    return {
        "batch_put_per_s": len(items) / took,
        "put_ms": milliseconds(lambda item: store.put(*item), some),
        "get_ms": milliseconds(lambda item: store.get(item[0], item[1]), some),
        "search_ms": milliseconds(lambda query: store.search(("docs",), query=query, limit=TOP_K), queries),
        "narrow_ms": milliseconds(
            lambda pair: store.search(("docs", pair[1]), query=pair[0], limit=TOP_K),
            list(zip(queries, topics, strict=True)),
        ),
        "filter_ms": milliseconds(
            lambda number: store.search(("docs",), filter={"year": 2000 + number % 26}, limit=TOP_K),
            range(len(queries)),
        ),
    }


def measure_history(size: int) -> dict[str, float]:
    with file_url() as url:
        history = OneBrainChatMessageHistory("s", url=url)
        messages = [HumanMessage(f"{n} " + " ".join(WORDS), id=str(n)) for n in range(size)]

        def fill(_: Any) -> None:
            for start in range(0, size, 1000):
                history.add_messages(messages[start : start + 1000])

        took = seconds(fill, None)
        more = [HumanMessage(f"more {n}", id=f"more {n}") for n in range(100)]
        window = OneBrainChatMessageHistory("s", brain=onebrain.connect(url), window=20)
        result = {
            "bulk_add_per_s": size / took,
            "add_one_ms": milliseconds(history.add_message, more),
            "read_all_us_per_message": 1e6 * seconds(lambda _: history.messages, None) / size,
            "window_of_20_ms": milliseconds(lambda _: window.messages, range(50)),
        }
        history.close()
        window._connection.sync.close()
        return result


async def gathered(store: Any, operations: int, run: str) -> float:
    """Return the seconds that a number of concurrent operations take."""
    namespace = ("test", "foo", "bar", "baz", run)
    calls: list[Any] = []
    for number in range(operations // 6):
        key = f"key{number}"
        calls += [
            store.aput(namespace, key, {"foo": f"bar{number}"}),
            store.aget(namespace, key),
            store.alist_namespaces(max_depth=2),
            store.asearch(("test",)),
            store.aput(namespace, key, {"foo": "x"}),
            store.adelete(namespace, key),
        ]
    gc.collect()
    start = time.perf_counter()
    await asyncio.gather(*calls)
    return time.perf_counter() - start


async def measure_gathered(operations: int = 1200, many: int = 60_000, rounds: int = 7) -> dict[str, float]:
    """Measure ours and `AsyncSqliteStore` alternately, so that load affects both; then many operations on ours."""
    with tempfile.TemporaryDirectory() as folder:
        ours = OneBrainStore(brain=onebrain.connect_async(f"sqlite:///{Path(folder) / 'brain.db'}"))
        await gathered(ours, 60, "warm")
        try:
            from langgraph.store.sqlite.aio import AsyncSqliteStore
        except ImportError:
            times = [await gathered(ours, operations, str(number)) for number in range(rounds)]
            result = {"OneBrainStore": statistics.median(times)}
        else:
            async with AsyncSqliteStore.from_conn_string(str(Path(folder) / "store.db")) as theirs:
                await theirs.setup()
                await gathered(theirs, 60, "warm")
                pairs = [
                    (await gathered(ours, operations, str(n)), await gathered(theirs, operations, str(n)))
                    for n in range(rounds)
                ]
            our_times, their_times = zip(*pairs, strict=True)
            result = {
                "OneBrainStore": statistics.median(our_times),
                "AsyncSqliteStore": statistics.median(their_times),
                "ratio": statistics.median(one / other for one, other in pairs),
            }
        result["OneBrainStore, many"] = await gathered(ours, many, "many")
        await ours.aclose()
        return result


def in_turns(
    pairs: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Sequence[Any]]],
) -> dict[str, Any]:
    """Measure the overhead of a component over its brain. Both do the same work alternately, so that load affects both."""
    result: dict[str, Any] = {}
    for name, (component, brain, inputs) in pairs.items():
        for each in inputs[:10]:
            component(each)
            brain(each)
        times = [(seconds(component, each), seconds(brain, each)) for each in inputs]
        ours, bare = (statistics.median(column) for column in zip(*times, strict=True))
        extra = statistics.median(one - other for one, other in times)
        result[name] = {
            "component_us": 1e6 * ours,
            "brain_us": 1e6 * bare,
            "extra_us": 1e6 * extra,
            "extra_percent": 100 * extra / bare,
        }
    return result


def measure_overhead(data: Data, queries: Sequence[str]) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        brain = stack.enter_context(onebrain.connect(f"sqlite:///{folder / 'brain.db'}"))
        vectors = OneBrainVectorStore(data.embedding, brain=brain)
        vectors.add_documents(data.documents)
        store = OneBrainStore(brain=brain)
        store.batch([PutOp(("docs",), str(n), {"text": f"{n} window seats"}) for n in range(1000)])
        keys = [str(n) for n in range(300)]
        items = list(brain.list(scope=Scope(space="langgraph"), order="sequence", limit=300))
        where, shelf = vectors.scope, Scope(space="langgraph")
        history = OneBrainChatMessageHistory("s", brain=brain)
        serial = iter(range(10**9))

        def plain_batch(texts: list[str]) -> None:
            rows = [
                NewMemory(
                    content=text, id=f"p{next(serial)}", embedding=tuple(data.embedding.embed_query(text))
                )
                for text in texts
            ]
            brain.store_many(rows, scope=Scope(space="plain")).raise_for_failures()

        texts = [document.page_content for document in data.documents]
        batches = [texts[start : start + 100] for start in range(0, 3000 if len(texts) >= 3000 else 900, 100)]
        return in_turns(
            {
                "vector store: search": (
                    lambda query: vectors.similarity_search_with_score(query, k=TOP_K),
                    lambda query: brain.search(
                        embedding=data.embedding.embed_query(query), scope=where, limit=TOP_K, mode="vector"
                    ),
                    queries,
                ),
                "vector store: add 100": (
                    lambda batch: vectors.add_texts(batch),
                    plain_batch,
                    batches,
                ),
                "store: get": (
                    lambda index: store.get(("docs",), keys[index]),
                    lambda index: brain.get(items[index].id, scope=shelf),
                    range(len(keys)),
                ),
                "store: put": (
                    lambda index: store.put(("docs",), keys[index], {"text": f"{index} aisle"}),
                    lambda index: brain.store(
                        f"text: {index} aisle",
                        id=f"put {index}",
                        scope=shelf,
                        metadata={
                            "item": {**items[index].metadata["item"], "value": {"text": f"{index} aisle"}}
                        },
                    ),
                    range(len(keys)),
                ),
                "store: search": (
                    lambda index: store.search((), query=f"{index} window"),
                    lambda index: brain.search(f"{index} window", scope=shelf, limit=10),
                    range(len(keys)),
                ),
                "history: add": (
                    lambda index: history.add_message(HumanMessage(f"message {index}")),
                    lambda index: brain.store(
                        f"message {index}",
                        id=f"m{next(serial)}",
                        scope=Scope(session="s"),
                        source="chat",
                        metadata={"kind": "message", "role": "human", "message": {}},
                    ),
                    range(200),
                ),
            }
        )


def run(sizes: Sequence[int], count: int) -> dict[str, Any]:
    results: dict[str, Any] = {"vector stores": {}, "stores": {}, "history": {}, "overhead": {}}
    results["gathered"] = asyncio.run(measure_gathered())
    for size in sizes:
        data = make_data(size, count)
        rows = results["vector stores"][str(size)] = {}
        for name, opened in VECTOR_STORES.items():
            # Fewer queries of a slow peer are enough for a fair median.
            few = data.queries if name.startswith("OneBrain") or size <= 1000 else data.queries[:40]
            with suppress(ImportError), warnings.catch_warnings():
                # Peers call their own deprecated functions.
                warnings.simplefilter("ignore")
                with opened(data.embedding) as (store, only):
                    rows[name] = measure_vectors(store, only, data, few)
        rows = results["stores"][str(size)] = {}
        for name, shelf in STORES.items():
            few = data.queries if name.startswith("OneBrain") or size <= 1000 else data.queries[:40]
            with suppress(ImportError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with shelf(data.embedding) as store:
                    rows[name] = measure_store(store, data, few)
        results["history"][str(size)] = measure_history(size)
        results["overhead"][str(size)] = measure_overhead(data, data.queries)
    return results


def table(results: dict[str, Any]) -> str:
    lines = [
        f"{platform.platform()}, Python {platform.python_version()}, {DIMENSION} dimensions, top {TOP_K}"
    ]
    for kind in ("vector stores", "stores"):
        for size, rows in results[kind].items():
            first = next(iter(rows.values()))
            lines += ["", f"{kind}, {int(size):,} documents"]
            lines.append(f"{'':22}" + "".join(f"{name:>20}" for name in first))
            for name, row in rows.items():
                cells = []
                for column, value in row.items():
                    text = f"{value:,.0f}" if column.endswith("per_s") else f"{value:.3f}"
                    ratio = f" ({value / first[column]:.1f}x)" if column.endswith("_ms") else ""
                    cells.append(f"{text + ratio:>20}")
                lines.append(f"{name:22}" + "".join(cells))
    lines += ["", "chat history"]
    for size, row in results["history"].items():
        lines.append(
            f"{int(size):,} messages: " + ", ".join(f"{name} {value:,.3g}" for name, value in row.items())
        )
    for size, rows in results["overhead"].items():
        lines += ["", f"overhead of the adapters, {int(size):,} documents"]
        lines += [
            f"{name:24}{row['component_us']:>9.0f} us, brain {row['brain_us']:>8.0f} us, "
            f"extra {row['extra_us']:>6.0f} us ({row['extra_percent']:.0f} %)"
            for name, row in rows.items()
        ]
    lines += ["", gathered_line(results["gathered"])]
    if not LOADS_EXTENSIONS:
        lines += [
            "",
            "SqliteStore has no vectors here, for this Python loads no SQLite extensions: it ranks nothing",
        ]
    known = {*VECTOR_STORES, *STORES}
    seen = {name for kind in ("vector stores", "stores") for rows in results[kind].values() for name in rows}
    if known - seen:
        lines += ["", f"not installed: {', '.join(sorted(known - seen))}"]
    return "\n".join(lines)


def gathered_line(row: dict[str, float]) -> str:
    peer = row.get("AsyncSqliteStore")
    beside = "" if peer is None else f", AsyncSqliteStore {peer:.3f} s, ratio {row['ratio']:.2f}"
    return (
        f"1,200 operations in one gather: OneBrainStore {row['OneBrainStore']:.3f} s{beside}; "
        f"60,000: {row['OneBrainStore, many']:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only", choices=["gathered"], help="measure nothing else")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if arguments.only:
        row = asyncio.run(measure_gathered())
        print(json.dumps({"gathered": row}) if arguments.json else gathered_line(row))
        return
    results = run(arguments.sizes, arguments.queries)
    print(json.dumps(results) if arguments.json else table(results))


if __name__ == "__main__":
    main()
