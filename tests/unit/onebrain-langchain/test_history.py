from __future__ import annotations

import string
import threading
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

import onebrain
from onebrain import OneBrainValidationError, Scope
from onebrain.testing.reference import reference_brain
from onebrain_langchain import OneBrainChatMessageHistory, OneBrainRetriever

MESSAGES = [
    HumanMessage("hello", id="h1", name="Maria"),
    HumanMessage(
        [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
    ),
    HumanMessage([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}]),
    HumanMessage(""),
    HumanMessage(" \n "),
    HumanMessage("日本 🎉 \u0000 \r\n é", additional_kwargs={"deep": {"a": [1, None, True, 1.5]}}),
    AIMessage(
        "",
        id="a1",
        tool_calls=[
            {"name": "search", "args": {"query": "seat", "n": 1}, "id": "call_1", "type": "tool_call"}
        ],
        invalid_tool_calls=[
            {"name": "x", "args": "{", "id": "call_2", "error": "bad", "type": "invalid_tool_call"}
        ],
        usage_metadata={
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "input_token_details": {"cache_read": 3},
        },
        response_metadata={"model_name": "m", "finish_reason": "tool_calls", "logprobs": None},
        additional_kwargs={"reasoning": "because", "at": datetime(2026, 1, 2, 3, tzinfo=UTC)},
    ),
    AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "by the window"}]),
    ToolMessage("found it", tool_call_id="call_1", name="search", status="success"),
    ToolMessage(
        [{"type": "text", "text": "two"}],
        tool_call_id="call_2",
        status="error",
        artifact={
            "documents": [Document("page", id="d1", metadata={"n": 1})],
            "pair": (1, ("a", None)),
            "raw": b"\x00\xff",
            "day": date(2026, 1, 2),
            "message": AIMessage("inner", id="i1"),
            "$langchain": "not a mark",
        },
    ),
    SystemMessage("be nice", id="s1"),
    ChatMessage("hi", role="narrator"),
    FunctionMessage("42", name="answer"),
    RemoveMessage(id="h1"),
]


@pytest.fixture
def history(brain):
    return OneBrainChatMessageHistory("s1", brain=brain, scope=Scope(user="maria"))


async def read(history, call):
    return await history.aget_messages() if call.asynchronous else history.messages


async def test_every_type_and_field_comes_back_equal(history, call):
    await call(history.add_messages, MESSAGES)
    back = await read(history, call)
    assert back == MESSAGES
    assert [type(message) for message in back] == [type(message) for message in MESSAGES]
    # pydantic's equality looks at neither of these in every version
    assert [message.additional_kwargs for message in back] == [m.additional_kwargs for m in MESSAGES]
    assert back[9].artifact == MESSAGES[9].artifact
    assert isinstance(back[9].artifact["pair"][1], tuple)


async def test_chunks_become_whole_messages(history, call):
    chunk = AIMessageChunk("Hel", id="r1") + AIMessageChunk(
        "lo", tool_call_chunks=[{"name": "f", "args": '{"a": 1}', "id": "c1", "index": 0}]
    )
    await call(history.add_messages, [chunk, HumanMessageChunk("hi")])
    first, second = await read(history, call)
    assert type(first) is AIMessage
    assert (first.content, first.id) == ("Hello", "r1")
    assert first.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]
    assert second == HumanMessage("hi")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
CONTENT = st.one_of(
    TEXT,
    st.lists(
        st.one_of(TEXT, st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})),
        min_size=1,
        max_size=3,
    ),
)
COMMON = {
    "id": st.one_of(st.none(), st.text(string.ascii_letters, min_size=1, max_size=5)),
    "name": st.one_of(st.none(), TEXT),
    "additional_kwargs": st.dictionaries(TEXT, JSON, max_size=3),
    "response_metadata": st.dictionaries(TEXT, JSON, max_size=2),
}
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "args": st.dictionaries(TEXT, JSON, max_size=2),
            "id": TEXT,
            "type": st.just("tool_call"),
        }
    ),
    max_size=2,
)
ANY_MESSAGE = st.one_of(
    st.builds(HumanMessage, CONTENT, **COMMON),
    st.builds(SystemMessage, CONTENT, **COMMON),
    st.builds(AIMessage, CONTENT, tool_calls=CALLS, **COMMON),
    st.builds(ToolMessage, CONTENT, tool_call_id=TEXT, artifact=JSON, **COMMON),
    st.builds(ChatMessage, CONTENT, role=TEXT, **COMMON),
)


def test_any_message_comes_back_equal():
    with onebrain.connect("sqlite://") as embedded:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(ANY_MESSAGE, max_size=4, unique_by=lambda message: message.id or id(message)))
        def check(messages):
            for brain in (reference_brain(), embedded):
                history = OneBrainChatMessageHistory("any", brain=brain)
                history.clear()
                history.add_messages(messages)
                assert history.messages == messages

        check()


async def test_a_message_with_an_id_is_kept_once_and_in_its_place(history, call):
    await call(history.add_messages, [HumanMessage("one", id="1"), AIMessage("two", id="2")])
    await call(history.add_messages, [HumanMessage("one", id="1"), AIMessage("two", id="2")])
    await call(history.add_messages, [HumanMessage("three", id="3"), HumanMessage("ONE", id="1")])
    assert [message.content for message in await read(history, call)] == ["ONE", "two", "three"]


async def test_equal_messages_without_ids_are_different_messages(history, call):
    await call(history.add_messages, [HumanMessage("hi"), HumanMessage("hi")])
    await call(history.add_messages, [HumanMessage("hi")])
    assert await read(history, call) == [HumanMessage("hi")] * 3


async def test_clear_removes_this_conversation_and_nothing_else(brain, history, call):
    other = OneBrainChatMessageHistory("s10", brain=brain, scope=Scope(user="maria"))
    theirs = OneBrainChatMessageHistory("s1", brain=brain, scope=Scope(user="mario"))
    brain.store("a memory of the session", scope=Scope(user="maria", session="s1"))
    for each in (history, other, theirs):
        await call(each.add_messages, [HumanMessage(f"n{n}", id=str(n)) for n in range(250)])
    await call(history.clear)
    assert await read(history, call) == []
    assert len(await read(other, call)) == len(await read(theirs, call)) == 250
    assert brain.count(scope=Scope(user="maria", session="s1")) == 1
    await call(history.add_messages, [HumanMessage("again", id="1")])
    assert await read(history, call) == [HumanMessage("again", id="1")]


async def test_a_window_returns_the_latest_that_may_begin_a_conversation(brain, call):
    calls = [{"name": "f", "args": {}, "id": "1"}, {"name": "f", "args": {}, "id": "2"}]
    messages = [
        HumanMessage("q1"),
        AIMessage("", tool_calls=calls),
        ToolMessage("r1", tool_call_id="1"),
        ToolMessage("r2", tool_call_id="2"),
        AIMessage("a1"),
        SystemMessage("be brief"),
        HumanMessage("q2"),
        AIMessage("a2"),
    ]
    await call(OneBrainChatMessageHistory("w", brain=brain).add_messages, messages)
    expected = {1: 8, 2: 6, 3: 5, 4: 5, 5: 5, 7: 5, 8: 0, 100: 0}
    for window, start in expected.items():
        history = OneBrainChatMessageHistory("w", brain=brain, window=window)
        assert await read(history, call) == messages[start:]


def a_turn():
    """Draw a turn: a person's message, and calls of tools, some without their answers, or an answer."""
    texts = st.sampled_from(["a", "b"])

    @st.composite
    def turn(draw):
        messages = [SystemMessage("s")] * draw(st.integers(0, 1)) + [HumanMessage(draw(texts))]
        for _ in range(draw(st.integers(0, 2))):
            ids = [f"c{draw(st.integers(0, 10**9))}" for _ in range(draw(st.integers(1, 3)))]
            calls = [{"name": "f", "args": {}, "id": id} for id in ids]
            messages.append(AIMessage(draw(st.sampled_from(["", "x"])), tool_calls=calls))
            answered = draw(st.lists(st.sampled_from(ids), unique=True)) if draw(st.booleans()) else ids
            messages.extend(ToolMessage("r", tool_call_id=id) for id in answered)
        return messages + [AIMessage("done")] * draw(st.integers(0, 1))

    return turn()


def test_any_window_of_any_conversation_is_one_that_models_accept():
    with onebrain.connect("sqlite://") as brain:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(a_turn(), max_size=4), st.integers(0, 3), st.integers(1, 12))
        def check(turns, cut, window):
            messages = [message for turn in turns for message in turn][cut:]
            OneBrainChatMessageHistory("p", brain=brain).clear()
            OneBrainChatMessageHistory("p", brain=brain).add_messages(messages)
            found = OneBrainChatMessageHistory("p", brain=brain, window=window).messages
            assert len(found) <= window
            assert not found or found[0].type in ("human", "system") or len(messages) <= window
            waiting = set()
            for message in found:
                if isinstance(message, ToolMessage):
                    waiting.remove(message.tool_call_id)
                    continue
                assert not waiting
                waiting = {call["id"] for call in getattr(message, "tool_calls", [])}
            # What is left out of the middle is a call whose answers are missing, or an answer without its call.
            assert all(message in messages for message in found)

        check()


@pytest.mark.parametrize(
    "bad",
    [
        HumanMessage("x", additional_kwargs={"n": float("nan")}),
        HumanMessage("x", additional_kwargs={"o": object()}),
        HumanMessage("\ud800"),
        HumanMessage("x", additional_kwargs={"t": "\ud800"}),
        ToolMessage("x", tool_call_id="1", artifact={1: "a"}),
    ],
)
async def test_a_message_that_cannot_come_back_is_refused_with_all_that_came_with_it(history, call, bad):
    with pytest.raises(OneBrainValidationError):
        await call(history.add_messages, [HumanMessage("good"), bad])
    assert await read(history, call) == []


async def test_a_pydantic_object_comes_back_as_a_dict(history, call):
    class Parsed(BaseModel):
        seat: str

    await call(history.add_messages, [AIMessage("x", additional_kwargs={"parsed": Parsed(seat="window")})])
    (message,) = await read(history, call)
    assert message.additional_kwargs == {"parsed": {"seat": "window"}}


async def test_messages_can_be_recalled_as_memories(brain, history, call):
    await call(history.add_messages, [HumanMessage("I like window seats"), AIMessage("Noted")])
    retriever = OneBrainRetriever(brain=brain, scope=Scope(user="maria"), k=1)
    (document,) = await call(retriever.invoke, "window seats")
    assert document.page_content == "I like window seats"
    assert document.metadata["session"] == "s1"


async def test_it_serves_a_runnable_with_message_history(brain, call):
    with pytest.warns(DeprecationWarning, match="RunnableWithMessageHistory"):
        chain = RunnableWithMessageHistory(
            RunnableLambda(lambda messages: AIMessage(f"{len(messages)} messages")),
            lambda session_id: OneBrainChatMessageHistory(session_id, brain=brain),
        )
    config = {"configurable": {"session_id": "r"}}
    assert (await call(chain.invoke, [HumanMessage("one")], config)).content == "1 messages"
    assert (await call(chain.invoke, [HumanMessage("two")], config)).content == "3 messages"
    history = OneBrainChatMessageHistory("r", brain=brain)
    assert [message.content for message in await read(history, call)] == [
        "one",
        "1 messages",
        "two",
        "3 messages",
    ]


async def test_it_serves_a_graph(brain, call, scripted):
    """A node of a LangGraph graph that reads the conversation, asks the model and keeps both messages."""
    model = scripted("Noted.", "By the window.")

    def history(config):
        return OneBrainChatMessageHistory(config["configurable"]["thread_id"], brain=brain)

    def answer(state: MessagesState, config: RunnableConfig) -> MessagesState:
        asked = state["messages"][-1]
        reply = model.invoke([*history(config).messages, asked])
        history(config).add_messages([asked, reply])
        return {"messages": [reply]}

    async def aanswer(state: MessagesState, config: RunnableConfig) -> MessagesState:
        asked = state["messages"][-1]
        reply = await model.ainvoke([*await history(config).aget_messages(), asked])
        await history(config).aadd_messages([asked, reply])
        return {"messages": [reply]}

    graph = StateGraph(MessagesState).add_node("answer", aanswer if call.asynchronous else answer)
    agent = graph.add_edge(START, "answer").compile()
    config = {"configurable": {"thread_id": "t1"}}
    await call(agent.invoke, {"messages": [("user", "I like window seats.")]}, config)
    await call(agent.invoke, {"messages": [("user", "Where do I sit?")]}, config)
    said = ["I like window seats.", "Noted.", "Where do I sit?", "By the window."]
    assert [message.content for message in model.seen[1]] == said[:3]
    assert [message.content for message in await read(history(config), call)] == said


def test_five_thousand_messages_of_four_writers_with_retries(url):
    def write(writer):
        with onebrain.connect(url) as brain:
            history = OneBrainChatMessageHistory("big", brain=brain)
            for start in range(0, 1250, 25):
                batch = [HumanMessage(f"{writer}-{n}", id=f"{writer}-{n}") for n in range(start, start + 25)]
                history.add_messages(batch)
                if start % 100 == 0:
                    # A retry after a lost answer.
                    history.add_messages(batch)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with onebrain.connect(url) as brain:
        history = OneBrainChatMessageHistory("big", brain=brain)
        contents = [message.content for message in history.messages]
        assert len(contents) == 5000
        for writer in range(4):
            own = [content for content in contents if content.startswith(f"{writer}-")]
            assert own == [f"{writer}-{n}" for n in range(1250)]
        assert all(
            contents[place].partition("-")[0] == contents[place + 24].partition("-")[0]
            for place in range(0, 5000, 25)
        ), "a batch was torn apart"
        history.clear()
        assert history.messages == []


def test_a_session_must_be_named_and_options_must_make_sense(brain):
    with pytest.raises(ValueError, match="blank"):
        OneBrainChatMessageHistory(" ", brain=brain)
    with pytest.raises(onebrain.ConfigurationError, match="differ"):
        OneBrainChatMessageHistory("a", brain=brain, scope={"session": "b"})
    with pytest.raises(onebrain.ConfigurationError, match="window"):
        OneBrainChatMessageHistory("a", brain=brain, window=0)
    with pytest.raises(OneBrainValidationError, match="add_message"):
        OneBrainChatMessageHistory("a", brain=brain).add_messages(HumanMessage("x"))
