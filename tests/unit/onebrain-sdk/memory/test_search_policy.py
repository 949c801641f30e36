"""A driver answers one request; the budget, the checks and the completion of a search are the facade's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onebrain import Brain, F, Scope
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING
from onebrain.testing.reference import REFERENCE, ReferenceDriver

START = datetime(2025, 1, 1, tzinfo=UTC)
MARIA = Scope(user="maria")


class Driver(ReferenceDriver):
    """Counts requests, and hides from a search all that it was told about scope and filter."""

    def __init__(self, **capabilities):
        super().__init__(replace(REFERENCE, **capabilities))
        self.searches, self.lists = [], []

    def answer(self, request):
        return (
            yield from super().search(
                replace(request, scope=EVERYTHING, filter=TRUE, limit=1000, cursor=None)
            )
        )

    def search(self, request, /):
        self.searches.append(request)
        return self.answer(request)

    def list(self, request, /):
        self.lists.append(request)
        return super().list(request)


class ByCursor(Driver):
    def answer(self, request):
        found = yield from super().answer(request)
        start = int(request.cursor or 0)
        end = start + request.limit
        more = end < len(found.hits)
        return replace(found, hits=found.hits[start:end], more=more, cursor=str(end) if more else None)


class Partial(Driver):
    """Looks at the three best memories of all."""

    def answer(self, request):
        found = yield from super().answer(request)
        return replace(found, hits=found.hits[:3], more=True, partial=True)


def filled(driver, count=40):
    brain = Brain(driver)
    brain.store_many(
        {
            "content": f"the lighthouse number {n}",
            "metadata": {"n": n},
            "scope": MARIA if n % 10 == 0 else Scope(user="pedro"),
            "created_at": START + timedelta(hours=n),
        }
        for n in range(count)
    ).raise_for_failures()
    return brain


def numbers(result):
    return sorted(hit.memory.metadata["n"] for hit in result)


def test_filters_and_scopes_of_a_service_that_lets_others_through_are_evaluated_again():
    brain = filled(Driver(rechecked=True))
    assert numbers(brain.search("lighthouse", scope=MARIA)) == [0, 10, 20, 30]
    assert numbers(brain.search("lighthouse", filter=F("n").ge(38))) == [38, 39]


def test_a_search_follows_cursors_until_the_limit_is_full():
    driver = ByCursor(rechecked=True, search_limit=7)
    brain = filled(driver)
    result = brain.search("lighthouse", scope=MARIA, limit=4)
    assert numbers(result) == [0, 10, 20, 30]
    assert len({request.cursor for request in driver.searches}) == len(driver.searches) > 1
    assert {request.limit for request in driver.searches} <= set(range(1, 8))


def test_a_search_by_cursors_ends_at_the_budget_and_says_so():
    driver = ByCursor(rechecked=True, search_limit=5, filters={})
    result = filled(driver).search("lighthouse", filter=F("n").eq(-1), budget=20)
    assert (list(result), result.exhausted) == ([], False)
    assert len(driver.searches) == 4


def test_an_answer_from_a_part_of_the_memories_is_completed_from_a_list():
    driver = Partial(rechecked=True)
    brain = filled(driver)
    result = brain.search("lighthouse", scope=MARIA, limit=10)
    assert (numbers(result), result.exhausted) == ([0, 10, 20, 30], True)
    scores = [hit.score for hit in result]
    assert scores == sorted(scores, reverse=True)
    driver.lists.clear()
    assert len(brain.search("lighthouse", limit=3)) == 3
    assert driver.lists == []


def test_the_list_that_completes_a_search_ends_at_the_services_limit():
    driver = Partial(rechecked=True, scan_limit=1)
    brain = filled(driver, 300)
    result = brain.search("lighthouse", limit=300)
    assert not result.exhausted
    assert len(driver.lists) == 1


@pytest.mark.parametrize("orders", [REFERENCE.orders, frozenset()])
def test_the_newest_come_from_a_list_where_the_service_cannot_search_without_a_query(orders):
    driver = Driver(newest=False, orders=orders)
    result = filled(driver).search(scope=MARIA, limit=3)
    assert [hit.memory.metadata["n"] for hit in result] == [30, 20, 10]
    assert {hit.score for hit in result} == {0.0}
    assert not result.exhausted
    assert driver.searches == []
