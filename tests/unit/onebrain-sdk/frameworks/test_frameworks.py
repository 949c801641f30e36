"""The shared base of the framework packages, without any framework."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
import onebrain.frameworks
from onebrain import AsyncBrain, Brain, ConfigurationError, Hit, Memory, NewMemory, Scope
from onebrain.frameworks import tools
from onebrain.frameworks.connection import Component, Connection, Method, as_scope, in_space
from onebrain.frameworks.ids import decode, encode, store_under_ids, with_ids
from onebrain.frameworks.plans import Plan, arun, ask, call, run, to_the_end
from onebrain.frameworks.recall import Recall, diverse, said
from onebrain.frameworks.scope import check_source, resolve_scope
from onebrain.frameworks.turns import Spoken, TurnRecorder, facts
from onebrain.memory.fence import fence
from onebrain.testing.reference import REFERENCE, reference_brain

MODEST = replace(REFERENCE, client_ids=False, archive=False, filters={}, logic=frozenset())
MARIA = Scope(user="maria")


@pytest.fixture(params=[REFERENCE, MODEST], ids=["reference", "modest"])
def brain(request: pytest.FixtureRequest) -> Iterator[Brain]:
    with reference_brain(request.param) as opened:
        yield opened


@pytest.fixture(params=["sync", "async"])
def drive(request, brain):
    """Runs a plan on a brain, in both kinds of code."""

    def sync(plan):
        return run(brain, plan)

    def asynchronous(plan):
        return asyncio.run(arun(brain.to_async(), plan))

    return sync if request.param == "sync" else asynchronous


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_no_framework_is_named_and_nothing_below_knows_the_base():
    folder = Path(inspect.getfile(onebrain.frameworks)).parent
    named = re.compile(r"langchain|langgraph|llama_?index|openai|pydantic_ai|crewai|haystack", re.IGNORECASE)
    assert [path.name for path in folder.glob("*.py") if named.search(path.read_text())] == []
    below = [*(folder.parent / "memory").rglob("*.py"), *(folder.parent / "_core").rglob("*.py")]
    assert [path.name for path in below if "onebrain.frameworks" in path.read_text()] == []


# ---- plans -----------------------------------------------------------------------------------------------------------


def test_a_plan_asks_and_calls_and_returns(drive):
    async def twin(text):
        return f"async {text}"

    def plan() -> Plan[tuple[list[str], bool, str]]:
        yield ask("store", "a", scope=MARIA)
        listed = yield ask("list", scope=MARIA)
        can = yield ask("capabilities")
        made = yield call(lambda text: f"sync {text}", twin, "text")
        return [memory.content for memory in listed], can.list, made

    contents, lists, made = drive(plan())
    assert (contents, lists) == (["a"], True)
    assert made in ("sync text", "async text")


def test_a_plan_decides_what_becomes_of_an_error(drive):
    def handles() -> Plan[str]:
        try:
            yield ask("get", "unknown")
        except onebrain.OneBrainNotFoundError:
            return "handled"
        return "found"

    def lets_it_out() -> Plan[None]:
        yield ask("get", "unknown")

    assert drive(handles()) == "handled"
    with pytest.raises(onebrain.OneBrainNotFoundError):
        drive(lets_it_out())


async def test_a_plan_is_closed_when_its_run_is_cancelled(brain):
    closed = []

    def plan() -> Plan[None]:
        try:
            yield call(lambda: None, lambda: asyncio.sleep(60))
        finally:
            closed.append(True)

    task = asyncio.create_task(arun(brain.to_async(), plan()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


async def test_work_runs_to_the_end_although_its_caller_is_cancelled_twice():
    may_end, done = asyncio.Event(), []

    async def work():
        await may_end.wait()
        done.append(True)

    task = asyncio.create_task(to_the_end(work()))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


async def test_the_outcome_of_work_that_nobody_cancels_is_its_own():
    async def fails():
        raise ValueError("own")

    assert await to_the_end(asyncio.sleep(0, "value")) == "value"
    with pytest.raises(ValueError, match="own"):
        await to_the_end(fails())


# ---- connection ------------------------------------------------------------------------------------------------------


class Counter(Component):
    def __init__(self, **where) -> None:
        self._connection, self._scope = Connection(**where), MARIA

    def _number(self, least: int = 0) -> Plan[int]:
        """Count."""
        return max(least, (yield ask("count")))

    number = Method(_number).sync
    anumber = Method(_number).asynchronous


def test_one_plan_is_a_sync_and_an_async_method(brain):
    counter = Counter(brain=brain)
    assert (counter.number(), asyncio.run(counter.anumber(least=2))) == (0, 2)
    assert inspect.iscoroutinefunction(counter.anumber)
    assert not inspect.iscoroutinefunction(counter.number)
    for method, name in ((Counter.number, "number"), (Counter.anumber, "anumber")):
        assert (method.__name__, method.__qualname__, method.__doc__) == (name, f"Counter.{name}", "Count.")
        assert str(inspect.signature(method)) == "(self, least: 'int' = 0) -> 'int'"
    assert str(inspect.signature(counter.number)) == "(least: 'int' = 0) -> 'int'"


def test_a_brain_that_is_given_stays_open_and_an_own_one_is_closed(brain, tmp_path):
    given = Connection(brain)
    given.close()
    asyncio.run(given.aclose())
    assert brain.count() == 0
    own = Connection(url=f"sqlite:///{tmp_path / 'brain.db'}")
    asyncio.run(own.aclose())
    assert not (tmp_path / "brain.db").exists()
    assert own.sync.count() == 0
    own.close()


def test_a_connection_serves_both_kinds_of_code_and_several_event_loops(brain):
    connection = Connection((brain, brain.to_async()))
    assert connection.sync is brain
    for _ in range(2):
        opened = asyncio.run(connection.open())
        assert isinstance(opened, AsyncBrain)
        assert asyncio.run(connection.arun(_count())) == 0


def _count() -> Plan[int]:
    return (yield ask("count"))


def test_a_copy_shares_the_memory_and_a_pickle_holds_no_secret(monkeypatch):
    key = "ob_eu_1234567890abcdef"
    connection = Connection(url="onebrain+https://memory.example.com/api/eu", api_key=key)
    assert copy.deepcopy(connection) is connection
    assert key not in repr(connection)
    data = pickle.dumps(connection)
    assert key.encode() not in data
    monkeypatch.setenv("ONEBRAIN_API_KEY", "ob_eu_another")
    assert pickle.loads(data).address == connection.address
    with pytest.raises(TypeError, match="password"):
        pickle.dumps(Connection(url="postgresql://maria:secret@localhost/db"))


def test_what_makes_no_scope_is_refused():
    assert as_scope({"user": 7}) == Scope(user="7")
    assert in_space({"user": "maria"}, None, "notes") == Scope(space="notes", user="maria")
    for wrong in ("maria", {"person": "maria"}, {"user": " "}):
        with pytest.raises(ConfigurationError, match="scope"):
            as_scope(wrong)
    with pytest.raises(ConfigurationError, match="space"):
        in_space({"space": "a"}, "b", "c")


# ---- scope -----------------------------------------------------------------------------------------------------------


def test_a_scope_comes_from_the_first_context_that_has_the_name():
    source = {"user": "user_id", "session": "thread"}
    contexts = (SimpleNamespace(user_id=7), None, {"thread": "t1", "user_id": "other"})
    assert resolve_scope(Scope(space="s"), source, *contexts) == Scope(space="s", user="7", session="t1")
    assert resolve_scope(MARIA, None, {"user_id": "other"}) == MARIA
    function = resolve_scope(MARIA, lambda context: {"agent": context["name"]}, None, {"name": "a"})
    assert function == Scope(user="maria", agent="a")
    with pytest.raises(ConfigurationError, match="user_id"):
        resolve_scope(MARIA, {"user": "user_id"}, {}, None)
    for wrong in ({"person": "user_id"}, {"user": 7}, "user_id"):
        with pytest.raises(ConfigurationError, match="scope_from"):
            check_source(wrong)


# ---- ids -------------------------------------------------------------------------------------------------------------

parts = st.none() | st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=6)
scopes = st.builds(Scope, parts, parts, parts, parts)
names = st.text(max_size=8)


@given(st.tuples(scopes, names, names), st.tuples(scopes, names, names))
def test_ids_of_different_things_are_different(one, other):
    def id_of(scope, id, kind):
        return encode(scope, id, kind="".join(filter(str.isalpha, kind)))

    assert (id_of(*one) == id_of(*other)) == (
        (one[0], one[1], "".join(filter(str.isalpha, one[2])))
        == (other[0], other[1], "".join(filter(str.isalpha, other[2])))
    )


@given(scopes, names)
def test_an_id_comes_back(scope, id):
    assert decode(scope, [encode(scope, id)]) == [id]


def test_a_write_under_ids_replaces_on_every_service(drive, brain):
    def items(*texts):
        return [NewMemory(id=f"id{n}", content=text, scope=MARIA) for n, text in enumerate(texts)]

    drive(store_under_ids(items("a", "b"), MARIA, "own"))
    drive(store_under_ids([*items("changed"), *items("twice")], MARIA, "own"))
    known = with_ids(brain.capabilities, ["id0"], "own")
    assert [memory.content for memory in brain.list(filter=known)] == ["twice"]
    assert brain.count() == 2


# ---- turns -----------------------------------------------------------------------------------------------------------


def chat(*texts):
    return [Spoken(text, "user", "User", id=f"m{n}") for n, text in enumerate(texts)]


def contents(brain):
    return [memory.content for memory in brain.list(order="sequence")]


def test_each_message_is_stored_once(drive, brain):
    recorder = TurnRecorder()
    for length in (1, 3, 3, 120):
        drive(recorder.record(chat(*map(str, range(length))), MARIA))
    assert contents(brain) == [f"User: {n}" for n in range(120)]


def test_a_new_process_stores_nothing_twice_and_a_changed_message_replaces_itself():
    with reference_brain(REFERENCE) as brain:
        recorder = TurnRecorder()
        for texts in (("a", "b"), ("a", "b", "c"), ("a", "b", "C")):
            run(brain, recorder.record(chat(*texts), MARIA))
        run(brain, pickle.loads(pickle.dumps(recorder)).record(chat("a", "b", "C"), MARIA))
        assert contents(brain) == ["User: a", "User: b", "User: C"]


def test_without_ids_of_its_own_a_service_gets_what_is_certainly_new():
    with reference_brain(MODEST) as brain:
        recorder, messages = TurnRecorder(), chat("a", "b", "c")
        run(brain, recorder.record(messages[:2], MARIA, latest=messages[1:2]))
        run(brain, recorder.record(messages, MARIA, latest=messages[1:]))
        assert contents(brain) == ["User: b", "User: c"]
        stored = {memory.id for memory in brain.list()}
        assert set(recorder.memory_ids(["m1", "m2"], MARIA)) == stored


def test_a_key_of_the_callers_own_wins_over_a_fact():
    memory = Memory(id="1", content="x", scope=MARIA, type="fact", tags=("a",), metadata={"type": "own"})
    assert facts(memory) == {"type": "own", "tags": ["a"], "user": "maria"}


# ---- recall ----------------------------------------------------------------------------------------------------------


def test_recalled_text_is_not_said():
    assert said(f"Where?\n{fence('- at the window')}") == "Where?"
    assert said(fence("- at the window")) == ""


def test_recall_reaches_all_sessions_of_the_scope_and_no_other_user(drive, brain):
    brain.store("window seats", scope=Scope(user="maria", session="monday"))
    brain.store("window panes", scope=Scope(user="mario"))
    recall = Recall(max_tokens=200, limit=5)
    found = drive(recall.plan("window", Scope(user="maria", session="tuesday")))
    assert [memory.content for memory in found.memories] == ["window seats"]
    for wrong in ({"max_tokens": -1}, {"limit": True}):
        with pytest.raises(ConfigurationError):
            Recall(**wrong)


def test_diverse_hits_are_relevant_and_different():
    vectors = {"east": (1.0, 0.0), "almost": (0.99, 0.1), "north": (0.0, 1.0)}
    hits = [
        Hit(memory=Memory(id=name, content=name, embedding=vector), score=0.5)
        for name, vector in vectors.items()
    ]

    def chosen(weight, limit=2, **options):
        return [hit.id for hit in diverse(hits, (2.0, 0.0), limit, weight, **options)]

    assert chosen(1.0) == ["east", "almost"]
    assert chosen(0.3) == ["east", "north"]
    assert chosen(0.3, 9) == ["east", "north", "almost"]
    assert chosen(0.5, 0) == []
    bare = [Hit(memory=Memory(id="x", content="x"), score=0.5)]
    with pytest.raises(onebrain.Unsupported, match="pay for vectors"):
        diverse(bare, None, 1, 0.5, hint="pay for vectors")


# ---- tools -----------------------------------------------------------------------------------------------------------


def test_each_tool_has_a_name_a_description_and_a_schema_without_the_scope():
    assert [tool.name for tool in tools.ALL] == [
        f"onebrain_{verb}"
        for verb in (
            "search",
            "context",
            "entity",
            "entities",
            "write",
            "remember",
            "supersede",
            "update",
            "forget",
        )
    ]
    for tool in tools.ALL:
        assert len(tool.description) > 40
        assert tool.schema["type"] == "object"
        assert all(field["description"] for field in tool.schema["properties"].values())
        assert not set(tool.schema["properties"]) & {"scope", "user", "space", "session", "agent"}


def test_the_tools_of_one_user_do_not_reach_another(drive, brain):
    theirs = brain.store("Mario sits at the aisle", scope=Scope(user="mario")).id
    assert drive(tools.SEARCH.called(MARIA, {"query": "Mario"})).data == []
    for tool, arguments in (
        (tools.UPDATE, {"id": theirs, "content": "x"}),
        (tools.FORGET, {"ids": [theirs]}),
    ):
        with pytest.raises(tools.MISTAKES):
            drive(tool.called(MARIA, arguments))
    assert brain.get(theirs).content == "Mario sits at the aisle"


def test_wrong_arguments_are_the_models_mistake_and_are_not_quoted(drive):
    with pytest.raises(tools.MISTAKES, match="top_k") as caught:
        drive(tools.SEARCH.called(MARIA, {"query": "x", "top_k": "secret"}))
    assert "secret" not in str(caught.value)


def test_entities_are_entities_topics_types_and_people(drive, brain):
    brain.store("Maria works at Acme Labs", scope=MARIA, tags=["work"], type="fact")
    brain.extract_entities()
    answer = drive(tools.ENTITIES.called(MARIA, {}))
    rows = {(row["type"], row["name"]): row["count"] for row in answer.data}
    assert rows[("topic", "work")] == rows[("type", "fact")] == rows[("user", "maria")] == 1
    assert any(name == "Acme Labs" for _, name in rows)
    assert fence(answer.text) == answer.text
    assert drive(tools.ENTITIES.called(Scope(user="nobody"), {})).text == tools.NOTHING_FOUND
