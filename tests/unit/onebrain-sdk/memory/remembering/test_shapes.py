"""Messages of chat APIs and frameworks, by their shape."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.llms import ChatMessage, ImageBlock, MessageRole, TextBlock

import onebrain
from onebrain import OneBrainValidationError, Scope, Unsupported
from onebrain.memory.remembering.messages import messages_of

NOW = datetime(2024, 11, 13, tzinfo=UTC)
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def said(given):
    return [(one.role, one.text) for one in messages_of(given, Scope(user="ewa"), None, NOW)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HumanMessage("Hello"), ("user", "Hello")),
        (HumanMessage([{"type": "text", "text": "Hel"}, {"type": "image_url"}, "lo"]), ("user", "Hello")),
        (AIMessage("Hi"), ("assistant", "Hi")),
        (SystemMessage("Be kind"), ("system", "Be kind")),
        (ToolMessage("12 degrees", tool_call_id="c1"), ("tool", "12 degrees")),
        (ChatMessage(role=MessageRole.USER, content="Hello"), ("user", "Hello")),
        (ChatMessage(role="assistant", blocks=[TextBlock(text="Hi"), ImageBlock(url="http://x/y")]), ("assistant", "Hi")),
        (SimpleNamespace(role="user", content=[SimpleNamespace(type="text", text="Hello")]), ("user", "Hello")),
        ({"type": "human", "content": "Hello"}, ("user", "Hello")),
        ({"role": "human", "content": "Hello"}, ("human", "Hello")),
        ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}, ("assistant", "Hi")),
        ({"role": "assistant", "content": "Let me see", "tool_calls": [CALL]}, ("assistant", "Let me see")),
        ({"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "12 degrees"}, ("tool", "12 degrees")),
        ({"role": "user", "content": "Hello", "name": "ewa"}, ("user", "Hello")),
    ],
)  # fmt: skip
def test_a_message_of_any_shape_is_its_role_and_text(message, expected):
    assert said([message]) == said(message) == [expected]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "c1"}]),
        AIMessage([{"type": "tool_use", "id": "c1", "name": "weather", "input": {}}]),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "function_call": {"name": "weather", "arguments": "{}"}},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "12"}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "12 degrees"},
    ],
)
def test_a_tools_call_or_answer_without_text_is_left_out(message):
    assert said([{"role": "user", "content": "Hello"}, message]) == [("user", "Hello")]
    with pytest.raises(OneBrainValidationError, match="none with text"):
        said([message])


@pytest.mark.parametrize(
    "message",
    [
        SimpleNamespace(text="secret"),
        SimpleNamespace(content="secret", role=7),
        HumanMessage(""),
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "tool", "content": 7},
        {"type": "reasoning", "summary": ["secret"]},
        {"role": "user", "content": "secret", "contnet": "x"},
    ],
)
def test_any_other_shape_is_refused_and_not_quoted(message):
    with pytest.raises(OneBrainValidationError) as caught:
        said(["Hello", message])
    assert "number 2" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_id_of_a_message_is_kept():
    with onebrain.connect("sqlite://") as brain:
        result = brain.remember([HumanMessage("Hello", id="m-1")], scope=Scope(user="ewa"))
        assert result.raw[0].id == "m-1"
        assert brain.get("m-1").metadata == {"kind": "message", "role": "user"}


@pytest.mark.parametrize(
    "options", [{"instructions": "only travel"}, {"prompt": "{schema}"}, {"supersede": "auto"}, {"supersede": "off"}]
)  # fmt: skip
def test_the_model_of_a_service_takes_no_options(options):
    with onebrain.connect("rememberos+http://127.0.0.1:9", api_key="mv_x") as brain:
        [name] = options
        with pytest.raises(Unsupported, match=f"{name}="):
            brain.remember("Hello", model="service", **options)
