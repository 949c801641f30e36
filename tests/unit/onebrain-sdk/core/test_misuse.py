"""Calls with arguments that a method does not have: the error says which method, and what to write instead."""

from __future__ import annotations

import asyncio

import pytest

import onebrain
from onebrain import OneBrainArgumentError, OneBrainValidationError


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://") as brain:
        yield brain


CALLS = [
    (
        ("search", "tea"),
        {"user": "maria"},
        r"^{}\.search\(\) has no argument 'user'; write scope=Scope\(user=",
    ),
    (("search", "tea"), {"thread_id": "1"}, r"{}\.search\(\).*scope=Scope\(session="),
    (("search", "tea"), {"namespace": "a"}, r"scope=Scope\(space="),
    (("search", "tea"), {"k": 3}, r"'k'; write limit="),
    (("search", "tea"), {"top_k": 3}, r"'top_k'; write limit="),
    (("search", "tea"), {"limt": 3}, r"'limt'; write limit="),
    (("search", "tea"), {"filters": {}}, r"write filter="),
    (("search", "tea"), {"mystery": 3}, r"'mystery'; it has query, scope, limit"),
    (("search", "tea"), {"k": 3, "user": "maria"}, r"limit=.*scope=Scope\(user="),
    (("search", "tea", 3), {}, r"^{}\.search\(\) takes query by position, and by name scope, limit"),
    (("store",), {"text": "tea"}, r"^{}\.store\(\).*write content="),
    (("store",), {}, r"^{}\.store\(\) missing 1 required positional argument: 'content'"),
    (("store_many", []), {"user_id": "maria"}, r"^{}\.store_many\(\).*scope=Scope\(user="),
    (("get",), {"memory_id": "1"}, r"^{}\.get\(\).*write id="),
    (("list",), {"user": "maria"}, r"^{}\.list\(\).*scope=Scope\(user="),
    (("list",), {"k": 3}, r"^{}\.list\(\).*write limit="),
    (("forget",), {"session": "s"}, r"^{}\.forget\(\).*scope=Scope\(session="),
    (("context", "tea"), {"token_limit": 3}, r"^{}\.context\(\).*write max_tokens="),
]


@pytest.mark.parametrize(("call", "wrong", "said"), CALLS, ids=str)
def test_a_wrong_argument_names_the_method_and_the_right_one_in_both_colours(brain, call, wrong, said):
    name, *args = call
    with pytest.raises(OneBrainArgumentError, match=said.format("Brain")) as raised:
        getattr(brain, name)(*args, **wrong)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, OneBrainValidationError)
    assert "_Brain" not in str(raised.value)

    async def asynchronous():
        called = getattr(brain.to_async(), name)(*args, **wrong)
        if name != "list":
            await called

    with pytest.raises(OneBrainArgumentError, match=said.format("AsyncBrain")):
        asyncio.run(asynchronous())


def test_a_client_of_a_service_names_its_methods_too():
    with onebrain.OneBrain(api_key="ob_test", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(OneBrainArgumentError, match=r"^Memories\.list\(\).*write limit="):
            client.memory.list(limits=3)
        with pytest.raises(OneBrainArgumentError, match=r"^Memories\.get\(\) missing"):
            client.memory.get()


def test_a_type_error_from_inside_a_method_stays_as_it_is(brain):
    def broken():
        raise TypeError("from inside")
        yield

    with pytest.raises(TypeError, match="from inside") as raised:
        brain.store_many(broken())
    assert not isinstance(raised.value, OneBrainValidationError)
