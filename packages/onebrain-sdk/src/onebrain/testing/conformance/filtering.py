"""Tests that filters have the meaning of `memory_matches` on every service."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, ClassVar, cast, get_args

import pytest

from onebrain.errors import OneBrainValidationError
from onebrain.memory.brain import Brain
from onebrain.memory.filters import (
    FALSE,
    OWN_FIELDS,
    TRUE,
    Cmp,
    F,
    Filter,
    Not,
    Operator,
    memory_matches,
    parse,
    split,
)
from onebrain.memory.filters import All as Every
from onebrain.memory.filters import Any as Either
from onebrain.memory.models import Memory, Scope
from onebrain.testing.conformance.suite import (
    FUTURE,
    PAST,
    Suite,
    found,
    keep,
    keep_all,
    listed,
    needs,
    queries,
    supported,
)

# One memory is stored for each: values of every kind, and values that look like others.
STORED: Sequence[Mapping[str, Any]] = (
    {},
    {"x": None},
    *({"x": value} for value in (0, 1, 1.0, 2, -3.5, 10**15, 2**53, 1e300, True, False)),
    *(
        {"x": value}
        for value in ("", "0", "1", "1.0", "true", "null", "a", "A", "ab", "abc", "a%c", "a_c", "%")
    ),
    *(
        {"x": value}
        for value in ("é", unicodedata.normalize("NFD", "é"), "É", "straße", "STRASSE", "z", "🪟", "ﬁ")
    ),
    *({"x": value} for value in ("it's", '"', "\\", "a\\b", "line\nend", " a ", "not a date")),
    *(
        {"x": value}
        for value in (
            "2025-01-01",
            "2025-01-01T00:00:00Z",
            "2025-01-01T02:00:00+02:00",
            "2025-01-01T00:00:00",
            "2025-01-01 00:00:00",
            "2024-12-31T23:59:59.999999Z",
            "2025-01-01T00:00:00.000001+00:00",
            "20250101",
            "2025-13-01",
            "2025",
        )
    ),
    *(
        {"x": value}
        for value in (
            [],
            [1, 2],
            [2, 1],
            ["a", "b"],
            ["A", None, True, 1.5],
            [[1, 2]],
            [{"y": 1}],
            ["1"],
            ["abc"],
        )
    ),
    {"x": {}},
    {"x": {"y": 1}},
    {"x": {"y": None}},
    {"x": {"y": {"z": "deep"}}},
    {"x": {"y.z": "dotted"}},
    {"x.y": "dotted"},
    {"x.y": "literal", "x": {"y": "nested"}},
    {"x.y.z": "literal", "x": {"y": {"z": "nested"}, "y.z": "between"}},
    {"x\\.y": "backslash"},
    *(
        {"x": value}
        for value in (
            datetime(2025, 1, 1, tzinfo=UTC),
            datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2025, 1, 1),
            datetime(2025, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            date(2025, 1, 1),
            [datetime(2025, 1, 1, tzinfo=UTC), "2025-01-01T00:00:00Z"],
            {"y": datetime(2025, 1, 1, tzinfo=UTC)},
        )
    ),
    {"x": {"y": "1"}, "X": 1},
    {"x": 1, "n": 5, "city": "Lisbon"},
    {"x": 2, "n": 5, "city": "lisbon"},
    {"n": 6, "city": "Porto", "$x": 1},
    {"n": None, "city": None},
)

VALUES: Sequence[Any] = (
    *(None, 0, 1, 1.0, 1.5, 2, -3.5, 2**53, 1e300, True, False),
    *(
        "",
        "0",
        "1",
        "true",
        "a",
        "A",
        "ab",
        "b",
        "%",
        "_",
        "é",
        "É",
        "strasse",
        "ß",
        "z",
        "🪟",
        "'",
        '"',
        "\\",
    ),
    *("a%", "%B%", "_", "a\\%c", "%%", "\\_", "2025%"),
    *("2025-01-01T01:00:00+01:00", "2025-01-01T00:00:00.000001Z"),
    *("2025-01-01", "2025-01-01T00:00:00Z", date(2025, 1, 1), datetime(2025, 1, 1)),
    *(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))),
    *([], [1, 2], ["a", "b"], ["A", None, True, 1.5], {}, {"y": 1}, {"y": {"z": "deep"}}),
)

LISTS: Sequence[Sequence[Any]] = (
    [],
    [None],
    [1],
    [1, "a"],
    ["1", True, None],
    [date(2025, 1, 1)],
    [[1, 2], {"y": 1}],
    ["a", "A", "%", "_", "é"],
    list(range(100)),
)

FIELDS = ("x", "x.y", "x\\.y", "x\\/y", "x.y\\.z", "x.y.z", "X", "\\$x", "missing", "missing.deeper")


def comparisons(field: str, values: Sequence[Any] = VALUES) -> Iterator[Cmp]:
    """Return a filter for every operator and every value that it takes."""
    for op in get_args(Operator):
        if op in ("in", "not_in"):
            candidates: Sequence[Any] = LISTS
        else:
            candidates = [True, False] if op == "exists" else values
        for value in candidates:
            try:
                yield Cmp(field, op, value)
            except OneBrainValidationError:
                # Refused before any service sees it, such as an ordering of nulls.
                continue


def combinations() -> list[Filter]:
    """Return conjunctions, disjunctions and negations of comparisons that differ on nulls and missing fields."""
    x, n, city = F("x"), F("n"), F("city")
    simple: list[Filter] = [
        x.eq(1),
        x.ne("a"),
        n.ge(5),
        city.in_(["Lisbon", None]),
        city.exists(),
        x.contains("a"),
    ]
    pairs: list[Filter] = [
        combined
        for left in simple
        for right in simple
        if left is not right
        for combined in (left & right, left | right)
    ]
    return [
        *(~part for part in simple),
        *pairs,
        *(~pair for pair in pairs),
        (x.eq(1) & n.eq(5)) | (x.eq(2) & ~city.eq("Lisbon")),
        ~((x.eq(1) | x.eq(None)) & ~(n.gt(4) & city.starts_with("L"))),
        ~~x.eq(1),
        Not(Not(x.gt(1))),
        TRUE,
        FALSE,
        Not(TRUE),
        Not(FALSE),
        Every((Every(), Either((x.exists(), FALSE)))),
        Either((Every((x.exists(False), TRUE)), Not(Either()))),
        parse({"x": {"$gte": 1, "$lt": 2}, "$or": [{"n": 5}, {"n": {"$exists": False}}]}),
        parse({"$nor": [{"x": 1}, {"city": {"$in": ["Porto"]}}]}),
        parse({"x": {"$not": {"$gt": 1}}}),
        parse({"$not": [{"x": 1}, {"n": 5}]}),
        parse({"x": {"$not": [{"$like": "a%"}, {"$exists": False}]}}),
        parse({"x": {"$between": [0, 1]}}),
        parse({"x": {"$between": ["a", "b"]}}),
        ~x.between(date(2025, 1, 1), datetime(2025, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        x.ilike("%B%") & ~x.like("%b%"),
    ]


class FilterSuite(Suite):
    """Tests of filters on every method that takes one.

    Attributes:
        one_filter_in: Interval at which filters are taken from the list of several hundred. The default is 1: all of them. A
            driver that shares its filter code with a fully tested one can use a larger interval.
    """

    verb: ClassVar[str] = "filters"
    one_filter_in: ClassVar[int] = 1

    @pytest.mark.parametrize("field", FIELDS)
    def test_every_operator_agrees_with_the_evaluator(self, brain: Brain, field: str) -> None:
        memories = _stored(brain)
        # Values differ in kind rather than in path, so a third of them is enough for the other paths.
        values = VALUES if field == "x" else VALUES[::3]
        _assert_agree(brain, memories, list(comparisons(field, values))[:: self.one_filter_in])

    def test_combinations_agree_with_the_evaluator(self, brain: Brain) -> None:
        _assert_agree(brain, _stored(brain), combinations()[:: self.one_filter_in])

    def test_filters_on_a_memorys_own_fields_agree_with_the_evaluator(self, brain: Brain) -> None:
        memories = _own(brain)
        moments = [memory.created_at for memory in memories.values() if memory.created_at is not None]
        values: dict[str, Sequence[Any]] = {
            "$id": [*list(memories)[:2], "unknown", "%", None],
            "$content": ["boat", "Boat", "boat 1", "%", "", None],
            "$title": ["Alpha", "alpha", "A", "a%", None],
            "$type": ["fact", "Fact", "f", None],
            "$tags": ["red", "Red", "re", ["red", "blue"], [], None],
            "$importance": [0, 0.5, 1, None],
            "$source": ["chat", "c", None],
            "$pinned": [True, False, None],
            "$archived": [True, False, None],
            "$created_at": [
                *moments[:2],
                PAST.date(),
                PAST.replace(tzinfo=None),
                PAST.isoformat(),
                None,
            ],
            "$updated_at": [PAST, FUTURE, None],
            "$expires_at": [FUTURE, FUTURE.isoformat(), None],
            "$user": ["maria", "Maria", "m", None],
            "$agent": ["planner", None],
            "$session": ["s%", "s_", "s", None],
            "$space": ["one", "One", None],
            "$extra.unknown": ["x", None],
        }
        assert values.keys() | {"$extra"} == OWN_FIELDS | {"$extra.unknown"}
        lists: list[Filter] = [
            F(field).in_(wanted) for field, wanted in values.items() if not field.startswith("$tags")
        ]
        compared: list[Filter] = [
            one for field, wanted in values.items() for one in comparisons(field, wanted)
        ]
        filters = [*lists, *compared, *(~one for one in compared[::7])]
        _assert_agree(brain, memories, filters[:: self.one_filter_in])

    def test_filters_and_scopes_both_count(self, brain: Brain) -> None:
        memories = _own(brain)
        for scope in (Scope(user="maria"), Scope(space="one"), Scope(session="s%")):
            inside = {id: memory for id, memory in memories.items() if scope.covers(memory.scope)}
            assert 0 < len(inside) < len(memories)
            filters: list[Filter] = [
                F.title.eq("Alpha"),
                F.title.exists(False),
                F.user.ne("maria"),
                TRUE,
                FALSE,
            ]
            _assert_agree(brain, inside, filters, scope=scope)

    def test_what_matches_is_counted_and_forgotten_exactly(self, brain: Brain) -> None:
        needs(brain, "list", "delete")
        memories = _stored(brain)
        filters: list[Filter] = [*list(comparisons("x"))[::9], *combinations()[::9]]
        wrong: dict[str, Any] = {}
        for one in filters:
            expected = {id for id, memory in memories.items() if memory_matches(one, memory)}
            forgotten = brain.forget(filter=one, dry_run=True, everything=True)
            got = (brain.count(filter=one), forgotten.count, set(forgotten.ids))
            if got != (len(expected), len(expected), expected):
                wrong[repr(one)] = got
        assert wrong == {}
        one = F("x").gt("a")
        expected = {id for id, memory in memories.items() if memory_matches(one, memory)}
        assert expected
        assert set(brain.forget(filter=one).ids) == expected
        assert listed(brain) == memories.keys() - expected

    def test_a_mongo_style_dict_means_the_same(self, brain: Brain) -> None:
        memories = _stored(brain)
        condition = {"city": {"$in": ["Lisbon", "lisbon"]}, "n": {"$gte": 5, "$lte": 5}}
        expected = {
            id for id, memory in memories.items() if memory.metadata.get("city") in ("Lisbon", "lisbon")
        }
        for query in queries(brain, "boat"):
            result = brain.search(query, filter=condition, limit=1000)
            got = {hit.id for hit in result}
            # A service that can neither filter nor page may return less, and its result is then not exhausted.
            assert got <= expected
            assert got == expected or not result.exhausted
        if brain.capabilities.list:
            assert listed(brain, filter=condition) == expected
            assert brain.count(filter=condition) == 2

    def test_an_upsert_is_filtered_by_its_new_metadata(self, brain: Brain) -> None:
        needs(brain, "client_ids")
        keep(brain, "boat", id="one", metadata={"x": 1})
        keep(brain, "boat", id="one", metadata={"x": 2})
        assert found(brain, "boat", filter=F("x").eq(1)) == set()
        assert found(brain, "boat", filter=F("x").eq(2)) == {"one"}

    def test_a_stored_date_is_found_by_its_instant_in_any_offset(self, brain: Brain) -> None:
        instant = datetime(2024, 5, 3, 10, 0, 0, 123456, tzinfo=UTC)
        text = "2024-05-03T10:00:00.123456+00:00"
        keep(brain, "boat", metadata={"stored": "as a date", "when": instant, "list": [instant]})
        keep(brain, "boat", metadata={"stored": "as text", "when": text, "list": [text]})
        spelled = ["2024-05-03T10:00:00.123456Z", "2024-05-03T12:00:00.123456+02:00"]
        for other in [*spelled, instant, instant.astimezone(timezone(timedelta(hours=-5)))]:
            # A date in a filter also matches ISO 8601 text.
            both = not isinstance(other, str)
            expected = {"as a date", "as text"} if both else {"as a date"}
            for condition in (
                F("when").eq(other),
                F("when").in_([other]),
                F("list").contains(other),
                ~F("when").ne(other),
                ~F("when").not_in(["no date", other]),
                F("when").between(other, other),
            ):
                hits = brain.search("boat", filter=condition, limit=10)
                assert {hit.memory.metadata["stored"] for hit in hits} == expected, condition
        hits = brain.search("boat", filter=F("when").eq(text), limit=10)
        assert len(hits) == 2
        assert {hit.memory.metadata["when"] for hit in hits} == {text}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"$created_at": {"$gt": "yesterday"}},
            {"$pinned": "true"},
            {"$importance": {"$gt": "0.5"}},
            {"$tags": "red"},
            {"x": {"$between": [1]}},
            {"x": {"$like": "a\\"}},
            {"$not": []},
            {"x": {"$regex": "a"}},
            {"$x": 1},
            {"$or": []},
            {"$and": {"x": 1}},
            {"x": {"$in": "abc"}},
            {"x": {"$gt": None}},
            {"": 1},
            {1: 1},
            "x = 1",
        ],
        ids=str,
    )
    def test_a_filter_that_means_nothing_is_refused(self, brain: Brain, wrong: Any) -> None:
        keep(brain, "boat", metadata={"x": 1})
        with pytest.raises(OneBrainValidationError):
            brain.search("boat", filter=wrong)
        with pytest.raises(OneBrainValidationError):
            brain.forget(filter=wrong)
        with pytest.raises(OneBrainValidationError):
            brain.context("boat", filter=wrong)
        if brain.capabilities.list:
            with pytest.raises(OneBrainValidationError):
                brain.page(filter=wrong)
            with pytest.raises(OneBrainValidationError):
                brain.count(filter=wrong)
        assert len(brain.search("boat")) == 1


def _stored(brain: Brain) -> dict[str, Memory]:
    items = [{"content": f"boat {index}", "metadata": metadata} for index, metadata in enumerate(STORED)]
    stored = keep_all(brain, items)
    memories = {memory.id: memory for memory in brain.get_many(stored)}
    assert len(memories) == len(STORED)
    return memories


def _own(brain: Brain) -> dict[str, Memory]:
    can = brain.capabilities
    rows: list[dict[str, Any]] = [
        {},
        {"title": "Alpha", "type": "fact", "source": "chat", "scope": {"user": "maria"}},
        {"title": "alpha", "type": "Fact", "scope": {"user": "Maria", "agent": "planner"}},
        {
            "title": "A",
            "tags": ["red", "blue"],
            "importance": 0.5,
            "scope": {"space": "one", "session": "s%"},
        },
        {"tags": ["Red"], "importance": 1.0, "pinned": True, "scope": {"space": "One", "session": "s_"}},
        {"tags": ["red"], "importance": 0.0, "archived": True, "scope": {"user": "maria", "session": "s%"}},
        {"created_at": PAST, "expires_at": FUTURE},
        {"created_at": PAST + timedelta(microseconds=1), "tags": ["1"]},
        {"created_at": datetime(2001, 2, 3, tzinfo=UTC), "title": "Alpha"},
    ]
    items = [{"content": f"boat {index}", **supported(can, row)} for index, row in enumerate(rows)]
    return {memory.id: memory for memory in brain.get_many(keep_all(brain, items))}


def _assert_agree(
    brain: Brain, memories: Mapping[str, Memory], filters: Sequence[Filter], *, scope: Scope | None = None
) -> None:
    """Assert that searches and lists with each filter return the same memories as the evaluator.

    Because there are several hundred filters, they alternate between calls with and without a query, and with and without
    archived memories. Of the filters that the driver does not push at all, one in ten is enough: `Brain` evaluates them
    for every driver alike.
    """
    within = scope or Scope()
    can = brain.capabilities
    whole_searches = can.search_limit is None or can.search_offset
    wrong: dict[str, Any] = {}
    pushed = [one for one in filters if split(one, can.can, can.logic)[0] != TRUE]
    evaluated = [one for one in filters if split(one, can.can, can.logic)[0] == TRUE]
    for index, one in enumerate([*pushed, *evaluated[::10]]):
        expected = {id for id, memory in memories.items() if memory_matches(one, memory)}
        active = {id for id in expected if not memories[id].archived}
        turns = queries(brain, "boat")
        query, archived = turns[index % len(turns)], index % 3 > 0
        wanted = expected if archived else active
        result = brain.search(query, scope=within, filter=one, limit=500, include_archived=archived)
        got = {hit.id for hit in result}
        # A service whose searches end early may return less, and its result is then not exhausted.
        partial = whole_searches is False and not result.exhausted and got <= wanted
        if not partial and (got != wanted or not result.exhausted):
            wrong[f"search({query!r}, {one!r})"] = _difference(got, wanted, memories)
        if can.list:
            got = listed(brain, scope=within, filter=one, include_archived=archived)
            if got != wanted:
                wrong[f"list({one!r})"] = _difference(got, wanted, memories)
    assert wrong == {}


def _difference(got: set[str], expected: set[str], memories: Mapping[str, Memory]) -> dict[str, list[Any]]:
    def show(ids: set[str]) -> list[Any]:
        return [cast("Any", memories[id].metadata or memories[id]) for id in ids if id in memories]

    return {"missing": show(expected - got), "wrong": show(got - expected)}
