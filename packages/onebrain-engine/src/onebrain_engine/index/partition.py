"""The index of one space: what is known of each memory, as arrays, and how to select and rank with them.

Every stored version of a memory has a slot. Slots are only ever appended: a change appends a new one and kills the old,
so that everything derived from slots stays valid; many dead ones are squeezed out by starting anew. The index belongs
to the store's change number `through` and catches up from there; it is guarded by its `lock`. Whatever it reads from the
store on demand is read as of that very change, so that it is true or not yet known, and never a guess.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from onebrain.errors import EmbedderMismatch
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.models import Scope, SearchMode
from onebrain_engine.index import ranking
from onebrain_engine.index.columns import Columns, Fetch
from onebrain_engine.index.growable import Codes, Groups, Growable
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.postings import Postings
from onebrain_engine.index.text import Analysis, Query, least_turns
from onebrain_engine.index.vectors import Vectors
from onebrain_engine.store.records import MEMORY_COLUMNS, NEVER, At, Entry, Record, Space

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float32]
Posting: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_DAY = 86_400_000_000  # microseconds

# Up to so many memories every one is ranked in full; beyond, candidates are picked first.
FULL = 4_000
_BY_KEYWORD, _BY_VECTOR = 100, 60  # candidates of each kind, and their neighbours
_FEW = 32  # postings for each candidate up to which they are looked at one by one
_KEPT = 500_000  # memories in all selections that are kept with their preparation
_RECORDS, _LONGEST = 2_000, 8_000  # records that are kept, and characters up to which a text is

# What Python's own objects take, about.
_NAME_BYTES, _SELECTED_BYTES, _RECORD_BYTES, _PENDING_BYTES = 150, 100, 2_000, 4_000

_CONTENT = MEMORY_COLUMNS.split(", ").index("content")

ORDERS = {"created_at": "created", "updated_at": "updated", "importance": "importance", "sequence": "row"}


@dataclass(slots=True)
class Indexed:
    """A memory made ready for the index."""

    entry: Entry
    analysis: Analysis
    vector: Floats | None


@dataclass(slots=True)
class Selection:
    """Slots that a search may return, and what ranking has prepared for them.

    Attributes:
        slots: Ascending; None for every slot of the index.
        until: When it stops to be true because something in it expires, in microseconds.
        memories: The prepared memories, once a search needed them.
        words: Their words.
    """

    slots: Ints | None
    size: int
    until: int = NEVER
    memories: ranking.Memories | None = field(default=None, repr=False)
    words: ranking.Words | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What words tell in a whole space, for an index that holds but the candidates of a search.

    Attributes:
        frequency: In how many memories each of the query's words stands.
        count: How many memories there are.
        information: How rare each word is, 0 to 1, by the word's number.
        speakers: The numbers of the words that are speakers' names.
    """

    frequency: Ints
    count: int
    information: Floats
    speakers: Ints


@dataclass(frozen=True, slots=True)
class Ranked:
    """Memories of one space that a search found, best first.

    Attributes:
        rows: Their rows.
        scores: 0..1; all 0 if nothing was asked and the newest come first.
        ties: The order of equal scores, the largest first, before the row decides.
        parts: [n, 2] the score by words alone and the score by vectors alone, each 0..1.
        mode: The mode that answered.
        mismatch: Why the vectors of the memories were not compared with the query's; None if they were.
    """

    rows: Ints
    scores: npt.NDArray[np.float64]
    ties: npt.NDArray[Any]
    parts: npt.NDArray[np.float64]
    mode: SearchMode
    mismatch: EmbedderMismatch | None = None

    @classmethod
    def newest(cls, rows: Sequence[int] | Ints, created: Sequence[Any] | Ints, mode: SearchMode) -> Ranked:
        """Return rows that nothing was asked of, in the order of their creation."""
        count = len(rows)
        return cls(
            np.array(rows, np.int64), np.zeros(count), np.array(created, np.int64), np.zeros((count, 2)), mode
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """A search as the index sees it; `told` where the index holds but its candidates."""

    query: Query | None
    vector: Floats | None
    mode: SearchMode
    alpha: float | None
    limit: int
    told: Told | None = None


class Partition:
    """The index of one space.

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
        self._pending: list[Indexed] = []
        self.users, self.agents, self.sessions, self.talks = Codes(), Codes(), Codes(), Codes()
        self.row = Growable(np.int64)
        self.user, self.agent, self.session = Growable(np.int32), Growable(np.int32), Growable(np.int32)
        self.talk = Growable(np.int32)  # user and session together: whose neighbours lend context; 0 for none
        self.previous, self.following = Growable(np.int64), Growable(np.int64)
        self.created, self.updated, self.expires = Growable(np.int64), Growable(np.int64), Growable(np.int64)
        self.importance = Growable(np.float32)
        self.archived, self.alive = Growable(np.bool_), Growable(np.bool_)
        self.flags, self.label = Growable(np.uint8), Growable(np.int32)
        self.length = Growable(np.float32)
        self.starts = Growable(np.int64, np.zeros(1, np.int64))
        self.terms, self.counts = Growable(np.int32), Growable(np.uint16)
        self.vectors: Vectors | None = None
        self.dead = 0
        self.snapshotted = 0  # slots when the last snapshot was made
        self._records: dict[
            int, tuple[int, Record]
        ] = {}  # with the change they were read at, the oldest first
        self.reset_derived()

    def reset_derived(self) -> None:
        """Forget everything that is made from the arrays on demand."""
        self.columns = Columns(self.row, self.space.name, self.alive)
        self.postings: Postings | None = None
        self._slot_of: dict[int, int] | None = None
        self._last: dict[int, int] | None = None
        self._groups: dict[str, Groups] = {}
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._selected = 0
        self._places = Growable(np.int64)
        self._orders: dict[str, Ints] = {}
        self._label_counts: dict[int, int] | None = None
        self._speakers: Ints | None = None
        self.frequencies: Ints | None = None
        self._told: tuple[Floats, float] | None = None
        self._rarities: Floats | None = None

    @property
    def at(self) -> At:
        """The state of the space that it has come to."""
        return self.through, self.run

    @property
    def size(self) -> int:
        """The number of slots."""
        return self.row.size

    @property
    def waiting(self) -> int:
        """The number of memories enqueued and not yet taken."""
        return len(self._pending)

    # ---- catching up ------------------------------------------------------------------------------------------------

    def enqueue(self, indexed: Sequence[Indexed], before: Space, after: Space) -> None:
        """Take what this process has just stored, if the index knew everything up to then; else it catches up later."""
        with self.lock:
            if self.at == before.at:
                self._forget(item.entry.row for item in indexed)
                self._pending.extend(indexed)
                self.through, self.run = after.at

    def apply(self, indexed: Sequence[Indexed], gone: Iterable[int], at: At) -> None:
        """Take changes read from the store, which bring the index to a state of the space."""
        self.flush()
        self._forget(item.entry.row for item in indexed)
        self.remove(gone)
        self._append(indexed)
        self.through, self.run = at

    def recall(self, rows: Sequence[int], at: At) -> dict[int, Record]:
        """Return the records that are remembered of rows and are true in a state of the space."""
        seq, run = at
        if (
            self.through < seq or self.run != run
        ):  # what is remembered may have changed by then, or between runs
            return {}
        records = self._records
        return {row: known[1] for row in rows if (known := records.get(row)) is not None and known[0] <= seq}

    def remember(self, records: Mapping[int, Record], at: At) -> None:
        """Keep records that were read in a state of the space; they go when their memory changes."""
        if self.at != at:  # one of them may have changed since
            return
        seq, _ = at
        kept = self._records
        kept.update(
            (row, (seq, record)) for row, record in records.items() if len(record[_CONTENT]) <= _LONGEST
        )
        while len(kept) > _RECORDS:
            del kept[next(iter(kept))]

    def _forget(self, rows: Iterable[int]) -> None:
        if self._records:
            for row in rows:
                self._records.pop(row, None)

    def flush(self) -> None:
        """Take what is enqueued."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._append(pending)

    def _append(self, items: Sequence[Indexed]) -> None:
        if not items:
            return
        if len({item.entry.row for item in items}) < len(
            items
        ):  # of several versions only the last one counts
            last = {item.entry.row: item for item in items}
            items = list(last.values())
        first = self.size
        slot_of = self.slot_of()
        replaced = [
            (slot_of[item.entry.row], first + n) for n, item in enumerate(items) if item.entry.row in slot_of
        ]
        entries = [item.entry for item in items]
        intern = self._lexicon.intern
        self.row.extend([entry.row for entry in entries])
        self.user.extend([self.users.of(entry.user) for entry in entries])
        self.agent.extend([self.agents.of(entry.agent) for entry in entries])
        self.session.extend([self.sessions.of(entry.session) for entry in entries])
        talks = [
            0 if entry.session is None else self.talks.of(f"{entry.user or ''}\0{entry.session}")
            for entry in entries
        ]
        self.talk.extend(talks)
        self.created.extend([entry.created_at for entry in entries])
        self.updated.extend([entry.updated_at for entry in entries])
        self.expires.extend([NEVER if entry.expires_at is None else entry.expires_at for entry in entries])
        self.importance.extend([entry.importance or 0.0 for entry in entries])
        self.archived.extend([entry.archived for entry in entries])
        self.alive.extend(np.ones(len(items), bool))
        self.flags.extend([item.analysis.flags for item in items])
        labels = [-1 if item.analysis.label is None else intern((item.analysis.label,))[0] for item in items]
        self.label.extend(labels)
        if self._label_counts is not None:
            for label in labels:
                if label >= 0:
                    self._label_counts[label] = self._label_counts.get(label, 0) + 1
        sizes = [len(item.analysis.terms) for item in items]
        self.starts.extend(int(self.starts.view[-1]) + np.cumsum(sizes, dtype=np.int64))
        terms = [id for item in items for id in intern(item.analysis.terms)]
        self.terms.extend(terms)
        if self.frequencies is not None:
            np.add.at(self._frequency(), terms, 1)
        counts = [min(count, 65_535) for item in items for count in item.analysis.terms.values()]
        self.counts.extend(counts)
        self.length.extend([sum(item.analysis.terms.values()) for item in items])
        self._append_vectors(items)
        self._link(first, talks, dict(replaced))
        for n, entry in enumerate(entries, first):
            slot_of[entry.row] = n
        self._kill([old for old, _ in replaced])
        self._changed()

    def _append_vectors(self, items: Sequence[Indexed]) -> None:
        vectors = [item.vector for item in items]
        dimension = next((len(vector) for vector in reversed(vectors) if vector is not None), None)
        if self.vectors is None or dimension not in (None, self.vectors.dimension):
            # A space that holds no vector any more may take those of another kind: none of the old ones counts.
            if dimension is None:
                return
            self.vectors = Vectors(dimension)
        missing = self.size - len(self.vectors) - len(items)
        if missing:  # slots from before the first vector
            self.vectors.extend(np.zeros((missing, self.vectors.dimension), np.float32))
        block = np.zeros((len(items), self.vectors.dimension), np.float32)
        for place, vector in enumerate(vectors):
            if vector is not None and len(vector) == self.vectors.dimension:
                block[place] = vector
        self.vectors.extend(block)

    def _link(self, first: int, talks: Sequence[int], replaced: dict[int, int]) -> None:
        """Chain each new slot to its neighbours; a slot that replaces another in its talk takes that one's place."""
        count = len(talks)
        self.previous.extend(np.full(count, -1, np.int64))
        self.following.extend(np.full(count, -1, np.int64))
        if not any(talks) and not replaced:
            return
        previous, following, rows = self.previous.view, self.following.view, self.row.view
        last = self._last_of_talk(first)
        heirs = {new: old for old, new in replaced.items()}
        for slot, talk in enumerate(talks, first):
            old = heirs.get(slot)
            if old is not None:
                before, after = int(previous[old]), int(following[old])
                old_talk = int(self.talk.view[old])
                if old_talk == talk and talk:
                    previous[slot], following[slot] = before, after
                    if before >= 0:
                        following[before] = slot
                    if after >= 0:
                        previous[after] = slot
                    else:
                        last[talk] = slot
                    previous[old] = following[old] = -1
                    continue
                self._unlink(old)
            if not talk:
                continue
            before, after, row = last.get(talk, -1), -1, rows[slot]
            while before >= 0 and rows[before] > row:  # a memory moved here from elsewhere keeps its age
                before, after = int(previous[before]), before
            previous[slot], following[slot] = before, after
            if before >= 0:
                following[before] = slot
            if after >= 0:
                previous[after] = slot
            else:
                last[talk] = slot

    def _unlink(self, slot: int) -> None:
        previous, following = self.previous.view, self.following.view
        before, after = int(previous[slot]), int(following[slot])
        if before >= 0:
            following[before] = after
        if after >= 0:
            previous[after] = before
        elif self._last is not None and (talk := int(self.talk.view[slot])):
            if before >= 0:
                self._last[talk] = before
            else:
                self._last.pop(talk, None)
        previous[slot] = following[slot] = -1

    def _last_of_talk(self, size: int) -> dict[int, int]:
        """Return the last living slot of each talk among the first `size`."""
        if self._last is None:
            ends = np.flatnonzero(
                (self.following.view[:size] < 0) & self.alive.view[:size] & (self.talk.view[:size] > 0)
            )
            self._last = dict(zip(self.talk.view[ends].tolist(), ends.tolist(), strict=True))
        return self._last

    def remove(self, rows: Iterable[int]) -> None:
        """Kill the slots of rows that are gone."""
        self.flush()
        slot_of, rows = self.slot_of(), list(rows)
        self._forget(rows)
        slots = [slot for row in rows if (slot := slot_of.pop(row, None)) is not None]
        if not slots:
            return
        self._last_of_talk(self.size)
        for slot in slots:
            self._unlink(slot)
        self._kill(slots)
        self._changed()

    def slot_of(self) -> dict[int, int]:
        """Return the living slot of each row."""
        if self._slot_of is None:
            living = np.flatnonzero(self.alive.view)
            self._slot_of = dict(zip(self.row.view[living].tolist(), living.tolist(), strict=True))
        return self._slot_of

    def link(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Let only these rows be neighbours: each pair is a memory and the one that follows it."""
        slot_of = self.slot_of()
        previous, following = self.previous.view, self.following.view
        previous[:] = following[:] = -1
        for before, after in pairs:
            if before in slot_of and after in slot_of:
                following[slot_of[before]], previous[slot_of[after]] = slot_of[after], slot_of[before]
        self._last = None
        self._changed()

    # ---- selecting --------------------------------------------------------------------------------------------------

    def select(
        self, scope: Scope, filter: Filter, include_archived: bool, now: int, fetch: Fetch
    ) -> Selection:
        """Return the living slots in a scope that match a filter."""
        key = f"{scope.user!r}{scope.agent!r}{scope.session!r}{include_archived}{filter if filter != TRUE else ''}"
        known = self._selections.get(key)
        if known is not None and now < known.until:
            self._selections.move_to_end(key)
            return known
        slots = self._in_scope(scope)
        keep = self.alive.view if slots is None else self.alive.view[slots]
        if not include_archived:
            archived = self.archived.view if slots is None else self.archived.view[slots]
            keep = keep & ~archived
        expires = self.expires.view if slots is None else self.expires.view[slots]
        keep = keep & (expires > now)
        if filter != TRUE:
            mask = self.columns.mask(filter, fetch)
            keep = keep & (mask if slots is None else mask[slots])
        until = int(expires[keep].min(initial=NEVER))
        if slots is None and keep.all():
            selection = Selection(None, self.size, until)
        else:
            slots = np.flatnonzero(keep) if slots is None else slots[keep]
            selection = Selection(slots, len(slots), until)
        self._selections[key] = selection
        self._selected += selection.size
        while self._selected > _KEPT and len(self._selections) > 1:
            self._selected -= self._selections.popitem(last=False)[1].size
        return selection

    def _in_scope(self, scope: Scope) -> Ints | None:
        """Return the slots of a scope, dead ones included, ascending; None for all."""
        slots: Ints | None = None
        parts = (
            ("session", scope.session, self.sessions),
            ("user", scope.user, self.users),
            ("agent", scope.agent, self.agents),
        )
        for name, wanted, codes in parts:
            if wanted is None:
                continue
            code = codes.find(wanted)
            if code < 0:
                return np.empty(0, np.int64)
            column: Growable = getattr(self, name)
            if slots is None:
                if name not in self._groups:
                    self._groups[name] = Groups(column)
                slots = self._groups[name].members(code)
            else:
                slots = slots[column.view[slots] == code]
        return slots

    def ordered(self, selection: Selection, order: str) -> tuple[Ints, npt.NDArray[Any]]:
        """Return a selection's slots in an order, ties by row, and the values of the order by slot."""
        name = order.lstrip("-")
        values: npt.NDArray[Any] = getattr(self, ORDERS[name]).view
        if name not in self._orders:
            self._orders[name] = np.lexsort((self.row.view, values))
        slots = self._orders[name]
        if selection.slots is not None:
            if selection.size * 8 < self.size:
                slots = selection.slots[np.lexsort((self.row.view[selection.slots], values[selection.slots]))]
            else:
                inside = np.zeros(self.size, bool)
                inside[selection.slots] = True
                slots = slots[inside[slots]]
        return (slots[::-1] if order.startswith("-") else slots), values

    # ---- ranking ----------------------------------------------------------------------------------------------------

    def rank(self, selection: Selection, ask: Ask) -> Ranked:
        """Return the `limit` best memories of a selection.

        In keyword mode only memories with a word of the query are returned.
        """
        if not selection.size or ask.limit <= 0:
            return Ranked.newest((), (), ask.mode)
        if ask.vector is not None and self.vectors is not None and len(ask.vector) != self.vectors.dimension:
            ask = replace(ask, vector=None)  # the space takes other vectors now, and holds none yet
        if ask.mode == "vector" or ask.query is None:
            return self._rank_by_vector(selection, ask)
        return self._rank_by_words(selection, ask, ask.query)

    def _rank_by_vector(self, selection: Selection, ask: Ask) -> Ranked:
        if self.vectors is None or ask.vector is None:
            return Ranked.newest((), (), ask.mode)
        slots = self.vectors.nearest(ask.vector, ask.limit, selection.slots)
        scores = self.vectors.similarity(ask.vector, slots).astype(np.float64)
        rows: Ints = self.row.view[slots]
        order = _best_first(scores, rows, ask.limit)
        scores = scores[order]
        shown = np.clip(scores, 0, 1)
        parts = np.column_stack([np.zeros_like(shown), shown])
        # Below 0 the scores are cut off, but still tell the order of memories that are all unlike the query.
        return Ranked(rows[order], shown, np.minimum(scores, 0), parts, ask.mode)

    def _rank_by_words(self, selection: Selection, ask: Ask, query: Query) -> Ranked:
        terms = np.array(self._lexicon.find(query.terms), np.int64)
        slots: Ints | None
        if ask.told is not None or selection.size <= max(FULL, 2 * ask.limit):
            slots, frequency, count = selection.slots, None, 0
            if ask.told is not None:
                frequency, count = ask.told.frequency, ask.told.count
            if selection.memories is None or selection.words is None:
                words = selection.words = self._words(slots)
                rare = (
                    ranking.information(np.bincount(words.terms, minlength=1), selection.size)
                    if ask.told is None
                    else ask.told.information
                )
                speakers = self.speakers() if ask.told is None else ask.told.speakers
                memories = selection.memories = self._prepare(slots, words.informative(rare), speakers)
            else:
                memories, words = selection.memories, selection.words
                if words.by_term is None:  # asked a second time: there may be many more
                    words = selection.words = words.indexed()
            hits = words.hits(terms)
        else:
            lists = self._postings(terms)
            frequency, count = np.where(terms >= 0, self._frequency()[terms], 0), self.size - self.dead
            slots = self._candidates(selection, ask, lists, ranking.rarity(frequency, count))
            memories = self._prepare(slots, self._informative(slots), self.speakers())
            hits = self._hits(slots, lists)
        wanted = ranking.Wanted(terms, frequency, count, query.wants, query.year, query.month, query.day)
        similarity = None
        if ask.mode == "hybrid" and self.vectors is not None and ask.vector is not None:
            similarity = self.vectors.similarity(ask.vector, slots)
        scores, matched, words_say = ranking.rank(memories, wanted, hits, similarity, alpha=ask.alpha)
        rows = self.row.view if slots is None else self.row.view[slots]
        if ask.mode == "keyword" or similarity is None:
            places = np.flatnonzero(matched)
            places = places[_best_first(scores[places], rows[places], ask.limit)]
        else:
            places = _best_first(scores, rows, ask.limit)
        parts = np.zeros((len(places), 2))
        parts[:, 0] = words_say[places]
        if similarity is not None:
            parts[:, 1] = np.clip(similarity[places], 0, 1)
        return Ranked(
            rows[places], ranking.confidence(scores[places]), np.zeros(len(places)), parts, ask.mode
        )

    def _frequency(self) -> Ints:
        """Return in how many living slots each word occurs, by the word's number."""
        known = self.frequencies
        if known is None:
            terms = self.terms.view[np.repeat(self.alive.view, np.diff(self.starts.view))]
            known = np.bincount(terms, minlength=len(self._lexicon))
        elif len(known) < len(self._lexicon):
            known = np.concatenate([known, np.zeros(len(self._lexicon) - len(known), np.int64)])
        self.frequencies = known
        return known

    def _statistics(self) -> tuple[Floats, float]:
        """Return what each word tells, by how rare it is in the whole space, and the mean length of a memory."""
        if self._told is None:
            lengths = self.length.view[self.alive.view] if self.dead else self.length.view
            count = max(self.size - self.dead, 1)
            self._told = ranking.information(self._frequency(), count), float(lengths.sum()) / count
        return self._told

    def _kill(self, slots: Sequence[int]) -> None:
        """Take slots out of everything that counts."""
        self.alive.view[list(slots)] = False
        self.dead += len(slots)
        if self._label_counts is not None:
            for label in self.label.view[list(slots)].tolist():
                if label >= 0:
                    self._label_counts[label] -= 1
        if self.frequencies is not None:
            starts = self.starts.view
            for slot in slots:
                self.frequencies[self.terms.view[starts[slot] : starts[slot + 1]]] -= 1

    def _changed(self) -> None:
        """Forget what was derived from all slots together."""
        self._selections.clear()
        self._selected = 0
        self._orders.clear()
        self._told = None
        self._rarities = None
        self._speakers = None

    def _words(self, slots: Ints | None) -> ranking.Words:
        """Return the words of slots."""
        starts, terms, counts = self.starts.view, self.terms.view, self.counts.view
        if slots is not None:
            starts, terms, counts = ranking.take_rows(starts, terms, counts, slots)
        return ranking.Words.of(starts, terms, counts)

    def _informative(self, slots: Ints) -> Floats:
        """Return how rare the words of slots are in the whole space, in the mean; kept until something changes."""
        if self._rarities is None:
            self._rarities = np.full(self.size, np.nan, np.float32)
        found: Floats = self._rarities[slots]
        missing = np.isnan(found)
        if missing.any():
            found[missing] = self._words(slots[missing]).informative(self._statistics()[0])
            self._rarities[slots] = found
        return found

    def _prepare(self, slots: Ints | None, informative: Floats, speakers: Ints) -> ranking.Memories:
        """Prepare slots for ranking; neighbours that are not among them lend nothing."""
        previous, following = self.previous.view, self.following.view
        columns: list[npt.NDArray[Any]] = [
            self.length.view,
            self.flags.view,
            self.label.view,
            self.talk.view,
            self.created.view,
        ]
        if slots is not None:
            with self._placed(slots) as place:
                previous, following = place[previous[slots]], place[following[slots]]
            columns = [column[slots] for column in columns]
        lengths, flags, labels, talks, created = columns
        return ranking.prepare(
            lengths=lengths,
            informative=informative,
            flags=flags,
            speakers=np.where(np.isin(labels, speakers), labels, -1),
            previous=previous,
            following=following,
            sessions=np.where(talks > 0, talks, -1),
            days=created // _DAY,
        )

    @contextmanager
    def _placed(self, slots: Ints) -> Generator[Ints, None, None]:
        """Give an array that says of each slot where it stands among some, -1 for not at all and for slot -1."""
        missing = self.size + 1 - self._places.size
        if missing > 0:
            self._places.extend(np.full(missing + missing // 8, -1, np.int64))
        place = self._places.view  # index -1 is the last element of all, which nothing is ever written to
        place[slots] = np.arange(len(slots))
        try:
            yield cast("Ints", place)
        finally:
            place[slots] = -1  # left as it was found

    def _hits(self, slots: Ints, lists: Sequence[Posting]) -> ranking.Hits:
        """Return where a query's terms stand among slots, from the terms' postings."""
        terms: list[Ints] = []
        rows: list[Ints] = []
        counts: list[npt.NDArray[Any]] = []
        with self._placed(slots) as place:
            for term, (places, amounts) in enumerate(lists):
                if len(places) > _FEW * len(slots):  # looking each slot up beats looking at each posting
                    at = np.searchsorted(places, slots)
                    row = np.flatnonzero(places[np.minimum(at, len(places) - 1)] == slots)
                    amounts = amounts[at[row]]
                else:
                    row = place[places]
                    kept = row >= 0
                    row, amounts = row[kept], amounts[kept]
                terms.append(np.full(len(row), term, np.int64))
                rows.append(row)
                counts.append(amounts)
        if not terms:
            return ranking.NO_HITS
        return ranking.Hits(
            np.concatenate(terms), np.concatenate(rows), np.concatenate(counts).astype(np.float32)
        )

    def _candidates(self, selection: Selection, ask: Ask, lists: Sequence[Posting], idf: Floats) -> Ints:
        """Return the slots of a large selection worth ranking in full."""
        lengths = cast("Floats", self.length.view)
        scores = ranking.bm25(lists, idf, lengths, self._statistics()[1])
        chosen = scores if selection.slots is None else scores[selection.slots]
        found = ranking.best(chosen, max(_BY_KEYWORD, 2 * ask.limit))
        if selection.slots is not None:
            found = selection.slots[found]
        if ask.mode == "hybrid" and self.vectors is not None and ask.vector is not None:
            near = self.vectors.nearest(ask.vector, max(_BY_VECTOR, ask.limit), selection.slots, pool=4)
            found = np.concatenate([found, near])
        slots = ranking.with_neighbours(found, self.previous.view, self.following.view)
        if selection.slots is not None:
            inside = np.zeros(self.size, bool)
            inside[selection.slots] = True
            slots = slots[inside[slots]]
        return slots

    def _postings(self, terms: Ints) -> list[Posting]:
        """Return the slots of each word, ascending, and how often it occurs in each."""
        size = self.size
        if self.postings is None or size - self.postings.sealed > max(4096, self.postings.sealed // 16):
            self.postings = Postings.build(self.starts.view, self.terms.view, self.counts.view)
        postings = self.postings
        first = int(self.starts.view[postings.sealed])
        tail_terms, tail_counts = self.terms.view[first:], self.counts.view[first:]
        tail_slots: Ints | None = None
        lists: list[Posting] = []
        for term in terms.tolist():
            slots, counts = postings.of(term)
            if len(tail_terms):
                at = np.flatnonzero(tail_terms == term)
                if len(at):
                    if tail_slots is None:
                        sizes = np.diff(self.starts.view[postings.sealed :])
                        tail_slots = np.repeat(np.arange(postings.sealed, size), sizes)
                    slots = np.concatenate([slots, tail_slots[at]])
                    counts = np.concatenate([counts, tail_counts[at]])
            lists.append((slots, counts))
        return lists

    def speakers_among(self, terms: Sequence[str]) -> list[str]:
        """Return which of some words are the name of a speaker."""
        known = self.speakers()
        return [
            term for term, number in zip(terms, self._lexicon.find(terms), strict=True) if number in known
        ]

    def speakers(self) -> Ints:
        """Return the words that are a speaker's name, by the rule of `least_turns`."""
        if self._label_counts is None:
            labels = self.label.view
            counted = np.bincount(labels[(labels >= 0) & self.alive.view])
            self._label_counts = {int(label): int(counted[label]) for label in np.flatnonzero(counted)}
        if self._speakers is None:
            least = least_turns(self.size - self.dead)
            found = [label for label, count in self._label_counts.items() if count >= least]
            self._speakers = np.array(found, np.int64)
        return self._speakers

    @property
    def stamp(self) -> tuple[object, ...]:
        """Something that is equal as long as `nbytes` is about the same."""
        return (
            self.size, len(self._pending), self._selected, len(self._records) // 64, len(self._orders),
            self.columns.stamp, self.postings is None, self._slot_of is None,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes, that of what is made on demand included."""
        arrays = (
            self.row, self.user, self.agent, self.session, self.talk, self.previous, self.following, self.created,
            self.updated, self.expires, self.importance, self.archived, self.alive, self.flags, self.label,
            self.length, self.starts, self.terms, self.counts, self._places,
        )  # fmt: skip
        names = sum(len(codes.names) for codes in (self.users, self.agents, self.sessions, self.talks))
        known = len(self._slot_of or ()) + len(self._last or ())
        return (
            sum(array.nbytes for array in arrays)
            + sum(order.nbytes for order in list(self._orders.values()))
            + (0 if self.vectors is None else self.vectors.nbytes)
            + (0 if self.postings is None else self.postings.nbytes)
            + self.columns.nbytes
            + _NAME_BYTES * (names + known)
            + _SELECTED_BYTES * self._selected
            + _RECORD_BYTES * len(self._records)
            + _PENDING_BYTES * len(self._pending)
        )

    @property
    def wasteful(self) -> bool:
        """Whether so many slots are dead that the index is better read anew."""
        return self.dead > 1000 and self.dead * 2 > self.size


def _best_first(scores: npt.NDArray[Any], rows: Ints, limit: int) -> Ints:
    """Return the places of the `limit` highest scores, descending; of equal ones the newest row first."""
    if len(scores) > limit:
        cut = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        places = np.flatnonzero(scores >= cut)
    else:
        places = np.arange(len(scores))
    return places[np.lexsort((-rows[places], -scores[places]))][:limit]
