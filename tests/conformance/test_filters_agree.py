"""Random filters on random memories: every driver finds, lists, counts and forgets what the evaluator says."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import onebrain
from onebrain import OneBrainValidationError
from onebrain._core.codec import from_json, to_json
from onebrain.memory.filters import OPERATORS, All, Any, Cmp, Not, memory_matches
from onebrain.testing.reference import reference_brain

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
MOMENTS = [
    date(2025, 1, 1),
    datetime(2025, 1, 1, 12),
    NOON,
    NOON.astimezone(timezone(timedelta(hours=-5))),
    NOON + timedelta(microseconds=1),
]
TEXTS = st.sampled_from(
    [
        "",
        "a",
        "A",
        "ab",
        "abc",
        "%",
        "_",
        "a%",
        "é",
        "e\u0301",
        "ß",
        "SS",
        "1",
        "true",
        "null",
        "2025-01-01",
        "🪟",
        "'",
        '"',
        "\\",
    ]
    + [moment.isoformat() for moment in MOMENTS]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=3)
PATTERNS = TEXTS | st.text("aA%_\\\\é", max_size=5)
NUMBERS = (
    st.sampled_from([0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, 1e300, -0.0])
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(MOMENTS)
STORED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a.b", "$a"]), inner, max_size=2)
    ),
    max_leaves=5,
)
METADATA = st.dictionaries(st.sampled_from(["x", "y", "x.a", "x\\.a", "$x"]), STORED, max_size=3)
FIELDS = st.sampled_from(
    [
        *("x", "y", "x.a", "x\\.a", "x.a\\.b", "x.a.b", "\\$x", "x.\\$a", "x\\/a", "missing"),
        "$id",
        "$content",
        "$title",
        "$tags",
        "$importance",
        "$pinned",
        "$archived",
        "$created_at",
        "$user",
        "$space",
    ]
)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "tags": st.lists(TEXTS, max_size=2),
        "importance": st.sampled_from([0.0, 0.5, 1.0]),
        "pinned": st.booleans(),
        "archived": st.booleans(),
        "created_at": st.sampled_from([moment for moment in MOMENTS if isinstance(moment, datetime)]),
        "scope": st.fixed_dictionaries(
            {}, optional={"user": st.sampled_from("aA"), "space": st.sampled_from("aA")}
        ),
    },
)
ROWS = st.lists(
    st.builds(lambda metadata, own: {"content": "boat", "metadata": metadata, **own}, METADATA, OWN),
    min_size=1,
    max_size=8,
)


@st.composite
def comparisons(draw):
    op = draw(st.sampled_from(sorted(OPERATORS)))
    wanted = STORED
    value = draw(
        st.booleans()
        if op == "exists"
        else st.lists(wanted, max_size=4)
        if op in ("in", "not_in")
        else TEXTS
        if op in ("icontains", "starts_with")
        else PATTERNS
        if op in ("like", "ilike")
        else NUMBERS | TEXTS | st.sampled_from(MOMENTS)
        if op in ("gt", "ge", "lt", "le")
        else wanted
    )
    try:
        return Cmp(draw(FIELDS), op, value)
    except OneBrainValidationError:
        # A pattern that is none, or an own field that is compared with another kind.
        reject()


FILTERS = st.recursive(
    comparisons(),
    lambda inner: (
        st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)


@pytest.fixture(params=["reference", "sqlite"])
def brain(request):
    made = reference_brain() if request.param == "reference" else onebrain.connect("sqlite://")
    with closing(made):
        yield made


def plain(metadata):
    """Return metadata as JSON gives it back."""
    return from_json(to_json(metadata))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, filters=st.lists(FILTERS, min_size=1, max_size=8))
def test_a_driver_agrees_with_the_evaluator(brain, rows, filters):
    # The brain outlives an example, as brains do.
    brain.forget(everything=True)
    ids = brain.store_many(rows).ids
    memories = brain.get_many(ids)
    assert len(memories) == len(rows)
    for row, memory in zip(rows, memories, strict=True):
        assert memory.metadata == plain(row["metadata"])
    for condition in filters:
        matching = {memory.id for memory in memories if memory_matches(condition, memory)}
        active = {memory.id for memory in memories if memory.id in matching and not memory.archived}
        for query in ("boat", None):
            result = brain.search(query, filter=condition, limit=100)
            assert {hit.id for hit in result} == active
            assert result.exhausted
            everything = brain.search(query, filter=condition, limit=100, include_archived=True)
            assert {hit.id for hit in everything} == matching
        assert {memory.id for memory in brain.list(filter=condition)} == active
        assert {memory.id for memory in brain.list(filter=condition, include_archived=True)} == matching
        assert brain.count(filter=condition) == len(active)
        assert brain.count(filter=condition, include_archived=True) == len(matching)
        assert set(brain.forget(filter=condition, everything=True, dry_run=True).ids) == matching


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, condition=FILTERS, changes=METADATA)
def test_filters_see_changes_and_forget_what_they_match(brain, rows, condition, changes):
    brain.forget(everything=True)
    ids = brain.store_many(rows).ids
    # Whatever a driver remembers of this must not outlive the change.
    brain.count(filter=condition)
    changed = brain.update(ids[0], metadata=changes)
    assert changed.metadata == plain({**rows[0]["metadata"], **changes})
    matching = {memory.id for memory in brain.get_many(ids) if memory_matches(condition, memory)}
    assert brain.count(filter=condition, include_archived=True) == len(matching)
    assert set(brain.forget(filter=condition, everything=True).ids) == matching
    assert {memory.id for memory in brain.list(include_archived=True)} == set(ids) - matching


def test_what_cannot_be_compared_is_refused_before_a_driver_sees_it(brain):
    for op in ("gt", "ge", "lt", "le"):
        for value in (None, True, [], {}):
            with pytest.raises(OneBrainValidationError):
                brain.search("boat", filter=Cmp("x", op, value))
