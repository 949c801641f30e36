"""Which memories follow each other: the slots of one user's session, in the order of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from onebrain_engine.index.growable import Codes, Growable
from onebrain_engine.store.records import Entry


class Conversations:
    """Chains the living slots of each conversation; a slot without a session belongs to none.

    Args:
        row: The row of each slot.
        alive: Whether a slot is the newest version of its row.

    Attributes:
        code: The conversation of each slot; 0 for none.
        previous: The slot before each slot in its conversation; -1 for none.
        following: The slot after it; -1 for none.
    """

    def __init__(self, row: Growable, alive: Growable) -> None:
        self._row = row
        self._alive = alive
        self.codes = Codes()
        self.code = Growable(np.int32)
        self.previous, self.following = Growable(np.int64), Growable(np.int64)
        self._last: dict[int, int] | None = None

    @property
    def known(self) -> int:
        """The number of conversations whose last slot is at hand."""
        return len(self._last or ())

    def extend(self, entries: Sequence[Entry], replaced: Mapping[int, int]) -> bool:
        """Chain new slots, whose rows are there already; one that replaces another in its conversation takes its position.

        Args:
            entries: The memories of the slots.
            replaced: The slot that each new slot replaces.

        Returns:
            Whether a new slot came between two others.
        """
        first, count = self.code.size, len(entries)
        codes = [
            0 if entry.session is None else self.codes.of(f"{entry.user or ''}\0{entry.session}")
            for entry in entries
        ]
        self.code.extend(codes)
        self.previous.extend([-1] * count)
        self.following.extend([-1] * count)
        if not any(codes) and not replaced:
            return False
        parted = False
        previous, rows = self.previous.view, self._row.view
        last = self._find_last(first)
        for slot, code in enumerate(codes, first):
            if slot in replaced and self._succeed(slot, replaced[slot], code):
                continue
            if not code:
                continue
            before, after, row = last.get(code, -1), -1, rows[slot]
            # A memory that was moved here from another conversation keeps its age.
            while before >= 0 and rows[before] > row:
                before, after = int(previous[before]), before
            self._link(slot, before, after, last, code)
            parted = parted or after >= 0
        return parted

    def _link(self, slot: int, before: int, after: int, last: dict[int, int], code: int) -> None:
        """Put a slot between two neighbours, each -1 at an end of the conversation."""
        previous, following = self.previous.view, self.following.view
        previous[slot], following[slot] = before, after
        if before >= 0:
            following[before] = slot
        if after >= 0:
            previous[after] = slot
        else:
            last[code] = slot

    def _succeed(self, slot: int, old: int, code: int) -> bool:
        """Take an old slot out of its conversation; return whether the new one has taken its position there."""
        if not code or int(self.code.view[old]) != code:
            self._unlink(old)
            return False
        previous, following = self.previous.view, self.following.view
        self._link(slot, int(previous[old]), int(following[old]), self._find_last(slot), code)
        previous[old] = following[old] = -1
        return True

    def remove(self, slots: Sequence[int]) -> None:
        """Take living slots out of their conversations."""
        self._find_last(self.code.size)
        for slot in slots:
            self._unlink(slot)

    def _unlink(self, slot: int) -> None:
        previous, following = self.previous.view, self.following.view
        before, after = int(previous[slot]), int(following[slot])
        if before >= 0:
            following[before] = after
        if after >= 0:
            previous[after] = before
        elif self._last is not None and (code := int(self.code.view[slot])):
            if before >= 0:
                self._last[code] = before
            else:
                self._last.pop(code, None)
        previous[slot] = following[slot] = -1

    def _find_last(self, size: int) -> dict[int, int]:
        """Return the last living slot of each conversation among the first `size`."""
        if self._last is None:
            codes = self.code.view[:size]
            ends = np.flatnonzero((self.following.view[:size] < 0) & self._alive.view[:size] & (codes > 0))
            self._last = dict(zip(codes[ends].tolist(), ends.tolist(), strict=True))
        return self._last

    def link(self, pairs: Iterable[tuple[int, int]], slot_of: Mapping[int, int]) -> None:
        """Let only these rows be neighbours: each pair is a memory and the one that follows it."""
        previous, following = self.previous.view, self.following.view
        previous[:] = following[:] = -1
        for before, after in pairs:
            if before in slot_of and after in slot_of:
                following[slot_of[before]], previous[slot_of[after]] = slot_of[after], slot_of[before]
        self._last = None
