"""The caller's model, by its shape: an API, the shapes of two frameworks, and functions."""

from __future__ import annotations

import asyncio
import copy
import pickle
from functools import partial
from types import SimpleNamespace

import pytest
from httpx import URL

from onebrain._core.steps import Async, Sync
from onebrain.errors import ConfigurationError, ModelError
from onebrain.memory.remembering.chat import ChatModel
from onebrain.memory.remembering.model import asked

SECRET = "sk-abcdefghijklmnop"
PROMPT = "the secret words of a memory"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in ("ONEBRAIN_MODEL_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def ask(model, prompt=PROMPT):
    """Return the answers of a model in both colours."""
    sync = Sync().drive(asked(model, asynchronous=False).answer(prompt))
    assert asyncio.run(Async().drive(asked(model, asynchronous=True).answer(prompt))) == sync
    return sync


def complaint(model, prompt=PROMPT):
    """Return the error of a model, which quotes nothing, and shows no cause that might."""
    with pytest.raises(ModelError) as caught:
        Sync().drive(asked(model, asynchronous=False).answer(prompt))
    with pytest.raises(ModelError) as other:
        asyncio.run(Async().drive(asked(model, asynchronous=True).answer(prompt)))
    assert str(other.value) == str(caught.value)
    assert prompt not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_an_api_is_asked_by_name_for_json(model_server, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_MODEL_API_KEY", SECRET)
    model_server.says("Hello")
    assert ask(model_server.name) == "Hello"
    assert model_server.paths == ["/v1/chat/completions"] * 2
    assert model_server.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert model_server.bodies[0] == {
        "model": "scripted",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0,
        "response_format": {"type": "json_object"},
    }


def test_the_key_of_openai_goes_to_openai_alone(model_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    ask(model_server.name)
    assert all("authorization" not in headers for headers in model_server.headers)


def test_a_server_that_refuses_the_format_is_asked_without_it(model_server):
    def answer(body):
        if "response_format" in body:
            return 400, {"error": {"message": f"response_format is unknown: {PROMPT}"}}
        return 200, model_server.completion("Hello")

    model_server.answer = answer
    assert ask(ChatModel(model_server.address, "scripted")) == "Hello"
    assert ["response_format" in body for body in model_server.bodies] == [True, False] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503])
def test_a_refusal_is_one_error_and_no_second_paid_call(model_server, status):
    model_server.answer = lambda body: (status, {"error": PROMPT})
    message = complaint(ChatModel(model_server.address, "scripted", SECRET))
    assert str(status) in message
    assert SECRET not in message
    assert len(model_server.bodies) == (4 if status == 400 else 2)


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"\xff"],
)  # fmt: skip
def test_an_answer_of_another_kind_is_an_error(model_server, answer):
    model_server.answer = lambda body: (200, answer)
    assert "cannot be used" in complaint(ChatModel(model_server.address, "scripted"))


def test_a_server_that_does_not_answer_is_an_error_in_time(model_server):
    model_server.answer = lambda body: None
    assert "no answer within 0.05 s" in complaint(ChatModel(model_server.address, "scripted", timeout=0.05))


def test_a_server_that_is_not_there_is_an_error():
    assert "cannot be reached" in complaint(ChatModel("http://127.0.0.1:9/v1", "scripted"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "llama3.2",
        "openai+ftp://host/v1#m",
        "openai+http://host/v1",
        f"openai+http://user:{SECRET}@host/v1#m",
        "openai+http://host:99999/v1#m",
        "openai:",
    ],
)
def test_a_name_that_means_nothing_is_refused_without_its_key(name):
    with pytest.raises(ConfigurationError) as caught:
        asked(name, asynchronous=False)
    assert SECRET not in str(caught.value)


def test_a_chat_model_shows_no_key():
    assert repr(ChatModel("http://host/v1/", "m", SECRET)) == "ChatModel('http://host/v1', 'm')"


@pytest.mark.parametrize(
    "base_url", [None, 7, "host", "http://", "http://host/v1?key=x", "http://host:x/v1", "http://[::1/v1"]
)
def test_an_address_that_is_none_is_refused(base_url):
    with pytest.raises(ConfigurationError):
        ChatModel(base_url, "m")


class LangChainShape:
    """A chat model of LangChain; its answer is a message with text or with a list of blocks."""

    model_name = "lc"

    def __init__(self, content):
        self.content, self.given = content, []

    def invoke(self, messages):
        self.given.append(messages)
        return SimpleNamespace(content=self.content)

    async def ainvoke(self, messages):
        return self.invoke(messages)


BLOCKS = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Hel"}, "lo", {"text": None}]


@pytest.mark.parametrize("content", ["Hello", BLOCKS])
def test_a_model_with_invoke_is_asked_with_a_message(content):
    model = LangChainShape(content)
    assert ask(model) == "Hello"
    assert model.given == [[{"role": "user", "content": PROMPT}]] * 2
    assert asked(model, asynchronous=False).name == "lc"


def test_a_pipeline_with_invoke_may_answer_with_text():
    assert ask(SimpleNamespace(invoke=lambda messages: "Hello")) == "Hello"


class LlamaIndexShape:
    """An LLM of LlamaIndex."""

    metadata = SimpleNamespace(model_name="li")

    def complete(self, prompt):
        return SimpleNamespace(text=f"Hello, {len(prompt)}")

    async def acomplete(self, prompt):
        return self.complete(prompt)


def test_a_model_with_complete_is_asked_with_the_prompt():
    assert ask(LlamaIndexShape()) == f"Hello, {len(PROMPT)}"
    assert asked(LlamaIndexShape(), asynchronous=True).name == "li"


def test_a_function_is_asked_and_named_by_itself():
    def parrot(prompt):
        return prompt

    assert ask(parrot) == PROMPT
    assert "parrot" in asked(parrot, asynchronous=False).name


class Awaited:
    async def __call__(self, prompt):
        return prompt


async def aparrot(prompt):
    return prompt


@pytest.mark.parametrize("model", [aparrot, Awaited(), SimpleNamespace(acomplete=aparrot)])
def test_a_coroutine_function_is_for_async_code_only(model):
    assert asyncio.run(Async().drive(asked(model, asynchronous=True).answer(PROMPT))) == PROMPT
    with pytest.raises(ConfigurationError, match="asynchronous"):
        asked(model, asynchronous=False)


@pytest.mark.parametrize("model", [7, object(), LangChainShape, [], SimpleNamespace(complete=3)])
def test_an_object_without_a_shape_is_refused(model):
    with pytest.raises(ConfigurationError):
        asked(model, asynchronous=True)


@pytest.mark.parametrize("answer", [None, 7, "", "  ", b"bytes", ["x"]])
def test_an_answer_that_is_no_text_is_an_error(answer):
    assert "with" in complaint(lambda prompt: answer)


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError, ConfigurationError, TimeoutError])
def test_an_exception_of_a_model_is_an_error_that_quotes_nothing(error):
    def model(prompt):
        raise error(f"could not answer {prompt}")

    complaint(model)


def test_an_interrupt_is_not_caught():
    def model(prompt):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Sync().drive(asked(model, asynchronous=False).answer(PROMPT))


async def test_an_async_model_that_never_answers_ends(monkeypatch):
    monkeypatch.setattr("onebrain.memory.remembering.model.TIMEOUT", 0.01)

    async def model(prompt):
        await asyncio.Event().wait()

    with pytest.raises(ModelError, match="no answer within"):
        await Async().drive(asked(model, asynchronous=True).answer(PROMPT))


@pytest.mark.parametrize(
    "options",
    [{"api_key": b"key"}, {"api_key": "schlüssel"}, {"api_key": "a\nb"}, {"api_key": " "}, {"timeout": 0},
     {"timeout": -1}, {"timeout": "60"}, {"timeout": True}, {"timeout": float("nan")}],
)  # fmt: skip
def test_a_key_or_limit_that_cannot_be_used_is_refused(options):
    with pytest.raises(ConfigurationError) as caught:
        ChatModel("http://localhost:11434/v1", "llama3.2", **options)
    assert "schlüssel" not in str(caught.value)


def test_a_chat_model_is_not_pickled_with_its_key():
    model = ChatModel("http://localhost:11434/v1", "llama3.2", "geheim")
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(model)
    assert "geheim" not in str(caught.value)
    assert copy.copy(model) is copy.deepcopy(model) is model


def test_an_identity_tells_models_apart_and_holds_no_key():
    def ask(prompt, model="none"):
        return prompt

    class Chain:
        def __init__(self, *steps):
            self.steps = list(steps)

        def invoke(self, messages):
            return ""

    class Broken:
        @property
        def model_name(self):
            raise RuntimeError(SECRET)

        def complete(self, prompt):
            return prompt

    def named(**fields):
        return SimpleNamespace(complete=ask, api_key=SECRET, **fields)

    models = [
        ChatModel("http://localhost:1/v1", "m", SECRET),
        ChatModel("http://localhost:2/v1", "m", SECRET),
        ChatModel("http://localhost:2/v1", "n", SECRET),
        ask,
        named(),
        named(model="a"),
        named(model_name="a"),
        named(model="a", base_url=f"http://user:{SECRET}@host/v1?key={SECRET}"),
        named(model="a", base_url=URL("http://other/v1")),
        named(metadata=SimpleNamespace(model_name="b")),
        partial(ask, model="a"),
        partial(ask, model="b"),
        Chain(named(model="a")),
        Chain(named(model="b")),
        Broken(),
    ]
    found = [asked(model, asynchronous=False).identity for model in models]
    assert len(set(found)) == len(models)
    assert found == [asked(model, asynchronous=False).identity for model in models]
    assert SECRET not in "".join(found)
