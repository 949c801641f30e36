"""The worker: one thread for short work, and another when that one is held up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from onebrain_server.short_tasks import ShortTaskWorker


@pytest.fixture
def worker():
    worker = ShortTaskWorker("test-worker", 3)
    yield worker
    worker.close()


async def test_functions_run_one_after_the_other_in_one_thread(worker):
    names, running, most = set(), [0], [0]

    def work(number):
        names.add(threading.get_ident())
        running[0] += 1
        most[0] = max(most[0], running[0])
        running[0] -= 1
        return number

    assert await asyncio.gather(*(worker.run(work, number) for number in range(50))) == list(range(50))
    assert len(names) == 1
    assert names != {threading.get_ident()}
    assert most == [1]


async def test_what_a_function_raises_is_raised_where_it_is_awaited(worker):
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 / 0)
    assert await worker.run(lambda: "and goes on") == "and goes on"


async def test_what_waits_behind_a_long_one_is_done_by_another_thread(worker):
    held = threading.Event()
    long = asyncio.create_task(worker.run(held.wait))
    quick = [asyncio.create_task(worker.run(lambda number=number: number)) for number in range(5)]
    assert await asyncio.gather(*quick) == list(range(5))
    assert not long.done()
    held.set()
    assert await long is True
    assert await worker.run(threading.get_ident) != threading.get_ident()


async def test_there_are_never_more_threads_than_allowed(worker):
    held = threading.Event()
    # Threads of earlier tests may end meanwhile.
    before = set(threading.enumerate())

    def begun():
        return len(set(threading.enumerate()) - before)

    waiting = [asyncio.create_task(worker.run(held.wait)) for _ in range(10)]
    while begun() < 3:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert begun() == 3
    held.set()
    assert await asyncio.gather(*waiting) == [True] * 10
    assert await worker.run(lambda: "still alive") == "still alive"


async def test_a_client_that_has_left_disturbs_nobody(worker):
    held = threading.Event()
    gone = asyncio.create_task(worker.run(held.wait))
    await asyncio.sleep(0)
    gone.cancel()
    held.set()
    assert await worker.run(lambda: 1) == 1


async def test_what_is_done_is_told_though_the_next_one_is_held_up(worker):
    """Several results are told together, but none waits for one that takes long."""
    held, begun = threading.Event(), threading.Event()
    order = []
    first = [asyncio.create_task(worker.run(order.append, number)) for number in range(3)]
    long = asyncio.create_task(worker.run(lambda: (begun.set(), held.wait())[1]))
    await asyncio.gather(*first)
    await asyncio.to_thread(begun.wait)
    assert not long.done()
    held.set()
    assert await long is True
    assert order == [0, 1, 2]


def test_several_loops_are_each_told_their_own(worker):
    results = {}

    async def ask(name):
        results[name] = await asyncio.gather(*(worker.run(lambda n=n: (name, n)) for n in range(40)))

    threads = [threading.Thread(target=asyncio.run, args=(ask(name),)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {name: [(name, n) for n in range(40)] for name in "abc"}


async def test_closing_finishes_what_waits():
    worker = ShortTaskWorker("test-worker", 2)
    tasks = [asyncio.create_task(worker.run(lambda n=n: n)) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(worker.close)
    assert await asyncio.gather(*tasks) == list(range(20))


def test_a_loop_that_has_ended_holds_up_no_other(worker):
    held, begun = threading.Event(), threading.Event()

    def hold():
        begun.set()
        held.wait()

    async def leave():
        task = asyncio.ensure_future(worker.run(hold))
        await asyncio.to_thread(begun.wait)
        task.cancel()

    asyncio.run(leave())
    # What it did is done when its loop is gone.
    held.set()

    async def ask():
        return await asyncio.wait_for(worker.run(lambda: "told"), 180)

    assert asyncio.run(ask()) == "told"
