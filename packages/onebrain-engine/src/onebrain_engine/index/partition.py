"""The index of one space, or of one user's memories in a large one.

It belongs to the store's change number `through` and catches up from there; it is guarded by its `lock`. Whatever it
reads from the store on demand is read as of that very change, so that it is true or not yet known, and never a guess.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt

from onebrain.memory.filters import Filter
from onebrain.memory.models import Scope
from onebrain_engine.index.columns import Fetch
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.ranker import Ranked, Ranker, RankRequest
from onebrain_engine.index.remembered import Measured, RecordCache
from onebrain_engine.index.selecting import Selection, Selector
from onebrain_engine.index.slots import Indexed, Ints, Slots
from onebrain_engine.index.statistics import Frequencies
from onebrain_engine.store.records import At, Entry, Space

_PENDING_BYTES: Final = 4_000  # of a memory that waits to be taken, approximately


class Partition:
    """The index of one space: brings its parts up to the store, and asks them.

    Args:
        space: The space; its change number says how far the index has to catch up.
        lexicon: Numbers for words.
    """

    def __init__(self, space: Space, lexicon: Lexicon) -> None:
        self.lock = threading.RLock()
        self.space = space
        self._lexicon = lexicon
        self.clear()

    def clear(self) -> None:
        """Forget everything, to be read from the store anew."""
        self.through = 0
        self.run: int | None = None
        self.snapshotted = 0  # slots when the last snapshot was made
        self.slots = Slots(self._lexicon)
        # By row, for of several versions only the last one counts.
        self._pending: dict[int, Indexed] = {}
        self._records = RecordCache()
        self.reset_derived()

    def reset_derived(self) -> None:
        """Forget everything that is made from the slots on demand."""
        self.frequencies = Frequencies(self.slots, self._lexicon)
        self.ranker = Ranker(self.slots, self._lexicon, self.frequencies)
        self._selector = Selector(self.slots, self.space.name)

    @property
    def at(self) -> At:
        """The state of the space as of the last change that it has read."""
        return self.through, self.run

    @property
    def size(self) -> int:
        """The number of slots."""
        return self.slots.size

    @property
    def waiting(self) -> int:
        """The number of memories enqueued and not yet taken."""
        return len(self._pending)

    # ---- catching up ------------------------------------------------------------------------------------------------

    def enqueue(self, indexed: Sequence[Indexed], before: Space, after: Space) -> None:
        """Take memories just stored by this process if the index knew everything before them; else it catches up later."""
        with self.lock:
            if self.at == before.at:
                self._records.forget(item.entry.row for item in indexed)
                self._pending.update((item.entry.row, item) for item in indexed)
                self.through, self.run = after.at

    def enqueue_change(self, entry: Entry, before: Space, after: Space) -> None:
        """Take a memory like `enqueue`, of which neither the text nor the vector has changed."""
        with self.lock:
            if self.at != before.at:
                return
            known = self._pending.get(entry.row) or self.slots.indexed(entry)
            if known is not None:
                self.enqueue([Indexed(entry, known.analysis, known.vector)], before, after)

    def apply(self, indexed: Sequence[Indexed], gone: Iterable[int], at: At) -> None:
        """Take changes read from the store, which bring the index to a state of the space."""
        self.flush()
        self._records.forget(item.entry.row for item in indexed)
        self._remove(list(gone))
        self._append(indexed)
        self.through, self.run = at

    def flush(self) -> None:
        """Take the enqueued memories."""
        if self._pending:
            pending, self._pending = self._pending, {}
            self._append(list(pending.values()))

    def _append(self, items: Sequence[Indexed]) -> None:
        if not items:
            return
        # Of several versions only the last one counts.
        last = {item.entry.row: item for item in items}
        first = self.size
        replaced, parted = self.slots.append(items if len(last) == len(items) else list(last.values()))
        self.frequencies.added(first)
        if replaced:
            self._kill(replaced)
        elif parted:
            self._changed()
        else:
            # Selections and their preparation follow by themselves.
            self.frequencies.changed()
            self.ranker.changed()

    def _remove(self, rows: Sequence[int]) -> None:
        self._records.forget(rows)
        slots = self.slots.take_out(rows)
        if slots:
            self._kill(slots)

    def _kill(self, slots: Sequence[int]) -> None:
        self.slots.kill(slots)
        self.frequencies.removed(slots)
        self._changed()

    def _changed(self) -> None:
        self._selector.changed()
        self.frequencies.changed()
        self.ranker.changed()

    def link(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Let only these rows be neighbours: each pair is a memory and the one that follows it."""
        self.slots.conversations.link(pairs, self.slots.of_rows())
        self._changed()

    # ---- records ----------------------------------------------------------------------------------------------------

    def recall(self, rows: Sequence[int], at: At) -> dict[int, Measured]:
        """Return the records that are remembered of rows and are true in a state of the space."""
        seq, run = at
        # In an older state, or between runs, a remembered record may have changed.
        if self.through < seq or self.run != run:
            return {}
        return self._records.get(rows, seq)

    def remember(self, records: Mapping[int, Measured], at: At) -> None:
        """Keep records that were read in a state of the space; they go when their memory changes."""
        if self.at == at:  # else one of them may have changed since
            self._records.add(records, at[0])

    # ---- asking -----------------------------------------------------------------------------------------------------

    def select(
        self, scope: Scope, filter: Filter, include_archived: bool, now: int, fetch: Fetch
    ) -> Selection:
        """Return the living slots in a scope that match a filter."""
        return self._selector.select(scope, filter, include_archived, now, fetch)

    def saying(self, selection: Selection, text: str, fetch: Fetch) -> Selection:
        """Return the part of a selection that says exactly the same as a text."""
        return self._selector.saying(selection, text, fetch)

    def ordered(self, selection: Selection, order: str) -> tuple[Ints, npt.NDArray[Any]]:
        """Return a selection's slots in an order, ties by row, and the values of the order by slot."""
        return self._selector.ordered(selection, order)

    def rank(self, selection: Selection, request: RankRequest) -> Ranked:
        """Return the `limit` best memories of a selection."""
        return self.ranker.rank(selection, request)

    # ---- size -------------------------------------------------------------------------------------------------------

    @property
    def stamp(self) -> tuple[object, ...]:
        """A value that stays equal as long as `nbytes` is about the same."""
        return (
            self.slots.stamp,
            self._selector.stamp,
            self.ranker.stamp,
            len(self._pending) // 64,
            len(self._records) // 64,
        )

    @property
    def nbytes(self) -> int:
        """The approximate number of bytes it takes, including everything made on demand."""
        return (
            self.slots.nbytes
            + self._selector.nbytes
            + self.ranker.nbytes
            + self._records.nbytes
            + _PENDING_BYTES * len(self._pending)
        )

    @property
    def wasteful(self) -> bool:
        """Whether reading the index anew is better, because most slots are dead."""
        return self.slots.dead > 1000 and self.slots.dead * 2 > self.size
