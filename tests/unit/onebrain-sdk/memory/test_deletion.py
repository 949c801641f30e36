"""Conditions that hold for every memory are known as such, and no others are."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from onebrain import F, OneBrainValidationError
from onebrain.memory.deletion import holds_always
from onebrain.memory.filters import (
    FALSE,
    OPERATORS,
    TRUE,
    All,
    Any,
    Cmp,
    Not,
    either,
    every,
    memory_matches,
    negate,
)
from onebrain.memory.models import Memory, Scope

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
HIGHEST = "\U0010ffff" * 512
# Each holds for every memory; each text is more than one operator's to decide.
ALWAYS = [
    *(F.content.like("%"), F.content.ilike("%%"), F.content.like("_%"), F.content.like("%_%")),
    *(F.content.contains(""), F.content.icontains(""), F.content.starts_with("")),
    *(F.content.ge(""), F.content.gt(""), F.content.ne(""), F.content.ne("  "), F.content.ne(None)),
    *(F.content.not_in(["", None]), F.content.exists(), ~F.content.lt(""), ~F.content.in_([" "])),
    *(F.id.like("%"), F.id.ge(""), F.id.gt(""), F.id.le(HIGHEST), F.id.ne(""), F.id.exists()),
    *(F.user.ne(""), F.user.ne("x" * 600), F.session.ne(" "), ~F.agent.eq(""), F.space.not_in(["", "\t"])),
    *(F.importance.ne(7), F.importance.not_in([2, -1]), ~F.importance.gt(1), ~F.importance.lt(0)),
    *(F.created_at.exists(), F.created_at.ge("0001-01-01"), F.created_at.le(datetime.max)),
    *(F.updated_at.exists(), F.updated_at.ge(date.min), ~F.updated_at.gt(datetime.max)),
    *(F.pinned.exists(), F.pinned.in_([True, False]), F.archived.exists(), F.archived.ne(None)),
    *(F.tags.exists(), F.tags.ne(None), F("$extra").exists(), F("n").not_in([]), F("n").ne(float("inf"))),
    F.content.between("", HIGHEST) | F.content.gt(HIGHEST),
    F.archived.eq(True) | F.archived.eq(False),
    ~(F.pinned.eq(True) & F.pinned.eq(False)),
    F.importance.le(1) | F.importance.exists(False),
    F.title.like("%") | F.title.exists(False),
    F.type.ge("") | F.type.eq(None),
    F.expires_at.ge("0001-01-01") | F.expires_at.exists(False),
    F.tags.icontains("") | F.tags.eq([]),
    F.content.ge("m") | F.content.lt("m"),
    F.content.contains("a") | ~F.content.contains("ab"),
    F.content.icontains("A") | ~F.content.contains("a"),
    F("n").exists() | F("n").ne(3),
    F("n").exists() | ~F("n").like("%"),
    ~(F("n").ge(5) & F("n").lt(5)),
    F("n").eq(1) | F("m").eq(2) | F.content.like("%"),
    F.content.like("%") & F.id.like("%"),
]
SOMETIMES = [
    *(
        F.content.like("%a%"),
        ~F.content.like("%a%"),
        F.content.ge("a"),
        F.content.le("zzz"),
        F.content.ne("tea"),
    ),
    *(
        F.id.ne("tea"),
        F.id.not_in(["tea", "-", "!"]),
        F.user.ne("maria"),
        F.user.exists(),
        ~F.user.like("m%"),
    ),
    *(F("n").exists(), F("n").ge(""), F("n").like("%"), F("n").ne(1), F("n").not_in([None, 1, "a"])),
    *(F("n").between(1, 2), ~F("n").between(1, 2), ~(F("n").gt(1) & F("n").lt(2) & F("n").ne(1.5))),
    *(F("n").ne(date(2025, 1, 1)), ~F("n").ge(NOON), F("n").not_in(range(2000)), ~F("n").eq({"a": [1]})),
    *(
        F.created_at.lt(NOON),
        F.created_at.ge("1970-01-01"),
        F.updated_at.ne(NOON),
        F.expires_at.exists(False),
    ),
    *(F.importance.ge(0), ~F.importance.ge(1), F.archived.eq(False), F.title.ne(""), ~F.type.in_(["fact"])),
    *(~F.tags.contains("a"), ~F.tags.icontains("A"), F.tags.ne([]), F.tags.eq([]), F.tags.ne(["a", "b"])),
    ~(F.tags.contains("a") & F.tags.contains("b")),
    ~(F.tags.contains("a") & ~F.tags.contains("b")),
    ~(F.content.starts_with("draft") & F.content.contains("old")),
    ~(F.content.like("a%") & F.content.like("%b") & F.content.contains("x")),
    ~(F.content.icontains("draft") & ~F.content.contains("draft")),
    ~every(*(F(f"n{n}").eq(n) for n in range(200))),
    either(*(F("n").eq(n) for n in range(500))),
    ~either(*(F("n").eq(n) for n in range(500))),
]


@pytest.mark.parametrize("condition", ALWAYS, ids=lambda condition: repr(condition)[:60])
def test_a_condition_that_no_memory_fails_holds_always(condition):
    assert holds_always(condition)
    assert not holds_always(negate(condition))


@pytest.mark.parametrize("condition", SOMETIMES, ids=lambda condition: repr(condition)[:60])
def test_a_condition_that_some_memory_fails_does_not(condition):
    assert not holds_always(condition)


# ---- random conditions --------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["a", "A", "ab", "b a", "-", "é", "draft", "2025-01-01", "2025-01-01T12:00:00+00:00"])
PATTERNS = st.text("aAb%_é", max_size=4)
STORED = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, NOON]) | TEXTS
STORED = STORED | st.lists(STORED, max_size=2) | st.dictionaries(st.sampled_from("ab"), STORED, max_size=1)
OWN = ("id", "content", "title", "tags", "importance", "pinned", "created_at", "updated_at", "user")
NAMES = st.sampled_from(["n", "m", "n.a", *(f"${name}" for name in OWN)])


@st.composite
def comparisons(draw):
    """Return a comparison by any operator with any value that it takes, on any field that has it."""
    operands = st.booleans() | STORED | PATTERNS | st.lists(STORED, max_size=3)
    try:
        return Cmp(draw(NAMES), draw(st.sampled_from(sorted(OPERATORS))), draw(operands))
    except OneBrainValidationError:
        reject()


FILTERS = st.recursive(
    comparisons() | st.sampled_from([TRUE, FALSE]),
    lambda inner: (
        st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)
MEMORIES = st.builds(
    Memory,
    id=TEXTS,
    content=TEXTS,
    title=st.none() | st.just("") | TEXTS,
    tags=st.lists(TEXTS, max_size=2, unique=True).map(tuple),
    importance=st.sampled_from([None, 0.0, 0.5, 1.0]),
    pinned=st.booleans(),
    created_at=st.datetimes(timezones=st.just(UTC)),
    updated_at=st.datetimes(timezones=st.just(UTC)),
    scope=st.builds(Scope, user=st.none() | TEXTS),
    metadata=st.dictionaries(st.sampled_from(["n", "m", "n.a"]), STORED, max_size=3),
)


def spread(condition, draw):
    """Return a condition of another form with the same meaning."""
    if isinstance(condition, All | Any):
        parts = [spread(part, draw) for part in draw(st.permutations(condition.parts))]
        other = either if isinstance(condition, All) else every
        whole = every if isinstance(condition, All) else either
        return negate(other(*map(negate, parts))) if draw(st.booleans()) else whole(*parts)
    return Not(Not(condition)) if draw(st.booleans()) else condition


@given(FILTERS, MEMORIES)
def test_what_holds_always_matches_each_memory(condition, memory):
    if holds_always(condition):
        assert memory_matches(condition, memory)
    if holds_always(negate(condition)):
        assert not memory_matches(condition, memory)


@given(FILTERS, FILTERS, st.sampled_from(ALWAYS), st.data())
def test_whatever_is_combined_from_what_holds_always_holds_always(condition, other, always, data):
    for certain in (
        either(condition, spread(negate(condition), data.draw)),
        either(spread(condition, data.draw), other, always),
        every(always, either(other, negate(every(other, condition)))),
    ):
        assert holds_always(certain)
        assert holds_always(spread(certain, data.draw))
