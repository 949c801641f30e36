"""The lane: one thread for short work, and another when that one is held up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from onebrain_server.short_tasks import Lane


@pytest.fixture
def lane():
    lane = Lane("test-lane", 3)
    yield lane
    lane.close()


async def test_functions_run_one_after_the_other_in_one_thread(lane):
    names, running, most = set(), [0], [0]

    def work(number):
        names.add(threading.get_ident())
        running[0] += 1
        most[0] = max(most[0], running[0])
        running[0] -= 1
        return number

    assert await asyncio.gather(*(lane.run(work, number) for number in range(50))) == list(range(50))
    assert len(names) == 1
    assert names != {threading.get_ident()}
    assert most == [1]


async def test_what_a_function_raises_is_raised_where_it_is_awaited(lane):
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)
    assert await lane.run(lambda: "and goes on") == "and goes on"


async def test_what_waits_behind_a_long_one_is_done_by_another_thread(lane):
    held = threading.Event()
    long = asyncio.create_task(lane.run(held.wait))
    quick = [asyncio.create_task(lane.run(lambda number=number: number)) for number in range(5)]
    assert await asyncio.gather(*quick) == list(range(5))
    assert not long.done()
    held.set()
    assert await long is True
    assert await lane.run(threading.get_ident) != threading.get_ident()


async def test_there_are_never_more_threads_than_allowed(lane):
    held = threading.Event()
    before = threading.active_count()
    waiting = [asyncio.create_task(lane.run(held.wait)) for _ in range(10)]
    while threading.active_count() < before + 3:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert threading.active_count() == before + 3
    held.set()
    assert await asyncio.gather(*waiting) == [True] * 10
    assert await lane.run(lambda: "still alive") == "still alive"


async def test_a_client_that_has_left_disturbs_nobody(lane):
    held = threading.Event()
    gone = asyncio.create_task(lane.run(held.wait))
    await asyncio.sleep(0)
    gone.cancel()
    held.set()
    assert await lane.run(lambda: 1) == 1


async def test_what_is_done_is_told_though_the_next_one_is_held_up(lane):
    """Several results are told together, but none waits for one that takes long."""
    held, begun = threading.Event(), threading.Event()
    order = []
    first = [asyncio.create_task(lane.run(order.append, number)) for number in range(3)]
    long = asyncio.create_task(lane.run(lambda: (begun.set(), held.wait())[1]))
    await asyncio.gather(*first)
    await asyncio.to_thread(begun.wait)
    assert not long.done()
    held.set()
    assert await long is True
    assert order == [0, 1, 2]


def test_several_loops_are_each_told_their_own(lane):
    results = {}

    async def ask(name):
        results[name] = await asyncio.gather(*(lane.run(lambda n=n: (name, n)) for n in range(40)))

    threads = [threading.Thread(target=asyncio.run, args=(ask(name),)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {name: [(name, n) for n in range(40)] for name in "abc"}


async def test_closing_finishes_what_waits():
    lane = Lane("test-lane", 2)
    tasks = [asyncio.create_task(lane.run(lambda n=n: n)) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(lane.close)
    assert await asyncio.gather(*tasks) == list(range(20))


def test_a_loop_that_has_ended_holds_up_no_other(lane):
    held, begun = threading.Event(), threading.Event()

    def hold():
        begun.set()
        held.wait()

    async def leave():
        task = asyncio.ensure_future(lane.run(hold))
        await asyncio.to_thread(begun.wait)
        task.cancel()

    asyncio.run(leave())
    held.set()  # what it did is done when its loop is gone

    async def ask():
        return await asyncio.wait_for(lane.run(lambda: "told"), 180)

    assert asyncio.run(ask()) == "told"
