"""A conversation comes back whole and in order from every brain that can list one."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from onebrain import Scope
from onebrain_langchain import OneBrainChatMessageHistory

CONVERSATION = [
    SystemMessage("You are a travel agent."),
    HumanMessage(
        [
            {"type": "text", "text": "Which seat is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/seat.png"}},
        ],
        id="question",
    ),
    AIMessage(
        "",
        id="call",
        tool_calls=[
            {"name": "find_seat", "args": {"row": 12, "side": "window"}, "id": "t1", "type": "tool_call"}
        ],
        usage_metadata={"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
    ),
    ToolMessage("12A", tool_call_id="t1", name="find_seat", artifact={"row": 12}),
    AIMessage("It is 12A.", additional_kwargs={"certain": True}),
]

pytestmark = pytest.mark.usefixtures("needs_listing")


async def read(history, colour):
    return await history.aget_messages() if colour == "async" else history.messages


async def test_every_message_and_field_comes_back_in_order(brain, call, colour):
    history = OneBrainChatMessageHistory("s1", brain=brain, scope=Scope(user="maria"))
    await call(history.add_messages, CONVERSATION[:2])
    await call(history.add_messages, CONVERSATION[2:])
    assert await read(history, colour) == CONVERSATION


async def test_a_message_with_an_id_is_replaced_in_its_place(brain, call, colour):
    if not brain.capabilities.client_ids:
        pytest.skip(f"{brain.capabilities.service} takes no ids of the caller's own")
    history = OneBrainChatMessageHistory("s1", brain=brain)
    await call(history.add_messages, CONVERSATION[:3])
    again = HumanMessage("Which seat was it?", id="question")
    await call(history.add_messages, [again])
    assert await read(history, colour) == [CONVERSATION[0], again, CONVERSATION[2]]


async def test_clearing_one_conversation_leaves_the_others(brain, call, colour):
    one, two = (
        OneBrainChatMessageHistory(name, brain=brain, scope=Scope(user="maria")) for name in ("a", "b")
    )
    await call(one.add_messages, [HumanMessage("first"), AIMessage("second")])
    await call(two.add_messages, [HumanMessage("third")])
    await call(one.clear)
    assert await read(one, colour) == []
    assert [message.content for message in await read(two, colour)] == ["third"]
