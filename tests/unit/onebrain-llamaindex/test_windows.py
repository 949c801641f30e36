"""The history that `OneBrainMemory` returns: a conversation that models accept, under every combination of its limits."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock

import onebrain
from onebrain import Scope
from onebrain.testing.reference import REFERENCE, reference_brain
from onebrain_llamaindex import OneBrainChatStore, OneBrainMemory

MARIA = Scope(user="maria")


def call(ids, form):
    """An assistant's message that calls tools, as the models' packages write it."""
    if form == "blocks":
        blocks = [ToolCallBlock(tool_call_id=id, tool_name="look", tool_kwargs={"a": 1}) for id in ids]
        return ChatMessage(role="assistant", blocks=[TextBlock(text="let me see"), *blocks])
    calls = [{"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id in ids]
    return ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": calls})


def answer(id, role="tool"):
    return ChatMessage(role=role, content=f"found {id}", additional_kwargs={"tool_call_id": id})


@st.composite
def conversations(draw):
    """Random conversations: parallel calls, answers that are missing, out of place or out of order."""
    messages = []
    for turn in range(draw(st.integers(0, 5))):
        if draw(st.integers(0, 3)) == 0:
            messages.append(ChatMessage(role="system", content="be brief"))
        if draw(st.integers(0, 4)):
            messages.append(ChatMessage(role="user", content="hello " * draw(st.integers(1, 6))))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"c{turn}-{step}-{n}" for n in range(draw(st.integers(1, 3)))]
            messages.append(call(ids, draw(st.sampled_from(["blocks", "arguments"]))))
            answered = (
                draw(st.permutations(ids))[: draw(st.integers(0, len(ids)))] if draw(st.booleans()) else ids
            )
            messages += [answer(id) for id in answered]
        if draw(st.integers(0, 5)) == 0:
            messages.append(answer("orphan"))
        if draw(st.booleans()):
            messages.append(ChatMessage(role="assistant", content="there you are"))
    return messages


def asked(message):
    blocks = [block.tool_call_id for block in message.blocks if isinstance(block, ToolCallBlock)]
    return blocks or [one["id"] for one in message.additional_kwargs.get("tool_calls", [])]


def check(history, conversation):
    """A model's rules: begin with a user or with the conversation; each call is answered at once, each answer called."""
    waiting = []
    for message in history:
        if message.role is MessageRole.TOOL:
            assert message.additional_kwargs["tool_call_id"] in waiting
            waiting.remove(message.additional_kwargs["tool_call_id"])
            continue
        assert not waiting
        waiting = asked(message)
    # Only calls at the very end may still wait.
    if waiting:
        assert conversation[-1].role is MessageRole.TOOL or asked(conversation[-1])
    if history:
        first = next((message for message in history if message.role is not MessageRole.SYSTEM), None)
        begins = history[0].model_dump() == next(iter(conversation)).model_dump()
        assert (
            begins
            or first is None
            or first.role is MessageRole.USER
            # The beginning of the conversation is left out: an answer without a call, or a call without its answers.
            or conversation[0].role is MessageRole.TOOL
            or asked(conversation[0])
        )


@settings(max_examples=60)
@given(
    conversation=conversations(),
    max_messages=st.integers(1, 12),
    token_limit=st.sampled_from([1, 20, 60, 200, 10_000]),
    spoken_for=st.sampled_from([0, 1]),
)
def test_every_window_is_a_conversation(conversation, max_messages, token_limit, spoken_for):
    with reference_brain(REFERENCE) as brain:
        limits = {"max_messages": max_messages, "token_limit": token_limit, "recall_tokens": 0}
        memory = OneBrainMemory(brain=brain, scope=MARIA, session_id="s", **limits)
        memory.put_messages(conversation)
        history = memory.get(initial_token_count=spoken_for)
        assert asyncio.run(memory.aget(initial_token_count=spoken_for)) == history
        check(history, conversation)
        last = max((n for n, one in enumerate(conversation) if one.role is MessageRole.USER), default=None)
        if last is None:
            return
        # The last user's message is always there, and no more than the limits allow before it.
        assert conversation[last].content in [message.content for message in history]
        before = len(history) - len(conversation[last:])
        if len(conversation[last:]) >= max_messages:
            assert all(one.role is MessageRole.SYSTEM for one in history[: max(before, 0)])


@pytest.mark.parametrize("form", ["blocks", "arguments"])
@pytest.mark.parametrize(
    "limits", [{"max_messages": 3}, {"token_limit": 40}, {"max_messages": 2, "token_limit": 60}], ids=str
)
async def test_no_tool_answer_stands_without_its_call(brain, call_, form, limits):
    memory = OneBrainMemory(brain=brain, scope=MARIA, session_id="s", recall_tokens=0, **limits)
    question, follow_up = ChatMessage("Where do I sit?"), ChatMessage("And my wife?")
    turns = [
        question,
        call(["a", "b"], form),
        answer("a"),
        answer("b"),
        ChatMessage(role="assistant", content="ok"),
    ]
    await call_(memory, "put_messages", [*turns, follow_up])
    assert [message.content for message in await call_(memory, "get")] == ["And my wife?"]


async def test_the_last_turn_is_whole_however_long_it_is(brain, call_):
    memory = OneBrainMemory(
        brain=brain, scope=MARIA, session_id="s", recall_tokens=0, max_messages=2, token_limit=1
    )
    turn = [ChatMessage("Look everywhere")]
    for n in range(6):
        turn += [call([f"c{n}"], "blocks"), answer(f"c{n}")]
    await call_(
        memory, "put_messages", [ChatMessage("Hello"), ChatMessage(role="assistant", content="Hi"), *turn]
    )
    assert await call_(memory, "get") == turn


@pytest.fixture
def call_(call):
    return call


# ---- as upstream -----------------------------------------------------------------------------------------------------


async def test_more_tokens_spoken_for_than_there_are_is_an_error(brain, call):
    memory = OneBrainMemory(brain=brain, scope=MARIA, session_id="s", token_limit=100)
    await call(memory, "put", ChatMessage("Hello"))
    assert len(await call(memory, "get", initial_token_count=100)) == 1
    with pytest.raises(ValueError, match="more than the token limit of 100"):
        await call(memory, "get", initial_token_count=101)


@pytest.mark.parametrize("idx", [None, 0, 1, 2, 3, 9, -1, -2, -9])
async def test_a_message_is_inserted_where_a_list_would_put_it(brain, call, idx):
    store = OneBrainChatStore(brain=brain, scope=MARIA)
    expected = []
    for text in "abc":
        await call(store, "add_message", "s", ChatMessage(text))
        expected.append(text)
    await call(store, "add_message", "other", ChatMessage("other"))
    await call(store, "add_message", "s", ChatMessage("new"), idx) if idx is not None else await call(
        store, "add_message", "s", ChatMessage("new")
    )
    expected.insert(len(expected) if idx is None else idx, "new")
    await call(store, "add_message", "s", ChatMessage("last"))
    assert [message.content for message in await call(store, "get_messages", "s")] == [*expected, "last"]
    assert [message.content for message in await call(store, "get_messages", "other")] == ["other"]
    removed = await call(store, "delete_message", "s", expected.index("new"))
    assert removed.content == "new"
    assert [message.content for message in await call(store, "get_messages", "s")] == ["a", "b", "c", "last"]


async def test_a_message_with_an_id_replaces_its_former_self_wherever_it_is_inserted(brain, call):
    store = OneBrainChatStore(brain=brain, scope=MARIA)
    for text in ("a", "b"):
        await call(store, "add_message", "s", ChatMessage(text, additional_kwargs={"message_id": text}))
    await call(store, "add_message", "s", ChatMessage("B", additional_kwargs={"message_id": "b"}), 0)
    assert [message.content for message in await call(store, "get_messages", "s")] == ["a", "B"]


@pytest.mark.parametrize("idx", ["1", 1.5, True])
async def test_a_place_that_is_no_whole_number_is_refused(brain, call, idx):
    store = OneBrainChatStore(brain=brain, scope=MARIA)
    with pytest.raises(onebrain.OneBrainValidationError, match="idx"):
        await call(store, "add_message", "s", ChatMessage("new"), idx)
    assert await call(store, "get_messages", "s") == []


def test_a_message_that_another_adds_while_one_is_inserted_is_kept():
    with reference_brain(REFERENCE) as brain:
        store, log = (
            OneBrainChatStore(brain=brain, scope=MARIA),
            OneBrainChatStore(brain=brain, scope=MARIA)._log,
        )
        store.set_messages("s", [ChatMessage("a"), ChatMessage("b")])
        steps = log.insert("s", ChatMessage("new"), 1)
        question, disturbed = next(steps), False
        while True:
            if question.verb == "store_many" and not disturbed:
                disturbed = True
                store.add_message("s", ChatMessage("other"))
            reply = getattr(brain, question.verb)
            value = reply if question.verb == "capabilities" else reply(*question.args, **question.kwargs)
            try:
                question = steps.send(list(value) if question.verb == "list" else value)
            except StopIteration:
                break
        assert [message.content for message in store.get_messages("s")] == ["a", "new", "b", "other"]


def test_the_frameworks_default_token_limit_may_be_asked_for_by_none():
    with onebrain.connect("sqlite://") as brain:
        memory = OneBrainMemory.from_defaults(brain=brain, token_limit=None)
        assert memory.token_limit == OneBrainMemory.model_fields["token_limit"].default
