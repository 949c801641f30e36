"""Measures a space in PostgreSQL's own indexes: `python benchmarks/engine.py --large postgresql://...`."""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import random
import time
import uuid
from typing import Any

from benchmarks.engine import growth, memories, recall_of_all, recall_under_filter
from benchmarks.texts import machine, make_questions, make_texts

import onebrain
from onebrain import NewMemory


def run(url: str, size: int) -> dict[str, Any]:
    """Store `size` memories in a new tenant, build their indexes, measure, and remove them."""
    questions = make_questions(100)
    items: list[NewMemory] = memories(make_texts(size))
    tenant = f"benchmark-{uuid.uuid4().hex}"
    with onebrain.connect(url, tenant=tenant, large_space=size) as brain:
        engine = brain.driver.engine  # type: ignore[attr-defined]
        brain.search("warm up")
        try:
            start = time.perf_counter()
            for first in range(0, size, 1000):
                brain.store_many(items[first : first + 1000]).raise_for_failures()
            stored = time.perf_counter() - start
            start = time.perf_counter()
            engine.background.settle(3600)
            filled = time.perf_counter() - start
            with engine.store.reading() as read:
                assert read.spaces(tenant)[0].served
            return {
                "machine": machine(),
                "size": size,
                "rows": growth(brain, questions, random.Random(3)),
                "other": {
                    "bulk store, per second": size / stored,
                    "filled and indexed, s": filled,
                    "recall@10 of HNSW": recall_of_all(brain, questions),
                    "recall@10 under a 1 % filter": recall_under_filter(brain, questions[:50]),
                },
            }
        finally:
            engine.forget_tenant(tenant)


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    print(report["machine"], f"\n\n{report['size']:,} memories in the database's own indexes")
    for name, row in report["rows"].items():
        print(f"{name:<14}{row['p50']:>10.2f} ms p50{row['p99']:>10.2f} ms p99")
    for name, value in report["other"].items():
        print(f"{name}: {value:,.3f}")
