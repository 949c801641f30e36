"""Unit vectors and nearest neighbours: exact up to some tens of thousands, beyond that one-bit codes first.

A code keeps the sign of each component. The codes nearest to the query's by Hamming distance are a superset of the
nearest vectors with high probability; their exact cosines decide. The pool grows with the number of vectors.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Up to here the product with all vectors is about as fast as the way over codes with a pool that misses next to nothing.
EXACT = 12_000
# The same where missing a few is no harm.
ROUGH = 4_000
_AT_ONCE: Final = 512  # vectors that are copied before they are multiplied, few enough for a core's own cache
_SPARSE: Final = 4  # codes for each wanted one from which only those are compared


class Vectors:
    """One unit vector a slot, all zeros for a slot without one.

    Vectors up to `base` may be a file mapped into memory; those added later are kept beside it.
    """

    def __init__(self, dimension: int, base: Floats | None = None) -> None:
        self.dimension = dimension
        self._base: Floats = np.empty((0, dimension), np.float32) if base is None else base
        self._tail: Floats = np.empty((0, dimension), np.float32)
        self._tail_size = 0
        self._words = -(-dimension // 64)
        self._codes: npt.NDArray[np.uint64] = np.empty((self._words, 0), np.uint64)
        self._coded = 0

    def __len__(self) -> int:
        return len(self._base) + self._tail_size

    @property
    def nbytes(self) -> int:
        """The bytes it takes, those of a mapped file included."""
        return self._base.nbytes + self._tail.nbytes + self._codes.nbytes

    def extend(self, vectors: Floats) -> None:
        """Append unit vectors, one row a slot."""
        end = self._tail_size + len(vectors)
        if end > len(self._tail):
            grown = np.empty((max(end, len(self._tail) * 3 // 2, 64), self.dimension), np.float32)
            grown[: self._tail_size] = self._tail[: self._tail_size]
            self._tail = grown
        self._tail[self._tail_size : end] = vectors
        self._tail_size = end

    def take(self, slots: Ints) -> Floats:
        """Return the vectors of `slots`."""
        split = len(self._base)
        if not self._tail_size:
            return self._base.take(slots, axis=0)
        if not split:
            return self._tail.take(slots, axis=0)
        result = np.empty((len(slots), self.dimension), np.float32)
        old = slots < split
        result[old] = self._base.take(slots[old], axis=0)
        result[~old] = self._tail.take(slots[~old] - split, axis=0)
        return result

    def similarity(self, query: Floats, slots: Ints | None = None) -> Floats:
        """Return the cosines of `query` with the vectors of `slots`, or with all."""
        if slots is not None:
            products = np.empty(len(slots), np.float32)
            for start in range(0, len(slots), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                products[part] = _products(self.take(slots[part]), query)
            return products
        tail = self._tail[: self._tail_size]
        if not len(self._base):
            return _products(tail, query)
        return np.concatenate([_products(self._base, query), _products(tail, query)])

    def nearest(
        self, query: Floats, limit: int, slots: Ints | None = None, *, pool: int | None = None
    ) -> Ints:
        """Return `limit` slots with the highest cosines, in no order, out of `slots` (ascending) or of all.

        Among many vectors a few may be missed: `pool` times `limit` are looked at closely; the default is enough to
        find nearly all.
        """
        count = len(self) if slots is None else len(slots)
        if count <= limit:
            return np.arange(count) if slots is None else slots
        if count <= (EXACT if pool is None else ROUGH):
            scores = self.similarity(query, slots)
            best = np.argpartition(scores, count - limit)[count - limit :]
            return best if slots is None else slots[best]
        distance = self._distance(query, slots)
        wanted = max(10 * limit, 800, count // 50) if pool is None else pool * limit
        cut = int(np.searchsorted(np.cumsum(np.bincount(distance)), min(wanted, count)))
        near = np.flatnonzero(distance <= cut)
        if slots is not None:
            near = slots[near]
        scores = self.similarity(query, near)
        return (
            near[np.argpartition(scores, len(near) - limit)[len(near) - limit :]]
            if len(near) > limit
            else near
        )

    def _distance(self, query: Floats, slots: Ints | None) -> npt.NDArray[np.uint16]:
        """Return the Hamming distance of the code of each of `slots`, or of all, to the query's."""
        self._encode()
        code = _codes(query[None, :], self._words)
        kind = np.dtype("u1" if self.dimension <= 255 else "u2")
        sparse = slots is not None and len(slots) * _SPARSE <= self._coded
        total = cast(
            "npt.NDArray[np.uint16]",
            np.zeros(self._coded if slots is None or not sparse else len(slots), kind),
        )
        for word in range(self._words):
            codes = self._codes[word, : self._coded]
            total += np.bitwise_count((codes[slots] if sparse else codes) ^ code[word, 0])
        return total if slots is None or sparse else total[slots]

    def _encode(self) -> None:
        """Bring the codes up to date."""
        size = len(self)
        if self._coded == size:
            return
        if size > self._codes.shape[1]:
            grown = np.empty((self._words, size * 9 // 8), np.uint64)
            grown[:, : self._coded] = self._codes[:, : self._coded]
            self._codes = grown
        for start in range(self._coded, size, 16_384):
            end = min(size, start + 16_384)
            self._codes[:, start:end] = _codes(self.take(np.arange(start, end)), self._words)
        self._coded = size

    @property
    def codes(self) -> npt.NDArray[np.uint64]:
        """The codes of all vectors, for a snapshot; made only where there are enough vectors to use them."""
        if len(self) > ROUGH:
            self._encode()
        return self._codes[:, : self._coded]

    @codes.setter
    def codes(self, codes: npt.NDArray[np.uint64]) -> None:
        self._codes, self._coded = codes, codes.shape[1]


def _products(vectors: Floats, query: Floats) -> Floats:
    """Return the product of each row with `query`.

    Row by row, because a product with the whole matrix wakes BLAS's other threads, which then spin for milliseconds on
    cores that the rest of the program needs.
    """
    return cast("Floats", np.vecdot(vectors, query))


def _codes(vectors: Floats, words: int) -> npt.NDArray[np.uint64]:
    """Return the signs of `vectors` as bits, one column a vector."""
    bits = np.packbits(vectors > 0, axis=1)
    padded = np.zeros((len(vectors), words * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.ascontiguousarray(padded.view(np.uint64).T)
