"""A view of the memories of a space that hold at a moment, on top of a view of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import Cmp, Filter, either, every
from onebrain.memory.models import Scope
from onebrain_engine.embedding import QueryVectors
from onebrain_engine.index.ranker import Ranked
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import now_in_micros, to_micros
from onebrain_engine.timeline import Known, Timeline, known_at
from onebrain_engine.views import COUNTED, Listed, View, asks_nothing

_FURTHER: Final = 4  # times as many are asked for where too few of those found hold

# The rows that do not hold, each with the row that stands in its place.
Hidden = Mapping[int, "int | None"]


class Holding:
    """A space without the memories that no longer hold, do not hold yet, or are replaced.

    In a search a chain of memories that replace each other ranks as one: by the best score of any of them, and the one that
    holds is returned.

    Args:
        view: The space with all memories.
        timeline: When they hold.
        read: The transaction.
        tenant: Whose space it is.
    """

    def __init__(self, view: View, timeline: Timeline, read: Reading, tenant: str) -> None:
        self.space = view.space
        self._view = view
        self._timeline = timeline
        self._read = read
        self._tenant = tenant

    def search(self, request: SearchRequest, vectors: QueryVectors, limit: int) -> Ranked:
        """Return at least the `limit` best memories of a search, or all."""
        # Most spaces know of no times and no links, and a search of them pays for nothing else.
        if request.at is None and request.as_of is None and not self._timeline.lives:
            return self._view.search(request, vectors, limit)
        request, hidden = self._asked(request)
        if not hidden:
            return self._view.search(request, vectors, limit)
        asked = limit + min(limit, len(hidden))
        while True:
            ranked = self._view.search(request, vectors, asked)
            kept = self._folded(request, ranked, hidden)
            if len(kept.rows) >= limit or len(ranked.rows) < asked:
                return kept
            asked *= _FURTHER

    def matching(self, request: SearchRequest, vectors: QueryVectors) -> int:
        """Return the number of memories that a search finds."""
        if request.at is None and request.as_of is None and not self._timeline.lives:
            return self._view.matching(request, vectors)
        request, hidden = self._asked(request)
        if not hidden:
            return self._view.matching(request, vectors)
        if asks_nothing(request):
            return self._view.matching(request, vectors) - self._hidden_of(request, hidden)
        ranked = self._view.search(request, vectors, COUNTED)
        kept = self._folded(request, ranked, hidden)
        return int(np.count_nonzero(kept.scores >= request.min_score))

    def list(self, request: ListRequest, after: tuple[Any, int] | None, limit: int) -> Listed:
        """Return the first `limit` memories in an order, or behind a key and row."""
        if request.at is None and request.as_of is None and not self._timeline.lives:
            return self._view.list(request, after, limit)
        request, hidden = self._asked(request)
        listed = self._view.list(request, after, limit)
        if not hidden:
            return listed
        total = listed.total - self._hidden_of(request, hidden)
        keys: list[Any] = []
        rows: list[int] = []
        while True:
            for key, row in zip(listed.keys, listed.rows, strict=True):
                if row not in hidden:
                    keys.append(key)
                    rows.append(row)
            if len(rows) >= limit or len(listed.rows) < limit:
                return Listed(keys[:limit], rows[:limit], total)
            listed = self._view.list(request, (listed.keys[-1], listed.rows[-1]), limit)

    def count(self, scope: Scope, filter: Filter, include_archived: bool) -> int:
        """Return the number of matching memories that hold now."""
        total = self._view.count(scope, filter, include_archived)
        if not self._timeline.lives:
            return total
        hidden = self._timeline.present(now_in_micros()).hidden
        return (
            total - len(self._view.among(list(hidden), scope, filter, include_archived)) if hidden else total
        )

    def rows(self, scope: Scope, filter: Filter) -> Sequence[int]:
        """Return the rows of all memories that match, whether they hold or not."""
        return self._view.rows(scope, filter)

    def among(self, rows: Sequence[int], scope: Scope, filter: Filter, include_archived: bool) -> set[int]:
        """Return which rows match, whether they hold or not."""
        return self._view.among(rows, scope, filter, include_archived)

    def saying(self, scope: Scope, text: str) -> Sequence[int] | None:
        """Return the rows of memories of exactly a scope that say the same as a text, hold now and are not archived."""
        rows = self._view.saying(scope, text)
        if not rows or not self._timeline.lives:
            return rows
        hidden = self._timeline.present(now_in_micros()).hidden
        return [row for row in rows if row not in hidden]

    def _asked(self, request: Any) -> tuple[Any, Hidden]:
        """Return a request for memories of its moment, and those of them that do not hold then."""
        now = now_in_micros()
        if request.as_of is None:
            return self._held(request, now, None)
        known = known_at(self._read, self._tenant, self.space, to_micros(request.as_of))
        asked, hidden = self._held(request, now, known)
        return asked, {**hidden, **dict.fromkeys(known.later)}

    def _held(self, request: Any, now: int, known: Known | None) -> tuple[Any, Hidden]:
        if request.at is None:
            if request.include_superseded:
                return request, {}
            return request, self._timeline.present(now, known=known).hidden
        moment = to_micros(request.at)
        present = self._timeline.present(now, moment, links=not request.include_superseded, known=known)
        # Those that were made later, and yet hold, or lend their score to one that does.
        named = [
            life
            for life in self._timeline.lives.values()
            if life.created > moment and (life.begins <= moment or life.supersedes or life.successors)
        ]
        by_then: Filter = Cmp("$created_at", "le", request.at)
        if not named:
            return replace(request, filter=every(request.filter, by_then)), present.hidden
        later = every(
            Cmp("$created_at", "gt", request.at), Cmp("$id", "in", tuple(life.id for life in named))
        )
        strangers = set(self._view.rows(request.scope, every(request.filter, later))) - {
            life.row for life in named
        }
        asked = replace(request, filter=every(request.filter, either(by_then, later)))
        return asked, {**present.hidden, **dict.fromkeys(strangers)}

    def _hidden_of(self, request: SearchRequest | ListRequest, hidden: Hidden) -> int:
        return len(self._view.among(list(hidden), request.scope, request.filter, request.include_archived))

    def _folded(self, request: SearchRequest, ranked: Ranked, hidden: Hidden) -> Ranked:
        """Return a ranking without the memories that do not hold; what stands in their place has the best score of all."""
        rows = ranked.rows.tolist()
        ahead: set[int] = set()
        if not asks_nothing(request):
            ahead = {shown for row in rows if (shown := hidden.get(row)) is not None}
        standing = self._view.among(list(ahead), request.scope, request.filter, request.include_archived)
        chosen: dict[int, int] = {}
        for position, row in enumerate(rows):
            shown = hidden.get(row, row)
            if shown is not None and (shown == row or shown in standing):
                chosen.setdefault(shown, position)
        positions = np.array(list(chosen.values()), np.int64)
        return replace(
            ranked,
            rows=np.array(list(chosen), np.int64),
            scores=ranked.scores[positions],
            ties=ranked.ties[positions],
            parts=ranked.parts[positions],
        )
