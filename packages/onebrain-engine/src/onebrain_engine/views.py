"""Views of one space: memories of a scope, ranked, listed and counted.

A view lives as long as the transaction that it reads in. `InMemory` asks the index of this process; a space that is too
large for one is seen through `onebrain_engine.large`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from onebrain.errors import EmbedderMismatch
from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import Cmp, Filter, every
from onebrain.memory.models import Scope
from onebrain_engine.agreement import Behind
from onebrain_engine.embedding import Floats, QueryVectors, Vectorizer, unit
from onebrain_engine.fitting import CALLER, mismatch
from onebrain_engine.index.columns import Unread
from onebrain_engine.index.partition import Partition
from onebrain_engine.index.ranker import Ranked, RankRequest
from onebrain_engine.index.selecting import Selection
from onebrain_engine.index.text import analyse_query, without_terms
from onebrain_engine.index.times import NO_TIMES, Times, read_times
from onebrain_engine.indexes import Indexes
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import Space, now_in_micros

COUNTED: Final = 10_000  # matches of one search that are counted
_SURE: Final = 0.5  # score from which a memory is the event that a query names, as in "before the move"


@dataclass(frozen=True, slots=True)
class Listed:
    """A part of a list: rows with the values that they are ordered by, and the number of all matching memories."""

    keys: Sequence[Any]
    rows: Sequence[int]
    total: int


class View(Protocol):
    """One space as one transaction sees it."""

    space: Space

    def search(self, request: SearchRequest, vectors: QueryVectors, limit: int) -> Ranked:
        """Return at least the `limit` best memories of a search, or all."""
        ...

    def matching(self, request: SearchRequest, vectors: QueryVectors) -> int:
        """Return the number of memories that a search finds."""
        ...

    def list(self, request: ListRequest, after: tuple[Any, int] | None, limit: int) -> Listed:
        """Return the first `limit` memories in an order, or behind a key and row."""
        ...

    def count(self, scope: Scope, filter: Filter, include_archived: bool) -> int:
        """Return the number of matching memories."""
        ...

    def rows(self, scope: Scope, filter: Filter) -> Sequence[int]:
        """Return the rows of all memories that match, archived ones included."""
        ...

    def among(self, rows: Sequence[int], scope: Scope, filter: Filter, include_archived: bool) -> set[int]:
        """Return which rows match."""
        ...

    def saying(self, scope: Scope, text: str) -> Sequence[int] | None:
        """Return the rows of memories of exactly a scope that say the same as a text and are not archived, in order.

        Returns None if that would take reading the whole space.
        """
        ...


class InMemory:
    """A space through its index in this process.

    Args:
        service: The name of the store in errors.
        indexes: The indexes in memory.
        read: The transaction.
        tenant: Whose space it is.
        space: The space.
        user: Whose memories in it the index holds; None for all.
    """

    def __init__(
        self,
        service: str,
        indexes: Indexes,
        read: Reading,
        tenant: str,
        space: Space,
        user: str | None = None,
    ) -> None:
        self.space = space
        self._service = service
        self._indexes = indexes
        self._user = user
        self._read = read
        self._tenant = tenant

    def search(self, request: SearchRequest, vectors: QueryVectors, limit: int) -> Ranked:
        """Rank the memories that the request's scope and filter select."""
        with self._selecting(request.scope, request.filter, request.include_archived) as (index, selection):
            if asks_nothing(request):
                slots, _ = index.ordered(selection, "-created_at")
                slots = slots[:limit]
                return Ranked.newest(
                    index.slots.row.view[slots], index.slots.created.view[slots], request.mode
                )
            request, times = timed(request, lambda event: self._find(event, vectors, index, selection))
            ask, problem = self._ask(request, vectors, index, limit, times)
            ranked = index.rank(selection, ask)
            return replace(ranked, mismatch=problem) if problem is not None and selection.size else ranked

    def matching(self, request: SearchRequest, vectors: QueryVectors) -> int:
        """Return the number of memories that a search finds; beyond 10,000 not all are counted."""
        with self._selecting(request.scope, request.filter, request.include_archived) as (index, selection):
            if asks_nothing(request):
                return selection.size
            request, times = timed(request, lambda event: self._find(event, vectors, index, selection))
            ask, _ = self._ask(request, vectors, index, min(selection.size, COUNTED), times)
            if request.min_score <= 0 and ask.mode != "keyword" and index.slots.vectors is not None:
                return selection.size  # by meaning everything is found, the unlike last
            return int(np.count_nonzero(index.rank(selection, ask).scores >= request.min_score))

    def _ask(
        self, request: SearchRequest, vectors: QueryVectors, index: Partition, limit: int, times: Times
    ) -> tuple[RankRequest, EmbedderMismatch | None]:
        return ask_of(
            self._service, request, vectors, self.space, index.frequencies.speakers_among, limit, times
        )

    def _find(
        self, request: SearchRequest, vectors: QueryVectors, index: Partition, selection: Selection
    ) -> Ranked:
        """Return the best memory of a selection, by words and vectors alone; none if all are in sessions."""
        conversations = index.slots.conversations.code.view
        if (conversations if selection.slots is None else conversations[selection.slots]).all():
            return Ranked.newest((), (), request.mode)
        return index.rank(selection, self._ask(request, vectors, index, 1, NO_TIMES)[0])

    def list(self, request: ListRequest, after: tuple[Any, int] | None, limit: int) -> Listed:
        """Return a part of the selected memories, in the request's order."""
        with self._selecting(request.scope, request.filter, request.include_archived) as (index, selection):
            keys, rows = in_order(index, selection, request.order, after)
            return Listed(keys[:limit].tolist(), rows[:limit].tolist(), selection.size)

    def count(self, scope: Scope, filter: Filter, include_archived: bool) -> int:
        """Return the number of matching memories."""
        with self._selecting(scope, filter, include_archived) as (_, selection):
            return selection.size

    def rows(self, scope: Scope, filter: Filter) -> Sequence[int]:
        """Return the rows of all memories that match, archived ones included."""
        with self._selecting(scope, filter, True) as (index, selection):
            rows: Sequence[int] = rows_of(index, selection).tolist()
            return rows

    def among(self, rows: Sequence[int], scope: Scope, filter: Filter, include_archived: bool) -> set[int]:
        """Return which rows match."""
        with self._selecting(scope, filter, include_archived) as (index, selection):
            known = index.slots.of_rows()
            slots = {row: known[row] for row in rows if row in known}
            if selection.slots is None:
                return set(slots)
            kept = np.isin(np.array(list(slots.values()), np.int64), selection.slots)
            return {row for row, inside in zip(slots, kept.tolist(), strict=True) if inside}

    def saying(self, scope: Scope, text: str) -> Sequence[int] | None:
        """Return the rows of memories of exactly a scope that say the same as a text and are not archived, in order."""
        parts = ("user", "agent", "session")
        alone = [Cmp(f"${part}", "exists", False) for part in parts if getattr(scope, part) is None]
        with self._selecting(scope, every(*alone), False, saying=text) as (index, selection):
            return sorted(rows_of(index, selection).tolist())

    @contextmanager
    def _selecting(
        self, scope: Scope, filter: Filter, include_archived: bool, saying: str | None = None
    ) -> Generator[tuple[Partition, Selection], None, None]:
        """Give the index, locked and at the transaction's own change, and the selection of a scope and a filter.

        `saying` is a text that the selected memories say exactly.

        Raises:
            Behind: The index is at another state than the transaction.
        """
        index = self._indexes.partitions.of(self._tenant, self.space, self._user)

        def fetch(names: Sequence[str], rows: Sequence[int] | None) -> Iterator[Sequence[Any]]:
            if rows is None and self._user is not None:  # all of the index is but a part of the space
                rows = index.slots.row.view.tolist()
            return self._read.columns(self._tenant, self.space, names, rows)

        with index.lock:
            self._indexes.catch_up(self._read, self._tenant, self.space, index, self._user)
            if index.at != self.space.at:
                raise Behind(index)
            try:
                selection = index.select(scope, filter, include_archived, now_in_micros(), fetch)
                if saying is not None:
                    selection = index.saying(selection, saying, fetch)
            except Unread:
                index.clear()
                raise Behind(index) from None
            yield index, selection


def asks_nothing(request: SearchRequest) -> bool:
    """Return whether a search has nothing to rank by."""
    return request.query is None and request.embedding is None


def ask_of(
    service: str,
    request: SearchRequest,
    vectors: QueryVectors,
    space: Space,
    speakers_among: Callable[[Sequence[str]], Sequence[str]],
    limit: int,
    times: Times,
) -> tuple[RankRequest, EmbedderMismatch | None]:
    """Return a search in the index's terms; without a vector that fits, by keywords alone.

    The error says why there is no vector that fits although the search has one. `speakers_among` returns which of
    some words are the name of a speaker.

    Raises:
        EmbedderMismatch: The request names the space, and that holds vectors of another kind than the query's.
        Unembedded: The vector of the query has to be made first.
    """
    query = None if request.query is None else analyse_query(request.query)
    mode = request.mode
    vector: Floats | None = None
    problem: EmbedderMismatch | None = None
    weight = 1.0
    if mode != "keyword" and space.dimension is not None:
        offered = _offered(request, vectors, space)
        if offered is not None:
            problem = mismatch(service, space, *offered)
        elif request.embedding is not None:
            vector = unit(np.array([request.embedding], np.float32))[0]
        elif (embedder := _compared_by(vectors, space)) is not None and request.query is not None:
            weight = embedder.evidence_weight
            terms = () if query is None else query.terms
            made = vectors.of(without_terms(request.query, speakers_among(terms)), embedder)
            if len(made) == space.dimension:
                vector = made
            else:  # an embedder whose length changed, or that has another one for queries
                problem = mismatch(service, space, space.embedder or "", len(made))
        if problem is not None and request.scope.space is not None:
            raise problem
    if query is None:
        mode = "vector"
    elif vector is None and mode == "hybrid":
        mode = "keyword"
    return RankRequest(
        query,
        vector,
        mode,
        request.alpha,
        limit,
        times=times,
        prefer_newer=request.prefer_newer,
        evidence_weight=weight,
        explain=request.explain,
    ), problem


def timed(request: SearchRequest, find: Callable[[SearchRequest], Ranked]) -> tuple[SearchRequest, Times]:
    """Return a search and the time that its query asks for.

    If the query names an event, as in "before the move", `find` returns the best memory for it. If that has no session and
    is likely to be the event, its time is the border. The rest of the query is then searched for, because the event's own
    words would find the event.
    """
    if request.query is None or request.mode == "vector":
        return request, NO_TIMES
    times = read_times(request.query, request.now)
    if times.event is None:
        return request, times
    found = find(replace(request, query=times.event, embedding=None, prefer_newer=False, explain=False))
    if not len(found.rows) or found.scores[0] < _SURE or found.outside is None or not found.outside[0]:
        return request, replace(times, event=None, side=None)
    return replace(request, query=times.rest or request.query), times.at(int(found.created[0]))


def _offered(request: SearchRequest, vectors: QueryVectors, space: Space) -> tuple[str, int | None] | None:
    """Return whose vectors, of which length, a search brings to a space that they do not fit; None if they do."""
    if request.embedding is not None:
        length = len(request.embedding)
        return (CALLER, length) if length != space.dimension else None
    embedder = _compared_by(vectors, space)
    if embedder is None:
        # Words find something in a hybrid search; a search by vectors alone would find nothing.
        return ("a query without a vector", None) if request.mode == "vector" else None
    if not embedder.ready and request.query is not None:
        vectors.of(request.query, embedder)  # which loads the embedder, outside of this transaction
    return (embedder.fingerprint, None) if space.embedder != embedder.fingerprint else None


def _compared_by(vectors: QueryVectors, space: Space) -> Vectorizer | None:
    """Return the embedder that compares the text of a query with a space; None if it can have no vector."""
    return None if space.embedder == CALLER else vectors.embedder_of(space.embedder)


def by_words_alone(request: SearchRequest, space: Space, ranked: Ranked) -> bool:
    """Return whether a hybrid search could not compare its text with the vectors of a space.

    A space that the request does not name, and that nothing was found in, is no concern of it.
    """
    fell_back = request.mode == "hybrid" and ranked.mode == "keyword" and space.dimension is not None
    return fell_back and (len(ranked.rows) > 0 or request.scope.space is not None)


def in_order(
    index: Partition, selection: Selection, order: str, after: tuple[Any, int] | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return a selection's keys and rows in an order, ties by row, from behind a key and row on."""
    slots, values = index.ordered(selection, order)
    keys, rows = values[slots], index.slots.row.view[slots]
    if after is None:
        return keys, rows
    start = _behind(keys, rows, after, order.startswith("-"))
    return keys[start:], rows[start:]


def rows_of(index: Partition, selection: Selection) -> npt.NDArray[np.int64]:
    """Return the rows of a selection."""
    rows: npt.NDArray[np.int64] = index.slots.row.view
    return rows if selection.slots is None else rows[selection.slots]


def _behind(
    keys: npt.NDArray[Any], rows: npt.NDArray[np.int64], after: tuple[float, int], descending: bool
) -> int:
    """Return the position of the first entry behind `after` in sorted keys with ties by row."""
    key, row = after
    if descending:
        # Searching wants ascending order; count from the other end.
        first = len(keys) - int(np.searchsorted(keys[::-1], key, "right"))
        last = len(keys) - int(np.searchsorted(keys[::-1], key, "left"))
        return first + int(np.sum(rows[first:last] >= row))
    first, last = int(np.searchsorted(keys, key, "left")), int(np.searchsorted(keys, key, "right"))
    return first + int(np.sum(rows[first:last] <= row))
