"""Which slots hold a word: derived from the forward index, for picking candidates in large spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Postings:
    """The slots and counts of each word, for slots below `sealed`.

    Attributes:
        starts: Where each word's entries start in `slots` and `counts`, by the word's number.
        ends: Where they end.
        slots: Ascending for each word.
        counts: Occurrences.
        sealed: The number of slots covered.
    """

    starts: Ints
    ends: Ints
    slots: npt.NDArray[np.int32]
    counts: npt.NDArray[Any]
    sealed: int

    @classmethod
    def build(cls, starts: Ints, terms: npt.NDArray[np.int32], counts: npt.NDArray[Any]) -> Postings:
        """Turn a forward index around."""
        sizes = np.diff(starts)
        order = np.argsort(terms, kind="stable")
        ends = np.cumsum(np.bincount(terms)) if len(terms) else np.zeros(0, np.int64)
        slots = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        first = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
        return cls(first, ends, slots[order], counts[order], len(sizes))

    def of(self, term: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
        """Return slots and counts of a word."""
        if not 0 <= term < len(self.starts):
            return self.slots[:0], self.counts[:0]
        first, last = self.starts[term], self.ends[term]
        return self.slots[first:last], self.counts[first:last]

    @property
    def nbytes(self) -> int:
        """The bytes it takes."""
        return self.starts.nbytes + self.ends.nbytes + self.slots.nbytes + self.counts.nbytes

    @property
    def frequencies(self) -> Ints:
        """The number of slots with each word."""
        return self.ends - self.starts
