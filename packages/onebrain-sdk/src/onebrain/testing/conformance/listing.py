"""Tests that `get`, `get_many`, `list`, `page` and `count` are complete and in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar, get_args

import pytest

from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.models import Memory, Order
from onebrain.testing.conformance.suite import PAST, Suite, ids, keep, keep_all, listed, needs, supported

ORDERS: tuple[Order, ...] = get_args(Order)


class GetSuite(Suite):
    """Tests of `get` and `get_many`."""

    verb: ClassVar[str] = "get"

    def test_an_unknown_id_is_not_found(self, brain: Brain) -> None:
        keep(brain, "somebody else")
        for id in ("unknown", "", "' OR 1=1 --", "%", "\ud800", "x" * 5000, "../.."):
            with pytest.raises(OneBrainNotFoundError):
                brain.get(id)
            assert brain.get_many([id]) == []

    def test_many_come_in_the_order_asked_for_without_those_that_are_missing(self, brain: Brain) -> None:
        first, second, third = keep_all(brain, ["one", "two", "three"])
        memories = brain.get_many([third, "unknown", first, second])
        assert [memory.content for memory in memories] == ["three", "one", "two"]
        assert brain.get_many([]) == []

    def test_an_id_of_a_wrong_type_is_refused(self, brain: Brain) -> None:
        # Whole numbers are accepted as ids; see `onebrain.Scope`.
        wrong: Any = 7.5
        with pytest.raises(OneBrainValidationError):
            brain.get(wrong)
        with pytest.raises(OneBrainValidationError):
            brain.get_many([wrong])
        if brain.capabilities.delete:
            with pytest.raises(OneBrainValidationError):
                brain.delete([wrong])

    def test_many_hundreds_are_got_at_once(self, brain: Brain) -> None:
        stored = keep_all(brain, [f"memory {number}" for number in range(350)])
        assert ids(brain.get_many(stored)) == stored

    def test_an_archived_memory_is_still_got(self, brain: Brain) -> None:
        needs(brain, "archive")
        id = keep(brain, "put away", archived=True)
        assert brain.get(id).archived is True


class ListSuite(Suite):
    """Tests of `list`, `page` and `count`."""

    verb: ClassVar[str] = "list"

    def test_a_service_without_lists_refuses(self, brain: Brain) -> None:
        if brain.capabilities.list:
            assert list(brain.list()) == []
            assert brain.page().data == ()
            assert brain.count() == 0
            return
        with pytest.raises(Unsupported):
            brain.page()
        with pytest.raises(Unsupported):
            list(brain.list())

    def test_everything_is_listed_and_counted_beyond_any_page(self, brain: Brain) -> None:
        needs(brain, "list")
        stored = keep_all(brain, [f"memory {number}" for number in range(450)])
        rows = ids(brain.list())
        assert len(rows) == 450
        assert set(rows) == set(stored)
        assert brain.count() == 450
        assert len(list(brain.list(limit=10**9))) == 450

    @pytest.mark.parametrize("limit", [0, 1, 5, 23, 24, 25])
    def test_a_limit_bounds_the_rows_of_all_pages(self, brain: Brain, limit: int) -> None:
        needs(brain, "list")
        keep_all(brain, [f"memory {number}" for number in range(24)])
        rows = ids(brain.list(limit=limit))
        assert len(set(rows)) == len(rows) == min(limit, 24)
        assert len(brain.page(limit=limit)) <= limit

    @pytest.mark.parametrize("order", ORDERS)
    def test_lists_in_every_order(self, brain: Brain, order: Order) -> None:
        needs(brain, "list")
        rows = _mixed(brain)
        expected = _sorted(brain, rows, order)
        got = list(brain.list(order=order))
        assert set(ids(got)) == set(rows)
        assert [_key(memory, order) for memory in got] == [_key(memory, order) for memory in expected]
        if order in brain.capabilities.orders:
            # Memories with equal values are in the order of storing.
            assert ids(got) == ids(expected)

    @pytest.mark.parametrize("order", ORDERS)
    def test_pages_follow_each_other_in_every_order(self, brain: Brain, order: Order) -> None:
        needs(brain, "list")
        _mixed(brain)
        pages = _pages(brain, order=order, limit=5)
        assert all(len(page) <= 5 for page in pages)
        assert [memory.id for page in pages for memory in page] == ids(brain.list(order=order))

    @pytest.mark.parametrize("order", ORDERS)
    def test_paging_neither_loses_nor_repeats_while_memories_are_added(
        self, brain: Brain, order: Order
    ) -> None:
        needs(brain, "list")
        before = keep_all(brain, [f"memory {number}" for number in range(30)])
        seen: list[str] = []
        cursor: str | None = None
        for round in range(100):
            page = brain.page(order=order, limit=7, cursor=cursor)
            seen += ids(page)
            keep(brain, f"added meanwhile {round}", **supported(brain.capabilities, {"importance": 0.5}))
            cursor = page.meta.cursor
            if not page.meta.has_more or round > 20:
                break
        assert len(seen) == len(set(seen))
        assert set(before) <= set(seen)

    def test_a_page_says_whether_another_follows(self, brain: Brain) -> None:
        needs(brain, "list")
        keep_all(brain, ["one", "two", "three"])
        page = brain.page(limit=2)
        assert page.meta.has_more
        assert page.meta.cursor is not None
        last = brain.page(limit=2, cursor=page.meta.cursor)
        assert not last.meta.has_more
        assert len(page) + len(last) == 3

    def test_listing_can_stop_early(self, brain: Brain) -> None:
        needs(brain, "list")
        keep_all(brain, [f"memory {number}" for number in range(10)])
        rows = brain.list()
        assert len(list(islice(rows, 3))) == 3

    def test_a_cursor_of_another_making_is_refused(self, brain: Brain) -> None:
        needs(brain, "list")
        keep_all(brain, ["one", "two"])
        with pytest.raises(OneBrainError):
            brain.page(limit=1, cursor="no cursor at all")

    def test_an_unknown_order_is_refused(self, brain: Brain) -> None:
        needs(brain, "list")
        wrong: Any = "alphabetical"
        with pytest.raises(OneBrainValidationError):
            brain.page(order=wrong)

    def test_archived_memories_are_listed_only_when_asked_for(self, brain: Brain) -> None:
        needs(brain, "list", "archive")
        active, archived = keep(brain, "active"), keep(brain, "put away", archived=True)
        assert listed(brain) == {active}
        assert listed(brain, include_archived=True) == {active, archived}
        assert (brain.count(), brain.count(include_archived=True)) == (1, 2)

    def test_a_write_is_listed_at_once(self, brain: Brain) -> None:
        needs(brain, "list")
        for number in range(5):
            id = keep(brain, f"memory {number}")
            assert id in listed(brain)
            assert brain.count() == number + 1


def _mixed(brain: Brain) -> list[str]:
    """Store memories of which some have equal times and importance; return their ids in the order of storing."""
    can = brain.capabilities
    stored: list[str] = []
    for number in range(17):
        fields: dict[str, Any] = {
            "created_at": PAST + timedelta(days=(number * 5) % 4),
            "importance": None if number % 5 == 4 else ((number * 3) % 4) / 4,
        }
        fields = {name: value for name, value in supported(can, fields).items() if value is not None}
        stored.append(keep(brain, f"memory {number}", **fields))
    if can.update:
        for index in (3, 11, 7):
            brain.update(stored[index], title="changed")
    return stored


def _key(memory: Memory, order: str) -> Any:
    name = order.lstrip("-")
    if name == "importance":
        return memory.importance or 0.0
    if name == "updated_at":
        return memory.updated_at or memory.created_at or datetime.min.replace(tzinfo=UTC)
    if name == "created_at":
        return memory.created_at or datetime.min.replace(tzinfo=UTC)
    return 0


def _sorted(brain: Brain, stored: Sequence[str], order: str) -> list[Memory]:
    """Return the memories sorted by `order`, equal ones in the order of storing."""
    memories = brain.get_many(stored)
    memories.sort(key=lambda memory: _key(memory, order))
    return memories[::-1] if order.startswith("-") else memories


def _pages(brain: Brain, *, order: Order, limit: int) -> list[list[Memory]]:
    pages: list[list[Memory]] = []
    cursor: str | None = None
    while len(pages) < 100:
        page = brain.page(order=order, limit=limit, cursor=cursor)
        pages.append(list(page))
        cursor = page.meta.cursor
        if not page.meta.has_more:
            return pages
    raise AssertionError("the pages never end")
