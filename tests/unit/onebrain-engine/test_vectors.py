"""Nearest neighbours, exact and by codes."""

from __future__ import annotations

import numpy as np
import pytest

from onebrain_engine.embedding import unit
from onebrain_engine.index import vectors as module
from onebrain_engine.index.vectors import Vectors


def some(count: int, dimension: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dimension))
    return unit(
        (centres[rng.integers(20, size=count)] + rng.normal(size=(count, dimension))).astype(np.float32)
    )


@pytest.mark.parametrize("dimension", [3, 64, 100, 256, 1536])
@pytest.mark.parametrize("split", [0, 500, 1000])
def test_few_vectors_are_searched_exactly(dimension, split):
    data = some(1000, dimension)
    vectors = Vectors(dimension, data[:split] if split else None)
    if split < 1000:
        vectors.extend(data[split:700])
        vectors.extend(data[max(split, 700) :])
    query = data[123]
    exact = np.argsort(-(data @ query))[:10]
    assert set(vectors.nearest(query, 10).tolist()) == set(exact.tolist())
    assert vectors.similarity(query) == pytest.approx(data @ query, abs=1e-6)
    slots = np.arange(0, 1000, 3)
    inside = slots[np.argsort(-(data[slots] @ query))[:5]]
    assert set(vectors.nearest(query, 5, slots).tolist()) == set(inside.tolist())
    assert len(vectors.nearest(query, 5000)) == 1000


@pytest.mark.parametrize("dimension", [100, 256, 300])
def test_codes_find_nearly_all_of_the_nearest(dimension, monkeypatch):
    monkeypatch.setattr(module, "EXACT", 1000)
    data = some(12_000, dimension)
    vectors = Vectors(dimension, data[:9000])
    vectors.extend(data[9000:])
    queries = unit(data[::400] + np.float32(0.03) * some(30, dimension, seed=2))
    shares = []
    for query in queries:
        exact = set(np.argsort(-(data @ query))[:10].tolist())
        shares.append(len(exact & set(vectors.nearest(query, 10).tolist())) / 10)
    assert np.mean(shares) >= 0.97
    slots = np.arange(0, 12_000, 2)
    found = vectors.nearest(queries[0], 10, slots)
    assert set(found.tolist()) <= set(slots.tolist())


def test_vectors_added_after_a_search_are_found():
    data = some(6000, 64)
    vectors = Vectors(64)
    vectors.extend(data[:5000])
    vectors.nearest(data[0], 5, pool=4)
    vectors.extend(data[5000:])
    assert 5500 in vectors.nearest(data[5500], 3, pool=50).tolist()
    assert len(vectors) == 6000


@pytest.mark.parametrize("pool", [None, 4])
def test_few_of_many_are_compared_alone_and_alike(pool, monkeypatch):
    monkeypatch.setattr(module, "EXACT", 100)
    monkeypatch.setattr(module, "ROUGH", 100)
    data = some(3000, 100)
    vectors = Vectors(100, data)
    slots = np.arange(0, 3000, 7)
    alone = set(vectors.nearest(data[70], 10, slots, pool=pool).tolist())
    monkeypatch.setattr(module, "_SPARSE", 3000)
    assert set(vectors.nearest(data[70], 10, slots, pool=pool).tolist()) == alone
