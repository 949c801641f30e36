"""Reading memories: by id, in an order, or only their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onebrain._core.codec import from_json, to_json
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.checks import check_id, check_whole
from onebrain.memory.driver import (
    several_with_id,
    unsupported,
)
from onebrain.memory.filters import TRUE, parse
from onebrain.memory.ids import Id
from onebrain.memory.models import (
    EVERYTHING,
    Memory,
    Order,
    Scope,
)
from onebrain.memory.verbs.base import (
    LIST_PAGE,
    ORDERS,
    FilterLike,
    Moment,
    Verbs,
    check_scope,
    id_list,
    identity,
)


class Reading(Verbs[Mode]):
    """Reading memories by id, page by page, or by count."""

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
        return (yield from self._get(id_list(ids), scope, with_embeddings))

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
        include_superseded: bool = False,
        at: Moment | None = None,
        as_of: Moment | None = None,
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
                include_superseded=include_superseded,
                at=at,
                as_of=as_of,
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
        include_superseded: bool,
        at: Moment | None,
        as_of: Moment | None,
        with_embeddings: bool,
    ) -> Steps[Page[Memory]]:
        """Return a page of at most `limit` memories; None leaves its size to the cost of making it."""
        check_scope(scope)
        if limit is not None:
            check_whole("limit", limit, 0)
        can = self.capabilities
        if not can.list:
            raise unsupported(can, "listing memories without a query", "use search")
        _check_order(order)
        ordered_there = order in can.orders
        condition = parse(filter)
        request, keep = self._listing(
            scope,
            condition,
            include_archived,
            with_embeddings,
            include_superseded=include_superseded,
            at=self._moment(at),
            as_of=self._knowledge(as_of),
            order=order if ordered_there else None,
            limit=min(limit, LIST_PAGE) if limit and ordered_there else LIST_PAGE,
            cursor=cursor if ordered_there else None,
        )
        if limit == 0:
            return Page((), PageMeta(has_more=False))
        if ordered_there:
            page: Page[Memory] = yield from self._driver.list(request)
            rows = tuple(filter_(keep, page.data))
            exact = len(rows) == len(page.data) and request.filter == condition
            # The service also counts the memories that are left out here.
            total = page.meta.total if exact else None
            return Page(rows, PageMeta(page.meta.has_more, page.meta.cursor, total))
        # The service has no such order: read everything and sort here.
        ordered = yield from self._walk(request, keep)
        if order.startswith("-"):
            # Sorting keeps the order of equals, so it is reversed first.
            ordered.reverse()
        ordered.sort(key=lambda memory: _order_key(memory, order), reverse=order.startswith("-"))
        start = 0 if cursor is None else _start_of(cursor, ordered, order)
        end = len(ordered) if limit is None else start + limit
        more = end < len(ordered)
        after = _cursor(ordered[end - 1], order) if more else None
        return Page(tuple(ordered[start:end]), PageMeta(more, after, len(ordered)))

    @endpoint
    def count(
        self,
        *,
        scope: Scope = EVERYTHING,
        filter: FilterLike | None = None,
        include_archived: bool = False,
        include_superseded: bool = False,
        at: Moment | None = None,
        as_of: Moment | None = None,
    ) -> Steps[int]:
        """Return the number of memories in `scope` that match `filter`; the arguments are those of `list`."""
        check_scope(scope)
        can = self.capabilities
        condition = parse(filter)
        moment, known = self._moment(at), self._knowledge(as_of)
        # A service without links counts all that it has.
        whole = include_superseded and include_archived
        counted = whole if can.supersede == "emulated" else not (include_superseded and can.supersede)
        usual = moment is None and known is None and counted
        if usual and self._counts is not None and self._split(condition)[1] == TRUE:
            number = yield from self._counts.count(scope, condition, include_archived=include_archived)
            if number is not None:
                return number
        if not can.list:
            raise unsupported(can, "counting memories")
        listing = self._listing(
            scope,
            condition,
            include_archived,
            False,
            include_superseded=include_superseded,
            at=moment,
            as_of=known,
        )
        return len((yield from self._walk(*listing)))

    def _list(
        self,
        *,
        scope: Scope = EVERYTHING,
        filter: FilterLike | None = None,
        order: Order = "-created_at",
        limit: int | None = None,
        include_archived: bool = False,
        include_superseded: bool = False,
        at: Moment | None = None,
        as_of: Moment | None = None,
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
            include_superseded: Memories that others supersede, or that no longer hold, too.
            at: The moment at which the memories hold, a datetime or ISO 8601 text; the default is now.
            as_of: Leave out memories and links that were stored after this moment, where the service knows when. What was
                changed, taken back or deleted since is as it is now; a memory that was changed has a later `updated_at`.
            with_embeddings: Return each memory's vector.
            cursor: Go on from here, as given by `page`.
        """
        if limit is not None:
            check_whole("limit", limit, 0)
        _check_order(order)
        # Where rows are dropped here, small pages would cost a request for every few rows, so whole ones are asked
        # for, and cut: iteration ends at `limit`.
        sparse = self._split(parse(filter))[1] != TRUE
        page = yield from self._page(
            scope=scope,
            filter=filter,
            order=order,
            limit=limit if limit == 0 or not (sparse or order not in self.capabilities.orders) else None,
            cursor=cursor,
            include_archived=include_archived,
            include_superseded=include_superseded,
            at=at,
            as_of=as_of,
            with_embeddings=with_embeddings,
        )
        return Page(page.data[:limit], page.meta)

    list = listing(_list, total="limit")


# The verbs have an argument of this name.
filter_ = filter


def _check_order(order: object) -> None:
    if order not in ORDERS:
        raise OneBrainValidationError(
            f"unknown order {order!r:.40}; there are created_at, updated_at, importance and sequence, "
            "each with an optional '-' for descending"
        )


def _order_key(memory: Memory, order: str) -> float:
    """Return the sort key of `order` as a number: exact to the microsecond for the next two centuries."""
    name = order.lstrip("-")
    if name == "importance":
        return memory.importance or 0.0
    moment = (memory.updated_at if name == "updated_at" else None) or memory.created_at
    return 0.0 if moment is None else moment.timestamp()


def _cursor(last: Memory, order: str) -> str:
    """Return the cursor of a page in an order that is made here."""
    return to_json([identity(last), _order_key(last, order)])


def _start_of(cursor: str, ordered: Sequence[Memory], order: str) -> int:
    """Return the start of the page after `cursor`: behind its memory, or at the former position of that one."""
    try:
        (space, user, id), key = from_json(cursor)
        key = float(key)
    except (ValueError, TypeError):
        raise OneBrainValidationError("cursor: is not one that page returned") from None
    for position, memory in enumerate(ordered):
        if identity(memory) == (space, user, id):
            return position + 1
    sign = -1 if order.startswith("-") else 1
    behind = (
        position for position, memory in enumerate(ordered) if sign * _order_key(memory, order) >= sign * key
    )
    return next(behind, len(ordered))
