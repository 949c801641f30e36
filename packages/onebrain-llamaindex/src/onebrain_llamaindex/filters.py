"""LlamaIndex's metadata filters as filters of a brain: all operators, all conditions, nested to any depth.

They mean the same as in the framework's own stores, with these refinements. A comparison of values of different kinds does
not match, instead of raising `TypeError`. ``text_match_insensitive`` folds case as Unicode does. ``== None`` matches a null
or missing value, and ``!= None`` any other value. A filter without a meaning, such as ``in`` with a string, raises
`OneBrainValidationError`.

A key is read as everywhere in OneBrain: the key with this spelling wins, and without such a key, its dots lead into nested
objects. ``ref_doc_id``, ``doc_id`` and ``document_id`` are the id of a node's source document, and the memory's own
fields can be named with a dollar sign: ``$created_at``, ``$tags``, ``$user``. Both have values of one kind, and a value
of another kind raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from onebrain import F, OneBrainValidationError
from onebrain.memory.filters import (
    FALSE,
    OWN_FIELDS,
    TRUE,
    Cmp,
    Filter,
    either,
    every,
    field_name,
    key_name,
    negate,
    parse,
)
from onebrain.memory.ids import as_id
from onebrain.memory.own_fields import kind_of

# The one key of a memory's metadata that belongs to this package.
RESERVED = "_onebrain"
_SOURCES = frozenset({"ref_doc_id", "doc_id", "document_id"})

Filters: TypeAlias = MetadataFilters | Filter | Mapping[str, Any]
# Translates a comparison with one operator, from the brain's field and the framework's filter.
Operator: TypeAlias = Callable[[F, MetadataFilter], Filter]


def own(name: str) -> F:
    """Return the field that this package keeps under `name` in a memory's metadata."""
    return F(field_name(RESERVED, name))


def translate(filters: Filters | None) -> Filter:
    """Return LlamaIndex's `filters` as a filter of a brain; a brain's own filters and Mongo-style dicts pass, too.

    Example:
        >>> translate(
        ...     MetadataFilters(filters=[MetadataFilter(key="year", value=2025, operator=FilterOperator.GTE)])
        ... )
        Cmp(field='year', op='ge', value=2025)
    """
    if not isinstance(filters, MetadataFilters):
        return parse(filters)
    if not filters.filters:
        return TRUE
    parts = [
        _comparison(part) if isinstance(part, MetadataFilter) else translate(part) for part in filters.filters
    ]
    if filters.condition is FilterCondition.OR:
        return either(*parts)
    # Not one of them matches.
    if filters.condition is FilterCondition.NOT:
        return negate(either(*parts))
    return every(*parts)


def _comparison(part: MetadataFilter) -> Filter:
    translated = _OPERATORS.get(part.operator)
    if translated is None:
        raise OneBrainValidationError(
            f"the filter operator {part.operator!r} is not known here; please report it"
        )
    if part.key in _SOURCES:
        part = part.model_copy(update={"value": _document_ids(part)})
    return translated(_field(part.key), part)


def _compared(compare: Callable[[F, Any], Cmp]) -> Operator:
    def translated(field: F, part: MetadataFilter) -> Filter:
        if isinstance(part.value, list) or part.value is None:
            raise _wrong(part, "a number or a string")
        return compare(field, part.value)

    return translated


def _one_of(field: F, part: MetadataFilter) -> Filter:
    return field.in_(_with_booleans(field, _values(part)))


def _all_of(field: F, part: MetadataFilter) -> Filter:
    return every(field.ne(None), *(_contains(field, item) for item in _values(part)))


def _matched(match: Callable[[F, str], Filter]) -> Operator:
    def translated(field: F, part: MetadataFilter) -> Filter:
        if not isinstance(part.value, str):
            raise _wrong(part, "a string")
        return match(field, part.value)

    return translated


def _field(key: str) -> F:
    if key in _SOURCES:
        return own("ref_doc_id")
    if not key:
        raise OneBrainValidationError("a metadata filter needs a key")
    return F(key) if key in OWN_FIELDS else F(key_name(key))


def _document_ids(part: MetadataFilter) -> Any:
    """Return the document's id, or the list of them, that a filter compares with, as text."""
    try:
        if isinstance(part.value, list):
            return [as_id(item) for item in part.value]
        return None if part.value is None else as_id(part.value)
    except ValueError:
        raise _wrong(part, "the id of a document") from None


def _empty(field: F) -> Filter:
    """Return the filter for a field that is null, missing or empty."""
    empty: dict[str | None, list[Any]] = {None: ["", []], "id": [""], "text": [""], "labels": [[]]}
    return field.in_([None, *empty.get(kind_of(field.name), [])])


def _equal(field: F, value: Any) -> Filter:
    wanted = _with_booleans(field, [value])
    return field.eq(wanted[0]) if len(wanted) == 1 else field.in_(wanted)


def _contains(field: F, value: Any) -> Filter:
    if value is None:
        return FALSE
    return either(*(field.contains(item) for item in _with_booleans(field, [value])))


def _with_booleans(field: F, values: Sequence[Any]) -> list[Any]:
    """Let 1 and 0 stand for true and false, too: the framework's filters cannot hold a boolean, its metadata can."""
    own_kind = kind_of(field.name)
    if own_kind is not None:
        return [bool(item) if own_kind == "flag" and item in (0, 1) else item for item in values]
    wanted: list[Any] = []
    for value in values:
        wanted.append(value)
        if not isinstance(value, str | list) and value in (0, 1):
            wanted.append(bool(value))
    return wanted


def _values(part: MetadataFilter) -> list[Any]:
    if not isinstance(part.value, list):
        raise _wrong(part, "a list")
    return cast("list[Any]", part.value)


def _wrong(part: MetadataFilter, needed: str) -> OneBrainValidationError:
    return OneBrainValidationError(
        f"the filter on {part.key!r:.60} with operator {part.operator.value!r} takes {needed}, "
        f"not {type(part.value).__name__}"
    )


_OPERATORS: dict[FilterOperator, Operator] = {
    FilterOperator.EQ: lambda field, part: _equal(field, part.value),
    FilterOperator.NE: lambda field, part: negate(_equal(field, part.value)),
    FilterOperator.GT: _compared(F.gt),
    FilterOperator.GTE: _compared(F.ge),
    FilterOperator.LT: _compared(F.lt),
    FilterOperator.LTE: _compared(F.le),
    FilterOperator.IN: _one_of,
    FilterOperator.NIN: lambda field, part: negate(_one_of(field, part)),
    FilterOperator.ANY: lambda field, part: either(*(_contains(field, item) for item in _values(part))),
    FilterOperator.ALL: _all_of,
    FilterOperator.CONTAINS: lambda field, part: _contains(field, part.value),
    FilterOperator.IS_EMPTY: lambda field, part: _empty(field),
    FilterOperator.TEXT_MATCH: _matched(F.contains),
    FilterOperator.TEXT_MATCH_INSENSITIVE: _matched(F.icontains),
}
