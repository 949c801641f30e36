"""`Brain` and `AsyncBrain`: one memory, whatever service keeps it.

What a service cannot do itself is done here, once: filters are split and the rest evaluated on the way back, lists are
sorted, batches cut, scopes checked on every memory that comes back. What cannot be done at all is refused with
`Unsupported`. Nothing is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal, Self, TypeAlias, TypeVar, cast, get_args

from onebrain._core.codec import UNSET, Unset, from_json, to_json
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Async, Coloured, Mode, Sleep, Steps, Sync, call
from onebrain.errors import (
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainValidationError,
    redact,
)
from onebrain.memory import deletion
from onebrain.memory.acceptance import expiry, vector
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_function, check_id, check_ids, check_range, check_whole
from onebrain.memory.context import CountTokens, build
from onebrain.memory.driver import (
    Changes,
    Counts,
    Driver,
    Forgets,
    Found,
    ListRequest,
    Names,
    SearchRequest,
    Settles,
    several_with_id,
    unsupported,
)
from onebrain.memory.entities import Entity, Relation, gather, pick, ranked
from onebrain.memory.filters import TRUE, Cmp, Filter, every, memory_matches, parse, split
from onebrain.memory.ids import Id, is_id
from onebrain.memory.models import (
    EVERYTHING,
    Context,
    ForgetResult,
    Hit,
    Memory,
    NewMemory,
    Order,
    Scope,
    SearchMode,
    SearchResult,
    StoreResult,
    StoreResults,
)
from onebrain.memory.sqlite_urls import is_in_memory
from onebrain.memory.transfer import Copied, Copies, Embedders
from onebrain.memory.urls import make_driver

T = TypeVar("T")
Embedding: TypeAlias = Sequence[float]
FilterLike: TypeAlias = Filter | Mapping[str, Any]
Storable: TypeAlias = NewMemory | Mapping[str, Any] | str
Identity: TypeAlias = tuple[str | None, str | None, str]

# How many memories a filtered search may look at before it stops short and says so.
DEFAULT_BUDGET = 2000
_LIST_PAGE = 200
# How many of the memories that answer a query are looked at for entities.
_NAMING = 50
_STORE_BATCH = 1000
ORDERS: tuple[Order, ...] = get_args(Order)
OLDEST: tuple[Order, ...] = ("sequence", "created_at")
NEWEST: tuple[Order, ...] = ("-created_at", "-sequence")


class _Brain(Coloured[Mode]):
    """The verbs of a brain, without colour."""

    def __init__(self, mode: Mode, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None) -> None:
        super().__init__(mode)
        self._driver = driver
        self._origin = origin

    def __repr__(self) -> str:
        where = redact(self._origin[0]) if self._origin else self.capabilities.service
        return f"{type(self).__name__}({where!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What the service behind this brain can do."""
        return self._driver.capabilities

    @property
    def driver(self) -> Driver:
        """The driver of the service behind this brain."""
        return self._driver

    def __reduce__(self) -> Any:
        # A key never travels in a pickle: the copy takes it from the environment, as `connect` does.
        if self._origin is None or is_in_memory(self._origin[0]):
            raise TypeError(
                f"{self!r} cannot be pickled: only what `connect` made of a URL can be opened again"
            )
        check_picklable(self._origin[0])
        url, options = self._origin
        if options.get("encryption_key") is not None or redact(url) != url:
            secret = "encryption_key" if options.get("encryption_key") is not None else "password"
            raise TypeError(
                f"{self!r} cannot be pickled: its {secret} would be in the pickle; connect again where it is needed"
            )
        return _reopen, (type(self), url, options)

    # A brain is a connection: copies share it.
    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    # ---- store ------------------------------------------------------------------------------------------------------

    @endpoint
    def store(
        self,
        content: Storable,
        *,
        scope: Scope = EVERYTHING,
        id: Id | None = None,
        title: str | None = None,
        type: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        pinned: bool = False,
        archived: bool = False,
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
        ttl: float | timedelta | None = None,
        embedding: Embedding | Literal[False] | None = None,
        extra: Mapping[str, Any] | None = None,
        wait: bool = False,
    ) -> Steps[StoreResult]:
        """Store one memory and return its id and what became of it.

        What is stored comes back byte for byte. A `NewMemory` or a dict may be given instead of text and arguments.

        Args:
            content: The text, or the whole memory.
            scope: Where it belongs.
            id: An id of your own, a string, a whole number or a UUID; storing it again replaces the memory.
            title: A short heading.
            type: A kind such as ``"fact"``.
            tags: Labels.
            metadata: A JSON object of your own, to filter on.
            importance: 0..1.
            source: Where it came from.
            pinned: Rank it first in contexts.
            archived: Keep it out of searches.
            created_at: When it happened; the default is now.
            expires_at: When it vanishes.
            ttl: How long it lives, in seconds or as a timedelta, instead of `expires_at`.
            embedding: Your own vector for it.
            extra: Fields of the service behind the brain, by its own names.
            wait: Wait until it can be read, where the service takes its time. If that takes more than a minute the
                result's status is ``pending``.

        Raises:
            OneBrainValidationError: The memory is not valid; nothing was stored.
            Unsupported: The service cannot keep what was given, such as an id of your own.
        """
        given: dict[str, Any] = {
            "id": id,
            "title": title,
            "type": type,
            "tags": tags or None,
            "metadata": metadata,
            "importance": importance,
            "source": source,
            "pinned": pinned or None,
            "archived": archived or None,
            "created_at": created_at,
            "expires_at": expires_at,
            "ttl": ttl,
            "embedding": embedding,
            "extra": extra,
        }
        _check_scope(scope)
        item = _new_memory(
            content, scope, {name: value for name, value in given.items() if value is not None}
        )
        self._check_storable(item)
        (result,) = yield from self._driver.store([item])
        if result.error is not None:
            raise result.error
        if wait:
            (result,) = yield from self._settle([result])
        return result

    @endpoint
    def store_many(
        self,
        items: Iterable[Storable],
        *,
        scope: Scope = EVERYTHING,
        on_progress: Callable[[int], object] | None = None,
        wait: bool = False,
        atomic: bool = False,
    ) -> Steps[StoreResults]:
        """Store many memories in batches and return one result for each, in order.

        A bad item fails alone: its result says why, and the others are stored. A failure of the service raises if
        nothing is stored yet. After that, the results of the failed batch and of all later ones carry the error, and
        nothing more is sent. Call ``raise_for_failures()`` on the results where a failure should raise. `items` may
        be a generator; it is read as it is stored, or at once if `atomic`.

        Args:
            items: `NewMemory` objects, dicts of the same shape, or texts.
            scope: Where they belong; a part that an item names itself wins.
            on_progress: Called after each batch with the number of items done so far.
            wait: Wait until they can be read, where the service takes its time. What takes more than a minute has
                the status ``pending``.
            atomic: Check every item before the first one is stored, and raise an error instead of returning it. One
                batch is stored whole or not at all where the capability ``atomic_batch`` says so; an earlier batch
                stays.
        """
        _check_scope(scope)
        check_function("on_progress", on_progress)
        if isinstance(items, str | bytes | Mapping | NewMemory):
            raise OneBrainValidationError("items: must be a list of memories, not one; use store for one")
        _check_iterable("items", items)
        if atomic:
            items = [self._storable(raw, scope) for raw in items]
        results: list[StoreResult] = []
        stopped: OneBrainError | None = None
        pending = iter(items)
        while batch := list(islice(pending, max(1, min(self.capabilities.batch_size, _STORE_BATCH)))):
            if stopped is None:
                try:
                    stored = yield from self._store_batch(batch, scope)
                except OneBrainError as error:
                    if atomic or not any(result.ok for result in results):
                        raise
                    # Earlier batches are stored, and the caller has to learn which.
                    stopped = error
                else:
                    results.extend(stored)
                    if atomic:
                        StoreResults.trusted({"results": tuple(stored)}).raise_for_failures()
            if stopped is not None:
                results.extend([StoreResult(id=None, status="failed", error=stopped)] * len(batch))
            if on_progress is not None:
                on_progress(len(results))
        if wait:
            results = yield from self._settle(results)
        return StoreResults.trusted({"results": tuple(results)})

    def _store_batch(self, batch: Sequence[Storable], scope: Scope) -> Steps[list[StoreResult]]:
        results: list[StoreResult | None] = [None] * len(batch)
        good: list[NewMemory] = []
        places: list[int] = []
        for place, raw in enumerate(batch):
            try:
                item = self._storable(raw, scope)
            except OneBrainError as error:
                results[place] = StoreResult(id=None, status="failed", error=error)
            else:
                good.append(item)
                places.append(place)
        if good:
            stored = yield from self._driver.store(good)
            for place, result in zip(places, stored, strict=True):
                results[place] = result
        return cast("list[StoreResult]", results)

    def _storable(self, raw: Storable, scope: Scope) -> NewMemory:
        """Return `raw` as a memory that the service can keep, or raise."""
        item = _new_memory(raw, scope, {})
        self._check_storable(item)
        return item

    @endpoint
    def embedders(self) -> Steps[Embedders | None]:
        """Return whose vectors this brain holds; None where the service behind it does not say."""
        return (yield from self._driver.embedders()) if isinstance(self._driver, Copies) else None

    @endpoint
    def restore(self, copies: Iterable[Copied]) -> Steps[StoreResults]:
        """Store memories of another brain as they were there, all of their fields and vectors; `transfer.read` reads them.

        What cannot be kept here is told before anything is stored. A memory that is here already is replaced; one that
        fails later, such as for another embedder's vectors in its space, fails alone.

        Raises:
            OneBrainValidationError: Memories have what this brain cannot keep; the message names their lines.
        """
        _check_iterable("copies", copies)
        rows = list(copies)
        if not all(isinstance(row, Copied) for row in rows):
            raise OneBrainValidationError("copies: must be a list of what `transfer.read` returns")
        driver = self._driver if isinstance(self._driver, Copies) else None
        problems: list[str] = []
        for row in rows:
            try:
                self._check_storable(row.item)
            except OneBrainError as error:
                problems.append(f"line {row.line}: {error.message}")
        if problems:
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise OneBrainValidationError(
                f"{'; '.join(problems[:5])}{more}. Nothing was stored", service=self.capabilities.service
            )
        results: list[StoreResult] = []
        size = max(1, min(self.capabilities.batch_size, _STORE_BATCH))
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            if driver is not None:
                results.extend((yield from driver.restore(some)))
            else:
                results.extend((yield from self._store_batch([row.item for row in some], EVERYTHING)))
        return StoreResults.trusted({"results": tuple(results)})

    def _check_storable(self, item: NewMemory) -> None:
        """Refuse what the service would lose."""
        can = self.capabilities
        given = (
            (item.id is not None and not can.client_ids, "ids of the caller's own", "leave `id` out"),
            (
                item.embedding is not None and not can.embeddings,
                "vectors of the caller's own",
                "leave `embedding` out",
            ),
            (item.created_at is not None and not can.created_at, "a creation time of the caller's own", ""),
            ((item.expires_at or item.ttl) is not None and not can.expiry, "memories that expire", ""),
            ((item.pinned or item.archived) and not can.archive, "pinned or archived memories", ""),
            (bool(item.tags) and not can.tags, "tags", ""),
            (item.importance is not None and not can.importance, "importance", ""),
        )
        for lacking, what, hint in given:
            if lacking:
                raise unsupported(can, what, hint)
        if can.content_limit is not None and len(item.content) > can.content_limit:
            raise OneBrainValidationError(
                f"the content has {len(item.content)} characters; {can.service} takes at most {can.content_limit}",
                service=can.service,
            )

    def _settle(self, results: list[StoreResult]) -> Steps[list[StoreResult]]:
        """Wait, up to about a minute, until everything stored can be read; say of each whether it can."""
        if self.capabilities.consistency == "immediate":
            return results
        stored = list(dict.fromkeys(result.id for result in results if result.id is not None))
        missing = stored
        pause = 0.05
        while missing:
            if isinstance(self._driver, Settles):
                there = set((yield from self._driver.settled(missing)))
            else:
                there = {memory.id for memory in (yield from self._driver.get(missing, EVERYTHING))}
            missing = [id for id in missing if id not in there]
            if not missing or pause > 30:
                break
            yield Sleep(pause)
            pause *= 2
        late = set(missing)
        return [
            result.model_copy(update={"status": "pending"})
            if result.id in late
            else result.model_copy(update={"status": "created"})
            if result.status == "pending"
            else result
            for result in results
        ]

    # ---- search -----------------------------------------------------------------------------------------------------

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
        with_embeddings: bool = False,
        budget: int = DEFAULT_BUDGET,
    ) -> Steps[SearchResult]:
        """Find the memories that answer a query, best first.

        Without a query and an embedding the newest memories come back, all with score 0.

        Args:
            query: What to look for, in plain words.
            scope: Where to look.
            limit: How many hits at most; 0 finds nothing.
            filter: Which memories count: ``F("year").ge(2025)`` or ``{"year": {"$gte": 2025}}``.
            mode: ``hybrid`` (keywords and meaning, the default where the service has it), ``keyword`` or ``vector``.
            alpha: 0..1, the weight of meaning against keywords in hybrid mode, where the service lets one choose.
            min_score: Only hits with at least this score, 0..1.
            embedding: Your own vector to search by, instead of or together with the query.
            include_archived: Look at archived memories, too.
            with_embeddings: Return each memory's vector.
            budget: How many memories to look at, at most, where a filter has to be evaluated here; when it is used
                up the result says ``exhausted=False``.

        Raises:
            OneBrainValidationError: An argument or the filter is wrong.
            Unsupported: The service has no such mode, or takes no vectors.
        """
        _check_scope(scope)
        check_whole("limit", limit, 0)
        check_whole("budget", budget, 1)
        check_range("min_score", min_score, 0, 1)
        if alpha is not None:
            check_range("alpha", alpha, 0, 1)
        can = self.capabilities
        condition = parse(filter)
        chosen = self._mode_for(mode, embedding)
        query = _query(query)
        if query is None and embedding is None and not can.list:
            raise unsupported(can, "listing memories without a query", "search for something")
        pushed, residual = split(condition, can.can, can.logic)
        vector = None if embedding is None else _vector(embedding)
        if limit == 0:
            return SearchResult(exhausted=False, mode=chosen)
        hits: list[Hit] = []
        seen: set[Identity] = set()
        exhausted = False
        filtered = residual != TRUE
        if not filtered:
            fetch, budget = limit, max(limit, budget)  # the budget is for filtering here
        else:
            fetch = min(max(4 * limit, 50), budget)
        offset = looked = 0
        while True:
            fetch = min(fetch, can.search_limit or fetch)
            found: Found = yield from self._driver.search(
                SearchRequest(
                    query=query,
                    embedding=vector,
                    scope=scope,
                    filter=pushed,
                    limit=fetch,
                    offset=offset,
                    mode=chosen,
                    alpha=alpha,
                    min_score=min_score,
                    include_archived=include_archived,
                    with_embeddings=with_embeddings,
                )
            )
            for hit in found.hits:
                memory = hit.memory
                name = _identity(memory)
                if name in seen or hit.score < min_score or not scope.covers(memory.scope):
                    continue
                if memory.archived and not include_archived:
                    continue
                if filtered and not memory_matches(residual, memory):
                    continue
                seen.add(name)
                hits.append(hit)
            looked = offset + len(found.hits)
            if not found.more or (found.hits and min_score > 0 and found.hits[-1].score < min_score):
                exhausted = len(hits) <= limit
                break
            if len(hits) >= limit or looked >= budget or not found.hits:
                break
            if can.search_offset:
                offset = looked
                fetch = min(max(fetch, 2 * limit, 100), budget - looked)
            elif fetch < min(can.search_limit or budget, budget):
                fetch = min(4 * fetch, budget)
            else:
                break
        return SearchResult.trusted(
            {
                "hits": tuple(hits[:limit]),
                "exhausted": exhausted,
                "mode": found.mode,
                "without_vectors": tuple(found.without_vectors),
            }
        )

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
        count_tokens: CountTokens | None = None,
    ) -> Steps[Context]:
        """Return what is worth knowing for a query as text for a prompt, within a token budget.

        Pinned memories come first, then the best hits; the text lists them oldest first, dated, fenced as data.
        Without a query the newest memories are used.

        Args:
            query: What the prompt is about.
            scope: Where to look.
            max_tokens: The most tokens that the text may cost.
            limit: The most memories to consider.
            filter: Which memories count.
            mode: The search mode.
            min_score: Only hits with at least this score, 0..1.
            count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.
        """
        _check_scope(scope)
        check_whole("max_tokens", max_tokens, 0)
        check_function("count_tokens", count_tokens)
        check_whole("limit", limit, 0)
        can = self.capabilities
        condition = parse(filter)
        pinned = (
            (yield from self._pinned(scope, condition, min(limit, 20))) if can.archive and can.list else []
        )
        found = yield from _Brain.search.plan(
            self, query, scope=scope, limit=limit, filter=condition, mode=mode, min_score=min_score
        )
        chosen = {_identity(memory): memory for memory in (*pinned, *found.memories)}
        return build(list(chosen.values()), max_tokens=max_tokens, count_tokens=count_tokens)

    def _pinned(self, scope: Scope, condition: Filter, limit: int) -> Steps[list[Memory]]:
        """Return up to `limit` pinned memories, the newest first where the service lists by age."""
        request, keep = self._listing(scope, every(Cmp("$pinned", "eq", True), condition), False, False)
        newest = _first(self.capabilities.orders, *NEWEST) or request.order
        request = _replace(request, order=newest)
        pinned: dict[Identity, Memory] = {}
        looked = 0
        while len(pinned) < limit and looked < DEFAULT_BUDGET:
            page: Page[Memory] = yield from self._driver.list(request)
            pinned.update((_identity(memory), memory) for memory in page.data if keep(memory))
            looked += len(page.data)
            if not page.meta.has_more or page.meta.cursor in (None, request.cursor):
                break
            request = _replace(request, cursor=page.meta.cursor)
        return list(islice(pinned.values(), limit))

    # ---- read -------------------------------------------------------------------------------------------------------

    @endpoint
    def get(self, id: Id, *, scope: Scope = EVERYTHING, with_embeddings: bool = False) -> Steps[Memory]:
        """Return one memory.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
            OneBrainConflictError: It has several: an id is unique for one user in one space.
        """
        memories = yield from self._get([check_id("id", id)], scope, with_embeddings)
        if len(memories) > 1:
            raise several_with_id(self.capabilities.service)
        if not memories:
            raise OneBrainNotFoundError(
                "no memory with this id in this scope", service=self.capabilities.service
            )
        return memories[0]

    @endpoint
    def get_many(
        self, ids: Iterable[Id], *, scope: Scope = EVERYTHING, with_embeddings: bool = False
    ) -> Steps[list[Memory]]:
        """Return the memories with these ids, in the order of `ids`; an id that nothing in `scope` has is left out."""
        return (yield from self._get(_ids(ids), scope, with_embeddings))

    def _get(self, ids: Sequence[str], scope: Scope, with_embeddings: bool) -> Steps[list[Memory]]:
        _check_scope(scope)
        wanted = [id for id in dict.fromkeys(ids) if _valid_id(id)]
        if not wanted:
            return []
        found = yield from self._driver.get(wanted, scope, with_embeddings=with_embeddings)
        by_id: dict[str, list[Memory]] = {}
        for memory in found:
            if scope.covers(memory.scope):
                by_id.setdefault(memory.id, []).append(memory)
        return [memory for id in ids for memory in by_id.get(id, ())]

    @endpoint
    def page(
        self,
        *,
        scope: Scope = EVERYTHING,
        filter: FilterLike | None = None,
        order: Order = "-created_at",
        limit: int = 100,
        cursor: str | None = None,
        include_archived: bool = False,
        with_embeddings: bool = False,
    ) -> Steps[Page[Memory]]:
        """Return one page of memories; ``page.meta.cursor`` asks for the next one.

        A page may hold fewer than `limit` memories, even none, and still have a next one, where part of the filter
        is evaluated here. The arguments are those of `list`.
        """
        return (
            yield from self._page(
                scope=scope,
                filter=filter,
                order=order,
                limit=limit,
                cursor=cursor,
                include_archived=include_archived,
                with_embeddings=with_embeddings,
            )
        )

    def _page(
        self,
        *,
        scope: Scope,
        filter: FilterLike | None,
        order: Order,
        limit: int | None,
        cursor: str | None,
        include_archived: bool,
        with_embeddings: bool,
    ) -> Steps[Page[Memory]]:
        """Return a page of at most `limit` memories; None leaves its size to the cost of making it."""
        _check_scope(scope)
        if limit is not None:
            check_whole("limit", limit, 0)
        can = self.capabilities
        if not can.list:
            raise unsupported(can, "listing memories without a query", "use search")
        _check_order(order)
        request, keep = self._listing(scope, parse(filter), include_archived, with_embeddings)
        if limit == 0:
            return Page((), PageMeta(has_more=False))
        if order in can.orders:
            size = _LIST_PAGE if limit is None else min(limit, _LIST_PAGE)
            page: Page[Memory] = yield from self._driver.list(
                _replace(request, order=order, limit=size, cursor=cursor)
            )
            rows = tuple(filter_(keep, page.data))
            exact = len(rows) == len(page.data) and request.filter == parse(filter)
            total = (
                page.meta.total if exact else None
            )  # the service's count knows nothing of what is left out here
            return Page(rows, PageMeta(page.meta.has_more, page.meta.cursor, total))
        # The service has no such order: read everything and sort here.
        ordered = yield from self._walk(request, keep)
        if order.startswith("-"):
            ordered.reverse()  # sorting keeps the order of equals
        ordered.sort(key=lambda memory: _order_key(memory, order), reverse=order.startswith("-"))
        start = 0 if cursor is None else _place(cursor, ordered, order)
        end = len(ordered) if limit is None else start + limit
        more = end < len(ordered)
        after = _cursor(ordered[end - 1], order) if more else None
        return Page(tuple(ordered[start:end]), PageMeta(more, after, len(ordered)))

    def _listing(
        self, scope: Scope, condition: Filter, include_archived: bool, with_embeddings: bool
    ) -> tuple[ListRequest, Callable[[Memory], bool]]:
        """Return what to ask the service for, oldest first where it can, and what to keep of its answer."""
        can = self.capabilities
        pushed, residual = split(condition, can.can, can.logic)

        def keep(memory: Memory) -> bool:
            return (
                scope.covers(memory.scope)
                and (include_archived or not memory.archived)
                and memory_matches(residual, memory)
            )

        request = ListRequest(
            scope=scope,
            filter=pushed,
            order=_first(can.orders, *OLDEST, *NEWEST, *ORDERS) or "created_at",
            limit=_LIST_PAGE,
            include_archived=include_archived,
            with_embeddings=with_embeddings,
        )
        return request, keep

    def _walk(self, request: ListRequest, keep: Callable[[Memory], bool]) -> Steps[list[Memory]]:
        """Return all memories of all pages, oldest first where the service lists by age at all."""
        rows: dict[
            Identity, Memory
        ] = {}  # a service may repeat a row on the next page when others were added
        while True:
            page: Page[Memory] = yield from self._driver.list(request)
            rows.update((_identity(memory), memory) for memory in page.data if keep(memory))
            if not page.meta.has_more or page.meta.cursor in (None, request.cursor):
                break
            request = _replace(request, cursor=page.meta.cursor)
        walked = list(rows.values())
        if request.order in NEWEST:
            walked.reverse()
        return walked

    @endpoint
    def count(
        self, *, scope: Scope = EVERYTHING, filter: FilterLike | None = None, include_archived: bool = False
    ) -> Steps[int]:
        """Return how many memories there are in `scope` that match `filter`."""
        _check_scope(scope)
        can = self.capabilities
        condition = parse(filter)
        if isinstance(self._driver, Counts) and split(condition, can.can, can.logic)[1] == TRUE:
            return (yield from self._driver.count(scope, condition, include_archived=include_archived))
        if not can.list:
            raise unsupported(can, "counting memories")
        return len((yield from self._walk(*self._listing(scope, condition, include_archived, False))))

    # ---- change -----------------------------------------------------------------------------------------------------

    @endpoint
    def update(
        self,
        id: Id,
        *,
        scope: Scope = EVERYTHING,
        content: str | Unset = UNSET,
        title: str | Unset | None = UNSET,
        type: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        replace_metadata: bool = False,
        importance: float | Unset | None = UNSET,
        source: str | Unset | None = UNSET,
        pinned: bool | Unset = UNSET,
        archived: bool | Unset = UNSET,
        created_at: datetime | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        ttl: float | timedelta | Unset = UNSET,
        embedding: Embedding | Literal[False] | Unset = UNSET,
        extra: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[Memory]:
        """Change what is given of one memory, keep the rest, and return the memory.

        Metadata is merged key by key unless `replace_metadata` says otherwise; None empties a field. The memory keeps
        its place in its session and its ``created_at``; new content gets a new vector.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
            Unsupported: The service cannot update, or not this field.
        """
        _check_scope(scope)
        known = check_id("id", id)
        can = self.capabilities
        if not can.update:
            raise unsupported(can, "updating a memory", "delete it and store it again")
        given = {
            name: value
            for name, value in {
                "content": content,
                "title": title,
                "type": type,
                "tags": tags,
                "metadata": metadata,
                "importance": importance,
                "source": source,
                "pinned": pinned,
                "archived": archived,
                "created_at": created_at,
                "expires_at": expires_at,
                "ttl": ttl,
                "embedding": embedding,
                "extra": extra,
            }.items()
            if value is not UNSET
        }
        for name in ("content", "pinned", "archived", "created_at", "embedding"):
            if name in given and given[name] is None:
                raise OneBrainValidationError(f"{name}: cannot be emptied")
        # Validate as a new memory would be; what was not given takes a harmless default.
        probe = _new_memory(
            {"content": "-", **{k: v for k, v in given.items() if v is not None}}, EVERYTHING, {}
        )
        self._check_storable(probe)
        changes = {name: getattr(probe, name) if given[name] is not None else None for name in given}
        if "ttl" in changes:
            changes.pop("ttl")
            changes["expires_at"] = expiry(None, probe.ttl, datetime.now(UTC))
        if not _valid_id(known):
            raise OneBrainNotFoundError("no memory with this id in this scope", service=can.service)
        return (
            yield from self._driver.update(
                known, Changes(fields=changes, merge_metadata=not replace_metadata), scope
            )
        )

    @endpoint
    def delete(self, ids: Id | Iterable[Id], *, scope: Scope = EVERYTHING) -> Steps[int]:
        """Remove one or several memories by id, in `scope` only; return how many were there."""
        _check_scope(scope)
        if not self.capabilities.delete:
            raise unsupported(self.capabilities, "deleting memories")
        wanted = [id for id in dict.fromkeys(_ids(ids)) if _valid_id(id)]
        if not wanted:
            return 0
        return (yield from self._driver.delete(wanted, scope))

    @endpoint
    def forget(
        self,
        *,
        filter: FilterLike | None = None,
        scope: Scope = EVERYTHING,
        dry_run: bool = False,
        everything: bool = False,
    ) -> Steps[ForgetResult]:
        """Remove every memory in `scope` that matches `filter`, archived ones included; say how many and which.

        Args:
            filter: Which memories; None for all in the scope. One that is empty, or holds for every memory, is refused
                unless `everything` is given, too.
            scope: Where.
            dry_run: Remove nothing, only say what would go.
            everything: Needed where neither a filter nor a scope is given, so that nobody empties a brain by accident.
        """
        _check_scope(scope)
        condition = deletion.condition(
            filter, everything=everything, instead="pass everything=True for every memory in the scope"
        )
        if not scope and filter is None and not everything:
            raise OneBrainValidationError(
                "forget() without a filter and a scope would remove every memory; pass everything=True to mean that"
            )
        can = self.capabilities
        if not can.delete:
            raise unsupported(can, "deleting memories")
        if isinstance(self._driver, Forgets) and split(condition, can.can, can.logic)[1] == TRUE:
            return (yield from self._driver.forget(scope, condition, dry_run=dry_run))
        if not can.list:
            raise unsupported(can, "forgetting by scope or filter", "search, and delete by id")
        rows = yield from self._walk(*self._listing(scope, condition, True, False))
        ids = tuple(memory.id for memory in rows)
        count = len(ids)
        if ids and not dry_run:
            count = yield from self._delete_rows(rows, scope)
        return ForgetResult(count=count, dry_run=dry_run, ids=ids)

    def _delete_rows(self, rows: Sequence[Memory], scope: Scope) -> Steps[int]:
        """Remove exactly these memories, and not what another user or space calls by the same id."""
        ids = list(dict.fromkeys(memory.id for memory in rows))
        if self.capabilities.client_ids:
            named = yield from self._driver.get(ids, scope)
            doomed = set(map(_identity, rows))
            bystanders = [memory for memory in named if _identity(memory) not in doomed]
            shared = {memory.id for memory in bystanders}
        else:
            bystanders, shared = [], set[str]()
        apart: dict[Scope, list[str]] = {}
        for memory in rows:
            if memory.id in shared:
                own = Scope(memory.scope.space, memory.scope.user).within(scope)
                if any(memory.id == other.id and own.covers(other.scope) for other in bystanders):
                    raise several_with_id(self.capabilities.service)
                apart.setdefault(own, []).append(memory.id)
        together = [id for id in ids if id not in shared]
        count = (yield from self._driver.delete(together, scope)) if together else 0
        for own, some in apart.items():
            count += yield from self._driver.delete(some, own)
        return count

    # ---- entities ---------------------------------------------------------------------------------------------------

    @endpoint
    def extract_entities(
        self, ids: Id | Iterable[Id] | None = None, *, scope: Scope = EVERYTHING
    ) -> Steps[int]:
        """Find the people, organizations, places and things that memories name; return how many memories were read.

        Nothing is extracted before this is called, so that storing costs nothing more. What was read before and has
        not changed is not read again: call it after storing, or now and then. The embedded brain goes by rules, needs
        no model, and finds less than one would; a OneBrain server uses its model where it has one, at the cost of a
        request for each memory.

        Args:
            ids: Which memories; None for all in the scope.
            scope: Where. Archived memories are left out.

        Raises:
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        memories = (
            (yield from self._walk(*self._listing(scope, TRUE, False, False)))
            if ids is None
            else (yield from self._get(_ids(ids), scope, False))
        )
        return (yield from driver.extract(memories)) if memories else 0

    @endpoint
    def entities(
        self,
        query: str | None = None,
        *,
        scope: Scope = EVERYTHING,
        type: str | None = None,
        limit: int = 20,
    ) -> Steps[Sequence[Entity]]:
        """Return the entities that memories in `scope` name, as far as `extract_entities` has read them.

        An entity has no scope of its own: it is seen through memories, and only through those in `scope`.

        Args:
            query: What to look for: the entities that it names come first, then those of the 50 memories that answer
                it best. None for all entities, the most mentioned first.
            scope: Where to look. Archived memories are left out.
            type: Only this type, such as ``"person"``.
            limit: The most entities.

        Raises:
            Unsupported: The service has no entities.
        """
        check_whole("limit", limit, 0)
        driver = self._namer(scope)
        query = _query(query)
        if query is None:
            found = yield from self._named(driver, scope)
        else:
            hits = yield from _Brain.search.plan(self, query, scope=scope, limit=_NAMING)
            mentions = (yield from driver.mentions(hits.memories)) if hits else ()
            scores = {hit.id: hit.score for hit in hits}
            found = ranked(gather(mentions, whole=not scope), query, scores)
        return [entity for entity in found if type is None or entity.type == type.lower()][:limit]

    @endpoint
    def entity(self, name: str, *, scope: Scope = EVERYTHING) -> Steps[Entity]:
        """Return one entity by its name, regardless of case, or by its id, with the memories in `scope` that name it.

        Where several types share a name it is the one that most memories name. ``get_many(entity.memory_ids)`` reads
        the memories.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names it, or none that `extract_entities` has read.
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        return self._picked((yield from self._named(driver, scope)), name)

    @endpoint
    def relations(
        self, name: str, *, scope: Scope = EVERYTHING, limit: int = 20
    ) -> Steps[Sequence[Relation]]:
        """Return what is linked to an entity, by its name or id: the entities that memories in `scope` name beside it.

        The closest come first: those with the most memories in common.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names the entity.
            Unsupported: The service has no entities.
        """
        check_whole("limit", limit, 0)
        driver = self._namer(scope)
        memories = yield from self._walk(*self._listing(scope, TRUE, False, False))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        entities = yield from call(gather, mentions, whole=not scope)
        source = self._picked(entities, name)
        behind = {_identity(mention.memory) for mention in mentions if mention.entity.id == source.id}
        near = [mention for mention in mentions if _identity(mention.memory) in behind]
        shared = yield from call(gather, near, whole=False)
        by_id = {entity.id: entity for entity in entities}
        return [
            Relation(source=source, target=by_id[other.id], memory_ids=other.memory_ids)
            for other in shared
            if other.id != source.id
        ][:limit]

    @endpoint
    def remove_entity(self, name: str, *, scope: Scope = EVERYTHING) -> Steps[int]:
        """Remove an entity, by its name or id, from what memories in `scope` name; return from how many.

        The memories stay as they are. The embedded brain finds the entity again only in memories that are new or
        changed since.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names it.
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        memories = yield from self._walk(*self._listing(scope, TRUE, True, False))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        entity = self._picked((yield from call(gather, mentions, whole=False)), name)
        behind = [mention.memory for mention in mentions if mention.entity.id == entity.id]
        return (yield from driver.forget_mentions(entity.id, behind))

    def _namer(self, scope: Scope) -> Names:
        """Return the driver as one that knows entities."""
        _check_scope(scope)
        can = self.capabilities
        if not can.entities or not isinstance(self._driver, Names):
            raise unsupported(can, "entities", "search for a name instead")
        if not can.list:
            raise unsupported(can, "entities without listing memories", "search for a name instead")
        return self._driver

    def _named(self, driver: Names, scope: Scope) -> Steps[Sequence[Entity]]:
        """Return all entities of a scope."""
        memories = yield from self._walk(*self._listing(scope, TRUE, False, False))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        # A large scope takes its time, which an event loop does not have.
        return (yield from call(gather, mentions, whole=not scope))

    def _picked(self, entities: Sequence[Entity], name: str) -> Entity:
        if not isinstance(name, str):
            raise OneBrainValidationError("name: must be an entity's name or id")
        found = pick(entities, name)
        if found is None:
            raise OneBrainNotFoundError(
                "no memory in this scope names such an entity; extract_entities() reads those that were not read yet",
                service=self.capabilities.service,
            )
        return found

    # Last, because a method named list hides the type from annotations below it.
    def _list(
        self,
        *,
        scope: Scope = EVERYTHING,
        filter: FilterLike | None = None,
        order: Order = "-created_at",
        limit: int | None = None,
        include_archived: bool = False,
        with_embeddings: bool = False,
        cursor: str | None = None,
    ) -> Steps[Page[Memory]]:
        """Iterate over all memories in `scope` that match `filter`, page by page.

        Args:
            scope: Where.
            filter: Which memories.
            order: ``created_at``, ``updated_at``, ``importance`` or ``sequence`` (the order of storing), with ``-``
                in front for descending. Equal times are ordered by sequence. On a service that keeps no sequence it
                is the order of ``created_at``.
            limit: The most memories over all pages.
            include_archived: Archived memories, too.
            with_embeddings: Return each memory's vector.
            cursor: Go on from here, as given by `page`.
        """
        if limit is not None:
            check_whole("limit", limit, 0)
        _check_order(order)
        # Where rows are dropped here, small pages would cost a request for every few rows, so whole ones are asked
        # for, and cut: iteration ends at `limit`.
        sparse = split(parse(filter), self.capabilities.can, self.capabilities.logic)[1] != TRUE
        page = yield from self._page(
            scope=scope,
            filter=filter,
            order=order,
            limit=limit if limit == 0 or not (sparse or order not in self.capabilities.orders) else None,
            cursor=cursor,
            include_archived=include_archived,
            with_embeddings=with_embeddings,
        )
        return Page(page.data[:limit], page.meta)

    list = listing(_list, total="limit")


class Brain(_Brain[Sync]):
    """A memory for synchronous code. Make one with `onebrain.connect`; it is safe to share between threads.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> maria = onebrain.Scope(user="maria")
        >>> brain.store("Maria prefers window seats", scope=maria, tags=["travel"]).status
        'created'
        >>> [hit.content for hit in brain.search("Where does she like to sit?", scope=maria)]
        ['Maria prefers window seats']
        >>> brain.close()
    """

    def __init__(
        self, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None = None, owner: bool = True
    ) -> None:
        super().__init__(Sync(driver.transports()[0]), driver, origin=origin)
        self._owner = owner

    def to_async(self) -> AsyncBrain:
        """Return an `AsyncBrain` on the same memory; closing it leaves this brain open."""
        return AsyncBrain(self._driver, origin=self._origin, owner=False)

    def close(self) -> None:
        """Release connections and files; a second call does nothing."""
        self._mode.close()
        if self._owner:
            self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncBrain(_Brain[Async]):
    """A memory for asynchronous code. Make one with `onebrain.connect_async`; its verbs are those of `Brain`.

    Example:
        >>> import asyncio, onebrain
        >>> async def main() -> list[str]:
        ...     async with onebrain.connect_async("sqlite://") as brain:
        ...         await brain.store("Maria prefers window seats")
        ...         return [memory.content async for memory in brain.list()]
        >>> asyncio.run(main())
        ['Maria prefers window seats']
    """

    def __init__(
        self, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None = None, owner: bool = True
    ) -> None:
        super().__init__(Async(driver.transports()[1]), driver, origin=origin)
        self._owner = owner

    def to_sync(self) -> Brain:
        """Return a `Brain` on the same memory; closing it leaves this brain open."""
        return Brain(self._driver, origin=self._origin, owner=False)

    async def close(self) -> None:
        """Release connections and files; a second call does nothing."""
        await self._mode.close()
        if self._owner:
            import asyncio

            await asyncio.to_thread(self._driver.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


# ---- helpers --------------------------------------------------------------------------------------------------------

filter_ = filter  # the verbs have an argument named filter


def check_picklable(url: str) -> None:
    """Raise `TypeError` where a pickle would hold a password, as part of the URL."""
    if redact(url) != url:
        raise TypeError(
            f"a brain at {redact(url)!r} cannot be pickled, because its URL holds a password; "
            "put the URL into $ONEBRAIN_URL and connect without one"
        )


def _reopen(kind: type[Any], url: str, options: Mapping[str, Any]) -> Any:
    return kind(make_driver(url, **options), origin=(url, options))


def _replace(request: T, **changes: Any) -> T:
    from dataclasses import replace

    return cast("T", replace(cast("Any", request), **changes))


def _new_memory(raw: Any, scope: Scope, given: Mapping[str, Any]) -> NewMemory:
    """Return `raw` as a validated memory in `scope`, with the fields `given` beside it."""
    if isinstance(raw, NewMemory):
        if not given and (not scope or raw.scope == scope):
            return raw.check()
        fields: dict[str, Any] = {name: getattr(raw, name) for name in raw.model_fields_set}
    elif isinstance(raw, str):
        fields = {"content": raw}
    elif isinstance(raw, Mapping):
        fields = dict(cast("Mapping[str, Any]", raw))
    else:
        raise OneBrainValidationError(
            f"a memory must be text, a NewMemory or a dict, not {type(raw).__name__}"
        )
    try:
        own = fields.get("scope") or EVERYTHING
        own = own if isinstance(own, Scope) else Scope(**cast("Mapping[str, Any]", own))
    except TypeError:
        raise OneBrainValidationError(
            "scope: must be a Scope, or a dict with space, user, agent and session"
        ) from None
    return NewMemory.checked(**{**fields, **given, "scope": own.within(scope) if scope else own})


def _vector(value: Any) -> tuple[float, ...]:
    try:
        return vector(value)
    except ValueError as error:
        raise OneBrainValidationError(f"embedding: {error}") from None


def _query(query: str | None) -> str | None:
    """Return the query, or None where there is nothing to look for in it."""
    if query is None:
        return None
    if not isinstance(query, str):
        raise OneBrainValidationError(f"query: must be text, not {type(query).__name__}")
    try:
        query.encode()
    except UnicodeEncodeError:
        raise OneBrainValidationError("query: holds a lone surrogate, which UTF-8 cannot carry") from None
    return query if query.strip() else None


def _check_order(order: object) -> None:
    if order not in ORDERS:
        raise OneBrainValidationError(
            f"unknown order {order!r:.40}; there are created_at, updated_at, importance and sequence, "
            "each with an optional '-' for descending"
        )


def _check_iterable(name: str, value: object) -> None:
    if not isinstance(value, Iterable):
        raise OneBrainValidationError(f"{name}: must be a list of memories, not {type(value).__name__}")


def _ids(ids: Id | Iterable[Id]) -> list[str]:
    """Return one id, or several, as a list of text."""
    if is_id(ids):
        return [check_id("ids", ids)]
    if ids is None:
        raise OneBrainValidationError("ids: must be an id or a list of ids, not None")
    return check_ids("ids", ids)


def _valid_id(id: str) -> bool:
    """Whether a memory can have this id at all; one that cannot is simply not found."""
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return bool(id)


def _check_scope(scope: Scope) -> None:
    if not isinstance(scope, Scope):
        raise OneBrainValidationError(
            f"scope: must be a Scope, such as Scope(user='maria'), not {type(scope).__name__}"
        )


def _first(known: frozenset[Order], *wanted: Order) -> Order | None:
    return next((order for order in wanted if order in known), None)


def _order_key(memory: Memory, order: str) -> float:
    """Return what `order` sorts by, as a number: exact to the microsecond for the next two centuries."""
    name = order.lstrip("-")
    if name == "importance":
        return memory.importance or 0.0
    moment = (memory.updated_at if name == "updated_at" else None) or memory.created_at
    return 0.0 if moment is None else moment.timestamp()


def _identity(memory: Memory) -> Identity:
    """Return what tells a memory from all others: an id is unique for one user in one space."""
    return memory.scope.space, memory.scope.user, memory.id


def _cursor(last: Memory, order: str) -> str:
    """Return where a page of an order made here ends."""
    return to_json([_identity(last), _order_key(last, order)])


def _place(cursor: str, ordered: Sequence[Memory], order: str) -> int:
    """Return where the page after `cursor` begins: behind the memory that it names, or where that one was."""
    try:
        (space, user, id), key = from_json(cursor)
        key = float(key)
    except (ValueError, TypeError):
        raise OneBrainValidationError("cursor: is not one that page returned") from None
    for place, memory in enumerate(ordered):
        if _identity(memory) == (space, user, id):
            return place + 1
    sign = -1 if order.startswith("-") else 1
    behind = (place for place, memory in enumerate(ordered) if sign * _order_key(memory, order) >= sign * key)
    return next(behind, len(ordered))
