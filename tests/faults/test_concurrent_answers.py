"""Writers and readers at once, on every store and through every way in: no answer comes from a half-known state.

Each worker changes memories of its own, and asks about everybody's. What is true of a memory at an answer lies between
the last change that was acknowledged before the question, and the last one that had begun before the answer: an answer
shows one of these, and nothing else. At the end the indexes that lived through it all are compared with fresh ones.

A run is bounded by a number of turns. $ONEBRAIN_CONCURRENT_SECONDS makes each last so many seconds instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Generator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import onebrain
from onebrain import F, Scope
from onebrain.memory.filters import TRUE

SECONDS = float(os.environ.get("ONEBRAIN_CONCURRENT_SECONDS", "0"))
KINDS = ("apple", "pear", "plum", "quince")
# Memories of each worker.
KEYS = 8
LIMIT = 5
KEY = "5a" * 32

Condition = tuple[str, Any] | None


def condition_of(condition: Condition):
    if condition is None:
        return TRUE
    operator, value = condition
    field = F("n") if operator in ("ge", "lt") else F("kind")
    return field.exists() if operator == "exists" else getattr(field, operator)(value)


def holds(condition: Condition, version) -> bool:
    if version is None:
        return False
    kind, n, _ = version
    operator, value = condition or ("exists", None)
    return {
        "eq": lambda: kind == value,
        "ne": lambda: kind != value,
        "starts_with": lambda: kind.startswith(value),
        "exists": lambda: True,
        "ge": lambda: n >= value,
        "lt": lambda: n < value,
    }[operator]()


class Worker:
    """Yields calls as (verb, arguments, options), is sent their results, and logs what was written and seen, and when."""

    def __init__(self, name: str, turns: int, *, without: frozenset[str] = frozenset()) -> None:
        self.name = name
        self.log: list[list[Any]] = []
        self._random = random.Random(name)
        self._turns = turns
        self._mine: dict[str, tuple[str, int, str]] = {}
        self._n = 0
        self._without = without
        self._scope = Scope(user=name)

    def work(self) -> Generator[tuple[str, tuple, dict], Any, None]:
        deadline = time.monotonic() + SECONDS
        actions = {
            "store": 6, "store_many": 2, "update": 4, "delete": 3, "forget": 2,
            "count": 5, "list": 5, "page": 4, "search": 4, "get_many": 2,
        }  # fmt: skip
        names = [name for name in actions if name not in self._without]
        weights = [actions[name] for name in names]
        turn = 0
        while time.monotonic() < deadline if SECONDS else turn < self._turns:
            turn += 1
            yield from getattr(self, "_" + self._random.choices(names, weights)[0])()

    # ---- changes of one's own ---------------------------------------------------------------------------------------

    def _new(self) -> tuple[str, str, tuple[str, int, str]]:
        self._n += 1
        id, kind = f"{self.name}-{self._random.randrange(KEYS)}", self._random.choice(KINDS)
        return id, kind, (kind, self._n, f"{kind} number {self._n} of {id}")

    def _wrote(self, id: str, begin: int, version: Any) -> None:
        self.log.append(["wrote", id, begin, time.monotonic_ns(), version])
        if version is None:
            self._mine.pop(id, None)
        else:
            self._mine[id] = version

    def _store(self):
        id, kind, version = self._new()
        metadata = {"kind": kind, "n": version[1]}
        begin = time.monotonic_ns()
        yield "store", (version[2],), {"id": id, "scope": self._scope, "metadata": metadata}
        self._wrote(id, begin, version)

    def _store_many(self):
        new = {id: version for id, _, version in (self._new() for _ in range(3))}
        items = [
            {"content": text, "id": id, "metadata": {"kind": kind, "n": n}}
            for id, (kind, n, text) in new.items()
        ]
        begin = time.monotonic_ns()
        results = yield "store_many", (items,), {"scope": self._scope}
        results.raise_for_failures()
        for id, version in new.items():
            self._wrote(id, begin, version)

    def _update(self):
        id, kind, version = self._new()
        if id not in self._mine:
            return
        metadata = {"kind": kind, "n": version[1]}
        begin = time.monotonic_ns()
        yield "update", (id,), {"scope": self._scope, "content": version[2], "metadata": metadata}
        self._wrote(id, begin, version)

    def _delete(self):
        id, _, _ = self._new()
        begin = time.monotonic_ns()
        count = yield "delete", (id,), {"scope": self._scope}
        assert count == (id in self._mine), (self.name, "delete", id, count)
        self._wrote(id, begin, None)

    def _forget(self):
        kind = self._random.choice(KINDS)
        condition = self._random.choice((("eq", kind), ("ne", kind), ("lt", self._n - 6)))
        doomed = {id for id, version in self._mine.items() if holds(condition, version)}
        begin = time.monotonic_ns()
        result = yield "forget", (), {"scope": self._scope, "filter": condition_of(condition)}
        assert set(result.ids) == doomed, (self.name, "forget", condition, sorted(result.ids), sorted(doomed))
        for id in doomed:
            self._wrote(id, begin, None)

    # ---- questions about all ----------------------------------------------------------------------------------------

    def _condition(self) -> Condition:
        kind = self._random.choice(KINDS)
        return self._random.choice(
            (
                None,
                ("eq", kind),
                ("ne", kind),
                ("starts_with", kind[:2]),
                ("exists", None),
                ("ge", self._n // 2),
            )
        )

    def _asked(self, verb: str, begin: int, condition: Condition, found: Any, **facts: Any) -> None:
        seen = found
        if not isinstance(found, int):
            seen = [[one.id, [one.metadata["kind"], one.metadata["n"], one.content]] for one in found]
        self.log.append(["asked", verb, begin, time.monotonic_ns(), condition, seen, facts])

    def _count(self):
        condition = self._condition()
        begin = time.monotonic_ns()
        found = yield "count", (), {"filter": condition_of(condition)}
        self._asked("count", begin, condition, found)

    def _list(self):
        condition = self._condition()
        begin = time.monotonic_ns()
        found = yield "list", (), {"filter": condition_of(condition)}
        self._asked("list", begin, condition, found)

    def _page(self):
        condition = self._condition()
        begin = time.monotonic_ns()
        found = yield "page", (), {"filter": condition_of(condition), "limit": LIMIT}
        # A service that does not know the filter returns what its page has left, and says that more follows.
        short = getattr(found, "short", False)
        self._asked("page", begin, condition, found.data, limit=LIMIT, short=short)

    def _search(self):
        kind, limit = self._random.choice(KINDS), self._random.choice((LIMIT, 100))
        begin = time.monotonic_ns()
        found = yield "search", (kind,), {"filter": F("kind").eq(kind), "limit": limit}
        self._asked("search", begin, ("eq", kind), [hit.memory for hit in found], limit=limit)

    def _get_many(self):
        others = sorted({entry[1] for entry in self.log if entry[0] == "wrote"})[:4]
        if not others:
            return
        begin = time.monotonic_ns()
        found = yield "get_many", (others,), {}
        self._asked("get_many", begin, None, found, among=others)


def drive(brain: Any, worker: Worker) -> None:
    """Let a worker work, in this thread."""
    work, result = worker.work(), None
    while True:
        try:
            verb, arguments, options = work.send(result)
        except StopIteration:
            return
        result = getattr(brain, verb)(*arguments, **options)


async def drive_async(brain: Any, worker: Worker) -> None:
    """Let a worker work, in this task."""
    work, result = worker.work(), None
    while True:
        try:
            verb, arguments, options = work.send(result)
        except StopIteration:
            return
        answer = getattr(brain, verb)(*arguments, **options)
        result = [one async for one in answer] if hasattr(answer, "__aiter__") else await answer


class Model:
    """What every memory was, and when it was known to be."""

    def __init__(self, logs: list[list[Any]]) -> None:
        self._versions: dict[str, list[Any]] = {}
        self._begins: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for _, id, begin, end, version in (entry for entry in logs if entry[0] == "wrote"):
            self._versions.setdefault(id, [None]).append(version)
            self._begins.setdefault(id, [0]).append(begin)
            self._ends.setdefault(id, [0]).append(end)
        self.asked = [entry for entry in logs if entry[0] == "asked"]

    def possible(self, id: str, begin: int, end: int) -> list[Any]:
        """Return the versions of a memory that an answer may show."""
        first = bisect_left(self._ends[id], begin) - 1
        last = bisect_right(self._begins[id], end)
        return self._versions[id][max(first, 0) : last]

    def final(self) -> dict[str, list[Any]]:
        """Return what is there at the end."""
        return {id: list(found[-1]) for id, found in self._versions.items() if found[-1] is not None}

    def check(self) -> None:
        """Assert that every answer is possible."""
        for _, verb, begin, end, condition, seen, facts in self.asked:
            ids = facts.get("among", list(self._versions))
            least = most = 0
            must = set()
            for id in ids:
                matches = [holds(condition, version) for version in self.possible(id, begin, end)]
                least += all(matches)
                most += any(matches)
                if all(matches):
                    must.add(id)
            told = (verb, condition, facts, seen)
            if isinstance(seen, int):
                assert least <= seen <= most, (least, most, told)
                continue
            assert len({id for id, _ in seen}) == len(seen), ("twice", told)
            for id, version in seen:
                assert id in self._versions, ("foreign", id, told)
                possible = self.possible(id, begin, end)
                assert list(version) in [list(one) for one in possible if one is not None], (
                    id,
                    possible,
                    told,
                )
                assert holds(condition, version), ("does not match", id, told)
            if "limit" in facts:
                fewest = 0 if facts.get("short") else min(least, facts["limit"])
                assert fewest <= len(seen) <= facts["limit"], (least, told)
            else:
                assert must <= {id for id, _ in seen}, (must - {id for id, _ in seen}, told)


def run(brains: list[Any], turns: int, *, outside: list[subprocess.Popen] = (), without=frozenset()) -> Model:  # type: ignore[assignment]
    """Let a thread work on each brain, beside other processes, and check what all of them saw."""
    workers = [Worker(f"thread{number}", turns, without=without) for number in range(len(brains))]
    problems: list[BaseException] = []

    def work(brain: Any, worker: Worker) -> None:
        try:
            drive(brain, worker)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(brains, workers, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs = [entry for worker in workers for entry in worker.log]
    for process in outside:
        out, errors = process.communicate(timeout=SECONDS + 300)
        assert process.returncode == 0, errors
        logs.extend(json.loads(out))
    if problems:
        raise problems[0]
    model = Model(logs)
    model.check()
    return model


def settled(brain: Any, model: Model) -> None:
    """Assert that a brain shows the model's last state in every way."""
    final = model.final()
    assert {one.id: [one.metadata["kind"], one.metadata["n"], one.content] for one in brain.list()} == final
    for kind in KINDS:
        for condition in (("eq", kind), ("ne", kind), ("starts_with", kind[:2]), ("ge", 5)):
            expected = {id for id, version in final.items() if holds(condition, version)}
            assert {one.id for one in brain.list(filter=condition_of(condition))} == expected
            assert brain.count(filter=condition_of(condition)) == len(expected)


def ranked(brain: Any) -> list:
    return [
        sorted((hit.id, round(hit.score, 4)) for hit in brain.search(query, mode=mode, limit=200))
        for query in (*KINDS, "which number is of thread0?")
        for mode in ("hybrid", "keyword", "vector")
    ]


def elsewhere(url: str, options: dict[str, Any], turns: int, count: int = 2) -> list[subprocess.Popen]:
    """Start processes that work on a brain of their own at a URL."""
    return [
        subprocess.Popen(
            [sys.executable, __file__, json.dumps([url, options, turns, f"process{number}"])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]


def check_brain(url: str, turns: int, *, processes: int = 2, **options: Any) -> None:
    with onebrain.connect(url, **options) as living, onebrain.connect(url, **options) as second:
        outside = elsewhere(url, options, turns, processes) if processes else []
        model = run([living, living, second], turns, outside=outside)
        with onebrain.connect(url, **options) as fresh:
            settled(fresh, model)
            truth = ranked(fresh)
        for brain in (living, second):
            settled(brain, model)
            assert ranked(brain) == truth


# ---- the brain ------------------------------------------------------------------------------------------------------


def test_an_sqlite_file(tmp_path):
    check_brain(f"sqlite:///{tmp_path}/brain.db", 40)


def test_an_encrypted_sqlite_file(tmp_path):
    check_brain(f"sqlite:///{tmp_path}/brain.db", 40, processes=1, encryption_key=KEY)


def test_sqlite_in_memory():
    from onebrain_engine import Engine
    from onebrain_engine.driver import EngineDriver

    with onebrain.connect("sqlite://") as living:
        model = run([living] * 4, 60)
        engine = Engine(living.driver.engine.store)
        fresh = onebrain.Brain(EngineDriver(engine, engine.tenant(), service="sqlite"))
        settled(living, model)
        settled(fresh, model)
        assert ranked(living) == ranked(fresh)


async def test_tasks_on_an_sqlite_file(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    async with onebrain.connect_async(url) as living:
        workers = [Worker(f"task{number}", 40) for number in range(4)]
        await asyncio.gather(*(drive_async(living, worker) for worker in workers))
        model = Model([entry for worker in workers for entry in worker.log])
        model.check()
        with living.to_sync() as same, onebrain.connect(url) as fresh:
            settled(same, model)
            settled(fresh, model)
            assert ranked(same) == ranked(fresh)


def test_postgresql(postgres):
    check_brain(postgres.new_database(), 40)


def test_encrypted_postgresql(postgres):
    check_brain(postgres.new_database(), 25, processes=1, encryption_key=KEY)


def test_large_spaces(postgres):
    """Every space is served by the database's own indexes, some from the start and some in the midst of it."""
    url = postgres.new_database()
    with onebrain.connect(url, large_space=10) as living, onebrain.connect(url, large_space=0) as second:
        model = run([living, living, second], 25, outside=elsewhere(url, {"large_space": 0}, 25, 1))
        with onebrain.connect(url) as fresh:
            for brain in (living, second, fresh):
                settled(brain, model)


# ---- other ways in --------------------------------------------------------------------------------------------------


class LangGraphStore:
    """A LangGraph store that is asked as a brain is."""

    def __init__(self, brain: Any) -> None:
        from onebrain_langchain import OneBrainStore

        self._store = OneBrainStore(brain=brain)

    @staticmethod
    def _item(item: Any) -> Any:
        return SimpleNamespace(
            id=item.key,
            content=item.value["text"],
            metadata={"kind": item.value["kind"], "n": item.value["n"]},
        )

    @staticmethod
    def _value(content: str, metadata: dict[str, Any]) -> dict[str, Any]:
        return {"text": content, **metadata}

    def store(self, content, *, id, scope, metadata):
        self._store.put(("all", scope.user), id, self._value(content, metadata))

    def list(self, *, filter):
        return [
            self._item(item) for item in self._store.search(("all",), filter=self._filter(filter), limit=500)
        ]

    def page(self, *, filter, limit):
        found = self._store.search(("all",), filter=self._filter(filter), limit=limit)
        return SimpleNamespace(data=[self._item(item) for item in found])

    def search(self, query, *, filter, limit):
        found = self._store.search(("all",), query=query, filter=self._filter(filter), limit=limit)
        return [SimpleNamespace(memory=self._item(item)) for item in found]

    @staticmethod
    def _filter(filter: Any) -> Any:
        if filter == TRUE:
            return None
        return {filter.field: {"$gte" if filter.op == "ge" else f"${filter.op}": filter.value}}


class AsyncLangGraphStore(LangGraphStore):
    async def store(self, content, *, id, scope, metadata):
        await self._store.aput(("all", scope.user), id, self._value(content, metadata))

    async def list(self, *, filter):
        found = await self._store.asearch(("all",), filter=self._filter(filter), limit=500)
        return [self._item(item) for item in found]

    async def page(self, *, filter, limit):
        found = await self._store.asearch(("all",), filter=self._filter(filter), limit=limit)
        return SimpleNamespace(data=[self._item(item) for item in found])

    async def search(self, query, *, filter, limit):
        found = await self._store.asearch(("all",), query=query, filter=self._filter(filter), limit=limit)
        return [SimpleNamespace(memory=self._item(item)) for item in found]


class OneField(Worker):
    """Asks only what a LangGraph store's filters can say."""

    def _condition(self) -> Condition:
        return self._random.choice((None, ("eq", KINDS[0]), ("ne", KINDS[1]), ("ge", self._n // 2)))


STORES_LACK = frozenset({"store_many", "update", "delete", "forget", "count", "get_many"})


async def test_tasks_on_a_langgraph_store(tmp_path):
    async with onebrain.connect_async(f"sqlite:///{tmp_path}/brain.db") as brain:
        store = AsyncLangGraphStore(brain)
        workers = [OneField(f"task{number}", 40, without=STORES_LACK) for number in range(6)]
        await asyncio.gather(*(drive_async(store, worker) for worker in workers))
        Model([entry for worker in workers for entry in worker.log]).check()


def test_threads_on_a_langgraph_store(tmp_path):
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        store = LangGraphStore(brain)
        workers = [OneField(f"thread{number}", 40, without=STORES_LACK) for number in range(3)]
        threads = [threading.Thread(target=drive, args=(store, worker)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model = Model([entry for worker in workers for entry in worker.log])
        model.check()
        assert {item.id for item in store.list(filter=TRUE)} == set(model.final())


class ServedBrain:
    """A brain on a server that gives the ids itself: memories keep ours in their metadata, and are shown by them."""

    def __init__(self, url: str, **options: Any) -> None:
        self._brain = onebrain.connect(url, **options)
        self._ids: dict[str, str] = {}

    def close(self) -> None:
        self._brain.close()

    def store(self, content, *, id, scope, metadata):
        metadata = {**metadata, "key": id}
        if id in self._ids:
            self._brain.update(self._ids[id], scope=scope, content=content, metadata=metadata)
        else:
            self._ids[id] = self._brain.store(content, scope=scope, metadata=metadata).id

    def update(self, id, *, scope, content, metadata):
        self.store(content, id=id, scope=scope, metadata=metadata)

    def delete(self, id, *, scope):
        return self._brain.delete(self._ids.pop(id), scope=scope) if id in self._ids else 0

    def forget(self, *, scope, filter):
        keys = {id: key for key, id in self._ids.items()}
        result = self._brain.forget(scope=scope, filter=filter)
        for id in result.ids:
            del self._ids[keys[id]]
        return SimpleNamespace(ids=[keys[id] for id in result.ids])

    def count(self, **options):
        return self._brain.count(**options)

    def list(self, **options):
        return [self._shown(memory) for memory in self._brain.list(**options)]

    def page(self, **options):
        page = self._brain.page(**options)
        return SimpleNamespace(data=[self._shown(memory) for memory in page.data], short=page.meta.has_more)

    def search(self, query, **options):
        return [
            SimpleNamespace(memory=self._shown(hit.memory)) for hit in self._brain.search(query, **options)
        ]

    @staticmethod
    def _shown(memory: Any) -> Any:
        return SimpleNamespace(id=memory.metadata["key"], content=memory.content, metadata=memory.metadata)


SERVERS_LACK = frozenset({"store_many", "get_many"})


def test_the_server_over_a_socket(onebrain_server_url, onebrain_api_key):
    options = {"api_key": onebrain_api_key, "timeout": 120}
    url = f"onebrain+{onebrain_server_url}"
    brains = [ServedBrain(url, **options) for _ in range(3)]
    model = run(brains, 15, outside=elsewhere(url, options, 15, 1), without=SERVERS_LACK)
    settled(brains[0], model)
    for brain in brains:
        brain.close()


def _main() -> None:
    url, options, turns, name = json.loads(sys.argv[1])
    served = url.startswith("onebrain+")
    worker = Worker(name, turns, without=SERVERS_LACK if served else frozenset())
    with closing((ServedBrain if served else onebrain.connect)(url, **options)) as brain:
        drive(brain, worker)
    print(json.dumps(worker.log))


if __name__ == "__main__":
    _main()
