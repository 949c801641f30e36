"""Searching: the budget, the checks on every hit, and the answers that a service leaves incomplete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from onebrain._core.endpoint import endpoint
from onebrain._core.paging import Page
from onebrain._core.steps import Async, Mode, Steps
from onebrain.errors import OneBrainValidationError
from onebrain.memory.acceptance import vector
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_function, check_range, check_whole
from onebrain.memory.confidence import abstaining, from_scores
from onebrain.memory.context import CountTokens, build
from onebrain.memory.driver import (
    Found,
    SearchRequest,
    unsupported,
)
from onebrain.memory.filters import TRUE, Cmp, Filter, every, memory_matches, parse
from onebrain.memory.models import (
    EVERYTHING,
    Context,
    Hit,
    Memory,
    Scope,
    SearchMode,
    SearchResult,
)
from onebrain.memory.reranking.asking import CANDIDATES, Asked, RerankerLike, reranker_of
from onebrain.memory.reranking.names import from_name
from onebrain.memory.verbs.base import (
    NEWEST,
    Embedding,
    FilterLike,
    Identity,
    Moment,
    Verbs,
    check_scope,
    first_of,
    identity,
    moment,
)
from onebrain.memory.words import share_of, text_of

DEFAULT_BUDGET = 2000
_WORD: Final = re.compile(r"\w+")


class _Hits:
    """The hits of one search that pass the checks which the service does not make."""

    def __init__(self, request: SearchRequest, condition: Filter) -> None:
        self.hits: list[Hit] = []
        # The lowest score of all that were selected, those below `min_score` included.
        self.least = 1.0
        self._request = request
        self._condition = None if condition == TRUE else condition
        self._seen: set[Identity] = set()

    def add(self, hits: Iterable[Hit]) -> None:
        """Take the hits that pass and that are new."""
        request, condition, seen = self._request, self._condition, self._seen
        for hit in hits:
            memory = hit.memory
            name = identity(memory)
            if name in seen or not request.scope.covers(memory.scope):
                continue
            if memory.archived and not request.include_archived:
                continue
            if condition is not None and not memory_matches(condition, memory):
                continue
            if hit.score < self.least:
                self.least = hit.score
            if hit.score >= request.min_score:
                seen.add(name)
                self.hits.append(hit)


class _Window:
    """The number of hits that each request of one search asks for, within the budget.

    The budget is for filters that are evaluated here; without one, `limit` hits are asked for.
    """

    def __init__(self, can: Capabilities, limit: int, budget: int, *, filtered: bool) -> None:
        self.limit = limit
        self.filtering = budget if filtered else None
        self._can = can
        self._budget = budget if filtered else max(limit, budget)
        # The number of hits that the first request asks for.
        self.first = self._capped(min(max(4 * limit, 50), budget) if filtered else limit)
        self._looked = 0

    def after(self, request: SearchRequest, found: Found, kept: int) -> SearchRequest | None:
        """Return the next request, or None if enough hits are kept or the budget is used up."""
        # The rows that the driver left out count as well.
        returned = len(found.hits) if found.looked is None else found.looked
        if found.cursor is not None:
            self._looked += max(request.limit, returned)
        else:
            self._looked = request.offset + returned
        if kept >= self.limit or self._looked >= self._budget:
            return None
        if found.cursor is not None:
            return replace(request, cursor=found.cursor)
        if not returned:
            return None
        if self._can.search_offset:
            fetch = min(max(request.limit, 2 * self.limit, 100), self._budget - self._looked)
            return replace(request, limit=self._capped(fetch), offset=self._looked)
        if request.limit >= self._capped(self._budget):
            return None
        return replace(request, limit=self._capped(min(4 * request.limit, self._budget)))

    def _capped(self, fetch: int) -> int:
        return min(fetch, self._can.search_limit or fetch)


class Searching(Verbs[Mode]):
    """Searching, and texts for prompts."""

    @endpoint
    def search(
        self,
        query: str | None = None,
        *,
        scope: Scope = EVERYTHING,
        limit: int = 10,
        filter: FilterLike | None = None,
        mode: SearchMode | None = None,
        alpha: float | None = None,
        min_score: float = 0.0,
        embedding: Embedding | None = None,
        include_archived: bool = False,
        include_superseded: bool = False,
        at: Moment | None = None,
        as_of: Moment | None = None,
        with_embeddings: bool = False,
        budget: int = DEFAULT_BUDGET,
        now: datetime | str | None = None,
        prefer_newer: bool = True,
        explain: bool = False,
        confidence: bool = False,
        min_confidence: float = 0.0,
        rerank: RerankerLike | bool | None = None,
    ) -> Steps[SearchResult]:
        """Find the memories that answer a query, best first.

        Without a query and an embedding the newest memories come back, all with score 0.

        Args:
            query: The question or keywords, in plain words.
            scope: Where to look.
            limit: How many hits at most; 0 finds nothing.
            filter: Which memories count: ``F("year").ge(2025)`` or ``{"year": {"$gte": 2025}}``.
            mode: ``hybrid`` (keywords and meaning, the default where the service has it), ``keyword`` or ``vector``.
            alpha: 0..1, the weight of meaning against keywords in hybrid mode, where the service lets one choose.
            min_score: Only hits with at least this score, 0..1.
            embedding: Your own vector to search by, instead of or together with the query.
            include_archived: Look at archived memories, too.
            include_superseded: Look at memories that others supersede, or that no longer hold, too.
            at: The moment at which the memories hold, a datetime or ISO 8601 text; the default is now.
            as_of: Leave out memories and links that were stored after this moment, where the service knows when. What was
                changed, taken back or deleted since is as it is now; a memory that was changed has a later `updated_at`.
            with_embeddings: Return each memory's vector.
            budget: How many memories to look at, at most, where a filter has to be evaluated here; when it is used
                up the result says ``exhausted=False``.
            now: What a time in the query, such as "last week", is counted from, a datetime or ISO 8601 text; the default is
                the clock, in UTC. Days are those of its time zone. Memories from then rank higher, where the service
                understands times.
            prefer_newer: Let a newer memory come before the older one that it replaces, as far as their words and vectors
                tell, where the service does so.
            explain: Return the parts of each score, where the service tells them: `Hit.explanation`.
            confidence: Return how likely the answer is among the hits: `SearchResult.confidence`. The embedded engine embeds
                the texts of the first hits for it; on a service it is made of their scores and words.
            min_confidence: Return no hit if that is less, 0..1. A search whose confidence is not known keeps its hits.
            rerank: Orders the hits anew: a name such as ``"fastembed:Xenova/ms-marco-MiniLM-L-6-v2"`` (see
                `onebrain.memory.reranking.from_name`), an object with ``rerank(query, texts)``, or such a function. It sees the
                first 50 hits, 2,000 characters of each, once. If it fails, or takes more than 60 seconds (10 if it is async),
                the hits keep their order, and `SearchResult.reranked` is False. True lets the service itself do it, where it
                can. `min_score` is a limit of the scores before.

        Raises:
            ConfigurationError: The reranker is none, or lacks a library or a model.
            OneBrainValidationError: An argument or the filter is wrong.
            Unsupported: The service has no such mode, takes no vectors, or has no reranker.
        """
        check_scope(scope)
        check_whole("limit", limit, 0)
        check_whole("budget", budget, 1)
        check_range("min_score", min_score, 0, 1)
        check_range("min_confidence", min_confidence, 0, 1)
        if alpha is not None:
            check_range("alpha", alpha, 0, 1)
        can = self.capabilities
        condition = parse(filter)
        chosen = self._mode_for(mode, embedding)
        query = query_text(query)
        listed = query is None and embedding is None
        if listed and not can.list:
            raise unsupported(can, "listing memories without a query", "search for something")
        then, known = self._moment(at), self._knowledge(as_of)
        own_vector = None if embedding is None else _vector(embedding)
        reranker = self._reranker(rerank)
        if limit == 0:
            return SearchResult(exhausted=False, mode=chosen)
        pushed, residual = self._split(condition)
        filtered = residual != TRUE
        wanted = limit if reranker is None or query is None else max(limit, CANDIDATES)
        window = _Window(can, wanted, budget, filtered=filtered)
        request = SearchRequest(
            query=query,
            embedding=own_vector,
            scope=scope,
            filter=pushed,
            limit=window.first,
            mode=chosen,
            alpha=alpha,
            min_score=min_score,
            include_archived=include_archived,
            include_superseded=include_superseded,
            at=then,
            as_of=known,
            with_embeddings=with_embeddings,
            now=None if now is None else moment("now", now),
            prefer_newer=prefer_newer,
            explain=explain,
            rerank=rerank is True,
        )
        if listed and not can.newest:
            return (yield from self._newest(request, condition, limit, budget if filtered else None))
        found = yield from self._ranked(request, condition, residual, window)
        if reranker is not None and query is not None:
            found = yield from _reranked(reranker, query, found, limit)
        if confidence or min_confidence:
            found = yield from self._judged(request, found, min_confidence)
        return found

    def _reranker(self, rerank: RerankerLike | bool | None) -> Asked | None:
        """Return the reranker to ask here; None if there is none, or the service itself does it."""
        if rerank is None or rerank is False:
            return None
        if rerank is True:
            if not self.capabilities.rerank:
                raise unsupported(
                    self.capabilities, "reranking by itself", "pass a reranker or its name as rerank="
                )
            return None
        asynchronous = isinstance(self._mode, Async)
        if not isinstance(rerank, str):
            return reranker_of(rerank, asynchronous=asynchronous)
        named = self._models.get(rerank) or self._models.setdefault(rerank, from_name(rerank))
        return reranker_of(named, asynchronous=asynchronous)

    def _judged(self, request: SearchRequest, found: SearchResult, least: float) -> Steps[SearchResult]:
        """Return a result with its confidence, and without its hits if that is less than `least`."""
        if request.query is None:
            return found
        if self._judges is not None:
            sure = yield from self._judges.confidence(request.query, found.memories[:5], request.now)
        else:
            sure = from_scores(request.query, found.hits)
        hits = () if sure is not None and sure < least else found.hits
        return found.model_copy(update={"confidence": sure, "hits": hits})

    def _ranked(
        self, request: SearchRequest, condition: Filter, residual: Filter, window: _Window
    ) -> Steps[SearchResult]:
        """Ask the service for hits until there are enough that pass the checks, or the budget is used up."""
        limit = window.limit
        kept = _Hits(request, condition if self.capabilities.rechecked else residual)
        exhausted = False
        while True:
            found: Found = yield from self._driver.search(request)
            kept.add(found.hits)
            last = found.hits[-1].score if found.hits else request.min_score
            if found.partial and len(kept.hits) < limit:
                exhausted = yield from self._complete(request, condition, kept, window)
                break
            if not found.more or last < request.min_score:
                exhausted = len(kept.hits) <= limit
                break
            following = window.after(request, found, len(kept.hits))
            if following is None:
                break
            request = following
        return SearchResult.trusted(
            {
                "hits": tuple(kept.hits[:limit]),
                "exhausted": exhausted,
                "mode": found.mode,
                "without_vectors": tuple(found.without_vectors),
                "confidence": None,
                "reranked": found.reranked,
            }
        )

    def _complete(
        self, request: SearchRequest, condition: Filter, kept: _Hits, window: _Window
    ) -> Steps[bool]:
        """Add memories that share words with the query, ranked below the hits; return whether no more exist.

        A service that searched only a part of its memories proves nothing by a short answer.
        """
        words = [word.casefold() for word in _WORD.findall(request.query or "")]
        least = kept.least
        rows, complete = yield from self._scan(request, condition, window.filtering)
        more = [
            Hit(memory=memory, score=least * share)
            for memory in rows
            if (share := share_of(words, text_of(memory))) > 0
        ]
        more.sort(key=lambda hit: -hit.score)
        kept.add(more)
        return complete and len(kept.hits) <= window.limit

    def _newest(
        self, request: SearchRequest, condition: Filter, limit: int, budget: int | None
    ) -> Steps[SearchResult]:
        """Return the newest memories, from a list of the service."""
        rows, complete = yield from self._scan(request, condition, budget, enough=limit)
        kept = _Hits(request, TRUE)
        kept.add(Hit(memory=memory, score=0.0) for memory in rows)
        return SearchResult.trusted(
            {
                "hits": tuple(kept.hits[:limit]),
                "exhausted": complete and len(kept.hits) <= limit,
                "mode": request.mode,
                "without_vectors": (),
                "confidence": None,
                "reranked": None,
            }
        )

    def _scan(
        self, request: SearchRequest, condition: Filter, budget: int | None, *, enough: int | None = None
    ) -> Steps[tuple[Sequence[Memory], bool]]:
        """List the memories that a search selects, the newest first, and say whether these are all.

        Ends early after `enough` memories if the service lists by age, and after `budget` memories or the service's
        ``scan_limit``.
        """
        can = self.capabilities
        asked, keep = self._listing(
            request.scope,
            condition,
            request.include_archived,
            request.with_embeddings,
            include_superseded=request.include_superseded,
            at=request.at,
            as_of=request.as_of,
        )
        newest = first_of(can.orders, *NEWEST)
        asked = replace(asked, order=newest or asked.order, limit=min(asked.limit, budget or asked.limit))
        most = min((limit for limit in (budget, can.scan_limit) if limit is not None), default=None)
        rows: list[Memory] = []
        looked = 0
        while True:
            page: Page[Memory] = yield from self._driver.list(asked)
            rows += [memory for memory in page.data if keep(memory)]
            looked += len(page.data)
            complete = not page.meta.has_more or page.meta.cursor in (None, asked.cursor)
            stop = newest is not None and enough is not None and len(rows) > enough
            if complete or stop or (most is not None and looked >= most):
                break
            asked = replace(asked, cursor=page.meta.cursor)
        if newest is None:
            rows.reverse()
            # Of equal times, the one that was stored last comes first.
            rows.sort(key=_age, reverse=True)
        return rows, complete

    def _mode_for(self, mode: SearchMode | None, embedding: Embedding | None) -> SearchMode:
        can = self.capabilities
        if embedding is not None and not can.embeddings:
            raise unsupported(can, "searching by the caller's own vectors")
        if mode is None:
            best: tuple[SearchMode, ...] = ("hybrid", "vector", "keyword")
            return next(candidate for candidate in best if candidate in can.modes)
        if not isinstance(mode, str):
            raise OneBrainValidationError(f"mode: must be a string, not {type(mode).__name__}")
        if mode not in can.modes:
            raise unsupported(can, f"search mode {mode!r:.40}", f"it has {', '.join(sorted(can.modes))}")
        return mode

    @endpoint
    def context(
        self,
        query: str | None = None,
        *,
        scope: Scope = EVERYTHING,
        max_tokens: int = 1500,
        limit: int = 50,
        filter: FilterLike | None = None,
        mode: SearchMode | None = None,
        min_score: float = 0.0,
        at: Moment | None = None,
        as_of: Moment | None = None,
        count_tokens: CountTokens | None = None,
        now: datetime | str | None = None,
        prefer_newer: bool = True,
        min_confidence: float | None = None,
        rerank: RerankerLike | bool | None = None,
    ) -> Steps[Context]:
        """Return the memories that matter for a query as text for a prompt, within a token budget.

        Pinned memories come first, then the best hits; the text lists them oldest first, dated, fenced as data.
        Without a query the newest memories are used.

        Args:
            query: The subject of the prompt.
            scope: Where to look.
            max_tokens: The most tokens that the text may cost.
            limit: The most memories to consider.
            filter: Which memories count.
            mode: The search mode.
            min_score: Only hits with at least this score, 0..1.
            at: The moment at which the memories hold, a datetime or ISO 8601 text; the default is now.
            as_of: Leave out memories and links that were stored after this moment, where the service knows when. What was
                changed, taken back or deleted since is as it is now; a memory that was changed has a later `updated_at`.
            count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.
            now: What a time in the query is counted from; see `search`.
            prefer_newer: Let a newer memory come before the older one that it replaces; see `search`.
            min_confidence: The least confidence that the answer is among the hits; below it the text holds pinned memories
                alone. The default is .25 on the embedded engine, which leaves out hits that have nothing to do with the
                query, and 0 on services. 0 turns it off.
            rerank: Orders the hits anew, so that the best of them fit into the budget; see `search`.
        """
        check_scope(scope)
        check_whole("max_tokens", max_tokens, 0)
        check_function("count_tokens", count_tokens)
        check_whole("limit", limit, 0)
        can = self.capabilities
        least = abstaining(can, min_confidence)
        condition = parse(filter)
        pinned = (
            (
                yield from self._pinned(
                    scope, condition, min(limit, 20), self._moment(at), self._knowledge(as_of)
                )
            )
            if can.archive and can.list
            else []
        )
        found = yield from Searching.search.plan(
            self,
            query,
            scope=scope,
            limit=limit,
            filter=condition,
            mode=mode,
            min_score=min_score,
            now=now,
            prefer_newer=prefer_newer,
            at=at,
            min_confidence=least,
            as_of=as_of,
            rerank=rerank,
        )
        chosen = {identity(memory): memory for memory in (*pinned, *found.memories)}
        return build(list(chosen.values()), max_tokens=max_tokens, count_tokens=count_tokens)

    def _pinned(
        self, scope: Scope, condition: Filter, limit: int, at: datetime | None, as_of: datetime | None
    ) -> Steps[list[Memory]]:
        """Return up to `limit` pinned memories, the newest first where the service lists by age."""
        request, keep = self._listing(
            scope, every(Cmp("$pinned", "eq", True), condition), False, False, at=at, as_of=as_of
        )
        newest = first_of(self.capabilities.orders, *NEWEST) or request.order
        request = replace(request, order=newest)
        pinned: dict[Identity, Memory] = {}
        looked = 0
        while len(pinned) < limit and looked < DEFAULT_BUDGET:
            page: Page[Memory] = yield from self._driver.list(request)
            pinned.update((identity(memory), memory) for memory in page.data if keep(memory))
            looked += len(page.data)
            if not page.meta.has_more or page.meta.cursor in (None, request.cursor):
                break
            request = replace(request, cursor=page.meta.cursor)
        return list(islice(pinned.values(), limit))


def _reranked(reranker: Asked, query: str, found: SearchResult, limit: int) -> Steps[SearchResult]:
    """Return the best `limit` hits in the order of a reranker."""
    reranked = bool(found.hits)
    hits: Sequence[Hit] = found.hits
    if hits:
        hits, reranked = yield from reranker.order(query, hits)
    return found.model_copy(
        update={
            "hits": tuple(hits[:limit]),
            "exhausted": found.exhausted and len(hits) <= limit,
            "reranked": reranked,
        }
    )


def _vector(value: Any) -> tuple[float, ...]:
    try:
        return vector(value)
    except ValueError as error:
        raise OneBrainValidationError(f"embedding: {error}") from None


def query_text(query: str | None) -> str | None:
    """Return the query, or None if it is blank."""
    if query is None:
        return None
    if not isinstance(query, str):
        raise OneBrainValidationError(f"query: must be text, not {type(query).__name__}")
    try:
        query.encode()
    except UnicodeEncodeError:
        raise OneBrainValidationError("query: holds a lone surrogate, which UTF-8 cannot carry") from None
    return query if query.strip() else None


def _age(memory: Memory) -> float:
    return 0.0 if memory.created_at is None else memory.created_at.timestamp()
