"""One codec for everything that becomes JSON."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain import UNSET, OneBrainValidationError, Scope
from onebrain._core.codec import from_json, is_set, to_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_comes_back_as_it_was(value):
    again = from_json(to_json(value))
    assert again == value
    # True is not 1, and 1.0 is not 1.
    assert repr(again) == repr(value)


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2025, 1, 2, 3, 4, 5, 6, UTC), '"2025-01-02T03:04:05.000006+00:00"'),
        (date(2025, 1, 2), '"2025-01-02"'),
        (Colour.RED, '"red"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        ({"b", "a"}, '["a","b"]'),
        ((1, 2), "[1,2]"),
        (Point(1), '{"x":1}'),
        (Scope(user="maria"), '{"space":null,"user":"maria","agent":null,"session":null}'),
        (np.float32(0.5), "0.5"),
        (np.array([1, 2]), "[1,2]"),
        ("ü🪟\x00", '"ü🪟\\u0000"'),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_json_does_not_know_becomes_what_it_does(value, text):
    assert to_json(value) == text


def test_what_json_cannot_hold_exactly_is_refused_without_quoting_it():
    loop: dict = {}
    loop["secret"] = loop
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        {"secret": float("nan")},
        {"secret": float("inf")},
        {"secret": "\ud800"},
        loop,
        deep,
        {"secret": object()},
    ):
        with pytest.raises(OneBrainValidationError) as caught:
            to_json(value, what="metadata")
        assert "metadata" in str(caught.value)
        assert "secret" not in str(caught.value)
    del deep


def test_text_that_is_no_json_is_a_value_error():
    for text in ("", "{", "nul", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011  (pydantic's own message)
            from_json(text)


def test_unset_is_one_object_that_is_false_and_survives_copies():
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert is_set(None)
    assert not is_set(UNSET)
