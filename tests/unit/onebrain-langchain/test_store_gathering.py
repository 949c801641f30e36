"""Asynchronous operations of `OneBrainStore` that begin within one turn of an event loop are done as one batch."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest
from langgraph.store.base import GetOp, PutOp, SearchOp

import onebrain
from onebrain_langchain import OneBrainStore
from onebrain_langchain.gathering import Gathering

SPACE = ("t",)


@pytest.fixture
def store(brain):
    return OneBrainStore(brain=brain)


async def test_reads_see_the_state_before_and_the_last_put_counts(store):
    await store.aput(SPACE, "k", {"n": 0})
    results = await asyncio.gather(
        store.aput(SPACE, "k", {"n": 1}),
        store.aget(SPACE, "k"),
        store.asearch(SPACE),
        store.aput(SPACE, "new", {"n": 1}),
        store.aget(SPACE, "new"),
        store.alist_namespaces(),
        store.aput(SPACE, "k", {"n": 2}),
        store.adelete(SPACE, "new"),
    )
    assert results[1].value == {"n": 0}
    assert [item.value for item in results[2]] == [{"n": 0}]
    assert results[4] is None
    assert results[5] == [SPACE]
    assert {item.key: item.value for item in await store.asearch(SPACE)} == {"k": {"n": 2}}


async def test_operations_are_done_in_the_order_in_which_they_began(store):
    tasks = []
    for number in range(20):
        tasks.append(asyncio.create_task(store.aput(SPACE, "k", {"n": number})))
        if number % 3 == 0:
            # A turn ends.
            await asyncio.sleep(0)
    tasks.append(asyncio.create_task(store.aput(SPACE, "last", {})))
    await asyncio.sleep(0)
    reading = asyncio.create_task(store.aget(SPACE, "k"))
    await asyncio.gather(*tasks)
    assert (await store.aget(SPACE, "k")).value == {"n": 19}
    assert (await reading) is None or (await reading).value["n"] <= 19


async def test_a_thousand_operations_ask_the_brain_a_few_times(brain):
    asked = []

    class Counting:
        def __init__(self, driver):
            self._driver = driver

        def __getattr__(self, name):
            if name in ("store", "search", "get", "list", "update", "delete"):
                asked.append(name)
            return getattr(self._driver, name)

    store = OneBrainStore(brain=onebrain.Brain(Counting(brain.driver)))
    calls = []
    for number in range(200):
        key = f"key{number}"
        calls += [
            store.aput(SPACE, key, {"foo": number}),
            store.aget(SPACE, key),
            store.alist_namespaces(max_depth=2),
            store.asearch(SPACE),
            store.aput(SPACE, f"kept{number}", {"foo": "x"}),
            store.adelete(SPACE, key),
        ]
    results = await asyncio.gather(*calls)
    assert results == [None, None, [], [], None, None] * 200
    assert len(asked) <= 5
    found = await store.asearch(SPACE, limit=1000)
    assert {item.key for item in found} == {f"kept{number}" for number in range(200)}


async def test_every_caller_has_its_own_result_and_its_own_error(store):
    await store.aput(SPACE, "there", {"n": 1})
    results = await asyncio.gather(
        store.aget(SPACE, "there"),
        store.aput(SPACE, "bad", {"n": float("nan")}),
        store.aput(SPACE, "good", {"n": 2}),
        store.asearch(SPACE, filter={"n": {"$in": [1]}}),
        store.aput(("a.b",), "bad", {}),
        store.asearch(SPACE, limit=-1),
        store.aput(SPACE, "bad", {"n": 1}, ttl=-1),
        store.abatch([PutOp(SPACE, "half", {"n": 1}), PutOp(SPACE, "bad", {"n": object()})]),
        store.abatch([GetOp(SPACE, "there"), SearchOp(SPACE)]),
        store.abatch([]),
        return_exceptions=True,
    )
    assert results[0].value == {"n": 1}
    assert results[2] is None
    assert results[9] == []
    assert [type(result).__name__ for result in results if isinstance(result, Exception)] == [
        "OneBrainValidationError",
        "OneBrainValidationError",
        "InvalidNamespaceError",
        "OneBrainValidationError",
        "OneBrainValidationError",
        "OneBrainValidationError",
    ]
    assert len({id(result) for result in results if isinstance(result, Exception)}) == 6
    assert results[8][0].value == {"n": 1}
    assert {item.key for item in await store.asearch(SPACE)} == {"there", "good"}


async def test_an_embedder_that_fails_for_one_fails_for_no_other(brain):
    def embed(texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("cannot embed this")
        return [[float(len(text)), 1.0] for text in texts]

    store = OneBrainStore(brain=brain, index={"dims": 2, "embed": embed, "fields": ["text"]})
    results = await asyncio.gather(
        *(store.aput(SPACE, word, {"text": word}) for word in ("one", "poison", "three")),
        store.asearch(SPACE, query="poison"),
        store.asearch(SPACE, query="one"),
        return_exceptions=True,
    )
    assert [isinstance(result, RuntimeError) for result in results] == [False, True, False, True, False]
    assert {item.key for item in await store.asearch(SPACE)} == {"one", "three"}


async def test_what_is_cancelled_before_it_began_is_not_done(store):
    tasks = [asyncio.create_task(store.aput(SPACE, str(number), {})) for number in range(10)]
    # All have asked, none is under way.
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 5
    assert {item.key for item in await store.asearch(SPACE)} == {"1", "3", "5", "7", "9"}


async def test_work_under_way_goes_on_for_those_who_wait_and_ends_when_nobody_does():
    gathering = Gathering()
    done, entered, go = [], asyncio.Event(), asyncio.Event()

    async def together(works):
        entered.set()
        await go.wait()
        done.extend(works)
        return [work * 2 for work in works]

    first = [asyncio.create_task(gathering.do(number, together)) for number in (1, 2)]
    await entered.wait()
    later = asyncio.create_task(gathering.do(3, together))
    await asyncio.sleep(0)
    first[0].cancel()
    go.set()
    assert await first[1] == 4
    assert await later == 6
    assert done == [1, 2, 3]

    entered.clear()
    go.clear()
    alone = asyncio.create_task(gathering.do(4, together))
    await entered.wait()
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    go.set()
    assert await gathering.do(5, together) == 10
    assert done == [1, 2, 3, 5]


async def test_an_error_of_all_is_raised_to_each_and_the_line_goes_on():
    gathering = Gathering()

    async def fail(works):
        raise RuntimeError("down")

    async def work(works):
        return list(works)

    results = await asyncio.gather(*(gathering.do(n, fail) for n in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["down"] * 3
    assert await gathering.do(7, work) == 7
    assert isinstance(pickle.loads(pickle.dumps(gathering)), Gathering)


def test_a_store_may_be_used_by_several_event_loops(brain):
    store = OneBrainStore(brain=brain)

    async def use(name):
        await asyncio.gather(*(store.aput((name,), str(number), {}) for number in range(20)))
        return len(await store.asearch((name,), limit=100))

    counts = {}
    threads = [
        threading.Thread(target=lambda name=f"n{number}": counts.update({name: asyncio.run(use(name))}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == dict.fromkeys((f"n{number}" for number in range(4)), 20)
    # After the loops of before have ended.
    assert asyncio.run(use("again")) == 20


def test_a_loop_that_ends_while_work_waits_leaves_the_store_usable(brain):
    store = OneBrainStore(brain=brain)

    async def leave():
        asyncio.create_task(store.aput(SPACE, "k", {}))  # noqa: RUF006  # left behind on purpose
        await asyncio.sleep(0)

    asyncio.run(leave())
    store.put(SPACE, "after", {})
    assert "after" in {item.key for item in store.search(SPACE)}
