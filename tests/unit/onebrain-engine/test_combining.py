"""Work that threads share: all of it is done, what fails fails alone, and what waits is taken along."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebrain.errors import EmbedderMismatch, OneBrainConnectionError, OneBrainError
from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.models import NewMemory, Scope
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.combining import Combiner
from onebrain_engine.store.postgres import PostgresStore


class Recorder:
    """Does work by noting it; the first call of each key waits until it is let go."""

    def __init__(self, fails=lambda works: None):
        self.calls = []
        self.go = threading.Event()
        self.begun = threading.Event()
        self._fails = fails

    def do(self, key, works):
        first = not self.calls
        self.calls.append((key, list(works)))
        if first:
            self.begun.set()
            assert self.go.wait(180)
        error = self._fails(works)
        if error is not None:
            raise error


def combine(recorder, works, *, most=64, size=lambda work: 1, final=lambda error: True):
    """Run works in threads of their own, all but the first one while that is under way; return each one's error."""
    combiner = Combiner(recorder.do, most=most, size=size, final=final)

    def run(work):
        try:
            combiner.run("key", work)
        except BaseException as error:
            return error
        return None

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, works[0])]
        assert recorder.begun.wait(180)
        for place, work in enumerate(works[1:], 1):
            futures.append(pool.submit(run, work))
            while len(combiner._lines["key"].waiting) < place:
                pass
        recorder.go.set()
        return [future.result(10) for future in futures], combiner


def test_what_comes_meanwhile_is_done_together():
    recorder = Recorder()
    errors, combiner = combine(recorder, [1, 2, 3, 4])
    assert errors == [None] * 4
    assert recorder.calls == [("key", [1]), ("key", [2, 3, 4])]
    assert combiner._lines == {}


def test_no_more_than_the_most_at_a_time():
    recorder = Recorder()
    errors, _ = combine(recorder, [1, 2, 3, 4, 5, 6], most=2)
    assert errors == [None] * 6
    assert recorder.calls == [("key", [1]), ("key", [2, 3]), ("key", [4, 5]), ("key", [6])]


def test_large_works_are_not_done_with_many_others():
    recorder = Recorder()
    errors, _ = combine(recorder, [1, 2, 9, 3, 4], most=5, size=lambda work: work)
    assert errors == [None] * 5
    assert [works for _, works in recorder.calls] == [[1], [2], [9], [3], [4]]


def test_what_fails_fails_alone():
    bad = OneBrainError("3 is bad")
    recorder = Recorder(lambda works: bad if 3 in works else None)
    errors, _ = combine(recorder, [1, 2, 3, 4])
    assert errors == [None, None, bad, None]
    assert recorder.calls[1] == ("key", [2, 3, 4])
    assert sorted(works for _, works in recorder.calls[2:]) == [[2], [3], [4]]


def test_an_error_that_leaves_doubt_is_everybodys():
    doubtful = OneBrainConnectionError("the connection was lost")
    doubtful.in_doubt = True
    recorder = Recorder(lambda works: doubtful if 3 in works else None)
    errors, _ = combine(recorder, [1, 2, 3], final=lambda error: not error.in_doubt)
    assert errors == [None, doubtful, doubtful]
    # Never done twice.
    assert recorder.calls == [("key", [1]), ("key", [2, 3])]


def test_an_interrupt_is_its_own_threads_affair():
    recorder = Recorder(lambda works: KeyboardInterrupt() if len(works) > 1 else None)
    errors, _ = combine(recorder, [1, 2, 3])
    assert [type(error) for error in errors] == [type(None), KeyboardInterrupt, type(None)]
    assert recorder.calls[2:] == [("key", [3])]


def test_keys_do_not_wait_for_each_other():
    recorder = Recorder()
    combiner = Combiner(recorder.do, most=8, final=lambda error: True)
    waiting = threading.Thread(target=combiner.run, args=("one", 1))
    waiting.start()
    assert recorder.begun.wait(180)
    combiner.run("other", 2)
    recorder.go.set()
    waiting.join(10)
    assert recorder.calls == [("one", [1]), ("other", [2])]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_wait_for_its_parents_threads(program):
    forking = """
        import os, threading
        from onebrain_engine.combining import Combiner

        begun, go, done = threading.Event(), threading.Event(), []

        def do(key, works):
            if not done:
                done.append(key)
                begun.set()
                go.wait()

        combiner = Combiner(do, most=8, final=lambda error: True)
        thread = threading.Thread(target=combiner.run, args=("key", 1))
        thread.start()
        begun.wait()
        child = os.fork()
        # The parent's thread does not exist here.
        if child == 0:
            status = 1
            try:
                combiner.run("key", 2)
                status = 0
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        go.set()
        thread.join()
    """
    assert program(forking) == "0\n"


@pytest.fixture(params=["sqlite", "postgresql"])
def tenant(request, tmp_path, new_tenant):
    if request.param == "sqlite":
        store = SqliteStore(str(tmp_path / "brain.db"))
    else:
        store = PostgresStore(request.getfixturevalue("postgres_url"), pool_size=20)
    engine = Engine(store)
    yield engine.tenant(new_tenant())
    engine.close()


def test_threads_store_side_by_side(tenant):
    """Each call keeps its own answers and its own order; ids given by two are one memory."""
    tenant.store([NewMemory(content="vectors of our own", scope=Scope(space="ours"))])

    def store(number):
        items = [
            NewMemory(id=f"t{number}-{n}", content=f"river {number} {n}", scope=Scope(user=f"u{number}"))
            for n in range(3)
        ]
        items.append(NewMemory(id="shared", content=f"amber {number}", metadata={"by": number}))
        items.append(
            NewMemory(content="a stranger's vector", embedding=[1.0, 2.0], scope=Scope(space="ours"))
        )
        if number % 2:
            return tenant.store(items)
        with pytest.raises(EmbedderMismatch):
            tenant.store_and_return(items)
        return None

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(store, range(16)))
    created = 0
    for answer in answers:
        if answer is not None:
            assert [result.status for result in answer[:3]] == ["created"] * 3
            assert isinstance(answer[4].error, EmbedderMismatch)
            created += answer[3].status == "created"
    assert created <= 1
    for number in range(16):
        found = tenant.list(ListRequest(scope=Scope(user=f"u{number}"), order="sequence")).data
        assert [memory.id for memory in found] == [f"t{number}-{n}" for n in range(3)]
    (shared,) = tenant.get(["shared"], Scope())
    assert shared.content == f"amber {shared.metadata['by']}"
    assert (
        tenant.search(SearchRequest(query=shared.content, limit=1, mode="keyword")).hits[0].memory == shared
    )
    assert len(tenant.list(ListRequest(scope=Scope(space="ours"))).data) == 1


def test_what_is_stored_is_returned_as_it_can_be_read(tenant):
    items = [
        NewMemory(
            id="a", content="amber\0lamp", scope=Scope(space="s", user="u", session="x"), tags=["t"],
            metadata={"n": [1]}, importance=0.5, pinned=True, title="T", type="fact", source="chat", extra={"k": {}},
        ),
        NewMemory(content="river"),
        NewMemory(id="b", content="first"),
        NewMemory(id="b", content="last", archived=True),
    ]  # fmt: skip
    stored = tenant.store_and_return(items)
    assert [memory.content for memory in stored] == ["amber\0lamp", "river", "last", "last"]
    for memory in stored:
        assert tenant.get([memory.id], Scope()) == [memory]
    again = tenant.store_and_return([NewMemory(id="b", content="again")])
    assert again == tenant.get(["b"], Scope())
    assert again[0].created_at == stored[2].created_at
