"""Recall, tools and run hooks through the SDK's own runner."""

from __future__ import annotations

import asyncio
import json

import pytest
from agents import Agent, RunConfig, Runner
from agents.memory import SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call
from blockbuster import blockbuster_ctx

from onebrain import ConfigurationError, Scope, Unsupported
from onebrain.frameworks.tools import ALL
from onebrain.memory.fence import OPENING
from onebrain_openai_agents import (
    OneBrainRunHooks,
    OneBrainSession,
    memory_filter,
    memory_instructions,
    memory_tools,
)

MARIA = Scope(user="maria")
SCOPE_FROM = {"user": "user_id"}
CONTEXT = {"user_id": "maria"}


@pytest.fixture
def known(brain):
    brain.store("Maria prefers window seats", scope=MARIA)
    brain.store("Mario prefers window seats, too", scope=Scope(user="mario"))
    return brain


def scripted(*answers, **options):
    return Agent("Travel", model=ScriptedModel(answers), **options)


# ---- recall ----------------------------------------------------------------------------------------------------------


async def test_only_the_model_sees_what_the_filter_recalls(known):
    session = OneBrainSession("s1", brain=known, scope=MARIA)
    agent = scripted([assistant_message("At the window.")], instructions="Be short.")
    config = RunConfig(call_model_input_filter=memory_filter(brain=known, scope_from=SCOPE_FROM))
    with blockbuster_ctx():
        result = await Runner.run(
            agent, "Which window seats?", session=session, run_config=config, context=CONTEXT
        )
    told = agent.model.last_call.system_instructions
    assert told.startswith(f"Be short.\n\n{OPENING}")
    assert "Maria prefers window seats" in told
    assert "Mario" not in told
    assert OPENING not in json.dumps([*await session.get_items(), *result.to_input_list()])


async def test_the_running_conversation_is_not_recalled(known):
    session = OneBrainSession("s1", brain=known, scope=MARIA)
    await session.add_items([{"role": "user", "content": "I am in row 12 by the window"}])
    agent = scripted([assistant_message("x")])
    config = RunConfig(
        call_model_input_filter=memory_filter(brain=known, scope=MARIA, session_id=session.session_id)
    )
    await Runner.run(agent, "Window seats?", session=session, run_config=config)
    told = agent.model.last_call.system_instructions
    assert "Maria prefers window seats" in told
    assert "row 12" not in told


async def test_nothing_known_leaves_the_instructions_as_they_are(brain):
    agent = scripted([assistant_message("x")], [assistant_message("y")], instructions="Be short.")
    config = RunConfig(call_model_input_filter=memory_filter(brain=brain, scope=MARIA))
    await Runner.run(agent, "Hello", run_config=config)
    assert agent.model.last_call.system_instructions == "Be short."


async def test_instructions_may_end_in_memories(known):
    async def own(context, agent):
        return f"You are {agent.name}."

    for instructions in ("You are Travel.", own):
        told = memory_instructions(instructions, brain=known, scope_from=SCOPE_FROM)
        agent = scripted([assistant_message("x")], instructions=told)
        with blockbuster_ctx():
            await Runner.run(agent, "Which window seats?", context=CONTEXT)
        seen = agent.model.last_call.system_instructions
        assert seen.startswith(f"You are Travel.\n\n{OPENING}")
        assert "Maria prefers window seats" in seen
        assert "Mario" not in seen


async def test_a_run_that_does_not_say_whose_memory_it_is_is_refused(known):
    recall = RunConfig(call_model_input_filter=memory_filter(brain=known, scope_from=SCOPE_FROM))
    agent = scripted([assistant_message("x")])
    with pytest.raises(ConfigurationError, match="user_id"):
        await Runner.run(agent, "Hello", run_config=recall)
    assert agent.model.calls == ()


@pytest.mark.parametrize("option", [{"max_tokens": -1}, {"limit": "3"}, {"scope_from": {"who": "user_id"}}])
def test_a_wrong_option_is_told_at_once(option):
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        memory_filter(**option)
    with pytest.raises(TypeError):
        memory_filter(max_token=3)


# ---- tools -----------------------------------------------------------------------------------------------------------


async def use(brain, *calls, context=CONTEXT, **options):
    tools = memory_tools(brain=brain, **{"scope_from": SCOPE_FROM, **options})
    steps = [[function_call(name, arguments, call_id=f"c{n}")] for n, (name, arguments) in enumerate(calls)]
    agent = scripted(*steps, [assistant_message("Done.")], tools=tools)
    with blockbuster_ctx():
        result = await Runner.run(agent, "Go", context=context)
    return [item.output for item in result.new_items if item.type == "tool_call_output_item"]


def test_each_tool_is_the_shared_one_and_shows_no_scope(brain):
    tools = memory_tools(brain=brain, scope=MARIA, model=lambda prompt: "")
    assert "onebrain_remember" not in {tool.name for tool in memory_tools(brain=brain, scope=MARIA)}
    assert [(tool.name, tool.description, tool.params_json_schema) for tool in tools] == [
        (shared.name, shared.description, shared.schema) for shared in ALL
    ]
    assert "maria" not in json.dumps([tool.params_json_schema for tool in tools]).lower()
    reading = {tool.name for tool in memory_tools(brain=brain, read_only=True)}
    assert reading == {"onebrain_search", "onebrain_context", "onebrain_entity", "onebrain_entities"}


async def test_an_agent_writes_finds_corrects_and_forgets(sqlite):
    [written] = await use(sqlite, ("onebrain_write", {"content": "Maria prefers window seats"}))
    [memory] = sqlite.list(scope=MARIA)
    assert written == f"Stored with id={memory.id}"
    again, found, changed, gone = await use(
        sqlite,
        ("onebrain_write", {"content": "Maria prefers window seats"}),
        ("onebrain_search", {"query": "window seats"}),
        ("onebrain_update", {"id": memory.id, "content": "Maria prefers the aisle"}),
        ("onebrain_forget", {"ids": [memory.id]}),
    )
    assert again == f"Known already, with id={memory.id}"
    assert found.startswith(OPENING)
    assert memory.id in found
    assert (changed, gone) == (f"Updated id={memory.id}", "Forgot 1 of 1")
    assert sqlite.count() == 0


async def test_an_agent_supersedes_and_remembers(sqlite):
    def model(prompt):
        return '{"facts": [{"text": "Maria sits at the window", "quote": "window seats, always", "from": 1}]}'

    [kept] = await use(sqlite, ("onebrain_remember", {"text": "I take window seats, always."}), model=model)
    assert kept.startswith("Kept word for word")
    [fact] = sqlite.list(scope=MARIA, filter={"$type": "fact"})
    assert fact.id in kept
    [answer] = await use(
        sqlite, ("onebrain_supersede", {"id": fact.id, "content": "Maria sits at the aisle"})
    )
    assert answer.endswith(f"in place of id={fact.id}")
    assert sqlite.get(fact.id).superseded_by is not None


async def test_no_tool_leaves_the_scope(known):
    [theirs] = known.list(scope=Scope(user="mario"))
    answers = await use(
        known,
        ("onebrain_search", {"query": "Mario"}),
        ("onebrain_update", {"id": theirs.id, "content": "changed"}),
        ("onebrain_forget", {"ids": [theirs.id]}),
    )
    assert "Mario" not in answers[0]
    assert answers[1:] == ["no memory with this id in this scope", "no memory with these ids in this scope"]
    assert known.get(theirs.id).content == theirs.content


async def test_the_model_is_told_its_own_mistakes(brain):
    answers = await use(
        brain,
        ("onebrain_search", {}),
        ("onebrain_search", {"query": "x", "top_k": 500}),
        ("onebrain_write", {"content": "  "}),
        ("onebrain_search", "[1]"),
    )
    for answer, word in zip(answers, ("query", "top_k", "blank", "query"), strict=True):
        assert word in answer


async def test_other_errors_are_raised(brain):
    with pytest.raises(Exception, match="user_id"):
        await use(brain, ("onebrain_search", {"query": "x"}), context={})


# ---- run hooks -------------------------------------------------------------------------------------------------------


def stored(brain, user="maria"):
    return [memory.content for memory in brain.list(scope=Scope(user=user), order="sequence")]


async def test_the_hooks_store_each_finished_turn_once(brain):
    hooks = OneBrainRunHooks(brain=brain, scope_from=SCOPE_FROM)
    session = SQLiteSession("s1")
    agent = scripted([assistant_message("Noted.")], [assistant_message("At the window.")])
    with blockbuster_ctx(excluded_modules=["agents"]):
        for text in ("I like window seats.", "Where do I sit?"):
            await Runner.run(agent, text, session=session, hooks=hooks, context=CONTEXT)
    assert stored(brain) == [
        "User: I like window seats.",
        "Assistant: Noted.",
        "User: Where do I sit?",
        "Assistant: At the window.",
    ]
    session.close()


async def test_the_hooks_look_for_facts_in_a_turn_behind_its_answer(brain):
    prompts = []

    async def finder(prompt):
        prompts.append(prompt)
        return '{"facts": [{"text": "Maria likes window seats", "quote": "I like window seats", "from": 1}]}'

    hooks = OneBrainRunHooks(brain=brain, scope_from=SCOPE_FROM, remember=finder)
    with blockbuster_ctx(excluded_modules=["agents"]):
        await Runner.run(
            scripted([assistant_message("Noted.")]), "I like window seats.", hooks=hooks, context=CONTEXT
        )
    await hooks.afinish_background()
    assert sorted(stored(brain)) == [
        "Assistant: Noted.",
        "Maria likes window seats",
        "User: I like window seats.",
    ]
    assert len(prompts) == 1


async def test_a_turn_with_tools_is_stored_without_them_and_equal_turns_are_kept_apart(brain):
    hooks = OneBrainRunHooks(brain=brain, scope=MARIA)
    tools = memory_tools(brain=brain, scope=MARIA, read_only=True)
    for _ in range(2):
        call = function_call("onebrain_search", {"query": "x"}, call_id="c1")
        agent = scripted([call], [assistant_message("Nothing.")], tools=tools)
        await Runner.run(agent, "What is known?", hooks=hooks)
    assert stored(brain) == ["User: What is known?", "Assistant: Nothing."] * 2


def test_hooks_work_in_several_event_loops_and_keep_users_apart(brain):
    hooks = OneBrainRunHooks(brain=brain, scope_from=SCOPE_FROM)
    for user in ("user_1", "user_10"):
        agent = scripted([assistant_message("Hello.")])
        asyncio.run(Runner.run(agent, f"I am {user}", hooks=hooks, context={"user_id": user}))
    assert stored(brain, "user_1") == ["User: I am user_1", "Assistant: Hello."]


async def test_a_failure_of_the_brain_is_raised(sqlite, monkeypatch):
    def refuses(*args, **kwargs):
        raise Unsupported("storing")

    monkeypatch.setattr(type(sqlite.driver), "store", refuses)
    with pytest.raises(Unsupported):
        await Runner.run(
            scripted([assistant_message("x")]), "Hello", hooks=OneBrainRunHooks(brain=sqlite, scope=MARIA)
        )
