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
from onebrain.memory.operators import INFO, kind
from onebrain.memory.paths import OWN_KINDS, OwnKind

Value = Any
Read = Callable[[Value], Value]


class _Wrong(Exception):
    """The value is not of the field's kind."""


def _id(value: Value) -> str:
    try:
        return as_id(value)
    except ValueError:
        raise _Wrong from None


def _of(wanted: str) -> Read:
    def read(value: Value) -> Value:
        if kind(value) != wanted:
            raise _Wrong
        return value

    return read


def _moment(value: Value) -> Value:
    # A datetime is a date, too.
    if isinstance(value, date):
        return value
    moment = instant_of(value) if isinstance(value, str) else None
    if moment is None:
        raise _Wrong
    return moment


def _labels(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise _Wrong
    return tuple(map(_of("string"), cast("tuple[Value, ...]", value)))


# For each kind: its values, and how one is read.
_KINDS: Final[Mapping[OwnKind, tuple[str, Read]]] = {
    "id": ("an id: a string, a whole number or a UUID", _id),
    "text": ("a string", _of("string")),
    "number": ("a number", _of("number")),
    "flag": ("True or False", _of("bool")),
    "time": ("a datetime, a date or ISO 8601 text", _moment),
    "labels": ("a list of strings", _labels),
    "object": ("an object", _of("object")),
}


def kind_of(field: str) -> OwnKind | None:
    """Return the kind of a memory's own field; None for every other field."""
    return OWN_KINDS.get(field)


def own_value(field: str, op: str, value: Value) -> Value:
    """Return `value` in the form in which `field` is compared with it; ids become text, ISO text an instant.

    Raises:
        OneBrainValidationError: The field can never match: its values are of another kind, or have no such operator.
    """
    own, info = OWN_KINDS.get(field), INFO[op]
    if own is None or info.operand == "flag":
        return value
    if own not in info.own:
        known = ", ".join(sorted(name for name, other in INFO.items() if own in other.own))
        raise OneBrainValidationError(f"{op} on {field!r} can never match; the field has {known}")
    takes, read = _KINDS[own]
    equality = info.operand in ("value", "values")
    # The others look at one label.
    if own == "labels" and not equality:
        takes, read = _KINDS["text"]
    try:
        if info.operand == "values":
            return tuple(item if item is None else read(item) for item in value)
        return value if value is None and equality else read(value)
    except _Wrong:
        hint = "; use contains to ask for one of its labels" if own == "labels" and equality else ""
        raise OneBrainValidationError(f"{op} on {field!r} takes {takes}{hint}") from None
