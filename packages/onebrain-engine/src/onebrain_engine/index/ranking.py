"""Ranking of memories against a query: pure functions over numpy arrays.

Two stages. When the scope is large, plain BM25 and the nearest vectors pick about a thousand candidates
(``bm25``, ``best``, ``with_neighbours``, ``take_rows``); then ``rank`` scores those, or the whole scope when it
is small, with a sum of nine parts:

    keyword     BM25 over the memory and, at falling weight, its neighbours in the session
    vector      cosine of the memory and, at falling weight, its neighbours
    session     BM25 of the session as one text: a memory from the right talk is likelier right
    speaker     the query names a speaker ("What did Maria ..."): her own words before anyone else's
    date        the query names a day, month or year: memories from then
    cue         "when" wants a time, "how many" a number, "who" or "where" a name
    informative rare words over small talk
    asking      a question at the end counts against: its answer is elsewhere
    time        the query asks for a time ("last week"): memories from then

Each part is zero, or the same for all, where a memory has no session, neighbour, speaker or date.

The weights were learned on conversations. A memory outside of sessions shares fewer words with a question and has no
neighbours that do, so the less of the query's words any of these memories holds, the more their vectors decide.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.integer]
Rows = npt.NDArray[np.intp]
Scalar = TypeVar("Scalar", bound=np.generic)

FEWEST = (
    100  # memories at least assumed when judging how rare a word is: among five texts every word looks common
)
K1 = 1.2  # BM25: how soon repeating a word stops to count
B = 0.4  # BM25: how much a long text is held against its matches; low, as memories are short
NEAR = 0.4  # weight of the previous and the next memory of the session
FAR = 0.25  # weight of the ones after those
ANSWER = 0.75  # added to NEAR where the previous memory asks something: this one may answer it

# Weights of the parts, in units of the keyword part: 1 is every query word once in a memory of average length.
VECTOR = 1.5
SESSION = 0.4
SPEAKER = 0.35
DATE = 1.5
CUE = 0.5
INFORMATIVE = 0.5
ASKING = -0.1
TIME = 1.0

# Added to VECTOR outside of sessions where no memory holds a word of the query.
UNEVIDENCED = 5.0

HALF = 1.25  # score whose confidence is one half: a full keyword match and little else
STEEPNESS = 2.0  # of the confidence around HALF

_DAY = 86_400_000_000  # microseconds

# text.py's flags
_ENDS_ASKING, ASKS, _HAS_TIME, _HAS_NUMBER, _HAS_NAME = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Memories:
    """The memories to score, one row each, with the parts of the ranking that do not depend on the query.

    Build it with ``prepare``. It can be kept and reused until a memory in it, before it or after it changes; memories that
    come behind the others are added by `onebrain_engine.index.growing`.
    """

    flags: npt.NDArray[np.uint8]  # [n] text.py's flags
    labels: Ints  # [n] term id of the label, -1 for none
    speakers: frozenset[int]  # the labels that are the name of a speaker
    created: Ints  # [n] in microseconds since 1970
    # [4, n] rows of the memories before, after, two before and two after; -1 for none. None where no memory has any.
    around: Ints | None
    before: Floats  # [n] weight of the memory before: NEAR, or more where it asks something
    span: Floats  # [n] sum of the weights of a memory and its neighbours
    reach: Floats  # [n] words of a memory and, at their weights, of its neighbours
    damping: Floats  # [n] BM25's length term, with neighbours
    informative: Floats  # [n] the part for the mean rarity of the terms
    asking: Floats  # [n] the part for a question at the end
    sessions: Ints  # [n] 0 to s - 1, -1 for none
    session_names: Ints  # [s] the number that each session was given by
    session_lengths: Floats  # [s] words of each session
    session_damping: Floats  # [s] BM25's length term of each session
    outside: npt.NDArray[np.bool_] | None  # [n] whether a memory has no session; None if all have one
    all_outside: bool  # whether none has a session
    # When the first and the last memory without a session were created; both 0 if there are none.
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Hits:
    """Where the terms of a query stand.

    Attributes:
        term: [h] which of the query's terms it is.
        row: [h] row of the memory.
        count: [h] occurrences.
        frequency: [q] number of memories with each of the query's terms.
    """

    term: npt.NDArray[np.intp]
    row: npt.NDArray[np.intp]
    count: Floats
    frequency: Ints

    def matched(self, size: int) -> npt.NDArray[np.intp]:
        """Return the rows, out of `size`, that hold a term, ascending."""
        found = np.zeros(size, bool)
        found[self.row] = True
        return found.nonzero()[0]

    def held(self, rows: Ints, size: int, terms: int) -> npt.NDArray[np.bool_]:
        """Return which of `terms` terms each of some rows, out of `size`, holds: [rows, terms]."""
        wanted = np.zeros(size, bool)
        wanted[rows] = True
        here = np.flatnonzero(wanted[self.row])
        position = np.empty(size, np.int64)
        position[rows] = np.arange(len(rows))
        held = np.zeros((len(rows), terms), bool)
        held[position[self.row[here]], self.term[here]] = True
        return held


def no_hits(terms: int) -> Hits:
    """Return that none of some terms stands anywhere."""
    nowhere = np.zeros(0, np.intp)
    return Hits(nowhere, nowhere, np.zeros(0, np.float32), np.zeros(terms, np.int64))


@dataclass(frozen=True, slots=True)
class InvertedIndex:
    """The rows that hold each term.

    Attributes:
        terms: [v] term ids, ascending.
        bounds: [v + 1] where the entries of each term begin; the end of the last one.
        rows: [t] rows, ascending for each term.
        counts: [t] occurrences.
        lengths: [size] The number of terms of each row.
    """

    terms: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.intp]
    rows: npt.NDArray[np.intp]
    counts: Floats
    lengths: Ints

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.lengths)

    def frequency(self) -> Ints:
        """Return the number of rows with each term, by the term's id."""
        frequency = np.zeros(int(self.terms[-1]) + 1 if len(self.terms) else 1, np.int64)
        frequency[self.terms] = np.diff(self.bounds)
        return frequency

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum of ``values`` [vocabulary] over each row's terms."""
        weights = values[self.terms].repeat(np.diff(self.bounds))
        return _sums(self.rows, weights, self.size)

    def hits(self, query: Ints) -> Hits:
        """Return where a query's terms stand; -1 among them is a word that is not known."""
        known, runs, sizes = self._runs(query)
        if not runs:
            return no_hits(len(query))
        frequency = np.zeros(len(query), np.int64)
        frequency[known] = sizes
        return Hits(
            known.repeat(sizes),
            np.concatenate([self.rows[run] for run in runs]),
            np.concatenate([self.counts[run] for run in runs]),
            frequency,
        )

    def places(self, query: Ints) -> tuple[Rows, Rows, Rows]:
        """Return the rows of the terms of a query that are known, one term after the other, which those are, and how many."""
        known, runs, sizes = self._runs(query)
        return np.concatenate([self.rows[run] for run in runs]) if runs else self.rows[:0], known, sizes

    def _runs(self, query: Ints) -> tuple[Rows, list[slice], Rows]:
        if not len(self.terms):
            return self.rows[:0], [], self.rows[:0]
        at = self.terms.searchsorted(query)
        at[at == len(self.terms)] = 0
        known = (self.terms[at] == query).nonzero()[0]
        at = at[known]
        firsts, lasts = self.bounds[at], self.bounds[at + 1]
        runs = [slice(first, last) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]
        return known, runs, lasts - firsts


@dataclass(frozen=True, slots=True)
class ForwardIndex:
    """The words of some memories, one row each: a forward index.

    Attributes:
        terms: [t] term ids of all rows, one row after the other, each once per row.
        counts: [t] occurrences.
        rows: [t] row of each.
        size: The number of rows.
    """

    terms: Ints
    counts: Floats
    rows: Ints
    size: int

    @classmethod
    def of(cls, starts: Ints, terms: Ints, counts: npt.NDArray[np.generic]) -> ForwardIndex:
        """Make it of starts, terms and counts: those of row i stand from ``starts[i]`` to ``starts[i + 1]``."""
        rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
        return cls(terms, counts.astype(np.float32), rows, len(starts) - 1)

    def inverted(self) -> InvertedIndex:
        """Return an index that finds a query's terms by a search instead of a pass over all: for the second query on."""
        order = np.argsort(self.terms, kind="stable")
        terms = self.terms[order].astype(np.int64)
        first = np.flatnonzero(np.append(True, terms[1:] != terms[:-1])[: len(terms)])
        return InvertedIndex(
            terms[first],
            np.append(first, len(terms)),
            self.rows[order].astype(np.intp),
            self.counts[order],
            self.lengths(),
        )

    def frequency(self) -> Ints:
        """Return the number of rows with each term, by the term's id."""
        return np.bincount(self.terms, minlength=1)

    def lengths(self) -> Ints:
        """Return the number of terms of each row."""
        return np.bincount(self.rows, minlength=self.size)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum of ``values`` [vocabulary] over each row's terms."""
        return _sums(self.rows, values[self.terms], self.size)

    def informative(self, information: Floats) -> Floats:
        """Return the mean ``information`` [vocabulary] of each row's terms, 0 for a row without any."""
        return _means(self.rows, information[self.terms], self.lengths())

    def hits(self, query: Ints) -> Hits:
        """Return where a query's terms stand; -1 among them is a word that is not known."""
        known = np.flatnonzero(query >= 0)
        if not len(known) or not len(self.terms):
            return no_hits(len(query))
        slots = np.full(int(max(query.max(), self.terms.max())) + 1, -1, np.int16)
        slots[query[known]] = known
        term = slots[self.terms]
        positions = np.flatnonzero(term >= 0)
        known = term[positions].astype(np.intp)
        frequency = np.bincount(known, minlength=len(query))
        return Hits(known, self.rows[positions].astype(np.intp), self.counts[positions], frequency)


def _means(rows: Ints, values: Floats, lengths: Ints) -> Floats:
    """Return the mean of the values of each row, of which `lengths` has the number; 0 for a row without any."""
    means: Floats = (_sums(rows, values, len(lengths)) / np.maximum(lengths, 1)).astype(np.float32)
    return means


def _sums(rows: Ints, values: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.float64]:
    """Return the sum of the values of each of ``size`` rows."""
    return cast("npt.NDArray[np.float64]", np.bincount(rows, values, minlength=size))


def mean_damping(lengths: Floats) -> Floats:
    """Return the length term of ``bm25`` for all memories, whose mean length counts as average."""
    return damping(lengths, float(lengths.sum()) / max(len(lengths), 1))


def prepare(
    *,
    lengths: Floats,
    informative: Floats,
    flags: npt.NDArray[np.uint8],
    labels: Ints,
    speakers: frozenset[int],
    previous: Ints,
    following: Ints,
    sessions: Ints,
    created: Ints,
) -> Memories:
    """Prepare memories for ``rank``.

    ``lengths`` are in words, ``informative`` is the mean rarity of each memory's terms. ``previous`` and ``following``
    are rows, ``sessions`` any numbers, ``labels`` term ids; -1 for none. ``speakers`` are the labels that name a speaker.
    """
    n = len(flags)
    around, before = _neighbours(previous, following, (flags & ASKS) != 0)
    known = sessions >= 0
    all_outside = not known.any()
    session = np.full(n, -1, np.int64)
    if all_outside:
        names: Ints = np.zeros(0, np.int64)
        session_lengths = np.zeros(0, np.float32)
    else:
        session[known], names = _numbered(sessions[known])
        session_lengths = np.bincount(session[known], lengths[known], minlength=len(names)).astype(np.float32)
    outside = None if not all_outside and known.all() else ~known
    reach = _smooth(lengths, around)
    first, last = _extent(created if all_outside else created[~known])

    return Memories(
        flags,
        labels,
        speakers,
        created,
        around,
        before,
        # Only neighbours need it.
        np.zeros(0, np.float32) if around is None else _smooth(np.ones(n, np.float32), around),
        reach,
        mean_damping(reach),
        informative_part(informative),
        np.float32(ASKING) * ((flags & _ENDS_ASKING) != 0),
        session,
        names,
        session_lengths,
        mean_damping(session_lengths),
        outside,
        all_outside,
        first,
        last,
    )


def informative_part(means: Floats) -> Floats:
    """Return the part of scores for the mean rarity of a memory's terms."""
    return np.float32(INFORMATIVE) * means


def asking(flags: int) -> float:
    """Return the part of a memory's score for a question at its end."""
    return ASKING if flags & _ENDS_ASKING else 0.0


def _extent(times: Ints) -> tuple[int, int]:
    return (int(times.min()), int(times.max())) if len(times) else (0, 0)


def _neighbours(previous: Ints, following: Ints, asks: npt.NDArray[np.bool_]) -> tuple[Ints | None, Floats]:
    """Return `Memories.around` and `Memories.before`."""
    n = len(asks)
    if previous.max(initial=-1) < 0 and following.max(initial=-1) < 0:
        return None, np.zeros(n, np.float32)
    # -1 selects the entry appended for "none", which points to itself.
    hop = np.empty((2, n + 1), np.int64)
    hop[0, :-1], hop[1, :-1], hop[:, -1] = previous, following, -1
    around = np.concatenate([hop[:, :-1], np.stack([hop[0][hop[0, :-1]], hop[1][hop[1, :-1]]])])
    return around, np.where(_padded(asks)[around[0]], np.float32(NEAR + ANSWER), np.float32(NEAR))


def _padded(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return values with a zero behind them."""
    # Three times as fast as numpy's append().
    padded = np.empty(len(values) + 1, values.dtype)
    padded[:-1] = values
    padded[-1] = 0
    return padded


def _numbered(names: Ints) -> tuple[Ints, Ints]:
    """Return small numbers for names, equal for equal names, and the name of each number, ascending.

    numpy's own `unique` does the same, and loads its masked arrays for it, which takes longer than a search.
    """
    order = np.argsort(names)
    ordered = names[order]
    changes = np.ones(len(names), bool)
    changes[1:] = ordered[1:] != ordered[:-1]
    numbers = np.empty(len(names), np.int64)
    numbers[order] = changes.cumsum() - 1
    return numbers, ordered[changes]


@dataclass(slots=True)
class Wanted:
    """A query, in the numbers of the store it is put to."""

    terms: Ints  # [q] term ids, -1 where the store does not know the word
    # [q] number of memories with each, out of ``count``; None for the frequency among the memories to score. Unknown words
    # stay in, so that matching only the others counts less.
    frequency: Ints | None = None
    count: int = 0
    wants: int = 0  # flags of memories that can answer
    year: int | None = None
    month: int | None = None
    day: int | None = None
    # The first microsecond asked for, and the first one after it; both None where the query asks for no time.
    start: int | None = None
    end: int | None = None
    dated: bool = False  # whether it names the year: in sessions the part for dates serves that


def rarity(frequency: npt.NDArray[np.generic], count: int) -> Floats:
    """Inverse document frequency of terms found in ``frequency`` out of ``count`` memories, never negative."""
    count = max(count, FEWEST)
    df = np.minimum(frequency, count).astype(np.float32)
    idf: Floats = np.log1p((count - df + np.float32(0.5)) / (df + np.float32(0.5)))
    return idf


def information(frequency: npt.NDArray[np.generic], count: int) -> Floats:
    """``rarity`` as a share of the largest there can be, 0 to 1."""
    return rarity(frequency, count) / np.float32(np.log(2 * max(count, FEWEST) + 2))


def log_rarity(frequency: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the part of ``rarity`` that the frequency decides: it is ``log(count + 1)`` less this."""
    return cast("npt.NDArray[np.float64]", np.log(frequency + 0.5))


def mean_information(sums: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], count: int) -> Floats:
    """Return the mean ``information`` of the terms of each row, 0 for a row without any.

    ``sums`` are those of ``log_rarity`` over the terms of each row, so that few of them change with a new memory.
    """
    count = max(count, FEWEST)
    means = log(count + 1) - sums * shares
    if not shares.all():
        means[shares == 0] = 0
    means /= log(2 * count + 2)
    return means.astype(np.float32)


def shares(lengths: Ints) -> npt.NDArray[np.float64]:
    """Return the share of each of a row's terms in their mean, 0 for a row without any."""
    return (lengths > 0) / np.maximum(lengths, 1)


def _smooth(values: Floats, around: Ints | None) -> Floats:
    """Weighted sum of each memory's value and its neighbours'."""
    return values if around is None else _weighed(values, _padded(values)[around])


def _weighed(values: Floats, near: Floats) -> Floats:
    total: Floats = values + np.float32(NEAR) * (near[0] + near[1]) + np.float32(FAR) * (near[2] + near[3])
    return total


def _saturated(counts: Floats, damping: Floats, idf: Floats) -> Floats:
    """BM25 of ``counts`` [q, n]; 1 is a text of average length with every term once, K1 + 1 the limit."""
    # Not a matrix product: that would wake BLAS's other threads for a few thousand numbers.
    scores: Floats = np.einsum("q,qn->n", _share(idf), counts / (counts + damping)).astype(
        np.float32, copy=False
    )
    return scores


def _share(idf: Floats) -> Floats:
    """Return the largest share of each term in BM25."""
    share: Floats = idf * np.float32((K1 + 1) / max(float(idf.sum()), 1e-9))
    return share


@dataclass(slots=True)
class Scores:
    """The scores of memories.

    Attributes:
        total: [n] The score.
        keyword: [n] The score by words alone; ``K1 + 1`` is its limit.
        parts: [n] each: the parts by name, which add up to the score; None if they are not asked for. A part that is zero
            for all may be left out.
    """

    total: Floats
    keyword: Floats
    parts: dict[str, Floats] | None

    def add(self, name: str, part: Floats) -> None:
        """Add a part to the score."""
        self.total += part
        if self.parts is not None:
            self.parts[name] = part

    def by_words(self, rows: Ints) -> Floats:
        """Return the score by words alone of some memories, 0 to 1."""
        shares: Floats = np.minimum(self.keyword[rows] / np.float32(K1 + 1), np.float32(1))
        return shares


def rank(
    memories: Memories,
    query: Wanted,
    hits: Hits,
    similarity: Floats | None,
    *,
    alpha: float | None = None,
    evidence_weight: float = 1.0,
    explain: bool = False,
) -> Scores:
    """Return the scores of memories.

    Args:
        memories: The memories.
        query: The query.
        hits: Where the query's terms stand.
        similarity: [n] The cosine to the query; None without vectors.
        alpha: 0 to 1, shifts weight from keywords to vectors; the default is ``VECTOR / (1 + VECTOR)``.
        evidence_weight: How much more the vectors decide outside of sessions where words tell little, in units of the
            default embedder's.
        explain: Whether the parts of each score are wanted.
    """
    by_evidence = (
        similarity is not None and memories.outside is not None and alpha is None and evidence_weight > 0
    )
    keyword, session, evidence = _keywords(memories, query, hits, by_evidence)
    by_words = keyword.copy() if alpha is None else np.float32((1 - alpha) * (1 + VECTOR)) * keyword
    scores = Scores(by_words, keyword, {"keyword": by_words.copy()} if explain else None)
    relevance = by_words.copy() if query.wants else None
    if similarity is not None:
        weight = VECTOR if alpha is None else alpha * (1 + VECTOR)
        # A product of the memory's own cosine, if none has a neighbour.
        vector = np.float32(weight) * _smooth(similarity, memories.around)
        if memories.around is not None:
            vector /= memories.span
        lifted = np.float32(UNEVIDENCED * evidence_weight * (1 - evidence) ** 2) if by_evidence else None
        if relevance is not None:
            relevance += vector
        if lifted:
            _lift(memories, vector, lifted * similarity, relevance)
        scores.add("vector", vector)
    if session is not None:
        scores.add("session", np.float32(SESSION) * session)
    spoken = _spoken(memories, query)
    if spoken is not None:
        scores.add("speaker", np.float32(SPEAKER) * spoken)
    if query.year is not None or query.month is not None:
        scores.add("date", np.float32(DATE) * _dates(memories.created, query))
    if relevance is not None:
        # a time in a memory about something else answers nothing: worth as much as the memory is relevant
        fits = (memories.flags & query.wants) != 0
        scores.add("cue", np.float32(CUE) * fits * np.minimum(np.maximum(relevance, 0), 1))
    scores.add("informative", memories.informative)
    scores.add("asking", memories.asking)
    if query.start is not None or query.end is not None:
        scores.add("time", np.float32(-TIME) * _at_another_time(memories, query))
    return scores


def _lift(memories: Memories, vector: Floats, lifted: Floats, relevance: Floats | None) -> None:
    """Let vectors decide more outside of sessions."""
    if not memories.all_outside:
        assert memories.outside is not None
        lifted *= memories.outside
    if relevance is not None:
        relevance += lifted
    # The most similar memory keeps its score, so that a score says as much as before.
    most = lifted.max()
    vector += lifted - (most if memories.all_outside else most * memories.outside)


def _keywords(
    memories: Memories, query: Wanted, hits: Hits, by_evidence: bool
) -> tuple[Floats, Floats | None, float]:
    """The keyword and the session part of each memory, and the evidence.

    The session part is None if it is zero for all. The evidence is the largest share of the query's words, weighed by rarity,
    that one memory outside of sessions holds; 0 if it is not wanted.
    """
    n, q = len(memories.flags), len(query.terms)
    if not len(hits.term):
        return np.zeros(n, np.float32), None, 0.0
    slot, row, count = hits.term, hits.row, hits.count

    idf = rarity(hits.frequency, n) if query.frequency is None else rarity(query.frequency, query.count)
    sessions = _sessions(memories, slot, row, count, q)
    share = _share(idf)[slot]
    evidence = 0.0
    if by_evidence and memories.outside is not None:
        held = np.bincount(row, share, minlength=n)
        if not memories.all_outside:
            held *= memories.outside
        evidence = min(float(held.max()) / (K1 + 1), 1.0)
    if memories.around is None:  # each hit counts for its own memory alone
        parts = share * count / (count + memories.damping[row])
        return np.bincount(row, parts, minlength=n).astype(np.float32), sessions, evidence
    # Each hit counts for its own memory and for those around it; the first column takes those of none.
    before, after, before2, after2 = memories.around[:, row]
    cells = np.concatenate([row, after, before, after2, before2]).reshape(5, -1) + (slot * (n + 1) + 1)
    near, far = np.float32(NEAR) * count, np.float32(FAR) * count
    weights = np.concatenate([count, memories.before[after] * count, near, far, far])
    found = np.bincount(cells.ravel(), weights, minlength=q * (n + 1)).astype(np.float32).reshape(q, n + 1)
    return _saturated(found[:, 1:], memories.damping, idf), sessions, evidence


def confidence(score: Floats) -> npt.NDArray[np.float64]:
    """Map scores to 0..1, order kept: half at HALF, towards 1 as more parts agree.

    ``rank`` divides nothing by the best result, so a query that nothing answers stays low. The algebraic curve
    is taken rather than the logistic one because it flattens slowly: good results do not all round to 1.
    """
    x = STEEPNESS * (score.astype(np.float64) - HALF)
    return 0.5 + 0.5 * x / np.sqrt(1 + x * x)


def _sessions(memories: Memories, slot: Ints, row: Ints, count: Floats, q: int) -> Floats | None:
    """BM25 of the session of each memory as one text, 0 outside of sessions; None if no two sessions are to be told apart."""
    size = len(memories.session_damping)
    if size < 2:
        return None
    cells = slot * (size + 1) + memories.sessions[row] + 1  # the first column takes those without a session
    found = np.bincount(cells, count, minlength=q * (size + 1)).astype(np.float32).reshape(q, size + 1)[:, 1:]
    idf = rarity((found > 0).sum(axis=1), size)
    return _padded(_saturated(found, memories.session_damping, idf))[memories.sessions]


def _spoken(memories: Memories, query: Wanted) -> Floats | None:
    """1 where the query names the speaker, -1 where it names another one; None where it names none."""
    names = memories.speakers.intersection(query.terms.tolist()) if memories.speakers else ()
    if not names:
        return None
    named = _labelled(memories.labels, names)
    if not named.any():
        return None
    return named - (_labelled(memories.labels, memories.speakers) & ~named).astype(np.float32)


def _labelled(labels: Ints, names: Collection[int]) -> npt.NDArray[np.bool_]:
    """Return which labels are among some names; there are no more than a few speakers."""
    found = np.zeros(len(labels), bool)
    for name in names:
        found |= labels == name
    return found


def _dates(created: Ints, query: Wanted) -> Floats:
    """1 for the very day, a quarter for the month or the year only."""
    days = created // _DAY
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    match = np.ones(len(days), bool)
    if query.year is not None:
        match &= date.astype("datetime64[Y]").astype(np.int64) == query.year - 1970
    if query.month is not None:
        match &= month.astype(np.int64) % 12 == query.month - 1
    share = np.where(match, np.float32(0.25), np.float32(0))
    if query.month is not None and query.day is not None:
        share[match & ((date - month).astype(np.int64) == query.day - 1)] = 1
    return share


def _at_another_time(memories: Memories, query: Wanted) -> npt.NDArray[np.bool_]:
    """Whether a memory is not of the time asked for, if any is.

    The others lose, so that a memory of the time that answers nothing scores no higher for it.
    """
    n = len(memories.flags)
    inside = _within(memories.created, query.start, query.end)
    counts = np.ones(n, bool)
    if query.dated:
        counts = np.zeros(n, bool) if memories.outside is None else memories.outside
    return counts & ~inside if (counts & inside).any() else np.zeros(n, bool)


def _within(created: Ints, start: int | None, end: int | None) -> npt.NDArray[np.bool_]:
    """Whether a memory was created from `start` on and before `end`."""
    inside = np.ones(len(created), bool)
    if start is not None:
        inside &= created >= start
    if end is not None:
        inside &= created < end
    return inside


def damping(lengths: Floats, average: float) -> Floats:
    """Return the length term of ``bm25`` for all memories."""
    return np.float32(K1 * (1 - B)) + np.float32(K1 * B / max(average, 1e-9)) * lengths


def bm25(postings: Sequence[tuple[Ints, npt.NDArray[np.generic]]], idf: Floats, damping: Floats) -> Floats:
    """Plain BM25 of all memories, to pick candidates; ``postings`` are the rows and counts of each term."""
    scores = np.zeros(len(damping), np.float32)
    for (rows, counts), weight in zip(postings, idf, strict=True):
        tf = counts.astype(np.float32)
        scores[rows] += weight * tf / (tf + damping[rows])
    return scores


def bm25_of_hits(hits: Hits, idf: Floats, damping: Floats) -> Floats:
    """Plain BM25 of all memories by where the terms stand in them."""
    parts = idf[hits.term] * hits.count / (hits.count + damping[hits.row])
    return np.bincount(hits.row, parts, minlength=len(damping)).astype(np.float32)


def best(scores: Floats, limit: int) -> Ints:
    """Rows of the ``limit`` largest scores above zero, in no order."""
    rows = (scores > 0).nonzero()[0]
    if len(rows) > 16 * limit:
        # Partitioning a hundred thousand scores costs more than computing them. A sample tells about where the cut
        # lies; only scores above a cautious guess are partitioned.
        values = scores[rows]
        sample = values[:: max(1, len(rows) // 4096)]
        keep = min(len(sample) - 1, 4 * limit * len(sample) // len(rows) + 16)
        above = rows[values >= np.partition(sample, len(sample) - 1 - keep)[len(sample) - 1 - keep]]
        rows = above if len(above) >= limit else rows
    if len(rows) > limit:
        rows = rows[np.argpartition(scores[rows], len(rows) - limit)[len(rows) - limit :]]
    return rows


def with_neighbours(rows: Ints, previous: Ints, following: Ints) -> npt.NDArray[np.int64]:
    """Candidates and the two memories on either side of each, ascending.

    ``previous`` and ``following`` are of the whole store, -1 for none. The memory next to a match may be its
    answer, so the neighbours are candidates too.
    """
    parts = [rows]
    for pointer in (previous, following):
        near = pointer[rows]
        near = near[near >= 0]
        far = pointer[near]
        parts += [near, far[far >= 0]]
    chosen = np.sort(np.concatenate(parts).astype(np.int64, copy=False))
    fresh = np.ones(len(chosen), bool)
    fresh[1:] = chosen[1:] != chosen[:-1]
    return chosen[fresh]


def take_rows(
    starts: Ints, terms: Ints, counts: npt.NDArray[np.generic], rows: Ints
) -> tuple[Ints, Ints, npt.NDArray[np.generic]]:
    """Starts, terms and counts of some rows of a forward index."""
    sizes = starts[rows + 1] - starts[rows]
    ends = np.cumsum(sizes)
    index = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts[rows] - (ends - sizes), sizes)
    return np.append(np.zeros(1, ends.dtype), ends), terms[index], counts[index]


def means_of_rows(starts: Ints, terms: Ints, rows: Ints, information: Floats) -> Floats:
    """Return the mean ``information`` of the terms of some rows of a forward index, 0 for a row without any."""
    firsts = starts[rows]
    sizes = starts[rows + 1] - firsts
    ends = sizes.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    if not total:
        return np.zeros(len(rows), np.float32)
    begins = ends - sizes
    values = information.take(terms.take(np.arange(total) + (firsts - begins).repeat(sizes)))
    filled = sizes > 0
    means = np.zeros(len(rows), np.float32)
    # An empty row would end the sum of another one.
    means[filled] = np.add.reduceat(values, begins[filled], dtype=np.float64) / sizes[filled]
    return means
