"""Calls with arguments that a method does not have: the error says which method, and what to write instead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

import onebrain
from onebrain import F, OneBrainArgumentError, OneBrainValidationError, Scope


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


async def later(text):
    raise AssertionError("never called")


ONE = Scope(space="s")
MISUSES = {
    "items": [
        lambda brain, value: brain.store_many(value),
        [None, 7, 1.5, True, object(), len, datetime.now(UTC)],
    ],
    "copies": [
        lambda brain, value: brain.restore(value),
        [None, 7, "x", b"x", {"content": "x"}, [None], ["x"], ONE],
    ],
    "on_progress": [
        lambda brain, value: brain.store_many(["private text"], on_progress=value),
        [0, "print", [], later, ONE],
    ],
    "count_tokens": [
        lambda brain, value: brain.context("private", count_tokens=value),
        [
            0,
            "len",
            [],
            later,
            lambda text: None,
            lambda text: text,
            lambda text: float("nan"),
            lambda text: -1,
        ],
    ],
    "mode": [lambda brain, value: brain.search("private", mode=value), [[], {}, 7, True, ONE]],
    "order": [lambda brain, value: list(brain.list(order=value)), [[], {}, 7, None, "", ONE]],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, (_, values) in MISUSES.items() for value in values],
)
def test_a_value_of_another_kind_is_refused_by_its_name_and_nothing_is_stored(brain, name, value):
    with pytest.raises(OneBrainValidationError, match=name) as raised:
        MISUSES[name][0](brain, value)
    assert "private" not in str(raised.value)
    assert brain.count() == 0


def test_a_counter_of_tokens_may_return_a_fraction(brain):
    brain.store("Maria takes the night train.")
    context = brain.context("train", count_tokens=lambda text: len(text) / 4)
    assert context.token_count == -(-len(context.text) // 4)


def nested(depth):
    found = {"n": 1}
    for _ in range(depth):
        found = {"$or": [{"$and": [found, {"m": 1}]}, {"k": 1}]}
    return found


@pytest.mark.parametrize("depth", [40, 300, 5000])
def test_a_filter_that_is_nested_too_deep_is_refused(brain, depth):
    with pytest.raises(OneBrainValidationError, match="levels deep"):
        brain.count(filter=nested(depth))
    deep = F("n").eq(1)
    for _ in range(depth):
        deep = (deep & F("m").eq(1)) | F("k").eq(1)
    with pytest.raises(OneBrainValidationError, match="levels deep"):
        brain.search("x", filter=deep)
    brain.store("kept", metadata={"n": 1, "m": 1})
    assert brain.count(filter=nested(30)) == 1


@pytest.mark.parametrize("op", ["$in", "$nin"])
def test_a_generator_in_a_filter_is_refused_and_forgets_nothing(brain, op):
    brain.store("kept", metadata={"n": 1})
    for verb in (brain.forget, brain.count, brain.list):
        with pytest.raises(OneBrainValidationError, match="not a generator"):
            list(verb(filter={"n": {op: (number for number in [1])}}))
    assert brain.count() == 1
    assert brain.count(filter=F("n").in_(number for number in [1])) == 1
