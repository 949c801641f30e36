r"""Filters: their form, how to write them, and the evaluator that defines each of them.

Write one with `F`, combine with ``&``, ``|`` and ``~``, or pass a Mongo-style dict, which `parse` turns into the same::

    F("year").ge(2025) & ~F("status").in_(["draft", "void"])
    {"year": {"$gte": 2025}, "status": {"$nin": ["draft", "void"]}}

A field names a value in a memory's metadata: the key that is spelled like it, and where there is none, the path that its
dots describe. So ``F("a.b")`` is ``{"a.b": ...}``, else ``{"a": {"b": ...}}``; `onebrain.memory.paths` tells the rest. A
name that begins with ``$`` is the memory's own: ``$id $content $title $type $tags $importance $source $pinned
$archived $created_at $updated_at $expires_at $user $agent $session $space`` and ``$extra.…``; ``F.created_at`` is short
for ``F("$created_at")``. An own field has values of one kind, and a comparison with another kind is refused.

`onebrain.memory.operators` says how each operator decides.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast
from uuid import UUID

from onebrain._core.codec import is_object, is_sequence
from onebrain.errors import OneBrainValidationError
from onebrain.memory.moments import Moment
from onebrain.memory.moments import instant_of as instant_of
from onebrain.memory.operators import INFO, SPELLINGS
from onebrain.memory.operators import OPERATORS as OPERATORS
from onebrain.memory.operators import Operator as Operator
from onebrain.memory.operators import compare as compare
from onebrain.memory.operators import kind as kind
from onebrain.memory.operators import same as same
from onebrain.memory.operators import spelling as spelling
from onebrain.memory.own_fields import own_value
from onebrain.memory.paths import MISSING as MISSING
from onebrain.memory.paths import OWN_FIELDS as OWN_FIELDS
from onebrain.memory.paths import field_name as field_name
from onebrain.memory.paths import field_path as field_path
from onebrain.memory.paths import key_name as key_name
from onebrain.memory.paths import lookup as lookup
from onebrain.memory.patterns import matcher

if TYPE_CHECKING:
    from onebrain.memory.models import Memory

# This module has a class of its own named Any, as filter languages do.
Value: TypeAlias = typing.Any


class _Combinable:
    """``&``, ``|`` and ``~`` for every filter."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        return every(cast("Filter", self), other)

    def __or__(self, other: Filter) -> Filter:
        return either(cast("Filter", self), other)

    def __invert__(self) -> Filter:
        return negate(cast("Filter", self))


@dataclass(frozen=True, slots=True, eq=False)
class Cmp(_Combinable):
    """One comparison of a field with a value.

    Two are equal where they mean the same: to Python 1 equals True, to a filter it does not. A value that is compared
    with one of a memory's own fields takes that field's form: ISO 8601 text becomes a time, a UUID the text of an id.
    """

    field: str
    op: Operator
    value: Value

    def __post_init__(self) -> None:
        if self.op not in INFO:
            raise OneBrainValidationError(
                f"unknown filter operator {self.op!r}; there are {', '.join(sorted(INFO))}"
            )
        field_path(self.field)
        value = _checked(self.op, self.value, self.field)
        object.__setattr__(self, "value", own_value(self.field, self.op, value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cmp) and self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash(self._meaning())

    def _meaning(self) -> tuple[str, str, Value]:
        return self.field, self.op, _typed(self.value)


@dataclass(frozen=True, slots=True)
class All(_Combinable):
    """Matches where every part matches; without parts, everywhere."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Any(_Combinable):
    """Matches where at least one part matches; without parts, nowhere."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Not(_Combinable):
    """Matches where its part does not."""

    part: Filter


Filter: TypeAlias = Cmp | All | Any | Not
TRUE: Final = All(())
FALSE: Final = Any(())


def every(*filters: Filter) -> Filter:
    """Return the conjunction of `filters`, flattened; no filter at all matches everything."""
    parts: list[Filter] = []
    for part in filters:
        parts.extend(part.parts if isinstance(part, All) else (part,))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def either(*filters: Filter) -> Filter:
    """Return the disjunction of `filters`, flattened; no filter at all matches nothing."""
    parts: list[Filter] = []
    for part in filters:
        parts.extend(part.parts if isinstance(part, Any) else (part,))
    return parts[0] if len(parts) == 1 else Any(tuple(parts))


def negate(part: Filter) -> Filter:
    """Return the negation of `part`."""
    return part.part if isinstance(part, Not) else Not(part)


class F:
    """A field to compare: ``F("year").ge(2025)``, ``F("address.city").eq("Lisbon")``, ``F.created_at.lt(date(2025, 1, 1))``.

    Example:
        >>> F("year").ge(2025) & ~F("tags").contains("draft")
        All(parts=(Cmp(field='year', op='ge', value=2025), Not(part=Cmp(field='tags', op='contains', value='draft'))))
    """

    __slots__ = ("name",)

    id: F
    content: F
    title: F
    type: F
    tags: F
    importance: F
    source: F
    pinned: F
    archived: F
    created_at: F
    updated_at: F
    expires_at: F
    user: F
    agent: F
    session: F
    space: F

    def __init__(self, name: str) -> None:
        field_path(name)
        self.name = name

    def __repr__(self) -> str:
        return f"F({self.name!r})"

    def eq(self, value: Value) -> Cmp:
        """Equal to `value`; None matches null and missing fields."""
        return Cmp(self.name, "eq", value)

    def ne(self, value: Value) -> Cmp:
        """Not equal to `value`; matches missing fields unless `value` is None."""
        return Cmp(self.name, "ne", value)

    def gt(self, value: Value) -> Cmp:
        """Greater than `value`, a number, a string or a date."""
        return Cmp(self.name, "gt", value)

    def ge(self, value: Value) -> Cmp:
        """Greater than or equal to `value`, a number, a string or a date."""
        return Cmp(self.name, "ge", value)

    def lt(self, value: Value) -> Cmp:
        """Less than `value`, a number, a string or a date."""
        return Cmp(self.name, "lt", value)

    def le(self, value: Value) -> Cmp:
        """Less than or equal to `value`, a number, a string or a date."""
        return Cmp(self.name, "le", value)

    def in_(self, values: Iterable[Value]) -> Cmp:
        """Equal to one of `values`; an empty list matches nothing."""
        return Cmp(self.name, "in", values)

    def not_in(self, values: Iterable[Value]) -> Cmp:
        """Equal to none of `values`; matches missing fields unless None is among them."""
        return Cmp(self.name, "not_in", values)

    def contains(self, value: Value) -> Cmp:
        """A list with an equal element, or a string with `value` as a part."""
        return Cmp(self.name, "contains", value)

    def icontains(self, value: str) -> Cmp:
        """A string, or a list with a string, that has `value` as a part, regardless of case."""
        return Cmp(self.name, "icontains", value)

    def starts_with(self, value: str) -> Cmp:
        """A string that begins with `value`."""
        return Cmp(self.name, "starts_with", value)

    def between(self, low: Value, high: Value) -> All:
        """At least `low` and at most `high`: two numbers, two strings or two dates."""
        return between(self.name, (low, high))

    def like(self, pattern: str) -> Cmp:
        """A string that `pattern` describes: ``%`` is any text, ``_`` any one character, a backslash neither."""
        return Cmp(self.name, "like", pattern)

    def ilike(self, pattern: str) -> Cmp:
        """A string that `pattern` describes as in `like`, regardless of case."""
        return Cmp(self.name, "ilike", pattern)

    def exists(self, there: bool = True) -> Cmp:
        """The field is there, even if null; with False, it is missing."""
        return Cmp(self.name, "exists", there)


for _name in OWN_FIELDS - {"$extra"}:
    setattr(F, _name[1:], F.__new__(F))
    getattr(F, _name[1:]).name = _name


def between(field: str, bounds: Value) -> All:
    """Return the filter for values of `field` from the first of two `bounds` to the second, both included."""
    pair = bounds if is_sequence(bounds) else ()
    if len(pair) != 2:
        raise OneBrainValidationError(
            f"between on {field!r:.60} takes two values, the lowest and the highest"
        )
    low, high = Cmp(field, "ge", pair[0]), Cmp(field, "le", pair[1])
    kinds = {kind(low.value), kind(high.value)}
    if len(kinds) == 2 and kinds != {"date", "string"}:
        raise OneBrainValidationError(
            f"between on {field!r:.60} takes two values of one kind, not {kind(low.value)} and {kind(high.value)}"
        )
    return All((low, high))


# ---- values -------------------------------------------------------------------------------------------------------


def _checked(op: str, value: Value, field: str) -> Value:
    """Return `value` in the form that comparisons use; raise where `op` cannot take it."""
    operand = INFO[op].operand
    if operand == "flag":
        if not isinstance(value, bool):
            raise OneBrainValidationError(f"{op} on {field!r:.60} takes True or False")
        return value
    if operand == "values":
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise OneBrainValidationError(f"{op} on {field!r:.60} takes a list of values")
        items = cast("Iterable[Value]", value)
        items = sorted(items, key=repr) if isinstance(items, set | frozenset) else items
        return tuple(_plain(item, field) for item in items)
    value = _plain(value, field)
    if operand == "bound" and kind(value) not in ("number", "string", "date"):
        raise OneBrainValidationError(
            f"{op} on {field!r:.60} takes a number, a string or a date, not {kind(value)}"
        )
    if operand in ("text", "pattern") and not isinstance(value, str):
        raise OneBrainValidationError(f"{op} on {field!r:.60} takes a string, not {kind(value)}")
    if operand == "pattern":
        # Raises if it is none.
        matcher(value)
    return value


def _plain(value: Value, field: str) -> Value:
    if isinstance(value, Moment):
        # A value that was read from a memory is text in a filter.
        return str(value)
    value_kind = kind(value)
    if value_kind == "number" and value != value:
        raise OneBrainValidationError(f"a filter on {field!r:.60} cannot compare with NaN")
    if value_kind == "list":
        items: list[Value] = (
            sorted(cast("Iterable[Value]", value), key=repr)
            if isinstance(value, set | frozenset)
            else list(value)
        )
        return tuple(_plain(item, field) for item in items)
    if value_kind == "object":
        return _Frozen((str(key), _plain(item, field)) for key, item in value.items())
    if value_kind == "other":
        # Scalars and arrays of numpy.
        if hasattr(value, "tolist"):
            return _plain(value.tolist(), field)
        # Members of an enum.
        if hasattr(value, "value"):
            return _plain(value.value, field)
        if isinstance(value, UUID):
            # A UUID is stored as text.
            return str(value)
        raise OneBrainValidationError(f"a filter on {field!r:.60} cannot compare with {type(value).__name__}")
    return value


def _typed(value: Value) -> Value:
    """Return `value` with its kind beside it, all the way down."""
    value_kind = kind(value)
    if value_kind == "list":
        return value_kind, tuple(map(_typed, value))
    if value_kind == "object":
        return value_kind, frozenset((key, _typed(item)) for key, item in value.items())
    if value_kind == "date":
        return value_kind, instant_of(value)
    return value_kind, value


class _Frozen(dict[str, Value]):
    """A hashable object value."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def matches(f: Filter, value_of: Callable[[str], Value]) -> bool:
    """Decide a filter; `value_of` gives the value of a field, or `MISSING`."""
    if isinstance(f, Cmp):
        return compare(f.op, value_of(f.field), f.value)
    if isinstance(f, All):
        return all(matches(part, value_of) for part in f.parts)
    if isinstance(f, Any):
        return any(matches(part, value_of) for part in f.parts)
    return not matches(f.part, value_of)


def memory_matches(f: Filter, memory: Memory) -> bool:
    """Decide a filter on a memory; the filtering of every service is measured against this."""
    return matches(f, lambda field: field_value(memory, field))


def field_value(memory: Memory, field: str) -> Value:
    """Return the value of a filter field in `memory`, or `MISSING`."""
    if field[0] != "$":
        return lookup(memory.metadata, field)
    head, _, rest = field.partition(".")
    if head == "$extra":
        return lookup(memory.extra, rest) if rest else memory.extra
    if head in ("$user", "$agent", "$session", "$space"):
        value = getattr(memory.scope, head[1:])
    else:
        value = getattr(memory, head[1:])
    return MISSING if value is None else value


def fields(f: Filter) -> frozenset[str]:
    """Return the names of all fields in a filter."""
    return frozenset(part.field for part in comparisons(f))


def comparisons(f: Filter) -> Iterator[Cmp]:
    """Return all comparisons in a filter."""
    if isinstance(f, Cmp):
        yield f
    else:
        for part in (f.part,) if isinstance(f, Not) else f.parts:
            yield from comparisons(part)


# ---- what a service can do itself -----------------------------------------------------------------------------------

Logic = Literal["all", "any", "not"]


def split(f: Filter, can: Callable[[Cmp], bool], logic: frozenset[Logic]) -> tuple[Filter, Filter]:
    """Return ``(pushed, residual)`` such that `f` is exactly ``pushed & residual``.

    `can` says which comparisons the service decides exactly as `compare` does, `logic` how it can combine them.
    """
    if isinstance(f, All) and (not f.parts or "all" in logic):
        halves = [split(part, can, logic) for part in f.parts]
        return every(*(pushed for pushed, _ in halves)), every(*(residual for _, residual in halves))
    # Without a logic, one comparison may be pushed.
    if isinstance(f, All):
        first = next((part for part in f.parts if _exact(part, can, logic)), None)
        return (
            (TRUE, f) if first is None else (first, every(*(part for part in f.parts if part is not first)))
        )
    return (f, TRUE) if _exact(f, can, logic) else (TRUE, f)


def _exact(f: Filter, can: Callable[[Cmp], bool], logic: frozenset[Logic]) -> bool:
    if isinstance(f, Cmp):
        return can(f)
    if isinstance(f, Not):
        return "not" in logic and _exact(f.part, can, logic)
    needed: Logic = "all" if isinstance(f, All) else "any"
    return needed in logic and all(_exact(part, can, logic) for part in f.parts)


# ---- Mongo-style dicts ----------------------------------------------------------------------------------------------

# Each level takes several frames of Python's stack, in the evaluator and in drivers.
_DEPTH: Final = 64


def parse(value: Filter | Mapping[str, Value] | None) -> Filter:
    """Return the filter that `value` stands for: a filter as it is, None as `TRUE`, a Mongo-style dict translated.

    ``{"year": 2025, "tag": {"$in": ["a", "b"]}}`` means both; ``$and $or $nor $not`` combine, ``$not`` with a list as
    ``$nor``; ``$created_at`` and the like name the memory's own fields. An unknown operator raises
    `OneBrainValidationError`: nothing is ignored.
    A value that is a dict without operators is compared as an object.
    """
    if value is None:
        return TRUE
    if isinstance(value, Cmp | All | Any | Not):
        return _bounded(value)
    if not isinstance(value, Mapping):
        raise OneBrainValidationError(f"a filter must be F(...) or a dict, not {type(value).__name__}")
    try:
        return _bounded(every(*(_parse_item(key, item) for key, item in value.items())))
    except RecursionError:
        raise _too_deep() from None


def _bounded(f: Filter) -> Filter:
    """Return a filter; raise where it is nested deeper than every driver follows."""
    level: list[Filter] = [f]
    for _ in range(_DEPTH):
        inner: list[Filter] = []
        for part in level:
            if isinstance(part, All | Any):
                inner.extend(part.parts)
            elif isinstance(part, Not):
                inner.append(part.part)
        if not inner:
            return f
        level = inner
    raise _too_deep()


def _too_deep() -> OneBrainValidationError:
    return OneBrainValidationError(f"a filter must be nested at most {_DEPTH} levels deep")


def _parse_item(key: Value, value: Value) -> Filter:
    if not isinstance(key, str):
        raise OneBrainValidationError(f"a filter's keys must be strings, not {type(key).__name__}")
    if key in ("$and", "$or", "$nor") or (key == "$not" and isinstance(value, list | tuple)):
        parts = [parse(part) for part in _several(key, value)]
        return every(*parts) if key == "$and" else either(*parts) if key == "$or" else negate(either(*parts))
    if key == "$not":
        return negate(parse(_parsed(key, value)))
    if key.startswith("$") and key.partition(".")[0] not in OWN_FIELDS:
        raise _unknown(key)
    if is_object(value) and _has_operators(value):
        return every(*(_parse_operator(key, name, item) for name, item in value.items()))
    return Cmp(key, "eq", value)


def _parse_operator(field: str, name: Value, value: Value) -> Filter:
    if name == "$not":
        if is_sequence(value) and any(map(_has_operators, value)):
            return negate(either(*(_parse_item(field, part) for part in _several(name, value))))
        return negate(_parse_item(field, value))
    if name == "$between":
        return between(field, value)
    if name not in SPELLINGS:
        raise _unknown(name)
    # A dict is read more than once, and a generator would be empty the second time.
    if isinstance(value, Iterator):
        raise OneBrainValidationError(f"{name} on {field!r:.60} takes a list of values, not a generator")
    return Cmp(field, SPELLINGS[name], value)


def _has_operators(value: Value) -> bool:
    return is_object(value) and any(isinstance(name, str) and name.startswith("$") for name in value)


def _several(name: Value, value: Value) -> list[Value]:
    """Return the filters that a combining operator is given."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise OneBrainValidationError(f"{name} takes a list of filters")
    parts = list(cast("Iterable[Value]", value))
    if not parts:
        raise OneBrainValidationError(f"{name} takes at least one filter")
    return [_parsed(name, part) for part in parts]


def _parsed(name: Value, value: Value) -> Value:
    """Return `value` where it is a filter; None, which `parse` takes for no condition, is a mistake inside one."""
    if value is None:
        raise OneBrainValidationError(f"{name} takes a filter, not None")
    return value


def _unknown(name: Value) -> OneBrainValidationError:
    known = sorted([*SPELLINGS, "$between", "$and", "$or", "$nor", "$not"])
    return OneBrainValidationError(f"unknown filter operator {name!r:.40}; there are {', '.join(known)}")
