"""A space that the database's own indexes serve.

The database finds candidates, more than are asked for. The code that ranks an index in memory decides among them,
over an index of the candidates alone. So scope, archived, expiry and filter are as exact as in memory, and so are counts
and lists. These may differ:

- HNSW misses a few of a hundred vectors. If it finds fewer than requested, every vector is compared.
- The document frequency of a word is that of the whole space, not of the scope. The rarity of a memory's words is
  estimated from a sample of the space.
- Words that occur in more than 10,000 memories together select candidates only if rarer words select fewer than 50, or
  fewer than requested. Memories with all of the words come first, then those with most; of the others, any 10,000 are read.
- `matching` of a search with a least score ranks 2,000 candidates of each kind.

A filter is evaluated here. Where too few of the nearest 200 memories match, 2,000 and 20,000 are tried, and then every
memory of the scope: nothing that matches is missed for being rare, but it takes time. A list in an order without an index
(`updated_at` and `importance`) looks at the whole scope, too.
"""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onebrain.errors import EmbedderMismatch
from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.models import Scope
from onebrain_engine.embedding import QueryVectors, unit
from onebrain_engine.index import ranking
from onebrain_engine.index.columns import Columns
from onebrain_engine.index.growable import Growable
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Partition
from onebrain_engine.index.ranker import Ranked, RankRequest
from onebrain_engine.index.selecting import Selection
from onebrain_engine.index.slots import Indexed
from onebrain_engine.index.statistics import WordStatistics
from onebrain_engine.index.text import Analysis, analyse, least_turns
from onebrain_engine.index.times import NO_TIMES, Times
from onebrain_engine.index.vectors import Vectors
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import At, Entry, Space, now_in_micros
from onebrain_engine.store.runs import leads_to
from onebrain_engine.views import COUNTED, Listed, ask_of, asks_nothing, timed

if TYPE_CHECKING:
    from onebrain_engine.store.postgres_large import LargeSpace, Selected

_POOL: Final = 200  # candidates of each kind that the database is asked for at first
_MOST: Final = 20_000  # and at last, before every memory is looked at
_BY_KEYWORD, _BY_VECTOR = 100, 60  # those that are ranked with their neighbours, as in memory
_FEW: Final = 1_000  # memories in a scope up to which all of them are ranked
_BUDGET: Final = 10_000  # memories with one of a query's words that are looked at
_RANKED: Final = 2_000  # candidates of each kind that are ranked to count those with a least score
_PIECE: Final = 5_000  # memories that a filter is evaluated for at a time
_SAMPLE: Final = 1_500  # memories that tell how common words are
_SMALL: Final = 4_000  # changes up to which statistics are made anew at each one
_ASKED: Final = 50_000  # words that were asked for and are remembered
_TOTALS: Final = 64  # totals that are remembered

_BLANK: Final = Analysis({}, 0, 0, None)


@dataclass
class Statistics:
    """The statistics of a space's words; they go stale slowly, and decide nothing but weights.

    Attributes:
        seq: The space's change at which it was made.
        at: The newest state of the space that is known to have come from there.
        count: The approximate number of memories.
        length: The mean number of words of one.
        sampled: The number of memories of the sample with each word.
        size: The number of memories in the sample.
        frequencies: The number of memories of the space with each word that was asked for.
        speakers: The words that are a speaker's name, as far as the sample tells.
        totals: The number of matching memories by question, with the state and the time up to which it is true.
    """

    seq: int
    at: At
    count: int
    length: float
    sampled: dict[str, int]
    size: int
    speakers: frozenset[str]
    frequencies: dict[str, int] = field(default_factory=dict[str, int])
    totals: OrderedDict[str, tuple[At, int, int]] = field(
        default_factory=OrderedDict[str, tuple[At, int, int]]
    )

    def stale(self, space: Space) -> bool:
        """Return whether the space has changed so much that words may have become rarer or more common."""
        return space.seq != self.seq and (space.seq <= _SMALL or space.seq > self.seq * 1.1)

    def estimate(self, word: str) -> int:
        """Return the number of memories with a word, estimated by the sample."""
        return round(self.sampled.get(word, 0) * self.count / max(self.size, 1))

    def information(self, words: Sequence[str]) -> ranking.Floats:
        """Return the information of each word by its rarity in the sample."""
        unseen = 1.0 if self.size >= self.count else 0.5
        found = np.array([self.sampled.get(word, unseen) for word in words], np.float32)
        return ranking.information(found * np.float32(self.count / max(self.size, 1)), self.count)


class Known:
    """The statistics of the large spaces of one engine, and which users in them are large themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statistics: OrderedDict[tuple[str, int], Statistics] = OrderedDict()
        self._users: OrderedDict[tuple[str, int, str], None] = OrderedDict()

    def of(self, read: Reading, tenant: str, space: Space, large: LargeSpace) -> Statistics:
        """Return the statistics of a space, made anew where they are stale or of another history of it."""
        key = (tenant, space.key)
        with self._lock:
            known = self._statistics.get(key)
        if known is None or known.stale(space) or not self._led_to(known, read, tenant, space):
            known = _statistics(space, large)
            with self._lock:
                self._statistics[key] = known
                while len(self._statistics) > 256:
                    self._statistics.popitem(last=False)
        return known

    @staticmethod
    def _led_to(known: Statistics, read: Reading, tenant: str, space: Space) -> bool:
        """Return whether statistics are of the history that a space has now, and remember that they are."""
        seq, run = known.at
        if run == space.run:
            return True
        if seq > space.seq or not leads_to(read, tenant, known.at, space):
            return False
        known.at = space.at
        return True

    def is_large(self, tenant: str, space: Space, user: str) -> bool:
        """Return whether a user was found to have too many memories for memory."""
        with self._lock:
            return (tenant, space.key, user) in self._users

    def note_large(self, tenant: str, space: Space, user: str) -> None:
        """Remember that a user has too many."""
        with self._lock:
            self._users[tenant, space.key, user] = None
            while len(self._users) > 10_000:
                self._users.popitem(last=False)


def _statistics(space: Space, large: LargeSpace) -> Statistics:
    asked = (
        range(1, space.seq + 1)
        if space.seq <= _SMALL
        else sorted({random.randint(1, space.seq) for _ in range(_SAMPLE)})
    )
    sampled: dict[str, int] = {}
    labels: dict[str, int] = {}
    length = size = 0
    for text in large.sample(asked):
        analysis = analyse(text)
        size += 1
        length += analysis.length
        for term in analysis.terms:
            sampled[term] = sampled.get(term, 0) + 1
        if analysis.label is not None:
            labels[analysis.label] = labels.get(analysis.label, 0) + 1
    speakers = frozenset(label for label, found in labels.items() if found >= least_turns(size))
    count = round(space.seq * size / max(len(asked), 1))
    return Statistics(space.seq, space.at, max(count, size), length / max(size, 1), sampled, size, speakers)


class InDatabase:
    """A space through the database's own indexes.

    Args:
        service: The name of the store in errors.
        known: The statistics of large spaces.
        read: The transaction.
        tenant: Whose space it is.
        space: The space.
        large: The space as the database's own indexes know it.
    """

    def __init__(
        self,
        service: str,
        known: Known,
        read: Reading,
        tenant: str,
        space: Space,
        large: LargeSpace,
    ) -> None:
        self.space = space
        self._service = service
        self._all_known = known
        self._read = read
        self._tenant = tenant
        self._large = large

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, vectors: QueryVectors, limit: int) -> Ranked:
        """Rank candidates that the request's scope and filter select."""
        selected = self._selected(request.scope, request.include_archived)
        if asks_nothing(request):
            found = self._in_order(selected, request.filter, "-created_at", None, limit)
            return Ranked.newest([row for _, row in found], [key for key, _ in found], request.mode)
        request, times = timed(request, lambda event: self._find(event, vectors, selected))
        ask, problem = self._ask(request, vectors, limit, times)
        rows = self._candidates(ask, selected, request.filter)
        if problem is not None and not rows and not self._large.some(selected, 1):
            problem = None
        return replace(self._rank(ask, request, rows), mismatch=problem)

    def matching(self, request: SearchRequest, vectors: QueryVectors) -> int:
        """Return the number of memories that a search finds; beyond 10,000, with a least score 2,000, not all are counted."""
        if asks_nothing(request):
            return self.count(request.scope, request.filter, request.include_archived)
        selected = self._selected(request.scope, request.include_archived)
        request, times = timed(request, lambda event: self._find(event, vectors, selected))
        ask, _ = self._ask(request, vectors, COUNTED, times)
        if request.min_score <= 0 and ask.vector is not None:
            return self.count(request.scope, request.filter, request.include_archived)
        if request.min_score <= 0:
            assert ask.query is not None
            words, _ = self._by_words(ask.query.terms, selected, None, COUNTED, COUNTED)
            return len(self._matching(words, selected, request.filter))
        rows = self._candidates(replace(ask, limit=_RANKED), selected, request.filter)
        ranked = self._rank(replace(ask, limit=len(rows)), request, rows)
        return int(np.count_nonzero(ranked.scores >= request.min_score))

    def _ask(
        self, request: SearchRequest, vectors: QueryVectors, limit: int, times: Times
    ) -> tuple[RankRequest, EmbedderMismatch | None]:
        return ask_of(self._service, request, vectors, self.space, self._speakers_among, limit, times)

    def _find(self, request: SearchRequest, vectors: QueryVectors, selected: Selected) -> Ranked:
        """Return the best memory of a selection, by words and vectors alone."""
        ask, _ = self._ask(request, vectors, 1, NO_TIMES)
        return self._rank(ask, request, self._candidates(ask, selected, request.filter))

    def _speakers_among(self, terms: Sequence[str]) -> list[str]:
        speakers = self._known().speakers
        return [term for term in terms if term in speakers]

    def _candidates(self, ask: RankRequest, selected: Selected, filter: Filter) -> list[int]:
        """Return selected rows worth ranking: at least as many as asked for, or all."""
        scope = selected.scope
        narrow = scope.user is not None or scope.agent is not None or scope.session is not None
        if narrow:
            few = self._large.some(selected, _FEW + 1)
            if len(few) <= _FEW:
                return self._passing(few, filter)
        within = selected if narrow else None
        pool = max(_POOL, 2 * ask.limit)
        while pool <= max(_MOST, 2 * ask.limit):
            rows, enough = self._pool(ask, selected, filter, within, None, pool)
            if enough:
                return rows
            pool *= 10
        return self._pool(ask, selected, filter, None, list(self._all(selected, filter)), _POOL + ask.limit)[
            0
        ]

    def _pool(
        self,
        ask: RankRequest,
        selected: Selected,
        filter: Filter,
        within: Selected | None,
        rows: list[int] | None,
        pool: int,
    ) -> tuple[list[int], bool]:
        """Return candidates out of `pool` of each kind, and whether they are enough of both kinds, or all."""
        words: list[int] = []
        near: list[int] = []
        words_done = near_done = True
        if ask.query is not None and ask.mode != "vector":
            plain = filter == TRUE and within is None
            least = max(ask.limit, _BY_KEYWORD // 2) if plain else pool
            words, words_done = self._by_words(ask.query.terms, within, rows, pool, least)
        if ask.vector is not None and ask.mode != "keyword":
            near, near_done = self._by_vector(ask.vector, selected, within, rows, pool)
        kept = set(self._matching({*words, *near}, selected, filter))
        words = [row for row in words if row in kept]
        near = [row for row in near if row in kept]
        enough = (words_done or len(words) >= ask.limit) and (near_done or len(near) >= ask.limit)
        by_words = words[: max(_BY_KEYWORD, 2 * ask.limit)]
        by_vector = near[: max(_POOL if ask.mode == "vector" else _BY_VECTOR, 2 * ask.limit)]
        return list(dict.fromkeys([*by_words, *by_vector])), enough

    def _by_vector(
        self,
        vector: ranking.Floats,
        selected: Selected,
        within: Selected | None,
        rows: list[int] | None,
        pool: int,
    ) -> tuple[list[int], bool]:
        """Return the rows nearest to a vector, and whether they are all."""
        data = vector.astype(np.float32).tobytes()
        if rows is None:
            near = self._large.nearest(data, within, pool)
            if len(near) >= pool:
                return near, False
        near = self._large.nearest_exactly(data, selected, rows, pool)
        return near, len(near) < pool

    def _by_words(
        self,
        terms: Sequence[str],
        within: Selected | None,
        rows: list[int] | None,
        pool: int,
        least: int,
    ) -> tuple[list[int], bool]:
        """Return rows with words of a query, the best first as far as words tell, and whether they are all.

        Where rare words find `least` of them, or memories with several of the common ones, the rest is left.
        """
        if not terms:
            return [], True
        known = self._known()
        frequencies = self._frequencies(terms)
        by_rarity = sorted(terms, key=lambda term: frequencies[term])
        idf = ranking.rarity(np.array([frequencies[term] for term in by_rarity]), known.count).tolist()

        def holding(some: Sequence[str], *, all: bool = False, cap: int | None = None) -> list[int]:
            return self._large.holding(
                some,
                all=all,
                weights=dict(zip(by_rarity, idf, strict=True)),
                length=known.length,
                selected=within,
                rows=rows,
                limit=pool,
                cap=cap,
            )

        if rows is not None:
            found = holding(by_rarity)
            return found, len(found) < pool
        rare, sum_ = list[str](), 0
        for term in by_rarity:
            sum_ += frequencies[term]
            if sum_ > _BUDGET:
                break
            rare.append(term)
        found = holding(rare) if rare else []
        if len(rare) == len(by_rarity):
            return found, len(found) < pool
        common = by_rarity[len(rare) :]
        for count in range(len(common), 1, -1):
            if len(found) >= least:
                break
            found = list(dict.fromkeys([*found, *holding(common[:count], all=True, cap=_BUDGET)]))
        if len(found) >= least:
            return found[:pool], False
        found = list(dict.fromkeys([*found, *holding(by_rarity, cap=max(_BUDGET, pool))]))
        return found[:pool], len(found) < pool

    def _rank(self, ask: RankRequest, request: SearchRequest, rows: Sequence[int]) -> Ranked:
        """Rank candidates with their neighbours, as an index in memory would."""
        pairs: list[tuple[int, int]] = []
        if ask.mode != "vector" and ask.query is not None:
            pairs = self._large.around(rows)
            rows = list({*rows, *(row for pair in pairs for row in pair)})
        lexicon = Lexicon()
        index = Partition(self.space, lexicon)
        if self.space.dimension is not None:
            index.slots.vectors = Vectors(self.space.dimension)
        texts = ask.mode != "vector"
        entries = self._large.entries(rows, contents=texts, vectors=ask.vector is not None)
        index.apply(_indexed(entries, texts=texts), (), self.space.at)
        index.link(pairs)
        selection = self._select(index, request)
        if ask.query is not None:
            known = self._known()
            terms = ask.query.terms
            frequencies = self._frequencies(terms) if texts else dict.fromkeys(terms, 0)
            ask = replace(
                ask,
                statistics=WordStatistics(
                    np.array([frequencies[term] for term in terms], np.int64),
                    known.count,
                    known.information(lexicon.words),
                    frozenset(lexicon.find(known.speakers)) - {-1},
                ),
            )
        return index.rank(selection, ask)

    def _select(self, index: Partition, request: SearchRequest) -> Selection:
        return index.select(
            request.scope,
            request.filter,
            request.include_archived,
            now_in_micros(),
            lambda names, rows: self._columns(names, index.slots.row.view.tolist() if rows is None else rows),
        )

    # ---- list and count ---------------------------------------------------------------------------------------------

    def count(self, scope: Scope, filter: Filter, include_archived: bool) -> int:
        """Return the number of matching memories."""
        return self._total(self._selected(scope, include_archived), filter)

    def rows(self, scope: Scope, filter: Filter) -> Sequence[int]:
        """Return the rows of all memories that match, archived ones included."""
        return sorted(self._all(self._selected(scope, True), filter))

    def among(self, rows: Sequence[int], scope: Scope, filter: Filter, include_archived: bool) -> set[int]:
        """Return which rows match."""
        return (
            set(self._matching(list(rows), self._selected(scope, include_archived), filter))
            if rows
            else set()
        )

    def saying(self, scope: Scope, text: str) -> Sequence[int] | None:
        """Return None: no index of the database tells which texts say the same."""
        return None

    def _in_order(
        self, selected: Selected, filter: Filter, order: str, after: tuple[Any, int] | None, limit: int
    ) -> list[tuple[Any, int]]:
        if filter == TRUE:
            return self._large.in_order(selected, order, after, limit)
        found: list[tuple[Any, int]] = []
        piece = max(100, 2 * limit)
        while len(found) < limit:
            some = self._large.in_order(selected, order, after, piece)
            passing = set(self._passing([row for _, row in some], filter))
            found.extend(pair for pair in some if pair[1] in passing)
            if len(some) < piece:
                break
            after, piece = some[-1], min(2 * piece, _PIECE)
        return found[:limit]

    def _total(self, selected: Selected, filter: Filter) -> int:
        """Return the number of matching memories; remembered until something changes or expires."""
        totals = self._known().totals
        key = f"{selected.scope!r}{selected.include_archived}{filter if filter != TRUE else ''}"
        known = totals.get(key)
        if known is not None and known[0] == self.space.at and selected.now < known[1]:
            return known[2]
        total, until = self._large.count(selected)
        if filter != TRUE:
            total = sum(1 for _ in self._all(selected, filter))
        totals[key] = (self.space.at, until, total)
        while len(totals) > _TOTALS:
            totals.popitem(last=False)
        return total

    def _all(self, selected: Selected, filter: Filter) -> Iterator[int]:
        """Yield the rows of all memories that match: a pass over the scope, piece by piece."""
        seq = 0
        while True:
            rows, seq = self._large.piece(selected, seq, _PIECE)
            yield from self._passing(rows, filter)
            if len(rows) < _PIECE:
                return

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _selected(self, scope: Scope, include_archived: bool) -> Selected:
        from onebrain_engine.store.postgres_large import Selected  # psycopg is an extra

        return Selected(scope, include_archived, now_in_micros())

    def _known(self) -> Statistics:
        return self._all_known.of(self._read, self._tenant, self.space, self._large)

    def _frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of memories with each word; beyond twice the budget the sample's estimate."""
        statistics = self._known()
        if len(statistics.frequencies) > _ASKED:
            statistics.frequencies = {}  # not emptied: another thread may be reading it
        known = statistics.frequencies
        unknown = [term for term in terms if term not in known]
        if unknown:
            found = self._large.frequencies(unknown, 2 * _BUDGET)
            known.update(
                (term, frequency if frequency < 2 * _BUDGET else max(frequency, statistics.estimate(term)))
                for term, frequency in zip(unknown, found, strict=True)
            )
        return {term: known[term] for term in terms}

    def _columns(self, names: Sequence[str], rows: Sequence[int] | None) -> Iterator[Sequence[Any]]:
        return self._read.columns(self._tenant, self.space, names, rows)

    def _matching(self, rows: Sequence[int] | set[int], selected: Selected, filter: Filter) -> list[int]:
        """Return which of some rows are selected and pass a filter."""
        inside = self._large.among(selected, list(rows))
        return self._passing([row for row in rows if row in inside], filter)

    def _passing(self, rows: Sequence[int], filter: Filter) -> list[int]:
        """Return which of some rows pass a filter, in their order."""
        if filter == TRUE or not rows:
            return list(rows)
        growable = Growable(np.int64)
        growable.extend(rows)
        columns = Columns(growable, self.space.name)
        mask = columns.mask(filter, lambda names, some: self._columns(names, rows if some is None else some))
        kept: list[int] = growable.view[mask].tolist()
        return kept

    def list(self, request: ListRequest, after: tuple[Any, int] | None, limit: int) -> Listed:
        """Return a part of the selected memories, in the request's order."""
        selected = self._selected(request.scope, request.include_archived)
        found = self._in_order(selected, request.filter, request.order, after, limit)
        total = self._total(selected, request.filter)
        return Listed([key for key, _ in found], [row for _, row in found], total)


def _indexed(entries: Sequence[Entry], *, texts: bool) -> list[Indexed]:
    """Make stored memories ready for an index, all vectors at once; they have one length."""
    given = [entry.vector for entry in entries if entry.vector is not None]
    vectors = iter(unit(np.frombuffer(b"".join(given), np.float32).reshape(len(given), -1)) if given else ())
    return [
        Indexed(
            entry,
            analyse(entry.content) if texts else _BLANK,
            None if entry.vector is None else next(vectors),
        )
        for entry in entries
    ]
