"""Reading a model's answer: it may be anything."""

from __future__ import annotations

import json
from contextlib import suppress
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain.memory.remembering.answers import MOST_FACTS, Proposed, Unreadable, read

ROW = {"text": "Ewa likes tea", "quote": "I like tea", "from": 1}
TEA = Proposed(text="Ewa likes tea", quote="I like tea", message=1)
ANSWER = json.dumps({"facts": [ROW]})

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        f"\ufeff {ANSWER}\n",
        f"```json\n{ANSWER}\n```",
        f"```{ANSWER}```",
        f"Here you are:\n```JSON\n{ANSWER}\n```\nAnything else?",
        f"Sure! {ANSWER} I hope that helps.",
        f"<think>{{not json}} ```json\n[]\n```</think>{ANSWER}",
        json.dumps([ROW]),
    ],
)
def test_the_facts_are_found_in_and_out_of_a_fence(answer):
    assert read(answer) == ([TEA], [])


@pytest.mark.parametrize(
    "answer", ["no", "{", '{"facts": {}}', '{"facts": null}', "{}", "7", "[" * 100_000, '{"facts": [NaN]}']
)
def test_nonsense_is_unreadable(answer):
    with pytest.raises(Unreadable):
        read(answer)


@given(
    st.text(printable) | anything.map(json.dumps) | anything.map(lambda found: json.dumps({"facts": found}))
)
def test_any_answer_is_read_or_unreadable(answer):
    with suppress(Unreadable):
        facts, _ = read(answer)
        assert all(fact.text.strip() for fact in facts)


@given(st.fixed_dictionaries({"text": st.text(min_size=1)}, optional=dict.fromkeys(
    ["quote", "from", "valid_from", "valid_until", "same", "replaces", "why"], anything)))  # fmt: skip
def test_fields_of_a_wrong_kind_are_as_if_they_were_missing(row):
    facts, others = read(json.dumps({"facts": [row]}))
    assert len(facts) + len(others) == 1
    for fact in facts:
        assert isinstance(fact.quote, str)
        assert all(isinstance(number, int) for number in (*fact.replaces, fact.same or 0, fact.message or 0))


def test_rows_without_text_and_too_many_are_reported():
    rows = [{"quote": "x"}, 7, *[{**ROW, "text": f"{number}"} for number in range(MOST_FACTS + 2)]]
    facts, others = read(json.dumps({"facts": rows}))
    assert len(facts) == MOST_FACTS
    assert [text for text, _ in others] == ["", "", f"{MOST_FACTS}", f"{MOST_FACTS + 1}"]


def test_numbers_may_be_written_as_text():
    [fact], _ = read(json.dumps({"facts": [{**ROW, "from": " 2 ", "same": 3.0, "replaces": "4"}]}))
    assert (fact.message, fact.same, fact.replaces) == (2, 3, (4,))
