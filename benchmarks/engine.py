"""Measures the speed of the embedded brain, and the growth of its cost.

    python benchmarks/engine.py [--json] [--sizes 1000,10000,100000,300000]
    python benchmarks/engine.py --large postgresql://... [--json] [--sizes 100000]

Each figure is measured through the public `Brain` API with default settings, on a file, including the embedding of the
query. "A tenth" is a search of the memories that a filter selects, a tenth of all; "after a store" is the first search after
a memory was stored; "memory" is that of a new process after some searches, and its peak while it reads its index from the
store. The columns must and aim are this project's goals for two cores. --large measures only a space of the last size in
PostgreSQL's own indexes. peers.py measures other memories beside the embedded brain.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.processes import output_of
from benchmarks.texts import machine, make_questions, make_texts, milliseconds

import onebrain
from onebrain import Brain, F, NewMemory, Scope

USERS = 100
# The figures that must be reached, and those to aim for.
GOALS: dict[str, tuple[float, float]] = {
    "hybrid search, 1k": (0.7, 0.4),
    "hybrid search, 10k": (1.5, 0.8),
    "hybrid search, 100k": (6.0, 2.5),
    "store one, committed": (0.25, 0.12),
    "bulk store at 100k, per second": (8000, 12000),
    "search of one user's 1k in 100k": (1.2, 0.5),
    "search with a 1 % filter in 100k": (1.5, 0.5),
    "recall under the 1 % filter": (1.0, 1.0),
    "vector recall@10 against exact, 100k": (0.99, 0.999),
    "open 100k and answer, new process": (250, 100),
}
HIGHER = {
    "bulk store at 100k, per second",
    "recall under the 1 % filter",
    "vector recall@10 against exact, 100k",
}

OPEN = """
import sys, time
start = time.perf_counter()
import onebrain
brain = onebrain.connect(sys.argv[1])
hits = brain.search("When did Maria talk about the water heater?")
print((time.perf_counter() - start) * 1000, len(hits))
"""


MEMORY = """
import resource, sys
import onebrain
brain = onebrain.connect(sys.argv[1])
for question in ("When did Maria talk about the water heater?", "the garden", "a trip"):
    brain.search(question)
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[1])
print(pages * resource.getpagesize() / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
"""


def memories(texts: list[str]) -> list[NewMemory]:
    """Return texts as memories of `USERS` users in sessions of 40, in buckets of 1 %."""
    return [
        NewMemory(
            content=text,
            scope=Scope(
                user=f"user-{number % USERS}", session=f"session-{number // (40 * USERS)}-{number % USERS}"
            ),
            metadata={"bucket": number * 7919 % 100, "number": number},
        )
        for number, text in enumerate(texts)
    ]


@contextmanager
def filled(folder: Path, size: int, texts: list[str]) -> Iterator[tuple[Brain, str, float]]:
    """Open a brain with `size` memories; yield it, its URL, and the memories stored per second."""
    url = f"sqlite:///{folder}/{size}.db"
    with onebrain.connect(url) as brain:
        # Loads the embedder, which is measured with opening.
        brain.search("warm up")
        items = memories(texts[:size])
        start = time.perf_counter()
        brain.store_many(items).raise_for_failures()
        speed = size / (time.perf_counter() - start)
        # Builds the index.
        brain.search("warm up")
        yield brain, url, speed


def growth(brain: Brain, questions: list[str], rng: random.Random) -> dict[str, dict[str, float]]:
    """Measure the calls whose cost may grow with the number of memories."""
    bucket = [rng.randrange(100) for _ in questions]
    user = [rng.randrange(USERS) for _ in questions]
    pairs = list(range(len(questions)))
    # Reads the field into a column.
    brain.search("first", filter=F("bucket").eq(0))
    return {
        "hybrid": milliseconds(brain.search, questions),
        "keyword": milliseconds(lambda question: brain.search(question, mode="keyword"), questions),
        "vector": milliseconds(lambda question: brain.search(question, mode="vector"), questions),
        "one user": milliseconds(
            lambda n: brain.search(questions[n], scope=Scope(user=f"user-{user[n]}")),
            pairs,
            warm_up=len(pairs),
        ),
        "1 % filter": milliseconds(
            lambda n: brain.search(questions[n], filter=F("bucket").eq(bucket[n])), pairs, warm_up=len(pairs)
        ),
        "a tenth": milliseconds(
            lambda question: brain.search(question, filter=F("bucket").lt(10)), questions, warm_up=20
        ),
        "list 20": milliseconds(lambda _: brain.page(limit=20), pairs),
        "store one": milliseconds(
            lambda question: brain.store(question, scope=Scope(user="writer")), questions
        ),
        "after a store": after_stores(brain, questions),
    }


def after_stores(brain: Brain, questions: list[str]) -> dict[str, float]:
    """Measure hybrid searches, each of them the first one after a memory was stored."""
    times: list[float] = []
    for question in questions:
        brain.store(question, scope=Scope(user="writer"))
        start = time.perf_counter()
        brain.search(question)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {"p50": statistics.median(times), "p99": times[len(times) * 99 // 100]}


def memory_of(url: str) -> tuple[float, float]:
    """Return the MB that a new process takes after some searches, and the most that it took, filling its index from the store."""
    shutil.rmtree(url.removeprefix("sqlite:///") + ".index", ignore_errors=True)
    stays, peak = output_of(MEMORY, url).split()
    return float(stays), float(peak)


def recall_under_filter(brain: Brain, questions: list[str]) -> float:
    """Return the recall of vector search under a filter that keeps 1 %, compared with exact search."""
    kept = list(brain.list(filter=F("bucket").eq(7), with_embeddings=True))
    matrix = np.array([memory.embedding for memory in kept], np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return recall(brain, questions, [memory.id for memory in kept], matrix, F("bucket").eq(7))


def recall(brain: Brain, questions: list[str], ids: list[str], matrix: Any, condition: Any = None) -> float:
    """Return the share of the ten nearest memories that a vector search finds."""
    from onebrain_engine import WordLlama

    embedder = WordLlama()
    shares = []
    for question in questions:
        query = embedder.embed_query(question)
        exact = np.argsort(-(matrix @ query), kind="stable")[:10]
        worst = float((matrix @ query)[exact[-1]]) - 1e-6
        hits = brain.search(embedding=query.tolist(), mode="vector", limit=10, filter=condition)
        found = [ids.index(hit.id) for hit in hits] if len(ids) < 2000 else [INDEX_OF[hit.id] for hit in hits]
        shares.append(sum(float(matrix[index] @ query) >= worst for index in found) / len(exact))
    return statistics.fmean(shares)


INDEX_OF: dict[str, int] = {}


def recall_of_all(brain: Brain, questions: list[str]) -> float:
    """Return the recall of vector search among all memories, compared with exact search."""
    everything = list(brain.list(with_embeddings=True, order="sequence"))
    INDEX_OF.update({memory.id: index for index, memory in enumerate(everything)})
    matrix = np.array([memory.embedding for memory in everything], np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return recall(brain, questions, [memory.id for memory in everything], matrix)


def opening(url: str, rounds: int = 7) -> float:
    """Return the median milliseconds for a new process to import, open and answer."""
    # Writes missing bytecode.
    output_of(OPEN, url)
    return statistics.median(float(output_of(OPEN, url).split()[0]) for _ in range(rounds))


def run(sizes: list[int]) -> dict[str, Any]:
    """Measure everything and return the report."""
    texts = make_texts(max(sizes))
    questions = make_questions(300)
    rng = random.Random(3)
    report: dict[str, Any] = {"machine": machine(), "growth": {}, "goals": {}, "other": {}}
    goals, other = report["goals"], report["other"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            label = f"{size // 1000}k"
            with filled(folder, size, texts) as (brain, url, speed):
                report["growth"][label] = growth(brain, questions, rng) | {
                    "bulk store": {"per second": speed}
                }
                row = report["growth"][label]
                if f"hybrid search, {label}" in GOALS:
                    goals[f"hybrid search, {label}"] = row["hybrid"]["p50"]
                if size == 1000:
                    goals["store one, committed"] = row["store one"]["p50"]
                if size == 100_000:
                    goals["bulk store at 100k, per second"] = speed
                    goals["search of one user's 1k in 100k"] = row["one user"]["p50"]
                    goals["search with a 1 % filter in 100k"] = row["1 % filter"]["p50"]
                    goals["recall under the 1 % filter"] = recall_under_filter(brain, questions[:100])
                    goals["vector recall@10 against exact, 100k"] = recall_of_all(brain, questions[:200])
            if size == 100_000:
                goals["open 100k and answer, new process"] = opening(url)
                other["file, MB"] = Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6
                index = Path(url.removeprefix("sqlite:///") + ".index")
                other["index beside it, MB"] = sum(path.stat().st_size for path in index.iterdir()) / 1e6
            if sys.platform == "linux":
                stays, peak = memory_of(url)
                report["growth"][label]["memory"] = {"MB": stays, "peak": peak}
        with onebrain.connect(f"sqlite:///{folder}/full.db", durability="full") as brain:
            brain.search("warm up")
            other["store one, durability='full', p50 ms"] = milliseconds(brain.store, questions)["p50"]
    return report


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    print(report["machine"], "\n")
    print(f"{'goal':<42}{'measured':>10}{'must':>10}{'aim':>10}")
    for name, value in report["goals"].items():
        must, aim = GOALS[name]
        good = value >= must if name in HIGHER else value <= must
        print(f"{name:<42}{value:>10.3f}{must:>10g}{aim:>10g}  {'' if good else 'MISSED'}")
    print(f"\n{'p50 ms (p99)':<14}" + "".join(f"{label:>20}" for label in report["growth"]))
    for name in next(iter(report["growth"].values())):
        cells: list[str] = []
        for row in report["growth"].values():
            value = row[name]
            if "p50" in value:
                cells.append(f"{value['p50']:.2f} ({value['p99']:.2f})")
            elif "MB" in value:
                cells.append(f"{value['MB']:,.0f} MB ({value['peak']:,.0f})")
            else:
                cells.append(f"{value['per second']:,.0f}/s")
        print(f"{name:<14}" + "".join(f"{cell:>20}" for cell in cells))
    for name, value in report["other"].items():
        print(f"{name}: {value:.2f}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--large", metavar="URL", help="measure PostgreSQL's own indexes, and nothing else")
    parser.add_argument("--sizes", default="1000,10000,100000,300000", help="how many memories, with commas")
    arguments = parser.parse_args()
    if arguments.large is not None:
        from benchmarks import large

        figures = large.run(arguments.large, int(arguments.sizes.split(",")[-1]))
        print(json.dumps(figures)) if arguments.json else large.show(figures)
        return
    report = run([int(size) for size in arguments.sizes.split(",")])
    print(json.dumps(report)) if arguments.json else show(report)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
