"""The facade: what it makes up for, what it refuses, and that nothing is lost on the way."""

from __future__ import annotations

import asyncio
import copy
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onebrain import (
    AsyncBrain,
    Brain,
    EmbedderMismatch,
    F,
    NewMemory,
    OneBrainConflictError,
    OneBrainValidationError,
    Scope,
    StoreResult,
    Unsupported,
)
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Sleep, Sync, done
from onebrain.memory.driver import Found
from onebrain.memory.models import Hit
from onebrain.testing.reference import REFERENCE, ReferenceDriver, reference_brain

START = datetime(2025, 1, 1, tzinfo=UTC)


class Recorder(ReferenceDriver):
    """Remembers what it was asked."""

    def __init__(self, **capabilities):
        super().__init__(replace(REFERENCE, **capabilities))
        self.searches, self.lists, self.batches = [], [], []

    def store(self, items, /):
        self.batches.append(len(items))
        return super().store(items)

    def search(self, request, /):
        self.searches.append(request)
        return super().search(request)

    def list(self, request, /):
        self.lists.append(request)
        return super().list(request)


class Bare:
    """Only the methods that every driver has: no `forget`, no `count`."""

    def __init__(self, driver):
        self.capabilities = driver.capabilities
        for name in ("transports", "store", "search", "get", "list", "update", "delete", "close"):
            setattr(self, name, getattr(driver, name))


def filled(driver, count=100):
    brain = Brain(driver)
    brain.store_many(
        {"content": f"boat {n}", "metadata": {"n": n}, "created_at": START + timedelta(hours=n)}
        for n in range(count)
    ).raise_for_failures()
    return brain


# ---- search: filters evaluated here --------------------------------------------------------------------------------


def test_what_the_service_can_decide_is_pushed_and_the_rest_is_decided_here():
    driver = Recorder(filters={"n": frozenset({"ge"})})
    brain = filled(driver)
    result = brain.search("boat", filter=F("n").ge(50) & F("n").in_([10, 60, 70]))
    assert {hit.memory.metadata["n"] for hit in result} == {60, 70}
    assert result.exhausted
    assert {request.filter for request in driver.searches} == {F("n").ge(50)}


def test_a_search_goes_on_until_the_limit_is_full():
    driver = Recorder(filters={})
    result = filled(driver).search("boat", filter=F("n").ge(95), limit=3)
    assert [hit.memory.metadata["n"] for hit in result] == [95, 96, 97]
    assert not result.exhausted
    assert [request.offset for request in driver.searches] == [0, 50]


def test_without_pages_a_search_asks_for_more_from_the_beginning():
    driver = Recorder(filters={}, search_offset=False)
    result = filled(driver).search("boat", filter=F("n").ge(95), limit=3)
    assert [hit.memory.metadata["n"] for hit in result] == [95, 96, 97]
    assert [(request.offset, request.limit) for request in driver.searches] == [(0, 50), (0, 200)]


@pytest.mark.parametrize("budget", [1, 10, 60, 99])
@pytest.mark.parametrize("pages", [True, False])
def test_no_more_than_the_budget_is_looked_at_and_the_result_says_so(budget, pages):
    driver = Recorder(filters={}, search_offset=pages)
    result = filled(driver).search("boat", filter=F("n").eq(-1), budget=budget)
    assert list(result) == []
    assert not result.exhausted
    assert max(request.offset + request.limit for request in driver.searches) <= budget


def test_a_budget_that_suffices_exhausts_the_matches():
    result = filled(Recorder(filters={})).search("boat", filter=F("n").eq(99), budget=100)
    assert [hit.memory.metadata["n"] for hit in result] == [99]
    assert result.exhausted


def test_the_budget_is_not_for_searches_that_need_no_filtering_here():
    driver = Recorder(search_limit=10)
    assert len(filled(driver, 60).search("boat", limit=55, budget=5)) == 55
    assert max(request.limit for request in driver.searches) == 10


def test_a_service_that_returns_too_few_says_when_it_is_done():
    """A driver's page may be short, or empty, without being the last."""

    class Stingy(ReferenceDriver):
        def search(self, request, /):
            found = Sync().drive(super().search(replace(request, limit=3)))
            return done(Found(hits=found.hits, more=found.more, mode=found.mode))

    assert len(filled(Stingy()).search("boat", limit=20)) == 20


def test_memories_of_other_scopes_and_archived_ones_never_pass():
    class Leaky(ReferenceDriver):
        def search(self, request, /):
            return super().search(replace(request, scope=Scope(), include_archived=True))

        def list(self, request, /):
            return super().list(replace(request, scope=Scope(), include_archived=True))

        def get(self, ids, scope, /, *, with_embeddings=False):
            return super().get(ids, Scope(), with_embeddings=with_embeddings)

    brain = Brain(Bare(Leaky()))
    own, other, archived = brain.store_many(
        [
            {"content": "boat", "scope": {"user": "maria"}},
            {"content": "boat", "scope": {"user": "mario"}},
            {"content": "boat", "scope": {"user": "maria"}, "archived": True},
        ]
    ).ids
    maria = Scope(user="maria")
    assert [hit.id for hit in brain.search("boat", scope=maria)] == [own]
    assert [memory.id for memory in brain.list(scope=maria)] == [own]
    assert brain.count(scope=maria) == 1
    assert [memory.id for memory in brain.get_many([own, other, archived], scope=maria)] == [own, archived]
    assert [memory.id for memory in brain.context("boat", scope=maria).memories] == [own]


def test_a_hit_below_the_least_score_ends_the_search():
    class Scored(ReferenceDriver):
        def search(self, request, /):
            found = Sync().drive(super().search(request))
            hits = [Hit(memory=hit.memory, score=1 - hit.memory.metadata["n"] / 100) for hit in found.hits]
            return done(Found(hits=hits, more=found.more, mode=found.mode))

    result = filled(Scored()).search("boat", limit=50, min_score=0.9)
    assert [hit.memory.metadata["n"] for hit in result] == list(range(11))
    assert result.exhausted


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 2.5},
        {"limit": "3"},
        {"budget": 1.5},
        {"min_score": "high"},
        {"alpha": 1.1},
        {"scope": "maria"},
        {"embedding": "abc"},
        {"embedding": []},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_with_its_name(options):
    (name,) = options
    with pytest.raises(OneBrainValidationError, match=f"^{name}: "):
        reference_brain().search("boat", **options)


def test_a_mode_that_the_service_lacks_is_refused_and_the_best_one_it_has_is_the_default():
    brain = reference_brain(replace(REFERENCE, modes=frozenset({"keyword"})))
    brain.store("boat")
    assert brain.search("boat").mode == "keyword"
    with pytest.raises(Unsupported, match="it has keyword"):
        brain.search("boat", mode="vector")


# ---- lists: orders made here ---------------------------------------------------------------------------------------


def test_an_order_that_the_service_lacks_is_made_here_and_complete():
    brain = filled(ReferenceDriver(replace(REFERENCE, orders=frozenset())), 450)
    rows = [memory.metadata["n"] for memory in brain.list(order="-created_at")]
    assert rows == list(range(449, -1, -1))
    assert [memory.metadata["n"] for memory in brain.list(order="created_at", limit=250)] == list(range(250))
    page = brain.page(order="created_at", limit=10)
    assert page.meta.has_more
    assert page.meta.total == 450
    assert [m.metadata["n"] for m in brain.page(order="created_at", limit=3, cursor=page.meta.cursor)] == [
        10,
        11,
        12,
    ]


def test_a_made_order_goes_on_behind_a_memory_that_is_gone_meanwhile():
    brain = filled(ReferenceDriver(replace(REFERENCE, orders=frozenset())), 10)
    for order, last, following in (("created_at", 3, [4, 5]), ("-created_at", 6, [5, 4])):
        page = brain.page(order=order, limit=4)
        assert page[-1].metadata["n"] == last
        brain.delete(page[-1].id)
        after = brain.page(order=order, limit=2, cursor=page.meta.cursor)
        assert [memory.metadata["n"] for memory in after] == following


@pytest.mark.parametrize("cursor", ["x", "[]", '["id"]', '["id", "x"]', "7", "null", '{"a": 1, "b": 2}'])
def test_a_cursor_of_another_making_is_refused(cursor):
    brain = filled(ReferenceDriver(replace(REFERENCE, orders=frozenset())), 5)
    with pytest.raises(OneBrainValidationError, match="cursor"):
        brain.page(order="created_at", cursor=cursor)


@pytest.mark.parametrize(
    "orders", [frozenset(), frozenset({"-created_at"}), frozenset({"importance"})], ids=list
)
def test_counting_and_forgetting_go_beyond_any_page(orders):
    brain = filled(Bare(ReferenceDriver(replace(REFERENCE, orders=orders, filters={}))), 450)
    assert brain.count() == 450
    assert brain.count(filter=F("n").ge(10)) == 440
    assert brain.forget(filter=F("n").ge(10)).count == 440
    assert brain.count() == 10


def test_equal_values_in_a_made_order_stay_in_the_order_of_storing():
    brain = filled(ReferenceDriver(replace(REFERENCE, orders=frozenset({"-created_at"}))), 12)
    assert [memory.metadata["n"] for memory in brain.list(order="importance")] == list(range(12))
    assert [memory.metadata["n"] for memory in brain.list(order="-importance")] == list(range(11, -1, -1))


def test_a_filter_that_keeps_little_does_not_cost_a_request_for_each_row():
    driver = Recorder(filters={})
    rows = list(filled(driver, 450).list(filter=F("n").eq(3), limit=1))
    assert [memory.metadata["n"] for memory in rows] == [3]
    assert len(driver.lists) <= 3


def test_a_page_tells_a_total_only_where_nothing_is_left_out_here():
    condition = F("n").ge(5)
    assert filled(ReferenceDriver(), 10).page(filter=condition, limit=2).meta.total == 5
    assert (
        filled(ReferenceDriver(replace(REFERENCE, filters={})), 10).page(filter=condition, limit=2).meta.total
        is None
    )


def test_a_service_that_repeats_rows_while_others_are_added_is_counted_right():
    class Shifting(ReferenceDriver):
        """Pages by offset, as many services do, while somebody stores."""

        def list(self, request, /):
            rows = list(self._rows.values())[::-1]
            start = int(request.cursor or 0)
            Sync().drive(self.store([NewMemory(content="added")]))
            more = start + 10 < len(rows)
            return done(
                Page(tuple(rows[start : start + 10]), PageMeta(more, str(start + 10) if more else None))
            )

    brain = filled(Bare(Shifting(replace(REFERENCE, orders=frozenset({"-created_at"}), filters={}))), 30)
    result = brain.forget(filter=F("n").exists(), dry_run=True)
    assert result.count == len(set(result.ids)) == 30


# ---- waiting -------------------------------------------------------------------------------------------------------


class Slow(ReferenceDriver):
    """Shows a memory only after it was asked for it `patience` times."""

    def __init__(self, patience):
        super().__init__(replace(REFERENCE, consistency="eventual"))
        self.patience = patience
        self.asked = 0

    def store(self, items, /):
        results = Sync().drive(super().store(items))
        return done([result.model_copy(update={"status": "pending"}) for result in results])

    def get(self, ids, scope, /, *, with_embeddings=False):
        self.asked += 1
        return super().get(ids if self.asked > self.patience else [], scope, with_embeddings=with_embeddings)


def waits(plan):
    """Drive a plan without waiting; return its result and the seconds that it would have slept."""
    slept = []
    try:
        effect = next(plan)
        while True:
            assert isinstance(effect, Sleep)
            slept.append(effect.seconds)
            effect = plan.send(None)
    except StopIteration as finished:
        return finished.value, slept


def test_waiting_asks_until_the_memory_is_there():
    driver = Slow(3)
    result, slept = waits(Brain.store.plan(Brain(driver), "boat", wait=True))
    assert slept == [0.05, 0.1, 0.2]
    assert result.status == "created"


def test_waiting_ends_and_says_that_it_was_in_vain():
    result, slept = waits(Brain.store.plan(Brain(Slow(10**9)), "boat", wait=True))
    assert 30 < sum(slept) < 90
    assert result.status == "pending"
    assert result.id is not None


def test_waiting_for_many_waits_for_the_last():
    results, slept = waits(Brain.store_many.plan(Brain(Slow(2)), ["a", "  ", "b"], wait=True))
    assert [result.status for result in results] == ["created", "failed", "created"]
    assert len(slept) == 2


def test_without_wait_a_result_is_as_honest_as_the_service():
    assert Brain(Slow(1)).store("boat").status == "pending"
    driver = Slow(10**9)
    driver.capabilities = replace(driver.capabilities, consistency="immediate")
    assert waits(Brain.store.plan(Brain(driver), "boat", wait=True))[1] == []


# ---- store ---------------------------------------------------------------------------------------------------------


def test_many_are_stored_in_batches_of_the_services_size():
    driver = Recorder(batch_size=7)
    done_so_far = []
    results = Brain(driver).store_many((f"boat {n}" for n in range(17)), on_progress=done_so_far.append)
    assert driver.batches == [7, 7, 3]
    assert done_so_far == [7, 14, 17]
    assert len(results.ids) == 17


@pytest.mark.parametrize("one", ["boat", b"boat", {"content": "boat"}, NewMemory(content="boat")], ids=repr)
def test_one_memory_is_not_taken_for_many(one):
    with pytest.raises(OneBrainValidationError, match=r"^items: "):
        reference_brain().store_many(one)


@pytest.mark.parametrize("bad", ["  ", "longer than ten", {"content": "x", "scope": 5}, {"n": 1}, 7])
def test_an_atomic_store_checks_every_item_before_the_first_is_stored(bad):
    driver = Recorder(batch_size=2, content_limit=10)
    with pytest.raises(OneBrainValidationError):
        Brain(driver).store_many(["a", "b", "c", bad], atomic=True)
    assert driver.batches == []
    results = Brain(driver).store_many((f"boat {n}" for n in range(5)), atomic=True)
    assert (len(results), driver.batches) == (5, [2, 2, 1])


def test_an_atomic_store_raises_what_the_service_refuses():
    brain = reference_brain()
    brain.store("boat", embedding=[1.0, 0.0])
    assert not brain.store_many([{"content": "ship", "embedding": [1.0]}])[0].ok
    with pytest.raises(EmbedderMismatch):
        brain.store_many([{"content": "ship", "embedding": [1.0]}], atomic=True)


def test_a_failure_of_the_service_is_raised_by_store_and_reported_by_store_many():
    error = OneBrainValidationError("no boats today")

    class Refusing(ReferenceDriver):
        def store(self, items, /):
            return done([StoreResult(id=None, status="failed", error=error) for _ in items])

    brain = Brain(Refusing())
    with pytest.raises(OneBrainValidationError) as caught:
        brain.store("boat")
    assert caught.value is error
    assert brain.store_many(["boat"])[0].error is error


def test_fields_beside_a_memory_complete_it():
    brain = reference_brain()
    id = brain.store(NewMemory(content="boat", tags=["a"]), title="a title", scope=Scope(user="maria")).id
    memory = brain.get(id)
    assert (memory.title, memory.tags, memory.scope) == ("a title", ("a",), Scope(user="maria"))


# ---- forget and context --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing", [{}, {"filter": None}, {"filter": {}}, {"scope": Scope()}, {"dry_run": True}], ids=str
)
def test_forgetting_everything_has_to_be_said(nothing):
    brain = filled(ReferenceDriver(), 3)
    with pytest.raises(OneBrainValidationError, match="everything=True"):
        brain.forget(**nothing)
    assert brain.count() == 3


def test_pinned_memories_reach_a_context_even_where_the_service_cannot_filter_by_them():
    brain = reference_brain(replace(REFERENCE, filters={}, orders=frozenset({"-created_at"})))
    pinned = brain.store("allergic to nuts", pinned=True).id
    brain.store_many(f"boat {n}" for n in range(450))
    assert pinned in {memory.id for memory in brain.context("boat", limit=3).memories}


# ---- the object ----------------------------------------------------------------------------------------------------


def test_a_brain_is_a_connection_that_copies_share():
    brain = reference_brain()
    assert copy.copy(brain) is brain
    assert copy.deepcopy({"brain": brain})["brain"] is brain


def test_what_was_not_made_of_a_url_cannot_be_pickled():
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(reference_brain())


def test_a_repr_shows_no_password():
    brain = Brain(ReferenceDriver(), origin=("postgresql://maria:hunter2@host/db", {}))
    assert repr(brain) == "Brain('postgresql://***@host/db')"
    assert repr(reference_brain()) == "Brain('reference')"


class Closing(ReferenceDriver):
    closed = 0

    def close(self):
        self.closed += 1


def test_a_twin_of_the_other_colour_shares_the_memory_and_leaves_it_open():
    driver = Closing()
    brain = Brain(driver)
    twin = brain.to_async()

    async def main():
        async with twin:
            await twin.store("boat")
            third = twin.to_sync()
        third.close()

    asyncio.run(main())
    assert driver.closed == 0
    assert [memory.content for memory in brain.list()] == ["boat"]
    brain.close()
    assert driver.closed == 1


def test_an_async_brain_closes_its_own_driver():
    driver = Closing()

    async def main():
        async with AsyncBrain(driver):
            pass

    asyncio.run(main())
    assert driver.closed == 1


def test_one_async_brain_works_on_one_event_loop_after_another():
    brain = AsyncBrain(ReferenceDriver())
    asyncio.run(brain.store("boat"))
    assert len(asyncio.run(brain.search("boat"))) == 1


def test_forgetting_stops_where_it_would_take_a_namesake_along():
    """No scope means "without a user", so the one that has none cannot be told from its namesake."""
    brain = Brain(Bare(ReferenceDriver()))
    brain.store("boat", id="1", metadata={"n": 1})
    brain.store("boat", id="1", metadata={"n": 2}, scope=Scope(user="maria"))
    with pytest.raises(OneBrainConflictError):
        brain.forget(filter=F("n").eq(1))
    assert brain.count() == 2
    assert brain.forget(filter=F("n").eq(2)).count == 1
    assert brain.forget(filter=F("n").eq(1)).count == 1
