"""Ranking the slots of a selection against a query."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from onebrain.errors import EmbedderMismatch
from onebrain.memory.models import SearchMode
from onebrain_engine.index import ordering, ranking
from onebrain_engine.index.growable import Growable
from onebrain_engine.index.growing import GrowingIndex, GrowingMemories, Words
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.postings import Postings
from onebrain_engine.index.ranking import ForwardIndex
from onebrain_engine.index.selecting import Selection, inside
from onebrain_engine.index.slots import Floats, Ints, Slots
from onebrain_engine.index.statistics import Frequencies, WordStatistics
from onebrain_engine.index.text import CHANGES, Query
from onebrain_engine.index.times import NO_TIMES, Times

Posting: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]

# Memories up to which every one is ranked in full; beyond, candidates are picked first.
FULL = 4_000
_BY_KEYWORD, _BY_VECTOR = 100, 60  # candidates of each kind, and their neighbours
_SPARSE: Final = 4  # slots for each selected one from which only those are scored
_FEW: Final = 32  # postings for each candidate up to which they are looked at one by one


@dataclass(slots=True)
class RankRequest:
    """A search as the index sees it.

    Attributes:
        statistics: Those of the space if the index holds only its candidates.
        times: The time that the query asks for.
        prefer_newer: Whether a newer memory comes before the one that it replaces by all appearance; see `ordering`.
        evidence_weight: How much more vectors decide outside of sessions where words tell little; see `ranking.rank`.
        explain: Whether the parts of each score are wanted.
    """

    query: Query | None
    vector: Floats | None
    mode: SearchMode
    alpha: float | None
    limit: int
    statistics: WordStatistics | None = None
    times: Times = NO_TIMES
    prefer_newer: bool = True
    evidence_weight: float = 1.0
    explain: bool = False


@dataclass(slots=True)
class Ranked:
    """Memories of one space that a search found, best first.

    Attributes:
        rows: Their rows.
        scores: 0..1; all 0 if nothing was asked and the newest come first.
        ties: The order of equal scores, the largest first, before the row decides.
        parts: [n, 2] the score by words alone and the score by vectors alone, each 0..1.
        mode: The mode that answered.
        created: When each was created, in microseconds.
        mismatch: Why the vectors of the memories were not compared with the query's; None if they were.
        outside: Whether each has no session; None if all have one, or nobody looked.
        explained: [n] each: the parts that a score before `ranking.confidence` is made of, if they were asked for.
    """

    rows: Ints
    scores: npt.NDArray[np.float64]
    ties: npt.NDArray[Any]
    parts: npt.NDArray[np.float64]
    mode: SearchMode
    created: npt.NDArray[Any]
    mismatch: EmbedderMismatch | None = None
    outside: npt.NDArray[np.bool_] | None = None
    explained: Mapping[str, npt.NDArray[Any]] | None = None

    @classmethod
    def newest(cls, rows: Sequence[int] | Ints, created: Sequence[Any] | Ints, mode: SearchMode) -> Ranked:
        """Return rows that nothing was asked of, in the order of their creation."""
        count, times = len(rows), np.array(created, np.int64)
        return cls(np.array(rows, np.int64), np.zeros(count), times, np.zeros((count, 2)), mode, times)


class _Positions(NamedTuple):
    """The positions of slots among some of them.

    Attributes:
        of: The position of each slot; -1 for those not among them and for slot -1.
        marks: Whether it is among them.
    """

    of: Ints
    marks: npt.NDArray[np.bool_]


class Ranker:
    """Ranks the slots of one index.

    Args:
        slots: The slots.
        lexicon: Numbers for words.
        frequencies: How common words are among the slots.
    """

    def __init__(self, slots: Slots, lexicon: Lexicon, frequencies: Frequencies) -> None:
        self._slots = slots
        self._lexicon = lexicon
        self._frequencies = frequencies
        self.postings: Postings | None = None
        self._positions = Growable(np.int64)
        self._marks = Growable(np.bool_)
        self._informative: Floats | None = None
        self._damping: Floats | None = None

    def changed(self) -> None:
        """Forget everything derived from all slots together."""
        self._informative = self._damping = None

    def rank(self, selection: Selection, request: RankRequest) -> Ranked:
        """Return the `limit` best memories of a selection.

        In keyword mode only memories with a word of the query are returned.
        """
        if not selection.size or request.limit <= 0:
            return Ranked.newest((), (), request.mode)
        vectors = self._slots.vectors
        if request.vector is not None and vectors is not None and len(request.vector) != vectors.dimension:
            request = replace(request, vector=None)  # the space takes other vectors now, and holds none yet
        if request.mode == "vector" or request.query is None:
            return self._rank_by_vector(selection, request)
        return self._rank_by_words(selection, request, request.query)

    def _rank_by_vector(self, selection: Selection, request: RankRequest) -> Ranked:
        vectors = self._slots.vectors
        if vectors is None or request.vector is None:
            return Ranked.newest((), (), request.mode)
        slots = vectors.nearest(request.vector, request.limit, selection.slots)
        scores = vectors.similarity(request.vector, slots).astype(np.float64)
        rows: Ints = self._slots.row.view[slots]
        order = _best_first(scores, rows, request.limit)
        scores = scores[order]
        shown = np.minimum(np.maximum(scores, 0), 1)
        parts = np.zeros((len(shown), 2))
        parts[:, 1] = shown
        # Below 0 the scores are cut off, but still tell the order of memories that are all unlike the query.
        ties = np.minimum(scores, 0)
        explained = {"vector": shown} if request.explain else None
        created: Ints = self._slots.created.view[slots[order]]
        return Ranked(rows[order], shown, ties, parts, request.mode, created, explained=explained)

    def _rank_by_words(self, selection: Selection, request: RankRequest, query: Query) -> Ranked:
        terms = np.array(self._lexicon.find(query.terms), np.int64)
        slots: Ints | None
        if request.statistics is not None or selection.size <= max(FULL, 2 * request.limit):
            slots, frequency, count = selection.slots, None, 0
            if request.statistics is not None:
                frequency, count = request.statistics.frequency, request.statistics.count
            memories, hits = self._all(selection, terms, request.statistics)
        else:
            known = self._frequencies
            frequency, count = np.where(terms >= 0, known.of_words()[terms], 0), known.count
            lists: Sequence[Posting] = self._postings(terms)
            slots, lists = self._candidates(selection, request, lists, ranking.rarity(frequency, count))
            informative = self._informative_of(slots)
            with self._positions_of(slots) as places:
                memories = self._prepare(slots, informative, known.speakers(), places.of)
                hits = self._hits(slots, lists, places)
        times = request.times
        wanted = ranking.Wanted(
            terms,
            frequency,
            count,
            query.wants,
            query.year,
            query.month,
            query.day,
            times.start,
            times.end,
            times.dated,
        )
        similarity = None
        if request.mode == "hybrid" and self._slots.vectors is not None and request.vector is not None:
            similarity = self._slots.vectors.similarity(request.vector, slots)
        scores = ranking.rank(
            memories,
            wanted,
            hits,
            similarity,
            alpha=request.alpha,
            evidence_weight=request.evidence_weight,
            explain=request.explain,
        )
        rows = self._slots.row.view if slots is None else self._slots.row.view[slots]
        positions, totals, ties = self._in_order(
            request, scores, memories, hits, slots, rows, len(terms), similarity is not None
        )
        parts = np.zeros((len(positions), 2))
        parts[:, 0] = scores.by_words(positions)
        if similarity is not None:
            parts[:, 1] = np.minimum(np.maximum(similarity[positions], 0), 1)
        return Ranked(
            rows[positions],
            ranking.confidence(totals),
            ties,
            parts,
            request.mode,
            memories.created[positions],
            outside=None if memories.outside is None else memories.outside[positions],
            explained=_explained(scores, positions, totals) if request.explain else None,
        )

    def _in_order(
        self,
        request: RankRequest,
        scores: ranking.Scores,
        memories: ranking.Memories,
        hits: ranking.Hits,
        slots: Ints | None,
        rows: Ints,
        terms: int,
        by_vector: bool,
    ) -> tuple[Ints, Floats, npt.NDArray[np.float64]]:
        """Return the positions of the best memories, with their scores, descending, and the order of equal scores."""
        limit, order = request.limit, request.times.order
        # Most memories of one import are of one time.
        newer_first = request.prefer_newer and by_vector and memories.last - memories.first >= ordering.APART
        reorders = memories.outside is not None and (newer_first or order is not None)
        most = max(limit, ordering.WINDOW) if reorders else limit
        if by_vector:
            positions = _best_first(scores.total, rows, most)
        else:
            positions = hits.matched(len(memories.flags))
            positions = positions[_best_first(scores.total[positions], rows[positions], most)]
        totals = scores.total[positions]
        if not reorders or memories.outside is None:
            return positions, totals, np.zeros(len(positions))
        first = positions[: ordering.WINDOW]
        vectors = self._slots.vectors
        top = ordering.Top(
            totals,
            memories.created[first],
            memories.outside[first],
            (memories.flags[first] & CHANGES) != 0,
            lambda: hits.held(first, len(memories.flags), terms),
            None if vectors is None else lambda: vectors.take(first if slots is None else slots[first]),
        )
        moved, totals, ties = ordering.reorder(top, order=order, prefer_newer=newer_first)
        return positions[moved][:limit], totals[:limit], ties[:limit]

    def _all(
        self, selection: Selection, terms: Ints, statistics: WordStatistics | None
    ) -> tuple[ranking.Memories, ranking.Hits]:
        """Return all memories of a selection, prepared, and where a query's terms stand in them."""
        if statistics is not None:
            alone = self._words(selection.slots)
            informative = alone.informative(statistics.information)
            return self._prepared(selection.slots, informative, statistics.speakers), alone.hits(terms)
        memories, words = selection.memories, selection.words
        speakers = self._frequencies.speakers()
        if memories is None or words is None:
            memories, words = self._first(selection, speakers)
        else:
            if isinstance(words, ForwardIndex):
                # A second query: more may follow, for which sorting the terms once pays.
                words = GrowingIndex(words.inverted())
            if words.size < selection.size:
                memories, words = self._grown(selection, memories, words, speakers)
        if memories.speakers != speakers:
            # Memories beside the selection may have made a label a name.
            memories = replace(memories, speakers=speakers)
        selection.memories, selection.words = memories, words
        return memories, words.hits(terms)

    def _first(self, selection: Selection, speakers: frozenset[int]) -> tuple[ranking.Memories, ForwardIndex]:
        """Prepare all memories of a selection, and return them and their words."""
        words = self._words(selection.slots)
        sums = words.sums(ranking.log_rarity(words.frequency()))
        informative = ranking.mean_information(sums, ranking.shares(words.lengths()), selection.size)
        return self._prepared(selection.slots, informative, speakers), words

    def _grown(
        self, selection: Selection, memories: ranking.Memories, words: GrowingIndex, speakers: frozenset[int]
    ) -> tuple[ranking.Memories, Words]:
        """Prepare the memories that were added to a selection, and of the others what they change."""
        known, slots, first = self._slots, selection.slots, words.size
        count = selection.size - first
        if not words.has_room(count):
            selection.growing = None
            return self._first(selection, speakers)
        added: list[int] = list(range(first, selection.size)) if slots is None else slots[first:].tolist()
        starts, terms, counts = known.starts.view, known.terms.view, known.counts.view
        for slot in added:
            begin, end = int(starts[slot]), int(starts[slot + 1])
            words.add(terms[begin:end], counts[begin:end])
        informative = words.informative()
        growing = selection.growing
        if growing is None:
            lengths = known.length.view
            growing = GrowingMemories(memories, lengths[:first] if slots is None else lengths[slots[:first]])
        for slot in added:
            before = int(known.conversations.previous.view[slot])
            if slots is not None and before >= 0:
                place = int(slots.searchsorted(before))
                before = place if slots[place] == before else -1
            if not growing.add(
                length=float(known.length.view[slot]),
                flags=int(known.flags.view[slot]),
                label=int(known.label.view[slot]),
                created=int(known.created.view[slot]),
                session=int(known.conversations.code.view[slot]) or -1,
                previous=before,
            ):
                selection.growing = None
                return self._prepared(slots, informative, speakers), words
        selection.growing = growing
        return growing.memories(informative), words

    def _words(self, slots: Ints | None) -> ranking.ForwardIndex:
        """Return the words of slots."""
        known = self._slots
        starts, terms, counts = known.starts.view, known.terms.view, known.counts.view
        if slots is not None:
            starts, terms, counts = ranking.take_rows(starts, terms, counts, slots)
        return ranking.ForwardIndex.of(starts, terms, counts)

    def _informative_of(self, slots: Ints) -> Floats:
        """Return the mean rarity of the words of slots in the whole space; kept until something changes."""
        if self._informative is None:
            self._informative = np.full(self._slots.size, np.nan, np.float32)
        means: Floats = self._informative[slots]
        missing = np.isnan(means)
        if missing.any():
            known, information = self._slots, self._frequencies.information()
            means[missing] = ranking.means_of_rows(
                known.starts.view, known.terms.view, slots[missing], information
            )
            self._informative[slots] = means
        return means

    def _prepared(
        self, slots: Ints | None, informative: Floats, speakers: frozenset[int]
    ) -> ranking.Memories:
        if slots is None:
            return self._prepare(None, informative, speakers, None)
        with self._positions_of(slots) as positions:
            return self._prepare(slots, informative, speakers, positions.of)

    def _prepare(
        self, slots: Ints | None, informative: Floats, speakers: frozenset[int], position: Ints | None
    ) -> ranking.Memories:
        """Prepare slots for ranking; neighbours that are not among them lend nothing.

        `position` holds the position of each slot among `slots`, -1 for none; it is None if these are all slots.
        """
        known = self._slots
        previous, following = known.conversations.previous.view, known.conversations.following.view
        columns: list[npt.NDArray[Any]] = [
            known.length.view,
            known.flags.view,
            known.label.view,
            known.conversations.code.view,
            known.created.view,
        ]
        if slots is not None and position is not None:
            previous, following = position[previous[slots]], position[following[slots]]
            columns = [column[slots] for column in columns]
        lengths, flags, labels, conversations, created = columns
        return ranking.prepare(
            lengths=lengths,
            informative=informative,
            flags=flags,
            labels=labels,
            speakers=speakers,
            previous=previous,
            following=following,
            sessions=np.where(conversations > 0, conversations, -1),
            created=created,
        )

    @contextmanager
    def _positions_of(self, slots: Ints) -> Generator[_Positions, None, None]:
        """Give the positions of all slots among some."""
        missing = self._slots.size + 1 - self._positions.size
        if missing > 0:
            self._positions.extend(np.full(missing + missing // 8, -1, np.int64))
            self._marks.extend(np.zeros(missing + missing // 8, bool))
        # Index -1 is the last element of all, which nothing is ever written to.
        position, marks = self._positions.view, self._marks.view
        position[slots], marks[slots] = np.arange(len(slots)), True
        try:
            yield _Positions(cast("Ints", position), marks)
        finally:
            # The arrays are as large as the index: they are left as they were found instead of made for each query.
            position[slots], marks[slots] = -1, False

    def _hits(self, slots: Ints, lists: Sequence[Posting], positions: _Positions) -> ranking.Hits:
        """Return where a query's terms stand among slots, from the terms' postings."""
        rows: list[Ints] = []
        counts: list[npt.NDArray[Any]] = []
        narrow = slots.astype(np.int32)
        for holding, amounts in lists:
            # Looking each slot up beats looking at each posting if there are many more of those.
            if len(holding) > _FEW * len(slots):
                # Of another type than the postings, all of those would be converted.
                at = holding.searchsorted(narrow.astype(holding.dtype, copy=False))
                row = (holding[np.minimum(at, len(holding) - 1)] == narrow).nonzero()[0]
                amounts = amounts[at[row]]
            else:
                # Most postings are of other slots; a byte for each is read in a fifth of the time of a position.
                kept = positions.marks.take(holding).nonzero()[0]
                row, amounts = positions.of[holding[kept]], amounts[kept]
            rows.append(row)
            counts.append(amounts)
        frequency = np.array([len(row) for row in rows], np.int64)
        if not frequency.any():
            return ranking.no_hits(len(lists))
        return ranking.Hits(
            np.arange(len(lists)).repeat(frequency),
            np.concatenate(rows),
            np.concatenate(counts).astype(np.float32),
            frequency,
        )

    def _candidates(
        self, selection: Selection, request: RankRequest, lists: Sequence[Posting], idf: Floats
    ) -> tuple[Ints, Sequence[Posting]]:
        """Return the slots of a large selection worth ranking in full, and where the terms stand in the selection at least."""
        known, chosen = self._slots, selection.slots
        if chosen is not None and selection.size * _SPARSE <= known.size:
            with self._positions_of(chosen) as positions:
                hits = self._hits(chosen, lists, positions)
                lengths = cast("Floats", known.length.view[chosen])
                damping = ranking.damping(lengths, self._frequencies.mean_length())
                slots = self._picked(request, ranking.bm25_of_hits(hits, idf, damping), chosen)
                slots = slots[positions.marks[slots]]
            ends = hits.frequency.cumsum()[:-1]
            rows = np.split(chosen[hits.row], ends)
            return slots, list(zip(rows, np.split(hits.count, ends), strict=True))
        if self._damping is None:
            lengths = cast("Floats", known.length.view)
            self._damping = ranking.damping(lengths, self._frequencies.mean_length())
        scores = ranking.bm25(lists, idf, self._damping)
        slots = self._picked(request, scores if chosen is None else scores[chosen], chosen)
        if chosen is not None:
            slots = slots[inside(chosen, known.size)[slots]]
        return slots, lists

    def _picked(self, request: RankRequest, scores: Floats, chosen: Ints | None) -> Ints:
        """Return the best slots by the scores of a selection's and by vectors, and those beside them, selected or not."""
        known = self._slots
        picked = ranking.best(scores, max(_BY_KEYWORD, 2 * request.limit))
        if chosen is not None:
            picked = chosen[picked]
        if request.mode == "hybrid" and known.vectors is not None and request.vector is not None:
            most = max(_BY_VECTOR, request.limit)
            picked = np.concatenate([picked, known.vectors.nearest(request.vector, most, chosen, pool=4)])
        return ranking.with_neighbours(
            picked, known.conversations.previous.view, known.conversations.following.view
        )

    def _postings(self, terms: Ints) -> list[Posting]:
        """Return the slots of each word, ascending, and how often it occurs in each."""
        known = self._slots
        size = known.size
        if self.postings is None or size - self.postings.sealed > max(4096, self.postings.sealed // 16):
            self.postings = Postings.build(known.starts.view, known.terms.view, known.counts.view)
        postings = self.postings
        first = int(known.starts.view[postings.sealed])
        tail_terms, tail_counts = known.terms.view[first:], known.counts.view[first:]
        tail_slots: Ints | None = None
        lists: list[Posting] = []
        for term in terms.tolist():
            slots, counts = postings.of(term)
            at = (tail_terms == term).nonzero()[0]
            if len(at):
                if tail_slots is None:
                    sizes = np.diff(known.starts.view[postings.sealed :])
                    tail_slots = np.repeat(np.arange(postings.sealed, size), sizes)
                slots = np.concatenate([slots, tail_slots[at]])
                counts = np.concatenate([counts, tail_counts[at]])
            lists.append((slots, counts))
        return lists

    @property
    def stamp(self) -> tuple[object, ...]:
        """A value that stays equal as long as `nbytes` is about the same."""
        return self.postings is None, self._damping is None, self._informative is None

    @property
    def nbytes(self) -> int:
        """The number of bytes it takes."""
        kept = (self._informative, self._damping, self.postings)
        return (
            self._positions.nbytes
            + self._marks.nbytes
            + sum(part.nbytes for part in kept if part is not None)
        )


def _explained(
    scores: ranking.Scores, positions: Ints, totals: Floats
) -> Mapping[str, npt.NDArray[np.float64]]:
    """Return the parts of some scores, and how far their order was changed."""
    parts = {name: part[positions].astype(np.float64) for name, part in (scores.parts or {}).items()}
    parts["order"] = (totals - scores.total[positions]).astype(np.float64)
    return parts


def _best_first(scores: npt.NDArray[Any], rows: Ints, limit: int) -> Ints:
    """Return the positions of the `limit` highest scores, descending; of equal ones the newest row first."""
    positions: Ints
    if len(scores) > limit:
        cut = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions = (scores >= cut).nonzero()[0]
    else:
        positions = np.arange(len(scores))
    return positions[np.lexsort((-rows[positions], -scores[positions]))][:limit]
