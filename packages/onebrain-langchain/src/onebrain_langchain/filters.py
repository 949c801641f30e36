"""Filters of LangChain and LangGraph as filters of a brain, and back to JSON.

LangChain has no filter language of its own: components take ``F("year").ge(2025)`` or a Mongo-style dict, which
`onebrain.memory.filters.parse` understands. LangGraph's stores have one, which `value_filter` translates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from onebrain import F, OneBrainValidationError
from onebrain.frameworks.values import is_object, is_sequence
from onebrain.memory.filters import FALSE, TRUE, All, Cmp, Filter, Not, every, key_name, parse, spelling
from onebrain.memory.filters import Any as Either

if TYPE_CHECKING:
    FilterLike: TypeAlias = Filter | Mapping[str, Any]
else:
    # pydantic need not look into filters: `checked` does.
    FilterLike = Any

_OPERATORS = {"$eq": "eq", "$ne": "ne", "$gt": "gt", "$gte": "ge", "$lt": "lt", "$lte": "le"}


def value_filter(filter: Mapping[str, Any] | None, *path: str) -> Filter:
    """Return LangGraph's `filter` on a value as a filter on the metadata at `path`, where the value is kept.

    A literal is compared by equality, None also with a missing key; a dict key by key; a list element by element; a
    dict of ``$eq $ne $gt $gte $lt $lte`` by those. A key with dots is that key, and without such a key, a path into
    nested dicts. An unknown operator is an error, and so is a condition that cannot be evaluated as LangGraph means it.
    """
    if not filter:
        return TRUE
    return every(*(_condition((*path, _key(key)), wanted) for key, wanted in filter.items()))


def _condition(path: Sequence[str], wanted: Any) -> Filter:
    *outer, key = path
    name = key_name(key, *outer)
    if is_object(wanted):
        entries = wanted
        if any(isinstance(key, str) and key.startswith("$") for key in entries):
            return every(*(_operation(name, key, value) for key, value in entries.items()))
        if not entries:
            raise OneBrainValidationError("an empty object in a filter says nothing; leave the key out")
        nested = every(*(_condition((*path, _key(key)), value) for key, value in entries.items()))
        return every(F(name).exists(), nested)
    if is_sequence(wanted):
        _refuse_operators(wanted)
    return FALSE if _has_nan(wanted) else Cmp(name, "eq", wanted)


def _operation(field: str, name: Any, value: Any) -> Filter:
    if name not in _OPERATORS:
        raise OneBrainValidationError(
            f"unknown filter operator {name!r:.40}; LangGraph has {', '.join(sorted(_OPERATORS))}"
        )
    if _has_nan(value):
        return TRUE if name == "$ne" else FALSE
    return Cmp(field, cast("Any", _OPERATORS[name]), value)


def _has_nan(value: Any) -> bool:
    """Return whether a value is or holds NaN, which nothing equals and nothing is more or less than."""
    return _holds(value, lambda item: isinstance(item, float) and math.isnan(item))


def _holds(value: Any, test: Callable[[Any], bool]) -> bool:
    """Return whether a value, or one inside it, passes a test."""
    if is_object(value):
        return any(_holds(item, test) for item in value.values())
    return any(_holds(item, test) for item in value) if is_sequence(value) else test(value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise OneBrainValidationError(f"a filter's keys must be strings, not {type(key).__name__}")
    return key


def _refuse_operators(items: Sequence[Any]) -> None:
    for item in items:
        if is_object(item) and any(str(key).startswith("$") for key in item):
            raise OneBrainValidationError("an operator inside a list of a filter cannot be evaluated")
        if is_sequence(item):
            _refuse_operators(item)


def checked(filter: Any) -> Any:
    """Return `filter` as it is, or raise where it is none: so that a mistake shows at construction."""
    parse(filter)
    return filter


def jsonable(filter: Any) -> dict[str, Any] | None:
    """Return a filter as a Mongo-style dict that JSON can hold and `parse` reads back; None if there is no such dict.

    Dates are the exception: in a dict they would be text, which is compared differently.
    """
    return _dict(parse(filter))


def _dict(filter: Filter) -> dict[str, Any] | None:
    if isinstance(filter, Cmp):
        dated = _holds(filter.value, lambda item: isinstance(item, date))
        return None if dated else {filter.field: {spelling(filter.op): _plain(filter.value)}}
    if isinstance(filter, Not):
        part = _dict(filter.part)
        return None if part is None else {"$not": part}
    if filter == TRUE:
        return {}
    parts = [_dict(part) for part in filter.parts]
    if not parts or any(part is None for part in parts):
        return None
    return {"$or" if isinstance(filter, Either) else "$and": parts}


def _plain(value: Any) -> Any:
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in cast("Sequence[Any]", value)] if isinstance(value, tuple) else value


__all__ = ["All", "FilterLike", "checked", "jsonable", "value_filter"]
