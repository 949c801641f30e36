"""Every operator and condition of LlamaIndex's filters, in words."""

from __future__ import annotations

import pytest
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from onebrain import F, Memory, OneBrainValidationError
from onebrain.memory.filters import TRUE, memory_matches
from onebrain_llamaindex import translate

Op = FilterOperator


def found(metadata: dict, key: str, operator: FilterOperator, value: object = None) -> bool:
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
    return memory_matches(translate(filters), Memory(id="1", content="-", metadata=metadata))


@pytest.mark.parametrize(
    ("operator", "value", "matching", "other"),
    [
        (Op.EQ, 3, [3, 3.0], [4, "3", None, ...]),
        (Op.EQ, "Ab", ["Ab"], ["ab", 1, ...]),
        (Op.EQ, 1, [1, True], [2, False, "1", ...]),
        (Op.EQ, 0, [0, False], [1, True, ...]),
        (Op.EQ, ["a"], [["a"]], [["a", "b"], "a", ...]),
        (Op.EQ, None, [None, ...], [0, "", []]),
        (Op.NE, 3, [4, "3", None, ...], [3]),
        (Op.NE, None, [0, "", []], [None, ...]),
        (Op.GT, 3, [4, 3.5], [3, 2, "4", None, ...]),
        (Op.GTE, 3, [3, 4], [2, None, ...]),
        (Op.LT, "b", ["a", "B"], ["b", "c", 1, ...]),
        (Op.LTE, "2024-05-01", ["2024-05-01", "2023-12-31"], ["2024-05-02", ...]),
        (Op.IN, ["a", "b"], ["a", "b"], ["c", ["a"], None, ...]),
        (Op.IN, [1, 5], [1, 5, True], [2, "1", ...]),
        (Op.IN, [], [], ["a", ...]),
        (Op.NIN, ["a", "b"], ["c", None, ...], ["a", "b"]),
        (Op.ANY, ["x", "y"], [["x"], ["z", "y"]], [["z"], [], None, ...]),
        (Op.ANY, [], [], [["x"], ...]),
        (Op.ALL, ["x", "y"], [["y", "x", "z"]], [["x"], [], None, ...]),
        (Op.ALL, [], [["x"], []], [None, ...]),
        (Op.CONTAINS, "x", [["x", "y"], "axb"], [["z"], 3, None, ...]),
        (Op.CONTAINS, 3, [[3, 4]], [[4], "3", ...]),
        (Op.TEXT_MATCH, "Seat", ["window Seat"], ["window seat", 3, ...]),
        (Op.TEXT_MATCH_INSENSITIVE, "sEaT", ["window SEAT"], ["aisle", 3, ...]),
        (Op.IS_EMPTY, None, [None, "", [], ...], ["a", ["a"], 0, False]),
    ],
)
def test_an_operator_matches_what_it_says(operator, value, matching, other):
    def metadata(stored: object) -> dict:
        return {} if stored is ... else {"field": stored}

    assert [stored for stored in matching if not found(metadata(stored), "field", operator, value)] == []
    assert [stored for stored in other if found(metadata(stored), "field", operator, value)] == []


def test_every_operator_of_the_framework_is_translated():
    values = {Op.IN: ["a"], Op.NIN: ["a"], Op.ANY: ["a"], Op.ALL: ["a"]}
    for operator in Op:
        assert isinstance(found({}, "field", operator, values.get(operator, "a")), bool)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        (Op.IN, "abc"),
        (Op.NIN, 3),
        (Op.ANY, "abc"),
        (Op.ALL, None),
        (Op.GT, None),
        (Op.LTE, ["a"]),
        (Op.TEXT_MATCH, 3),
        (Op.TEXT_MATCH_INSENSITIVE, ["a"]),
    ],
)
def test_what_an_operator_cannot_take_raises_and_names_the_field(operator, value):
    with pytest.raises(OneBrainValidationError, match=r"'field'.*takes"):
        found({}, "field", operator, value)


def test_a_key_is_the_one_that_is_spelled_like_it_and_then_a_path():
    assert found({"a.b": 1}, "a.b", Op.EQ, 1)
    assert found({"a": {"b": 1}}, "a.b", Op.EQ, 1)
    assert not found({"a.b": 2, "a": {"b": 1}}, "a.b", Op.EQ, 1)
    assert found({"a\\.b": 1}, "a\\.b", Op.EQ, 1)
    assert found({"C:\\x": 1}, "C:\\x", Op.EQ, 1)
    assert found({"$price": 1}, "$price", Op.EQ, 1)
    with pytest.raises(OneBrainValidationError, match="needs a key"):
        found({}, "", Op.EQ, 1)


def test_a_dollar_names_a_field_of_the_memory_itself():
    memory = Memory(id="1", content="-", tags=("travel",))
    wanted = MetadataFilters(filters=[MetadataFilter(key="$tags", value="travel", operator=Op.CONTAINS)])
    assert memory_matches(translate(wanted), memory)


@pytest.mark.parametrize(
    ("key", "operator", "value"),
    [
        ("$pinned", Op.EQ, "true"),
        ("$importance", Op.GT, "0.5"),
        ("$created_at", Op.GT, "yesterday"),
        ("$created_at", Op.GTE, 1714730400),
        ("$tags", Op.EQ, "travel"),
        ("$tags", Op.IN, ["travel"]),
        ("$title", Op.NE, 3),
        ("ref_doc_id", Op.EQ, 1.5),
        ("doc_id", Op.IN, [0.5]),
        ("document_id", Op.NE, 2.0),
    ],
)
def test_a_field_of_one_kind_is_not_compared_with_another(key, operator, value):
    with pytest.raises(OneBrainValidationError, match="takes"):
        found({}, key, operator, value)


def test_fields_of_a_memory_are_asked_in_the_framework_s_words():
    memory = Memory(id="1", content="-", tags=("a",), pinned=True, importance=1.0, title="")

    def matching(key, operator, value=None):
        wanted = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
        return memory_matches(translate(wanted), memory)

    assert matching("$pinned", Op.EQ, 1)
    assert matching("$pinned", Op.NE, 0)
    assert matching("$archived", Op.IN, [0])
    assert matching("$importance", Op.EQ, 1)
    assert matching("$title", Op.IS_EMPTY)
    assert matching("$type", Op.IS_EMPTY)
    assert matching("$expires_at", Op.IS_EMPTY)
    assert not matching("$tags", Op.IS_EMPTY)
    assert not matching("$importance", Op.IS_EMPTY)
    assert matching("$tags", Op.ANY, ["a", "b"])


def test_a_document_s_id_may_be_a_number():
    stored = {"_onebrain": {"ref_doc_id": "7"}}
    assert found(stored, "ref_doc_id", Op.EQ, 7)
    assert found(stored, "doc_id", Op.IN, [7, 8])


def both(*parts, condition=FilterCondition.AND):
    return MetadataFilters(filters=list(parts), condition=condition)


def test_conditions_nest_to_any_depth():
    a, b, c = (MetadataFilter(key=key, value=1) for key in "abc")
    nested = both(a, both(b, both(c, condition=FilterCondition.NOT), condition=FilterCondition.OR))

    def matches(**metadata):
        return memory_matches(translate(nested), Memory(id="1", content="-", metadata=metadata))

    assert matches(a=1, b=1, c=1)
    assert matches(a=1, b=2, c=2)
    assert not matches(a=1, b=2, c=1)
    assert not matches(a=2, b=1)


def test_not_means_that_none_matches_and_no_condition_means_and():
    a, b = (MetadataFilter(key=key, value=1) for key in "ab")
    rows = [{"a": 1, "b": 1}, {"a": 1}, {}]
    for condition, expected in ((FilterCondition.NOT, [{}]), (None, [{"a": 1, "b": 1}])):
        filters = both(a, b, condition=condition)
        kept = [
            row
            for row in rows
            if memory_matches(translate(filters), Memory(id="1", content="-", metadata=row))
        ]
        assert kept == expected


def test_no_filters_are_no_restriction():
    assert translate(None) == translate(MetadataFilters(filters=[])) == TRUE
    assert translate(both(condition=FilterCondition.OR)) == TRUE


def test_filters_of_a_brain_pass():
    assert translate(F("year").ge(2025)) == translate({"year": {"$gte": 2025}}) == F("year").ge(2025)
