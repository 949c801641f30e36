"""Which slots a scope and a filter select, and in which order."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.models import Scope
from onebrain_engine.index import ranking
from onebrain_engine.index.columns import Columns, Fetch
from onebrain_engine.index.growable import Codes, Groups, Growable
from onebrain_engine.index.growing import GrowingMemories, Words
from onebrain_engine.index.slots import Ints, Slots
from onebrain_engine.store.records import NEVER

_KEPT: Final = 500_000  # memories in all selections that are kept with their preparation
_SELECTED_BYTES: Final = 100  # of a memory in a selection, approximately
_FEW: Final = 16  # slots that are looked at one by one in less time
_COARSE: Final = 1_024  # memories more or less that change the bytes little


@dataclass(slots=True)
class Selection:
    """Slots that a search may return, with the ranking's preparation of them.

    Attributes:
        slots: Ascending; None for every slot of the index.
        seen: The number of the index's slots that were looked at.
        until: When it stops to be true because something in it expires, in microseconds.
        memories: The prepared memories, once a search needed them; those that came later may be missing.
        words: Their words, by memory for the first search and by word for further ones.
        growing: The memories in a form that others are added to, once some were.
    """

    slots: Ints | None
    size: int
    seen: int
    until: int = NEVER
    memories: ranking.Memories | None = field(default=None, repr=False)
    words: Words | None = field(default=None, repr=False)
    growing: GrowingMemories | None = field(default=None, repr=False)


class Selector:
    """Selects and orders the slots of one index; selections grow with it, and are kept until something in it changes.

    Args:
        slots: The slots.
        space: The name of their space.
    """

    def __init__(self, slots: Slots, space: str) -> None:
        self._slots = slots
        self._columns = Columns(slots.row, space, slots.alive)
        self._groups: dict[str, Groups] = {}
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._selected = 0
        self._orders: dict[str, Ints] = {}

    def changed(self) -> None:
        """Forget everything derived from all slots together."""
        self._selections.clear()
        self._selected = 0
        self._orders.clear()

    def select(
        self, scope: Scope, filter: Filter, include_archived: bool, now: int, fetch: Fetch
    ) -> Selection:
        """Return the living slots in a scope that match a filter."""
        key = f"{scope.user!r}{scope.agent!r}{scope.session!r}{include_archived}{filter if filter != TRUE else ''}"
        known = self._selections.get(key)
        if known is not None and now < known.until:
            self._selections.move_to_end(key)
            if known.seen < self._slots.size:
                self._grow(known, self._matching(known.seen, scope, filter, include_archived, now, fetch))
                self._make_room()
            return known
        slots = self._in_scope(scope)
        expires = _part(self._slots.expires.view, slots)
        keep = _part(self._slots.alive.view, slots) & (expires > now)
        if not include_archived:
            keep &= ~_part(self._slots.archived.view, slots)
        if filter != TRUE:
            keep &= _part(self._columns.mask(filter, fetch), slots)
        until = int(expires[keep].min(initial=NEVER))
        # A scope may hold all slots, such as that of a brain's only user.
        if len(keep) == self._slots.size and keep.all():
            selection = Selection(None, self._slots.size, self._slots.size, until)
        else:
            slots = np.flatnonzero(keep) if slots is None else slots[keep]
            selection = Selection(slots, len(slots), self._slots.size, until)
        if known is not None:
            self._selected -= known.size
        self._selections[key] = selection
        self._selected += selection.size
        self._make_room()
        return selection

    def _make_room(self) -> None:
        while self._selected > _KEPT and len(self._selections) > 1:
            self._selected -= self._selections.popitem(last=False)[1].size

    def _matching(
        self, first: int, scope: Scope, filter: Filter, include_archived: bool, now: int, fetch: Fetch
    ) -> Ints:
        """Return the slots from `first` on that match, ascending."""
        known = self._slots
        wanted = [
            (column.view, codes.find(part))
            for _, part, codes, column in self._parts(scope)
            if part is not None
        ]
        alive, expires, archived = known.alive.view, known.expires.view, known.archived.view
        mask = None if filter == TRUE else self._columns.mask(filter, fetch)
        if known.size - first > _FEW:
            keep = alive[first:] & (expires[first:] > now)
            if not include_archived:
                keep &= ~archived[first:]
            for column, code in wanted:
                keep &= column[first:] == code
            if mask is not None:
                keep &= mask[first:]
            return np.flatnonzero(keep) + first
        slots = [
            slot
            for slot in range(first, known.size)
            if alive[slot]
            and expires[slot] > now
            and (include_archived or not archived[slot])
            and all(column[slot] == code for column, code in wanted)
            and (mask is None or mask[slot])
        ]
        return np.array(slots, np.int64)

    def _grow(self, selection: Selection, slots: Ints) -> None:
        """Add slots to a selection, all that match of those that it has not seen."""
        size = self._slots.size
        if selection.slots is None and len(slots) < size - selection.seen:
            selection.slots = np.arange(selection.seen)
        if len(slots):
            if selection.slots is not None:
                selection.slots = np.concatenate([selection.slots, slots])
            selection.until = min(selection.until, int(self._slots.expires.view[slots].min()))
            selection.size += len(slots)
            self._selected += len(slots)
        selection.seen = size

    def saying(self, selection: Selection, text: str, fetch: Fetch) -> Selection:
        """Return the part of a selection that says exactly the same as a text."""
        same = self._columns.saying(text, fetch)
        slots = np.flatnonzero(same) if selection.slots is None else selection.slots[same[selection.slots]]
        return Selection(slots, len(slots), self._slots.size)

    def _in_scope(self, scope: Scope) -> Ints | None:
        """Return the slots of a scope, dead ones included, ascending; None for all."""
        slots: Ints | None = None
        for name, wanted, codes, column in self._parts(scope):
            if wanted is None:
                continue
            code = codes.find(wanted)
            if code < 0:
                return np.empty(0, np.int64)
            if slots is None:
                if name not in self._groups:
                    self._groups[name] = Groups(column)
                slots = self._groups[name].members(code)
            else:
                slots = slots[column.view[slots] == code]
        return slots

    def _parts(self, scope: Scope) -> tuple[tuple[str, str | None, Codes, Growable], ...]:
        """Return the parts of a scope with their columns."""
        known = self._slots
        return (
            ("session", scope.session, known.sessions, known.session),
            ("user", scope.user, known.users, known.user),
            ("agent", scope.agent, known.agents, known.agent),
        )

    def ordered(self, selection: Selection, order: str) -> tuple[Ints, npt.NDArray[Any]]:
        """Return a selection's slots in an order, ties by row, and the values of the order by slot."""
        name = order.lstrip("-")
        values, rows = self._slots.order(name), self._slots.row.view
        slots = self._order(name, values, rows)
        if selection.slots is not None:
            if selection.size * 8 < self._slots.size:
                slots = selection.slots[np.lexsort((rows[selection.slots], values[selection.slots]))]
            else:
                slots = slots[inside(selection.slots, self._slots.size)[slots]]
        return (slots[::-1] if order.startswith("-") else slots), values

    def _order(self, name: str, values: npt.NDArray[Any], rows: Ints) -> Ints:
        """Return all slots in an order."""
        known = self._orders.get(name)
        if known is not None and len(known) == len(rows):
            return known
        if known is not None and len(known):
            # Most new memories come last in every order by time.
            added = np.arange(len(known), len(rows))
            added = added[np.lexsort((rows[added], values[added]))]
            last, first = known[-1], added[0]
            if (values[last], rows[last]) < (values[first], rows[first]):
                known = self._orders[name] = np.concatenate([known, added])
                return known
        known = self._orders[name] = np.lexsort((rows, values))
        return known

    @property
    def stamp(self) -> tuple[object, ...]:
        """A value that stays equal as long as `nbytes` is about the same."""
        return self._selected // _COARSE, len(self._orders), self._columns.stamp

    @property
    def nbytes(self) -> int:
        """The approximate number of bytes it takes."""
        return (
            sum(order.nbytes for order in list(self._orders.values()))
            + self._columns.nbytes
            + _SELECTED_BYTES * self._selected
        )


def inside(slots: Ints, size: int) -> npt.NDArray[np.bool_]:
    """Return for each of `size` slots whether it is among some."""
    mask = np.zeros(size, bool)
    mask[slots] = True
    return mask


def _part(values: npt.NDArray[Any], slots: Ints | None) -> npt.NDArray[Any]:
    return values if slots is None else values[slots]
