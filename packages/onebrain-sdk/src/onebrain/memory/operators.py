r"""The operators of filters: what each takes, decides and is called; the one definition that everything else derives from.

The meaning of the operators, on every service:

* ``eq`` compares values of one kind: numbers with numbers (1 equals 1.0), booleans with booleans, strings with strings
  by code point and case, lists and objects element by element. ``eq(None)`` matches null and a missing field.
* ``ne`` is the negation of ``eq``, so it matches a missing field. ``in_`` is "eq to one of", ``not_in`` its negation.
* ``gt ge lt le`` compare numbers with numbers, strings with strings, and dates with dates; anything else, null and
  missing fields included, does not match. ``between`` is ``ge`` and ``le``.
* A date compares as an instant: a value without an offset is UTC, one without a time is that day's midnight. A date in
  the filter compares with a stored date and with stored ISO 8601 text. ISO 8601 text in the filter compares as an
  instant with what was stored as a date, and as text with what was stored as text.
* ``contains`` matches a list that has an equal element, and a string that has the value as a part.
  ``icontains`` does the same to strings regardless of case. ``starts_with`` is for strings.
* ``like`` matches a string as SQL does, from its first character to its last: ``%`` stands for any text, ``_`` for any
  one character, and a backslash takes the next character literally. ``ilike`` does so regardless of case.
* ``exists`` matches where the field is there, even if null; ``exists(False)`` where it is missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from onebrain.memory.moments import Moment, instant_of
from onebrain.memory.paths import MISSING, OwnKind
from onebrain.memory.patterns import matcher

Value: TypeAlias = Any

Operator = Literal[
    "eq", "ne", "gt", "ge", "lt", "le", "in", "not_in",
    "contains", "icontains", "starts_with", "like", "ilike", "exists",
]  # fmt: skip
Operand = Literal["value", "values", "bound", "part", "text", "pattern", "flag"]


# Looked up first, because filters ask for every value that they compare.
_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    datetime: "date",
    date: "date",
    Moment: "date",
    dict: "object",
    list: "list",
    tuple: "list",
}


def kind(value: Value) -> str:
    """Return the kind of a JSON value: null, bool, number, string, date, list or object."""
    known = _KINDS.get(type(value))  # pyright: ignore[reportUnknownArgumentType]
    if known is not None:
        return known
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    # A datetime is a date, too.
    if isinstance(value, date):
        return "date"
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, list | tuple | set | frozenset) else "other"


def same(stored: Value, wanted: Value) -> bool:
    """Return whether a stored JSON value equals a filter's value: same kind, same value."""
    stored_kind, wanted_kind = kind(stored), kind(wanted)
    if wanted_kind == "date":
        instant = instant_of(stored)
        return instant is not None and instant == instant_of(wanted)
    if stored_kind != wanted_kind:
        if stored_kind != "date" or wanted_kind != "string":
            return False
        instant = instant_of(wanted)
        return instant is not None and instant == instant_of(stored)
    if stored_kind == "list":
        return len(stored) == len(wanted) and all(map(same, stored, wanted))
    if stored_kind == "object":
        return stored.keys() == wanted.keys() and all(same(stored[key], wanted[key]) for key in wanted)
    return bool(stored == wanted)


def _equals(stored: Value, wanted: Value) -> bool:
    if wanted is None:
        return stored is None or stored is MISSING
    return stored is not MISSING and same(stored, wanted)


def _is_in(stored: Value, wanted: Value) -> bool:
    return any(_equals(stored, item) for item in wanted)


def _contains(stored: Value, wanted: Value) -> bool:
    if isinstance(stored, str):
        return isinstance(wanted, str) and wanted in stored
    return isinstance(stored, list | tuple) and any(
        same(item, wanted) for item in cast("Sequence[Value]", stored)
    )


def _icontains(stored: Value, wanted: Value) -> bool:
    texts = cast("Sequence[Value]", stored) if isinstance(stored, list | tuple) else (stored,)
    return any(isinstance(text, str) and wanted.casefold() in text.casefold() for text in texts)


def _like(stored: Value, wanted: Value, *, fold: bool) -> bool:
    return isinstance(stored, str) and matcher(wanted, fold)(stored)


def _ordered(decide: Callable[[Value, Value], bool]) -> Callable[[Value, Value], bool]:
    def ordered(stored: Value, wanted: Value) -> bool:
        ends = None if stored is MISSING or stored is None else _ends(stored, wanted)
        return ends is not None and decide(*ends)

    return ordered


def _ends(stored: Value, wanted: Value) -> tuple[Value, Value] | None:
    """Return two values in a form in which they have an order; None where they have none."""
    stored_kind, wanted_kind = kind(stored), kind(wanted)
    if "date" in (stored_kind, wanted_kind) and {stored_kind, wanted_kind} <= {"date", "string"}:
        left, right = instant_of(stored), instant_of(wanted)
        if left is not None and right is not None:
            return left, right
        # A stored date is text to a filter whose text is no date.
        return (stored, wanted) if isinstance(stored, Moment) and wanted_kind == "string" else None
    return (stored, wanted) if stored_kind == wanted_kind else None


Own: TypeAlias = frozenset[OwnKind]

_TEXTS: Final[Own] = frozenset({"id", "text"})
_LABELLED: Final[Own] = _TEXTS.union({"labels"})
_ORDERED: Final[Own] = _TEXTS.union({"number", "time"})
_ALL: Final[Own] = frozenset(get_args(OwnKind))


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """The description of one operator.

    Attributes:
        name: Its name.
        decide: Returns whether a stored value, or `MISSING`, matches the wanted one.
        operand: The values that it takes: any value, a list of values, a number or a string or a date, a part of a text or
            list, a string, a pattern, or True and False.
        own: The kinds of own fields that have it.
        spellings: Its names in dicts, the one that is written first; by default its name after a dollar sign.
    """

    name: Operator
    decide: Callable[[Value, Value], bool]
    operand: Operand
    own: Own = _TEXTS
    spellings: Sequence[str] = ()


_TABLE: Final = (
    OperatorInfo("eq", _equals, "value", _ALL),
    OperatorInfo("ne", lambda stored, wanted: not _equals(stored, wanted), "value", _ALL),
    OperatorInfo("gt", _ordered(operator.gt), "bound", _ORDERED),
    OperatorInfo("ge", _ordered(operator.ge), "bound", _ORDERED, ("$gte", "$ge")),
    OperatorInfo("lt", _ordered(operator.lt), "bound", _ORDERED),
    OperatorInfo("le", _ordered(operator.le), "bound", _ORDERED, ("$lte", "$le")),
    OperatorInfo("in", _is_in, "values", _ALL),
    OperatorInfo(
        "not_in", lambda stored, wanted: not _is_in(stored, wanted), "values", _ALL, ("$nin", "$not_in")
    ),
    OperatorInfo("contains", _contains, "part", _LABELLED),
    OperatorInfo("icontains", _icontains, "text", _LABELLED),
    OperatorInfo("starts_with", lambda stored, wanted: isinstance(stored, str) and stored.startswith(wanted), "text"),
    OperatorInfo("like", partial(_like, fold=False), "pattern"),
    OperatorInfo("ilike", partial(_like, fold=True), "pattern"),
    OperatorInfo("exists", lambda stored, wanted: (stored is not MISSING) is wanted, "flag", _ALL),
)  # fmt: skip
INFO: Final[Mapping[str, OperatorInfo]] = {info.name: info for info in _TABLE}
OPERATORS: Final = frozenset[Operator](info.name for info in _TABLE)
SPELLINGS: Final[Mapping[str, Operator]] = {
    name: info.name for info in _TABLE for name in info.spellings or (f"${info.name}",)
}
_DECISIONS: Final = {info.name: info.decide for info in _TABLE}


def compare(op: Operator, stored: Value, wanted: Value) -> bool:
    """Decide one comparison; `stored` is ``MISSING`` if the memory has no such field. The only definition of the operators."""
    return _DECISIONS[op](stored, wanted)


def spelling(op: Operator) -> str:
    """Return the name of an operator in dicts."""
    return next(name for name, named in SPELLINGS.items() if named == op)
