"""The memories of a selection and their words, prepared for ranking, that others are added to one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from onebrain_engine.index.growable import Growable
from onebrain_engine.index.ranking import (
    ANSWER,
    ASKS,
    FAR,
    NEAR,
    Floats,
    ForwardIndex,
    Hits,
    Ints,
    InvertedIndex,
    Memories,
    asking,
    informative_part,
    log_rarity,
    mean_damping,
    mean_information,
    no_hits,
    shares,
)

# Memories added up to which words are not sorted anew: since then, and at once.
_LATEST: Final = 64
_AT_ONCE: Final = 16


def _change(count: int) -> float:
    """Return how much `log_rarity` of a frequency grows with one more."""
    return log(count + 1.5) - log(count + 0.5)


_CHANGES: Final = [_change(count) for count in range(256)]


class GrowingIndex:
    """The rows that hold each term, and how common each is; the latest rows are kept beside the others.

    Args:
        base: The first rows.
    """

    def __init__(self, base: InvertedIndex) -> None:
        self.size = base.size
        self._base = base
        self._latest: dict[int, tuple[list[int], list[int]]] = {}  # rows and counts by term
        sizes = np.diff(base.bounds)
        self._frequency: dict[int, int] = dict(zip(base.terms.tolist(), sizes.tolist(), strict=True))
        # Of `log_rarity` over the terms of each row.
        self._sums = base.sums(log_rarity(base.frequency()))
        self._shares = shares(base.lengths)
        self._latest_sums: list[float] = []
        self._latest_shares: list[float] = []

    def has_room(self, count: int) -> bool:
        """Return whether `count` more memories may be added before it is better to sort the words anew."""
        most = max(_LATEST, self._base.size // 8)
        return count <= _AT_ONCE and self.size + count - self._base.size <= most

    def add(self, terms: Ints, counts: npt.NDArray[np.generic]) -> None:
        """Add a memory of some terms, each once, and the occurrences of each."""
        names: list[int] = terms.tolist()
        frequency = self._frequency
        before = [frequency.get(term, 0) for term in names]
        # A dozen numbers, for which arrays would take longer.
        change = [_CHANGES[count] if count < len(_CHANGES) else _change(count) for count in before]
        rows, known, sizes = self._base.places(terms)
        if len(rows):
            self._sums += np.bincount(rows, np.array(change)[known].repeat(sizes), minlength=self._base.size)
        sums, first, total = self._latest_sums, self._base.size, 0.0
        for term, count, held, more in zip(names, counts.tolist(), before, change, strict=True):
            frequency[term] = held + 1
            total += log(held + 1.5)
            places, amounts = self._latest.setdefault(term, ([], []))
            for row in places:
                sums[row - first] += more
            places.append(self.size)
            amounts.append(count)
        sums.append(total)
        self._latest_shares.append(1 / len(names) if names else 0.0)
        self.size += 1

    def informative(self) -> Floats:
        """Return the mean ``information`` of each row's terms, 0 for a row without any."""
        sums = np.concatenate([self._sums, self._latest_sums])
        return mean_information(sums, np.concatenate([self._shares, self._latest_shares]), self.size)

    def hits(self, query: Ints) -> Hits:
        """Return where a query's terms stand; -1 among them is a word that is not known."""
        first = self._base.hits(query)
        if not self._latest:
            return first
        then = self._hits_of_latest(query.tolist())
        if not len(then.row):
            return first
        return Hits(
            np.concatenate([first.term, then.term]),
            np.concatenate([first.row, then.row]),
            np.concatenate([first.count, then.count]),
            first.frequency + then.frequency,
        )

    def _hits_of_latest(self, query: Sequence[int]) -> Hits:
        known = [
            (number, held)
            for number, term in enumerate(query)
            if (held := self._latest.get(term)) is not None
        ]
        if not known:
            return no_hits(len(query))
        rows = [row for _, (rows, _) in known for row in rows]
        counts = [count for _, (_, counts) in known for count in counts]
        frequency = np.zeros(len(query), np.int64)
        for number, (places, _) in known:
            frequency[number] = len(places)
        return Hits(
            np.arange(len(query)).repeat(frequency),
            np.array(rows, np.intp),
            np.array(counts, np.float32),
            frequency,
        )


class GrowingMemories:
    """The memories of a selection, prepared for ranking, that others are added to, each as the last one of its session.

    Args:
        memories: The first ones.
        lengths: The words of each.
    """

    def __init__(self, memories: Memories, lengths: Floats) -> None:
        self._now = memories
        self._lengths = Growable(np.float32, lengths.copy())
        self._flags = Growable(np.uint8, memories.flags)
        self._labels = Growable(np.int32, memories.labels)
        self._created = Growable(np.int64, memories.created)
        self._reach = Growable(np.float32, memories.reach)
        self._span = Growable(np.float32, memories.span)
        self._before = Growable(np.float32, memories.before)
        self._asking = Growable(np.float32, memories.asking)
        self._sessions = Growable(np.int64, memories.sessions)
        self._outside = None if memories.outside is None else Growable(np.bool_, memories.outside)
        self._around = memories.around
        self._numbers = {name: number for number, name in enumerate(memories.session_names.tolist())}
        self._session_lengths: list[float] = memories.session_lengths.tolist()
        self._first, self._last = memories.first, memories.last
        self._any_outside = memories.outside is not None and bool(memories.outside.any())

    def add(
        self, *, length: float, flags: int, label: int, created: int, session: int, previous: int
    ) -> bool:
        """Add a memory; return False if all have to be prepared anew instead.

        `previous` is the row of the memory before it, and `session` any number, as in `ranking.prepare`; -1 for none.
        """
        # Whether all have a session, or none has one, or a neighbour, is known of all together.
        unlike = self._outside is None if session < 0 else self._now.all_outside
        if unlike or (self._around is None and previous >= 0):
            return False
        row = self._flags.size
        for column, value in (
            (self._lengths, length),
            (self._flags, flags),
            (self._labels, label),
            (self._created, created),
            (self._reach, length),
            (self._asking, asking(flags)),
            (self._sessions, -1 if session < 0 else self._session(session, length)),
        ):
            column.extend((value,))
        if self._outside is not None:
            self._outside.extend((session < 0,))
        if session < 0:
            self._first = min(self._first, created) if self._any_outside else created
            self._last = max(self._last, created) if self._any_outside else created
            self._any_outside = True
        if self._around is not None:
            self._link(row, previous)
        return True

    def _session(self, name: int, length: float) -> int:
        """Return the number of a session, and add the length of a memory to its own."""
        totals = self._session_lengths
        number = self._numbers.setdefault(name, len(totals))
        if number == len(totals):
            totals.append(0.0)
        totals[number] += length
        return number

    def _link(self, row: int, previous: int) -> None:
        assert self._around is not None
        if row >= self._around.shape[1]:
            wider = np.full((4, row * 9 // 8 + 64), -1, np.int64)
            wider[:, :row] = self._around[:, :row]
            self._around = wider
        around = self._around
        second = int(around[0, previous]) if previous >= 0 else -1
        asks = previous >= 0 and int(self._flags.view[previous]) & ASKS
        self._before.extend((NEAR + ANSWER if asks else NEAR,))
        self._span.extend((1,))
        if previous >= 0:
            around[0, row], around[2, row], around[1, previous] = previous, second, row
        if second >= 0:
            around[3, second] = row
        for place in (row, previous, second):
            if place >= 0:
                self._weigh(place, around[:, place].tolist())

    def _weigh(self, row: int, near: Sequence[int]) -> None:
        lengths = self._lengths.view
        words, count = float(lengths[row]), 1.0
        for other, weight in zip(near, (NEAR, NEAR, FAR, FAR), strict=True):
            if other >= 0:
                words += weight * float(lengths[other])
                count += weight
        self._reach.view[row], self._span.view[row] = words, count

    def memories(self, informative: Floats) -> Memories:
        """Return all, with the mean rarity of the terms of each."""
        reach, now = self._reach.view, self._now
        names, session_lengths, session_damping = now.session_names, now.session_lengths, now.session_damping
        if self._numbers:
            names = np.array(list(self._numbers), np.int64)
            session_lengths = np.array(self._session_lengths, np.float32)
            session_damping = mean_damping(session_lengths)
        return Memories(
            self._flags.view,
            self._labels.view,
            self._now.speakers,
            self._created.view,
            None if self._around is None else self._around[:, : len(reach)],
            self._before.view,
            self._span.view,
            reach,
            mean_damping(reach),
            informative_part(informative),
            self._asking.view,
            self._sessions.view,
            names,
            session_lengths,
            session_damping,
            None if self._outside is None else self._outside.view,
            self._now.all_outside,
            self._first,
            self._last,
        )


# Of the first search, which looks at all words, and of further ones.
Words: TypeAlias = ForwardIndex | GrowingIndex
