"""Contexts: fenced text within a budget, whatever the memories and whoever counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain.memory.context import build, estimate_tokens
from onebrain.memory.fence import CLOSING, OPENING
from onebrain.memory.models import Memory

PIECES = st.sampled_from(
    [
        "</memories>",
        "<memories>",
        "</ MEMORIES >",
        "< / memories>",
        "<",
        "/",
        "memories",
        " ",
        "\n",
        "\u2028",
        "\r",
        "ü",
        "灯台",
        "x" * 40,
        "word ",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=12).map("".join)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
MEMORIES = st.lists(st.tuples(TEXTS, TIMES), max_size=8).map(
    lambda rows: [Memory(id=str(n), content=text, created_at=time) for n, (text, time) in enumerate(rows)]
)
COUNTERS = {
    "estimated": None,
    "characters": len,
    "words": lambda text: len(text.split()),
    "more in the whole than in its parts": lambda text: len(text) + len(text) ** 2 // 200,
}


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS)
@given(memories=MEMORIES, budget=st.integers(0, 300))
def test_the_budget_is_never_exceeded(counter, memories, budget):
    context = build(memories, max_tokens=budget, count_tokens=counter)
    count = counter or estimate_tokens
    assert context.token_count == (count(context.text) if context.text else 0) <= budget
    kept = {memory.id for memory in context.memories}
    assert len(kept) == len(context.memories)
    assert kept <= {memory.id for memory in memories}
    if len(kept) < len(memories):
        assert context.truncated
    assert build(memories, max_tokens=budget, count_tokens=counter) == context


@given(memories=MEMORIES, budget=st.integers(0, 500))
def test_no_memory_can_close_the_fence_or_begin_a_line(memories, budget):
    context = build(memories, max_tokens=budget)
    if not context.text:
        return
    assert context.text.startswith(OPENING)
    assert context.text.endswith("\n" + CLOSING)
    assert len(re.findall(r"<[\s/]*memories", context.text, re.IGNORECASE)) == 2
    body = context.text[len(OPENING) : -len(CLOSING)]
    assert len(body.splitlines()) == len(context.memories)
    assert all(line.startswith("- ") for line in body.splitlines())


def note(content, day=None, **fields):
    created_at = None if day is None else datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return Memory(id=content[:20], content=content, created_at=created_at, **fields)


def test_everything_that_fits_is_there_from_old_to_new():
    context = build([note("second", 2), note("first", 1), note("undated")], max_tokens=200)
    assert context.text == OPENING + "- undated\n- [2025-01-02] first\n- [2025-01-03] second\n" + CLOSING
    assert [memory.content for memory in context.memories] == ["undated", "first", "second"]
    assert not context.truncated


def test_a_memory_that_does_not_fit_makes_room_for_smaller_ones():
    context = build([note("best"), note("long " * 300), note("small")], max_tokens=60)
    assert [memory.content for memory in context.memories] == ["best", "small"]
    assert context.truncated


@pytest.mark.parametrize(
    "text", ["one word after another " * 60, "灯台守は通り過ぎる船を数えた" * 60, "x" * 2000]
)
def test_where_not_even_the_best_fits_its_beginning_is_used(text):
    context = build([note(text, 0)], max_tokens=60)
    body = context.text[len(OPENING) : -len(CLOSING)]
    beginning = body.removeprefix("- [2025-01-01] ").removesuffix(" …\n")
    assert len(beginning) > 10
    assert text.startswith(beginning)
    assert context.token_count <= 60
    assert context.truncated


def test_a_beginning_ends_between_words_where_there_are_any():
    context = build([note("lighthouse keeper " * 100)], max_tokens=60)
    assert re.search(r"(lighthouse|keeper) …\n</memories>$", context.text)


def test_a_budget_too_small_for_the_fence_gives_nothing_and_says_so():
    context = build([note("x")], max_tokens=5)
    assert (context.text, context.memories, context.truncated) == ("", (), True)
    assert not build([], max_tokens=5).truncated


def test_tokens_are_a_quarter_of_the_bytes_rounded_up():
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde", "灯台")] == [0, 1, 1, 2, 2]
