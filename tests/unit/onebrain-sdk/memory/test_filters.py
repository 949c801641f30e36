"""Filters: what each operator means, how a filter is split, and the two ways to write one."""

from __future__ import annotations

import enum
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import get_args
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from onebrain import F, OneBrainValidationError
from onebrain.memory import operators
from onebrain.memory.capabilities import ALL_OPERATORS, Capabilities
from onebrain.memory.deletion import holds_always
from onebrain.memory.filters import (
    FALSE,
    MISSING,
    OPERATORS,
    OWN_FIELDS,
    TRUE,
    All,
    Any,
    Cmp,
    Not,
    Operator,
    every,
    field_name,
    field_path,
    fields,
    key_name,
    lookup,
    memory_matches,
    parse,
    split,
)
from onebrain.memory.models import Memory, Scope
from onebrain_langchain import filters as langchain

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def matches(f, metadata=None, **own):
    return memory_matches(f, Memory(id="1", content="boat", metadata=metadata or {}, **own))


X = F("x")


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        (X.eq(1), [1, 1.0], ["1", True, [1], None, 2]),
        (X.eq(True), [True], [1, "true", False]),
        (X.eq("a"), ["a"], ["A", " a", ["a"]]),
        (X.eq([1, "a"]), [[1, "a"]], [["a", 1], [True, "a"], [1]]),
        (X.eq({"a": 1}), [{"a": 1}], [{"a": True}, {"a": 1, "b": 2}, {}]),
        (X.eq(None), [None], [0, "", [], {}, False]),
        (X.ne(1), ["1", None, True], [1, 1.0]),
        (X.gt(1), [2, 1.5], [1, "2", True, None, [2]]),
        (X.ge(0), [0, 5], [False, True, None]),
        (X.lt("b"), ["a", "B", ""], ["b", 1, None]),
        (X.le("é"), ["a", "é"], ["ê", None]),
        (X.in_([1, "a", None]), [1, "a", None], ["1", "A", True]),
        (X.in_([]), [], [1, None]),
        (X.not_in([1, None]), ["1", True], [1, None]),
        (X.contains("a"), ["cat", ["b", "a"]], ["CAT", ["cat"], {"a": 1}, None]),
        (X.contains(1), [[1], [1.0]], [[True], ["1"], "1", 1]),
        (X.icontains("STRASSE"), ["Hauptstraße 1", ["straße"]], ["weg", 1, None]),
        (X.starts_with("ab"), ["ab", "abc"], ["Abc", "cab", ["ab"], None]),
        (X.between(1, 2), [1, 1.5, 2], [0, 3, "1", True, None]),
        (X.between("a", "b"), ["a", "az", "b"], ["A", "ba", 1, None]),
        (X.like("a%"), ["a", "abc", "a\nb"], ["A", "ba", "", ["a"], 1, None]),
        (X.like("a_c"), ["abc", "a%c", "a\nc"], ["ac", "abbc", "aBC"]),
        (X.like("%b%d%"), ["bd", "abcde", "b\nd"], ["db", "b", "d"]),
        (X.like("50\\%"), ["50%"], ["500", "50\\%"]),
        (X.like("a\\\\b"), ["a\\b"], ["ab", "a\\\\b"]),
        (X.like(""), [""], ["a", None]),
        (X.ilike("É_"), ["éa", "ÉA"], ["é", "ea", None]),
        (X.exists(), [None, 0, "", []], []),
        (
            X.gt(date(2025, 1, 1)),
            ["2025-01-01T00:00:01", "2025-01-02"],
            ["2025-01-01", "2026", "soon", 2026, None],
        ),
        (X.eq(NOON), ["2025-01-01T12:00:00Z", "2025-01-01T14:00+02:00"], ["2025-01-01", "12:00"]),
        (X.in_([date(2025, 1, 1)]), ["2025-01-01", "20250101"], ["2025-01-01T12:00"]),
    ],
    ids=repr,
)
def test_an_operator_decides_as_documented(condition, yes, no):
    assert [value for value in yes if not matches(condition, {"x": value})] == []
    assert [value for value in no if matches(condition, {"x": value})] == []
    assert [value for value in yes if matches(~condition, {"x": value})] == []


def test_a_missing_field_matches_only_what_is_about_its_absence():
    present = [
        X.eq(1),
        X.gt(0),
        X.lt("z"),
        X.in_([1]),
        X.contains("a"),
        X.icontains("a"),
        X.starts_with(""),
        X.exists(),
    ]
    assert [f for f in present if matches(f)] == []
    absent = [X.eq(None), X.ne(1), X.in_([None]), X.not_in([1]), X.exists(False), ~X.gt(0)]
    assert [f for f in absent if not matches(f)] == []


def test_own_fields_are_those_of_the_memory():
    own = {
        "scope": Scope("space", "maria", None, "s"),
        "tags": ("red",),
        "created_at": NOON,
        "title": "Boat",
        "pinned": True,
        "extra": {"tier": {"level": 3}},
    }
    metadata = {"user": "other", "$user": "another"}
    for f in (
        F.user.eq("maria"),
        F.space.starts_with("sp"),
        F.agent.exists(False),
        F.source.exists(False),
        F.tags.contains("red"),
        F.pinned.eq(True),
        F("$extra.tier.level").ge(3),
        F("user").eq("other"),
        F("\\$user").eq("another"),
        F.created_at.eq(NOON),
        F.created_at.eq("2025-01-01T13:00:00+01:00"),
        F.created_at.in_(["2025-01-01T12:00:00Z"]),
        F.created_at.gt("2025-01-01"),
        F.created_at.lt(date(2025, 1, 2)),
        F.created_at.ne("2025-01-02"),
        F.created_at.between("2025-01-01", NOON),
        F.title.like("B%t"),
        F.expires_at.eq(None),
    ):
        assert matches(f, metadata, **own), f
        assert not matches(~f, metadata, **own), f
    assert {getattr(F, name[1:]).name for name in OWN_FIELDS - {"$extra"}} == OWN_FIELDS - {"$extra"}


def test_an_operator_is_described_once(monkeypatch):
    assert set(OPERATORS) == set(get_args(Operator)) == set(operators.INFO)
    # The description is all that parsing, evaluating and serialising read.
    added = operators.OperatorInfo(
        "ends_with", lambda stored, wanted: isinstance(stored, str) and stored.endswith(wanted), "text"
    )
    for table, key, value in (
        (operators.INFO, "ends_with", added),
        (operators.SPELLINGS, "$ends_with", "ends_with"),
        (operators._DECISIONS, "ends_with", added.decide),
    ):
        monkeypatch.setitem(table, key, value)
    condition = parse({"x": {"$ends_with": "t"}, "$title": {"$ends_with": "t"}})
    assert condition == Cmp("x", "ends_with", "t") & Cmp("$title", "ends_with", "t")
    assert matches(condition, {"x": "boat"}, title="t")
    assert not matches(condition, {"x": "boat"})
    assert parse(langchain.jsonable(condition)) == condition
    assert not holds_always(~condition)
    assert holds_always(Cmp("$content", "ends_with", ""))
    for field, value in (("$tags", "t"), ("$created_at", "t"), ("x", 1)):
        with pytest.raises(OneBrainValidationError):
            Cmp(field, "ends_with", value)


# ---- fields -----------------------------------------------------------------------------------------------------------

KEYS = st.text(st.sampled_from("ab.\\$ ü"), max_size=4)


@given(st.lists(KEYS, min_size=1, max_size=4))
def test_any_path_of_keys_has_a_name_that_leads_back_to_it(path):
    assert field_path(field_name(*path)) == tuple(path)


@given(st.lists(KEYS, min_size=1, max_size=3))
def test_a_name_made_of_keys_finds_their_value(path):
    metadata = value = {}
    for key in path[:-1]:
        value[key] = {}
        value = value[key]
    value[path[-1]] = "here"
    assert matches(F(field_name(*path)).eq("here"), metadata)


@given(st.lists(KEYS, min_size=1, max_size=3))
def test_a_name_made_of_keys_finds_no_other_value(path):
    exact = F(field_name(*path))
    other = {".".join(path): "other", "\\".join(path): "other"} if len(path) > 1 else {}
    assert not matches(exact.exists(), other)


@given(KEYS, st.lists(KEYS, max_size=2))
def test_a_framework_s_key_is_found_in_the_object_that_it_names(key, outer):
    metadata = {key: "here"}
    for name in reversed(outer):
        metadata = {name: metadata}
    assert matches(F(key_name(key, *outer)).eq("here"), metadata)


@pytest.mark.parametrize(
    ("name", "metadata", "value"),
    [
        ("a.b", {"a.b": 1, "a": {"b": 2}}, 1),
        ("a.b", {"a": {"b": 2}}, 2),
        ("a.b", {"a.b": None, "a": {"b": 2}}, None),
        ("a.b.c", {"a": {"b.c": 1, "b": {"c": 2}}}, 1),
        ("a.b.c", {"a.b": {"c": 1}, "a": {"b.c": 2}}, 1),
        ("a.b.c", {"a.b": {}, "a": {"b": {"c": 2}}}, 2),
        ("a.b.c", {"a.b": 7, "a": {"b": {"c": 2}}}, 2),
        ("a\\.b", {"a.b": 1, "a": {"b": 2}}, 1),
        ("a\\/b", {"a.b": 1, "a": {"b": 2}}, 2),
        ("a\\.b", {"a\\.b": 3, "a.b": 1}, 3),
        ("C:\\x", {"C:\\x": 1}, 1),
        ("a..b", {"a..b": 1}, 1),
        ("a.", {"a.": 1}, 1),
        (".", {".": 1}, 1),
        ("a..b", {"a": {"": {"b": 1}}}, 1),
    ],
)
def test_the_key_that_is_spelled_like_a_name_wins_and_then_the_path(name, metadata, value):
    assert lookup(metadata, name) == value
    assert matches(F(name).eq(value), metadata)
    assert matches(parse({name: value}), metadata)


@pytest.mark.parametrize("name", ["a.b", "a\\.b", "a\\/b", "a.b.c", ".a", "a."])
def test_a_name_that_leads_nowhere_is_missing(name):
    for metadata in ({}, {"a": 1}, {"a": {"c": 1}}, {"b": {"a": 1}}, {"a": None}, {"a": [{"b": 1}]}):
        assert lookup(metadata, name) is MISSING


@pytest.mark.parametrize("name", ["", None, 7, "$unknown", "$user.name", "$"])
def test_a_field_that_cannot_be_is_refused(name):
    with pytest.raises(OneBrainValidationError):
        F(name)


def test_the_fields_of_a_filter_are_known():
    assert fields((X.eq(1) | ~F.user.eq("a")) & F("n").gt(1)) == {"x", "n", "$user"}
    assert fields(TRUE) == frozenset()


# ---- own fields -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"$created_at": {"$gt": "yesterday"}},
        {"$created_at": {"$gt": "05/03/2024"}},
        {"$created_at": {"$gt": 1714730400}},
        {"$created_at": "2024-13-01"},
        {"$updated_at": {"$in": ["2024-01-01", "soon"]}},
        {"$expires_at": {"$between": ["2024-01-01", "later"]}},
        {"$expires_at": {"$like": "2024%"}},
        {"$created_at": {"$contains": "2024"}},
        {"$pinned": "true"},
        {"$pinned": 1},
        {"$archived": {"$gt": 0}},
        {"$archived": {"$in": [True, "no"]}},
        {"$importance": {"$gt": "0.5"}},
        {"$importance": True},
        {"$importance": {"$nin": ["high"]}},
        {"$importance": {"$starts_with": "0"}},
        {"$tags": "home"},
        {"$tags": {"$in": ["home"]}},
        {"$tags": {"$ne": "home"}},
        {"$tags": ["home", 1]},
        {"$tags": {"$contains": 1}},
        {"$tags": {"$contains": ["home"]}},
        {"$tags": {"$starts_with": "ho"}},
        {"$title": 1},
        {"$content": {"$gt": 5}},
        {"$type": ["fact"]},
        {"$source": NOON},
        {"$id": 1.5},
        {"$user": True},
        {"$session": {"$in": ["s", None, 1.0]}},
        {"$space": {"name": "one"}},
        {"$extra": "tier"},
        {"$not": {"$pinned": "yes"}},
    ],
    ids=str,
)
def test_a_comparison_that_an_own_field_can_never_match_is_refused(wrong):
    with pytest.raises(OneBrainValidationError, match=r"\$[a-z_]+' (takes|can never match)"):
        parse(wrong)


def test_an_own_field_of_ids_takes_every_kind_of_id():
    user = uuid4()
    assert F.user.eq(user) == F.user.eq(str(user))
    assert F.id.in_([7, user]) == F.id.in_(["7", str(user)])
    assert matches(F.session.eq(7), scope=Scope(session=7))
    assert not matches(F("document").eq("7"), {"document": 7})


# ---- values -----------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


def test_values_of_other_libraries_become_plain_ones():
    assert X.eq(np.int64(1)) == X.eq(1)
    assert X.in_(np.array([1, 2])) == X.in_([1, 2])
    assert X.eq(Colour.RED) == X.eq("red")
    assert X.in_({"b", "a"}) == X.in_(["a", "b"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: X.eq(float("nan")),
        lambda: X.eq(object()),
        lambda: X.in_("abc"),
        lambda: X.in_(7),
        lambda: X.not_in({"a": 1}),
        lambda: X.gt(None),
        lambda: X.gt([1]),
        lambda: X.lt(True),
        lambda: X.icontains(1),
        lambda: X.starts_with(None),
        lambda: X.exists("yes"),
        lambda: Cmp("x", "regex", "a"),
        lambda: X.like(1),
        lambda: X.ilike(None),
        lambda: X.like("a\\"),
        lambda: X.like("a" * 1001),
        lambda: X.between(1, "a"),
        lambda: X.between(None, 2),
    ],
)
def test_a_value_that_an_operator_cannot_take_is_refused(make):
    with pytest.raises(OneBrainValidationError):
        make()


def test_filters_are_hashable_and_equal_where_they_mean_the_same():
    one = X.eq({"a": [1, {"b": None}]}) & ~X.in_([[1], {"c": 2}])
    two = X.eq({"a": [1, {"b": None}]}) & ~X.in_([[1], {"c": 2}])
    assert one == two
    assert hash(one) == hash(two)
    assert X.eq(1) == X.eq(1.0)
    assert X.eq(NOON) == X.eq(NOON.astimezone(timezone(timedelta(hours=3))))
    assert len({X.eq(1), X.eq(True), X.eq("1"), X.eq([1]), X.eq([True]), X.in_([1]), X.in_([True])}) == 7
    assert X.eq(1) != "x = 1"


def test_filters_cross_processes():
    condition = (X.eq({"a": [1]}) | ~F.tags.contains("a")) & F.created_at.ge(NOON)
    assert pickle.loads(pickle.dumps(condition)) == condition


def test_combining_flattens():
    a, b, c = X.eq(1), X.eq(2), X.eq(3)
    assert (a & b) & c == All((a, b, c))
    assert a | (b | c) == Any((a, b, c))
    assert ~~a == a
    assert every() == TRUE
    assert a & TRUE == a
    assert a | FALSE == a
    assert every(a) == a


# ---- Mongo-style dicts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mongo", "expected"),
    [
        (None, TRUE),
        ({}, TRUE),
        ({"x": 1}, X.eq(1)),
        ({"x": None}, X.eq(None)),
        ({"x": {"a": 1}}, X.eq({"a": 1})),
        ({"x": {}}, X.eq({})),
        ({"x": 1, "n": 2}, X.eq(1) & F("n").eq(2)),
        ({"x": {"$gt": 1, "$lte": 5}}, X.gt(1) & X.le(5)),
        ({"x": {"$ne": 1}}, X.ne(1)),
        ({"x": {"$in": [1, 2]}}, X.in_([1, 2])),
        ({"x": {"$nin": [1]}}, X.not_in([1])),
        ({"x": {"$contains": "a"}}, X.contains("a")),
        ({"x": {"$icontains": "a"}}, X.icontains("a")),
        ({"x": {"$starts_with": "a"}}, X.starts_with("a")),
        ({"x": {"$exists": False}}, X.exists(False)),
        ({"x": {"$not": {"$gt": 1}}}, ~X.gt(1)),
        ({"x": {"$not": [{"$gt": 1}, {"$eq": 0}]}}, ~(X.gt(1) | X.eq(0))),
        ({"x": {"$not": [1, 2]}}, ~X.eq([1, 2])),
        ({"x": {"$between": (1, 2)}}, X.ge(1) & X.le(2)),
        ({"x": {"$like": "a%"}}, X.like("a%")),
        ({"x": {"$ilike": "a%"}}, X.ilike("a%")),
        ({"$not": [{"x": 1}, {"x": 2}]}, ~(X.eq(1) | X.eq(2))),
        ({"$not": [{"x": 1}]}, ~X.eq(1)),
        ({"$or": [{"x": 1}, {"n": 2}]}, X.eq(1) | F("n").eq(2)),
        ({"$and": [{"x": 1}, X.eq(2)]}, X.eq(1) & X.eq(2)),
        ({"$nor": [{"x": 1}, {"x": 2}]}, ~(X.eq(1) | X.eq(2))),
        ({"$not": {"x": 1}}, ~X.eq(1)),
        ({"$created_at": {"$gte": NOON}}, F.created_at.ge(NOON)),
        ({"$extra.tier": 1}, F("$extra.tier").eq(1)),
        ({"a.b": 1}, F("a.b").eq(1)),
    ],
    ids=str,
)
def test_a_mongo_style_dict_is_the_same_filter(mongo, expected):
    assert parse(mongo) == expected
    assert parse(expected) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": {"$regex": "a"}},
        {"x": {"$gt": 1, "plain": 2}},
        {"$where": "1"},
        {"$or": []},
        {"$or": {"x": 1}},
        {"$and": "x"},
        {"$and": [7]},
        {"$and": [None]},
        {"$not": None},
        {"$not": []},
        {"$not": True},
        {"x": {"$not": [{"$gt": 1}, {"$regex": "a"}]}},
        {"x": {"$between": 1}},
        {"x": {"$between": [1]}},
        {"x": {"$between": [1, 2, 3]}},
        {"x": {"$between": "ab"}},
        {7: 1},
        {"": 1},
        "x",
        7,
    ],
    ids=str,
)
def test_a_dict_that_means_nothing_is_refused(wrong):
    with pytest.raises(OneBrainValidationError):
        parse(wrong)


# ---- random filters on random memories ----------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.5, 1.0, "", "a", "A", "ab", "1", "2025-01-01", "2025-01-01T12:00:00Z", "é"])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)
WANTED = VALUES | st.sampled_from([date(2025, 1, 1), NOON])
METADATA = st.dictionaries(st.sampled_from(["x", "y", "x.a"]), VALUES, max_size=2)
NAMES = st.sampled_from(["x", "y", "x.a", "missing", "$user", "$created_at", "$tags"])


@st.composite
def comparisons(draw):
    op = draw(st.sampled_from(sorted(OPERATORS)))
    if op == "exists":
        value = draw(st.booleans())
    elif op in ("in", "not_in"):
        value = draw(st.lists(WANTED, max_size=3))
    elif op in ("icontains", "starts_with", "like", "ilike"):
        value = draw(st.sampled_from(["", "a", "A", "é", "2025", "_", "%a%"]))
    elif op in ("gt", "ge", "lt", "le"):
        value = draw(st.sampled_from([0, 1.0, "a", "2025-01-01", date(2025, 1, 1), NOON]))
    else:
        value = draw(WANTED)
    try:
        return Cmp(draw(NAMES), op, value)
    except OneBrainValidationError:
        # An own field that is compared with another kind.
        reject()


FILTERS = st.recursive(
    comparisons() | st.sampled_from([TRUE, FALSE]),
    lambda inner: (
        st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=8,
)
MEMORIES = st.builds(
    Memory,
    id=st.just("1"),
    content=st.just("boat"),
    metadata=METADATA,
    scope=st.builds(Scope, user=st.sampled_from([None, "a", "A"])),
    tags=st.sampled_from([(), ("a",), ("a", "b")]),
    created_at=st.sampled_from([None, NOON, datetime(2025, 1, 1, tzinfo=UTC)]),
)
ABILITIES = st.dictionaries(
    st.sampled_from(["*", "$*", "x", "$user"]),
    st.frozensets(st.sampled_from(sorted(ALL_OPERATORS))),
    max_size=3,
)
LOGIC = st.frozensets(st.sampled_from(["all", "any", "not"]))


def only(f, can, logic):
    """Whether a service that can do so much can decide `f`."""
    if isinstance(f, Cmp):
        return can(f)
    if isinstance(f, Not):
        return "not" in logic and only(f.part, can, logic)
    name = "all" if isinstance(f, All) else "any"
    return f == TRUE or (name in logic and all(only(part, can, logic) for part in f.parts))


@given(FILTERS, ABILITIES, LOGIC, st.lists(MEMORIES, min_size=1, max_size=5))
def test_what_is_pushed_and_what_is_left_are_together_the_filter(condition, abilities, logic, memories):
    can = Capabilities(service="test", filters=abilities).can
    pushed, residual = split(condition, can, logic)
    assert only(pushed, can, logic)
    for memory in memories:
        both = memory_matches(pushed, memory) and memory_matches(residual, memory)
        assert both is memory_matches(condition, memory)


@given(FILTERS, FILTERS, MEMORIES)
def test_combinations_mean_what_python_means_by_them(a, b, memory):
    left, right = memory_matches(a, memory), memory_matches(b, memory)
    assert memory_matches(a & b, memory) is (left and right)
    assert memory_matches(a | b, memory) is (left or right)
    assert memory_matches(~a, memory) is not left


def mongo(f):
    """Write a filter as a dict."""
    if isinstance(f, Cmp):
        operator = {"in": "$in", "not_in": "$nin", "ge": "$gte", "le": "$lte"}.get(f.op, f"${f.op}")
        return {f.field: {operator: list(f.value) if f.op in ("in", "not_in") else f.value}}
    if isinstance(f, Not):
        return {"$not": mongo(f.part)}
    if isinstance(f, All):
        return {"$and": [mongo(part) for part in f.parts]} if f.parts else {}
    return {"$or": [mongo(part) for part in f.parts]} if f.parts else {"$not": {}}


@given(FILTERS, MEMORIES)
def test_every_filter_can_be_written_as_a_dict(condition, memory):
    assert memory_matches(parse(mongo(condition)), memory) is memory_matches(condition, memory)


@given(FILTERS)
def test_equal_filters_hash_alike(condition):
    again = parse(condition)
    copy = pickle.loads(pickle.dumps(condition))
    assert copy == again
    assert hash(copy) == hash(again)
