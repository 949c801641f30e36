"""A memory's own fields in filters: which values each can be compared with.

Metadata may hold anything, so a comparison of different kinds there simply does not match. A memory's own fields have
one kind each, so a value of another kind is a mistake, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, cast

from onebrain.errors import OneBrainValidationError
from onebrain.memory.ids import as_id
from onebrain.memory.moments import instant_of

Value = Any

_EQUALITY: Final = frozenset({"eq", "ne", "in", "not_in"})
_ORDER: Final = frozenset({"gt", "ge", "lt", "le"})
_PARTS: Final = frozenset({"contains", "icontains", "starts_with", "like", "ilike"})


class _Wrong(Exception):
    """The value is not of the field's kind."""


def _id(value: Value) -> str:
    try:
        return as_id(value)
    except ValueError:
        raise _Wrong from None


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise _Wrong
    return value


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong
    return value


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise _Wrong
    return value


def _moment(value: Value) -> Value:
    if isinstance(value, date):  # a datetime is a date
        return value
    moment = instant_of(value) if isinstance(value, str) else None
    if moment is None:
        raise _Wrong
    return moment


def _labels(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise _Wrong
    return tuple(map(_text, cast("tuple[Value, ...]", value)))


def _object(value: Value) -> Value:
    if not isinstance(value, Mapping):
        raise _Wrong
    return cast("Value", value)


Read = Callable[[Value], Value]
# For each kind: its values, how one is read, and which operators it has beside those for equality.
_KINDS: Final[Mapping[str, tuple[str, Read, frozenset[str]]]] = {
    "id": ("an id: a string, a whole number or a UUID", _id, _ORDER | _PARTS),
    "text": ("a string", _text, _ORDER | _PARTS),
    "number": ("a number", _number, _ORDER),
    "flag": ("True or False", _flag, frozenset()),
    "time": ("a datetime, a date or ISO 8601 text", _moment, _ORDER),
    "labels": ("a list of strings", _labels, frozenset({"contains", "icontains"})),
    "object": ("an object", _object, frozenset()),
}
_FIELDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("$id", "$user", "$agent", "$session", "$space"), "id"),
    **dict.fromkeys(("$content", "$title", "$type", "$source"), "text"),
    **dict.fromkeys(("$pinned", "$archived"), "flag"),
    **dict.fromkeys(("$created_at", "$updated_at", "$expires_at"), "time"),
    "$importance": "number",
    "$tags": "labels",
    "$extra": "object",
}


def kind_of(field: str) -> str | None:
    """Return the kind of a memory's own field; None for every other field."""
    return _FIELDS.get(field)


def own_value(field: str, op: str, value: Value) -> Value:
    """Return `value` in the form in which `field` is compared with it; ids become text, ISO text an instant.

    Raises:
        OneBrainValidationError: The field can never match: its values are of another kind, or have no such operator.
    """
    kind = _FIELDS.get(field)
    if kind is None or op == "exists":
        return value
    takes, read, operators = _KINDS[kind]
    if op not in _EQUALITY and op not in operators:
        known = ", ".join(sorted(_EQUALITY | operators | {"exists"}))
        raise OneBrainValidationError(f"{op} on {field!r} can never match; the field has {known}")
    if op in _PARTS and kind == "labels":  # which look at one label
        takes, read = "a string", _text
    try:
        if op in ("in", "not_in"):
            return tuple(item if item is None else read(item) for item in value)
        return value if value is None and op in _EQUALITY else read(value)
    except _Wrong:
        hint = "; use contains to ask for one of its labels" if kind == "labels" and op in _EQUALITY else ""
        raise OneBrainValidationError(f"{op} on {field!r} takes {takes}{hint}") from None
