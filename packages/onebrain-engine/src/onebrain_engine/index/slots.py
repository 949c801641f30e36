"""The memories of an index, as arrays.

Every stored version of a memory has a slot. Slots are only ever appended: a change appends a new one and kills the old,
so that everything derived from slots stays valid; many dead ones are squeezed out by starting anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onebrain_engine.index.conversations import Conversations
from onebrain_engine.index.growable import Codes, Growable
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.text import Analysis
from onebrain_engine.index.vectors import Vectors
from onebrain_engine.store.records import NEVER, Entry

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float32]

_MOST = 65_535  # occurrences of a word in a memory that are counted
_COARSE = 256  # slots more or less that change the bytes little
_NAME_BYTES = 150  # of a string or a number in a dictionary, approximately


@dataclass(slots=True)
class Indexed:
    """A memory made ready for the index."""

    entry: Entry
    analysis: Analysis
    vector: Floats | None


class Slots:
    """The memories of an index, one slot for each version of one.

    Args:
        lexicon: Numbers for words.

    Attributes:
        starts: Where the words of each slot start in `terms` and `counts`; one more for the end of the last.
        dead: The number of slots that are not the newest version of their row.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.users, self.agents, self.sessions = Codes(), Codes(), Codes()
        self.row = Growable(np.int64)
        self.user, self.agent, self.session = Growable(np.int32), Growable(np.int32), Growable(np.int32)
        self.created, self.updated, self.expires = Growable(np.int64), Growable(np.int64), Growable(np.int64)
        self.importance = Growable(np.float32)
        self.archived, self.alive = Growable(np.bool_), Growable(np.bool_)
        self.flags, self.label = Growable(np.uint8), Growable(np.int32)
        self.length = Growable(np.float32)
        self.starts = Growable(np.int64, np.zeros(1, np.int64))
        self.terms, self.counts = Growable(np.int32), Growable(np.uint16)
        self.conversations = Conversations(self.row, self.alive)
        self.vectors: Vectors | None = None
        self.dead = 0
        self._slot_of: dict[int, int] | None = None

    @property
    def size(self) -> int:
        """The number of slots, dead ones included."""
        return self.row.size

    def of_rows(self) -> dict[int, int]:
        """Return the living slot of each row."""
        if self._slot_of is None:
            living = np.flatnonzero(self.alive.view)
            self._slot_of = dict(zip(self.row.view[living].tolist(), living.tolist(), strict=True))
        return self._slot_of

    def indexed(self, entry: Entry) -> Indexed | None:
        """Return a changed memory with the text and vector of its slot; None if that does not hold all of them."""
        slot = self.of_rows().get(entry.row)
        if slot is None:
            return None
        start, end = self.starts.view[slot : slot + 2].tolist()
        words, label = self._lexicon.words, int(self.label.view[slot])
        numbers: list[int] = self.terms.view[start:end].tolist()
        counts: list[int] = self.counts.view[start:end].tolist()
        if _MOST in counts:
            return None
        name = None if label < 0 else words[label]
        found = {words[number]: count for number, count in zip(numbers, counts, strict=True)}
        analysis = Analysis(found, sum(counts), int(self.flags.view[slot]), name)
        vector: Floats | None = None
        if self.vectors is not None and slot < len(self.vectors):
            [vector] = self.vectors.take(np.array([slot]))
        # All zeros stand for none.
        return Indexed(entry, analysis, vector if vector is not None and vector.any() else None)

    def append(self, items: Sequence[Indexed]) -> tuple[list[int], bool]:
        """Append memories, each of another row.

        Returns:
            The slots that they replace, which are still alive, and whether two others are no longer neighbours.
        """
        first = self.size
        slot_of = self.of_rows()
        replaced = {
            slot: slot_of[item.entry.row]
            for slot, item in enumerate(items, first)
            if item.entry.row in slot_of
        }
        entries = [item.entry for item in items]
        self._append_entries(entries)
        self._append_words([item.analysis for item in items])
        self._append_vectors([item.vector for item in items])
        parted = self.conversations.extend(entries, replaced)
        for slot, entry in enumerate(entries, first):
            slot_of[entry.row] = slot
        return list(replaced.values()), parted

    def _append_entries(self, entries: Sequence[Entry]) -> None:
        self.row.extend([entry.row for entry in entries])
        self.user.extend([self.users.of(entry.user) for entry in entries])
        self.agent.extend([self.agents.of(entry.agent) for entry in entries])
        self.session.extend([self.sessions.of(entry.session) for entry in entries])
        self.created.extend([entry.created_at for entry in entries])
        self.updated.extend([entry.updated_at for entry in entries])
        self.expires.extend([NEVER if entry.expires_at is None else entry.expires_at for entry in entries])
        self.importance.extend([entry.importance or 0.0 for entry in entries])
        self.archived.extend([entry.archived for entry in entries])
        self.alive.extend([True] * len(entries))

    def _append_words(self, analyses: Sequence[Analysis]) -> None:
        intern = self._lexicon.intern
        self.flags.extend([analysis.flags for analysis in analyses])
        self.label.extend(
            [-1 if analysis.label is None else intern((analysis.label,))[0] for analysis in analyses]
        )
        sizes = [len(analysis.terms) for analysis in analyses]
        self.starts.extend([*accumulate(sizes, initial=int(self.starts.view[-1]))][1:])
        self.terms.extend([id for analysis in analyses for id in intern(analysis.terms)])
        self.counts.extend([min(count, _MOST) for analysis in analyses for count in analysis.terms.values()])
        self.length.extend([sum(analysis.terms.values()) for analysis in analyses])

    def _append_vectors(self, vectors: Sequence[Floats | None]) -> None:
        dimension = next((len(vector) for vector in reversed(vectors) if vector is not None), None)
        if self.vectors is None or dimension not in (None, self.vectors.dimension):
            # A space that holds no vector any more may take those of another kind: none of the old ones counts.
            if dimension is None:
                return
            self.vectors = Vectors(dimension)
        missing = self.size - len(self.vectors) - len(vectors)
        if missing:  # slots from before the first vector
            self.vectors.extend(np.zeros((missing, self.vectors.dimension), np.float32))
        block = np.zeros((len(vectors), self.vectors.dimension), np.float32)
        for position, vector in enumerate(vectors):
            if vector is not None and len(vector) == self.vectors.dimension:
                block[position] = vector
        self.vectors.extend(block)

    def take_out(self, rows: Iterable[int]) -> list[int]:
        """Return the slots of rows that are gone, out of their conversations but still alive."""
        slot_of = self.of_rows()
        slots = [slot for row in rows if (slot := slot_of.pop(row, None)) is not None]
        if slots:
            self.conversations.remove(slots)
        return slots

    def kill(self, slots: Sequence[int]) -> None:
        """Mark slots as dead."""
        self.alive.view[list(slots)] = False
        self.dead += len(slots)

    def columns(self) -> dict[str, Growable]:
        """Return the columns that hold one value for each slot, by their names in a snapshot."""
        return {
            "row": self.row, "user": self.user, "agent": self.agent, "session": self.session,
            "talk": self.conversations.code, "previous": self.conversations.previous,
            "following": self.conversations.following, "created": self.created, "updated": self.updated,
            "expires": self.expires, "importance": self.importance, "archived": self.archived, "flags": self.flags,
            "label": self.label, "length": self.length,
        }  # fmt: skip

    def codes(self) -> dict[str, Codes]:
        """Return the names behind the numbers in columns, by their names in a snapshot."""
        return {
            "users": self.users,
            "agents": self.agents,
            "sessions": self.sessions,
            "talks": self.conversations.codes,
        }

    @property
    def stamp(self) -> tuple[object, ...]:
        """A value that stays equal as long as `nbytes` is about the same."""
        return self.size // _COARSE, self._slot_of is None

    @property
    def nbytes(self) -> int:
        """The approximate number of bytes it takes."""
        arrays = (*self.columns().values(), self.alive, self.starts, self.terms, self.counts)
        names = sum(len(codes.names) for codes in self.codes().values())
        known = len(self._slot_of or ()) + self.conversations.known
        return (
            sum(array.nbytes for array in arrays)
            + (0 if self.vectors is None else self.vectors.nbytes)
            + _NAME_BYTES * (names + known)
        )

    def order(self, name: str) -> npt.NDArray[Any]:
        """Return the values by which memories are ordered, such as ``created_at``."""
        column = {
            "created_at": self.created,
            "updated_at": self.updated,
            "importance": self.importance,
            "sequence": self.row,
        }[name]
        return column.view
