"""Plans, the modes that drive them, and the descriptors that make methods of them."""

from __future__ import annotations

import asyncio
import inspect
import threading
from types import GeneratorType

import pytest

from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Async, Call, Coloured, Delegate, Mode, Send, Sleep, Steps, Sync, done
from onebrain._core.transport import Request, Response


class Numbers(Coloured[Mode]):
    """Serves the numbers below ten in pages, and remembers what was asked of it."""

    def __init__(self, mode):
        super().__init__(mode)
        self.asked = []

    @endpoint
    def double(self, number: int, *, times: int = 1) -> Steps[int]:
        """Double a number."""
        for _ in range(times):
            number = yield Call(lambda value: value * 2, (number,))
        return number

    @endpoint
    def quadruple(self, number: int) -> Steps[int]:
        """Double twice."""
        once = yield from Numbers.double.plan(self, number)
        return (yield from Numbers.double.plan(self, once))

    def _page(
        self, *, limit: int | None = None, cursor: str | None = None, size: int = 3
    ) -> Steps[Page[int]]:
        """Iterate over numbers."""
        self.asked.append((limit, cursor))
        start = int(cursor or 0)
        end = min(start + (size if limit is None else min(limit, size)), 10)
        yield Sleep(0)
        return Page(tuple(range(start, end)), PageMeta(end < 10, str(end) if end < 10 else None, 10))

    every = listing(_page)
    some = listing(_page, total="limit")

    @listing
    def stuck(self, *, cursor: str | None = None) -> Steps[Page[int]]:
        """Repeat the same cursor for ever, as a broken server does."""
        self.asked.append(cursor)
        return (yield from done(Page((1,), PageMeta(True, "same", None))))


def test_an_endpoint_is_a_method_a_coroutine_function_or_a_plan_by_colour():
    sync, asynchronous, plan = Numbers(Sync()), Numbers(Async()), Numbers(Delegate())
    assert sync.double(21) == 42
    assert not inspect.iscoroutinefunction(sync.double)
    assert inspect.iscoroutinefunction(asynchronous.double)
    assert asyncio.run(asynchronous.double(21, times=2)) == 84
    steps = plan.double(21)
    assert isinstance(steps, GeneratorType)
    assert Sync().drive(steps) == 42


def test_an_endpoint_keeps_its_name_its_parameters_and_its_docstring():
    for mode in (Sync(), Async(), Delegate()):
        method = Numbers(mode).double
        assert method.__name__ == "double"
        assert method.__doc__ == "Double a number."
        assert list(inspect.signature(method).parameters) == ["number", "times"]
    assert Numbers.double.__doc__ == "Double a number."


def test_an_endpoint_delegates_to_another_in_every_colour():
    assert Numbers(Sync()).quadruple(3) == 12
    assert asyncio.run(Numbers(Async()).quadruple(3)) == 12


@pytest.mark.parametrize("mode", [Sync(), Async(), Delegate()], ids=["sync", "async", "plan"])
def test_a_wrong_keyword_raises_at_the_call(mode):
    numbers = Numbers(mode)
    for method in (numbers.every, numbers.some):
        with pytest.raises(TypeError, match="sise"):
            method(sise=3)
    if isinstance(mode, Async):
        with pytest.raises(TypeError, match="tims"):
            asyncio.run(numbers.double(1, tims=2))
    else:
        with pytest.raises(TypeError, match="tims"):
            numbers.double(1, tims=2)
    assert numbers.asked == []


async def collect(rows):
    return [row async for row in rows]


def test_a_listing_iterates_over_all_pages_in_both_colours():
    assert list(Numbers(Sync()).every()) == list(range(10))
    assert asyncio.run(collect(Numbers(Async()).every(size=4))) == list(range(10))


def test_a_listing_in_plan_mode_is_the_plan_of_one_page():
    page = Sync().drive(Numbers(Delegate()).every(cursor="3"))
    assert page.data == (3, 4, 5)
    assert Sync().drive(Numbers.every.plan(Numbers(Sync()), cursor="9")).data == (9,)


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 7, 10, 99])
def test_a_total_bounds_the_rows_of_all_pages(limit):
    numbers = Numbers(Sync())
    expected = list(range(min(limit, 10)))
    assert list(numbers.some(limit=limit)) == expected
    assert asyncio.run(collect(Numbers(Async()).some(limit=limit))) == expected
    assert len(numbers.asked) == max(1, -(-min(limit, 10) // 3))


def test_nothing_is_asked_before_the_first_row_and_no_page_too_many():
    numbers = Numbers(Sync())
    rows = numbers.every()
    assert numbers.asked == []
    assert [next(rows) for _ in range(4)] == [0, 1, 2, 3]
    rows.close()
    assert numbers.asked == [(None, None), (None, "3")]


def test_an_async_listing_can_be_left_early():
    numbers = Numbers(Async())

    async def first():
        async for row in numbers.every():
            return row

    assert asyncio.run(first()) == 0
    assert numbers.asked == [(None, None)]


def test_a_server_that_repeats_its_cursor_does_not_loop_for_ever():
    numbers = Numbers(Sync())
    assert list(numbers.stuck()) == [1, 1]
    assert numbers.asked == [None, "same"]


def test_an_effect_that_fails_is_thrown_into_the_plan():
    def plan():
        try:
            yield Call(int, ("no number",))
        except ValueError:
            return (yield Call(int, ("7",)))

    assert Sync().drive(plan()) == 7
    assert asyncio.run(Async().drive(plan())) == 7


def test_a_plan_is_closed_when_its_driver_is_interrupted():
    closed = []

    def plan():
        try:
            yield Call(_interrupt)
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        Sync().drive(plan())
    assert closed == [True]


def _interrupt():
    raise KeyboardInterrupt


def test_a_cancelled_plan_is_closed():
    closed = []

    def plan():
        try:
            yield Sleep(60)
        finally:
            closed.append(True)

    async def main():
        task = asyncio.create_task(Async().drive(plan()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert closed == [True]


def test_a_call_runs_in_place_in_sync_code_and_in_a_thread_in_async_code():
    def plan():
        return (yield Call(threading.get_ident))

    here = threading.get_ident()
    assert Sync().drive(plan()) == here
    assert asyncio.run(Async().drive(plan())) != here


def test_a_request_goes_to_the_transport_of_the_mode():
    request = Request("GET", "http://localhost/x")

    class Echo:
        def send(self, request):
            return Response(200, content=request.url.encode())

        def close(self):
            pass

    class AsyncEcho:
        async def send(self, request):
            return Response(201, content=request.url.encode())

        async def close(self):
            pass

    def plan():
        return (yield Send(request))

    assert Sync(Echo()).drive(plan()).status == 200
    assert asyncio.run(Async(AsyncEcho()).drive(plan())).status == 201
    with pytest.raises(RuntimeError, match="transport"):
        Sync().drive(plan())
    with pytest.raises(RuntimeError, match="transport"):
        asyncio.run(Async().drive(plan()))


def test_what_is_no_effect_is_a_type_error():
    def plan():
        yield "send this"

    with pytest.raises(TypeError, match="effect"):
        Sync().drive(plan())
    with pytest.raises(TypeError, match="effect"):
        asyncio.run(Async().drive(plan()))


def test_a_page_is_a_sequence_of_its_rows():
    page = Page(("a", "b", "c"), PageMeta(True, "next", 9))
    assert (len(page), page[0], page[1:], list(page), "b" in page) == (
        3,
        "a",
        ("b", "c"),
        ["a", "b", "c"],
        True,
    )
