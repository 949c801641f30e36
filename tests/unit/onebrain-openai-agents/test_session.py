"""The session keeps what the SDK's own session keeps, and more: it is found by recall."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import random

import pytest
from agents import Agent, RunConfig, Runner, function_tool
from agents.memory import Session, SessionSettings, SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call
from blockbuster import blockbuster_ctx

import onebrain
from onebrain import ConfigurationError, OneBrainValidationError, Scope
from onebrain_openai_agents import OneBrainSession

MARIA = Scope(user="maria")
ITEMS = [
    {"role": "user", "content": "Where do I sit?"},
    {"role": "user", "content": [{"type": "input_text", "text": "Look at this"}, {"type": "input_image"}]},
    {"role": "user", "content": "   "},
    {"role": "system", "content": "Be short."},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "At the window."}]},
    {"type": "function_call", "call_id": "c1", "name": "seat", "arguments": '{"row": 7}'},
    {"type": "function_call_output", "call_id": "c1", "output": "7A \u00e9 \U0001f600"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
]


def made(brain, id="s1", **options):
    return OneBrainSession(id, brain=brain, **{"scope": MARIA, **options})


def test_it_is_a_session_of_the_sdk_and_offers_no_compaction(brain):
    session = made(brain, session_settings=SessionSettings(limit=3))
    assert isinstance(session, Session)
    assert not hasattr(session, "run_compaction")
    assert (session.session_id, session.session_settings) == ("s1", SessionSettings(limit=3))
    assert made(brain, 7).session_id == "7"


async def test_items_come_back_equal_and_in_order(brain):
    session = made(brain)
    given = copy.deepcopy(ITEMS)
    with blockbuster_ctx():
        await session.add_items(given)
        await session.add_items(given[:2])
        assert await session.get_items() == ITEMS + ITEMS[:2]
    assert given == ITEMS


@pytest.mark.parametrize("seed", range(4))
async def test_random_operations_give_what_the_sdks_own_session_gives(brain, seed):
    chance = random.Random(seed)
    ours, theirs = made(brain), SQLiteSession("s1")
    for _ in range(30):
        verb = chance.choice(["add", "add", "add", "get", "get", "pop", "clear", "settings"])
        if verb == "add":
            items = chance.choices(ITEMS, k=chance.randrange(4))
            await ours.add_items(copy.deepcopy(items))
            await theirs.add_items(copy.deepcopy(items))
        elif verb == "get":
            limit = chance.choice([None, 0, 1, 2, 5, 50])
            assert await ours.get_items(limit) == await theirs.get_items(limit)
        elif verb == "pop":
            assert await ours.pop_item() == await theirs.pop_item()
        elif verb == "settings":
            ours.session_settings = theirs.session_settings = SessionSettings(
                limit=chance.choice([None, 1, 3])
            )
        elif chance.random() < 0.3:
            await ours.clear_session()
            await theirs.clear_session()
    assert await ours.get_items() == await theirs.get_items()
    theirs.close()


async def test_clearing_forgets_no_facts_and_no_other_session(brain):
    brain.store("Maria prefers window seats", scope=Scope(user="maria", session="s1"))
    one, other = made(brain), made(brain, "s10")
    for session in (one, other):
        await session.add_items(ITEMS[:1])
    await one.clear_session()
    assert await one.get_items() == []
    assert await one.pop_item() is None
    assert await other.get_items() == ITEMS[:1]
    assert brain.count(scope=Scope(user="maria", session="s1")) == 1


async def test_users_and_sessions_with_similar_names_are_apart(brain):
    for user in ("user_1", "user_10"):
        await made(brain, scope=Scope(user=user)).add_items([{"role": "user", "content": user}])
    for user in ("user_1", "user_10"):
        assert await made(brain, scope=Scope(user=user)).get_items() == [{"role": "user", "content": user}]
        [hit] = brain.search(user, scope=Scope(user=user))
        assert hit.content == user


async def test_only_what_people_and_the_assistant_say_is_found_by_searches(sqlite):
    await made(sqlite).add_items(ITEMS)
    found = {memory.content for memory in sqlite.list(scope=MARIA)}
    assert found == {"Where do I sit?", "Look at this", "At the window."}


async def test_recalled_text_in_an_item_comes_back_but_is_not_found(sqlite):
    recalled = sqlite.context("x").text or onebrain.memory.fence.fence("- Mario sits at the aisle")
    item = {"role": "user", "content": f"Where do I sit?\n{recalled}"}
    session = made(sqlite)
    await session.add_items([item])
    assert await session.get_items() == [item]
    assert [memory.content for memory in sqlite.list(scope=MARIA)] == ["Where do I sit?"]


async def test_an_item_that_is_not_json_is_refused_with_all_that_came_with_it(brain):
    session = made(brain)
    with pytest.raises(OneBrainValidationError, match="JSON"):
        await session.add_items([ITEMS[0], {"role": "user", "content": object()}])
    with pytest.raises(OneBrainValidationError, match="list"):
        await session.add_items(ITEMS[0])
    assert await session.get_items() == []


@function_tool
def seat(row: int) -> str:
    """Return a seat."""
    return f"{row}A"


def scripted(*answers):
    return Agent("Travel", model=ScriptedModel(answers), tools=[seat])


async def test_a_run_with_a_tool_goes_on_where_the_last_one_ended(brain):
    session = made(brain)
    call = function_call("seat", {"row": 7}, call_id="c1")
    agent = scripted([call], [assistant_message("7A")], [assistant_message("You said 7.")])
    with blockbuster_ctx():
        first = await Runner.run(agent, "Which seat in row 7?", session=session)
        second = await Runner.run(agent, "Which row did I ask for?", session=session)
    assert (first.final_output, second.final_output) == ("7A", "You said 7.")
    kinds = [item.get("type", "message") for item in await session.get_items()]
    assert kinds == ["message", "function_call", "function_call_output", "message", "message", "message"]
    seen = agent.model.last_call.input
    assert [item.get("role") or item["type"] for item in seen] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
        "user",
    ]


async def test_streaming_and_a_limit_of_the_run(brain):
    session = made(brain)
    await session.add_items([{"role": "user", "content": f"old {n}"} for n in range(5)])
    agent = scripted([assistant_message("Hi.")])
    streamed = Runner.run_streamed(
        agent, "new", session=session, run_config=RunConfig(session_settings=SessionSettings(limit=2))
    )
    async for _ in streamed.stream_events():
        pass
    assert [item["content"] for item in agent.model.last_call.input] == ["old 3", "old 4", "new"]


def test_sync_runs_work_on_the_same_session_in_several_event_loops(brain):
    session = made(brain)
    agent = scripted([assistant_message("One.")], [assistant_message("Two.")])
    for text in ("first", "second"):
        asyncio.run(Runner.run(agent, text, session=session))
    assert len(asyncio.run(session.get_items())) == 4


async def test_the_run_says_whose_conversation_it_is(brain):
    session = OneBrainSession("s1", brain=brain, scope_from={"user": "user_id"})
    agent = scripted([assistant_message("Hi Maria.")], [assistant_message("Hi Mario.")])
    for user in ("maria", "mario"):
        await Runner.run(agent, f"I am {user}", session=session, context={"user_id": user})
    assert [memory.content for memory in brain.list(scope=Scope(user="mario"), order="sequence")] == [
        "I am mario",
        "Hi Mario.",
    ]
    with pytest.raises(ConfigurationError, match="user_id"):
        await Runner.run(scripted(), "Who am I?", session=session)
    with pytest.raises(ConfigurationError, match="user_id"):
        await session.get_items()


async def test_a_cancelled_write_is_whole_and_the_session_stays_usable(sqlite):
    session = made(sqlite)
    for _ in range(5):
        task = asyncio.create_task(session.add_items(ITEMS))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    count = len(await session.get_items())
    assert count % len(ITEMS) == 0
    await session.add_items(ITEMS)
    assert len(await session.get_items()) == count + len(ITEMS)


async def test_two_callers_never_pop_the_same_item(sqlite):
    session = made(sqlite)
    await session.add_items([{"role": "user", "content": str(n)} for n in range(8)])
    popped = await asyncio.gather(*(session.pop_item() for _ in range(10)))
    kept = [item["content"] for item in popped if item is not None]
    assert sorted(kept) == [str(n) for n in range(8)]


def test_the_key_is_shown_and_pickled_nowhere(monkeypatch):
    key = "ob_eu_1234567890abcdef"
    session = OneBrainSession("s1", url="onebrain+https://memory.example.com/api/eu", api_key=key)
    assert key not in repr(session)
    assert key.encode() not in pickle.dumps(session)
    monkeypatch.setenv("ONEBRAIN_API_KEY", "ob_eu_another")
    assert pickle.loads(pickle.dumps(session)).session_id == "s1"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"session_id": None}, "session_id"),
        ({"session_id": "s1", "scope": Scope(session="s2")}, "session_id"),
        ({"session_id": "s1", "scope": "maria"}, "scope"),
        ({"session_id": "s1", "scope_from": {"person": "user_id"}}, "scope_from"),
    ],
)
def test_what_makes_no_session_is_refused(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        OneBrainSession(**options)


async def test_a_stored_item_is_json_under_one_key(sqlite):
    await made(sqlite).add_items(ITEMS[:1])
    [memory] = sqlite.list()
    assert json.loads(memory.metadata["openai_agents"]["item"]) == ITEMS[0]
    assert set(memory.metadata) == {"kind", "openai_agents"}
