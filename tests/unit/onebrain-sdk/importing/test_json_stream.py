"""The stream reader reads what `json.loads` reads, in pieces of any size."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onebrain.importing import items

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
documents = st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values, max_size=4)


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    marks = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(marks)]


def gathered(found):
    """Put a document together again."""
    rows = list(found)
    assert all(item.reason is None for item in rows)
    if all(item.key is None for item in rows):
        return [item.value for item in rows]
    whole = defaultdict(list)
    for item in rows:
        if item.number:
            whole[item.key].append(item.value)
        else:
            whole[item.key] = item.value
    return dict(whole)


@settings(max_examples=60, deadline=None)
@example(document=[5e-324, []], indent=None, ascii=True, cuts=[3])
@example(document=[1.5], indent=None, ascii=True, cuts=[2])
@given(
    document=documents,
    indent=st.sampled_from([None, 2]),
    ascii=st.booleans(),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_it_reads_what_json_reads(document, indent, ascii, cuts):
    text = json.dumps(document, indent=indent, ensure_ascii=ascii)
    wanted = json.loads(text)
    if isinstance(wanted, dict):
        # An empty array has no items.
        wanted = {key: value for key, value in wanted.items() if value != []}
    assert gathered(items(in_pieces(text, cuts))) == (wanted or type(gathered([]))())


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(values, min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 500), max_size=12),
    end=st.integers(1, 500),
)
def test_of_a_document_that_is_cut_the_items_before_are_read(rows, cuts, end):
    text = json.dumps(rows)
    found = list(items(in_pieces(text[: len(text) - 1 - end % (len(text) - 1)], cuts)))
    good = [item.value for item in found if item.reason is None]
    # A number may be cut into another one.
    assert good[:-1] == rows[: len(good)][:-1]
    assert found[-1].reason is not None


@pytest.mark.parametrize("cuts", [[], list(range(0, 200, 3))])
@pytest.mark.parametrize(
    ("damaged", "left"),
    [
        ('{"a": nope}', 2),
        ('{"a": 1 "b": 2}', 2),
        ('{"a": {"b": [1, 2}}}', 2),
        ('{"a": "x}', 2),
        ('{"a": "\\q"}', 2),
        ("nope", 2),
        ('{"a": ' + "[" * 3000 + "]" * 3000 + "}", 2),
    ],
)
def test_damage_costs_its_own_item(damaged, left, cuts):
    text = f'[{{"a": 1}}, {damaged}, {{"a": 3}}]'
    found = list(items(in_pieces(text, cuts)))
    assert [item.value for item in found if item.reason is None] == [{"a": 1}, {"a": 3}][:left]
    assert [item.number for item in found if item.reason is not None] == [2]


def test_text_behind_the_document_is_told():
    assert [item.reason for item in items(["[1]", " [2]"])] == [
        None,
        "there is text behind the end of the JSON document",
    ]
