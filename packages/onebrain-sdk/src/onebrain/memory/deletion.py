"""Which memories a verb deletes: a condition that holds for every memory is never taken for one that somebody meant.

Deleting everything has a name of its own in each component, so an empty filter, or one that always holds, is a mistake of
the code that made it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import chain, combinations
from typing import Final

from onebrain.errors import OneBrainValidationError
from onebrain.memory.filters import (
    FALSE,
    TRUE,
    All,
    Cmp,
    Filter,
    Not,
    comparisons,
    either,
    every,
    negate,
    parse,
)
from onebrain.memory.models import NewMemory, Scope
from onebrain.memory.moments import Moment, instant_of
from onebrain.memory.operators import Value, compare, kind
from onebrain.memory.paths import MISSING, OWN_FIELDS
from onebrain.memory.patterns import example

# The store fills these where a new memory leaves them open.
_FILLED: Final = frozenset({"$id", "$created_at", "$updated_at"})
# Values of every kind. No text begins with a space or a control character, so a bound that only such texts miss is none.
_USUAL: Final[Sequence[Value]] = (
    *(MISSING, None, False, True, 0, "", "!", "-", (), ("-",), {}, {"-": 0}),
    *map(Moment, ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00")),
)
# Comparisons after which the search for a counterexample ends: about half a second.
_WORK: Final = 200_000


def condition(filter: Filter | Mapping[str, Value] | None, *, everything: bool, instead: str) -> Filter:
    """Return the filter by which to delete; None is no condition.

    Args:
        filter: Which memories.
        everything: Whether it was asked for all by name, which a filter may then hold for.
        instead: How to ask for all, for the message of the error.

    Raises:
        OneBrainValidationError: `filter` was given and holds for every memory.
    """
    found = parse(filter)
    if filter is not None and not everything and holds_always(found):
        raise OneBrainValidationError(
            f"filter: is empty or holds for every memory, so nothing was deleted; {instead}"
        )
    return found


def holds_always(filter: Filter) -> bool:
    """Return whether a filter holds for every memory there can be.

    It does if no counterexample is among the memories whose fields lie at, beside and between the filter's own values.
    False for a filter of so many comparisons that the search for one does not end.

    Example:
        >>> from onebrain import F
        >>> holds_always(F("year").exists()), holds_always(F("year").exists() | ~F("year").exists())
        (False, True)
    """
    wanted: dict[str, list[Value]] = {}
    for part in comparisons(filter):
        items = part.value if kind(part.value) == "list" else ()
        wanted.setdefault(part.field, []).extend((part.value, *items))
    tries = 20 + _WORK // (1 + sum(map(len, wanted.values())))
    start = _given(filter, "", MISSING)
    if start in (TRUE, FALSE):
        return start == TRUE
    waiting, seen = [start], {start, TRUE}
    while waiting:
        rest = waiting.pop()
        # Own fields first, because most conditions that always hold are about one of those.
        field = min((part.field for part in comparisons(rest)), key=lambda name: not name.startswith("$"))
        for value in _values(field, wanted[field]):
            left = _given(rest, field, value)
            tries -= 1
            if left == FALSE or not tries:
                return False
            if left not in seen:
                seen.add(left)
                waiting.append(left)
    return True


def _given(filter: Filter, field: str, value: Value) -> Filter:
    """Return what is left of a filter on the memories whose `field` has a value; `TRUE` and `FALSE` if nothing is."""
    if isinstance(filter, Cmp):
        if filter.field != field:
            return filter
        return TRUE if compare(filter.op, value, filter.value) else FALSE
    if isinstance(filter, Not):
        part = _given(filter.part, field, value)
        return FALSE if part == TRUE else TRUE if part == FALSE else negate(part)
    parts = [_given(part, field, value) for part in filter.parts]
    if isinstance(filter, All):
        return FALSE if FALSE in parts else every(*parts)
    return TRUE if TRUE in parts else either(*parts)


def _values(field: str, wanted: Sequence[Value]) -> Iterator[Value]:
    """Return values that a memory's field can have: usual ones, and those that some comparisons match and others do not."""
    for value in chain(_USUAL, chain.from_iterable(map(_beside, wanted)), _together(wanted)):
        with suppress(OneBrainValidationError):
            yield _stored(field, value)


def _stored(field: str, value: Value) -> Value:
    """Return a value as a memory's field has it; raise `OneBrainValidationError` if no memory does."""
    given = None if value is MISSING else value
    if field not in OWN_FIELDS:
        NewMemory.checked(content="-", metadata={"-": given})
        return value
    if field in _FILLED and given is None:
        raise OneBrainValidationError("every memory has one")
    name = field[1:].replace("updated_at", "created_at")
    if name in Scope.model_fields:
        stored = getattr(Scope(**{name: given}), name)
    else:
        stored = getattr(NewMemory.checked(**{"content": "-", name: given}), name)
    return MISSING if stored is None else stored


def _beside(wanted: Value) -> Iterator[Value]:
    """Return a wanted value and its nearest neighbours."""
    yield wanted
    wanted_kind = kind(wanted)
    if wanted_kind == "number":
        yield from (wanted - 1, wanted + 1)
        # Of a whole number that no float holds, these are the nearest.
        with suppress(OverflowError):
            yield from (math.nextafter(wanted, -math.inf), math.nextafter(wanted, math.inf))
    if wanted_kind == "string":
        yield from (wanted + "\0", wanted[:-1], wanted.swapcase())
    instant = instant_of(wanted)
    if instant is not None:
        for step in (0, -1, 1):
            with suppress(OverflowError):
                yield Moment((instant + timedelta(microseconds=step)).isoformat())


def _together(wanted: Sequence[Value]) -> Iterator[Value]:
    """Return texts and lists that several of the wanted parts are in."""
    texts = [value for value in wanted if isinstance(value, str)]
    for some in chain([wanted], *(combinations(wanted, size) for size in (1, 2, 3))):
        yield list(some)
        filling = "".join(example(value, "") for value in some if isinstance(value, str))
        for text in texts:
            yield from (text + filling, filling + text, example(text, filling))


__all__ = ["condition", "holds_always"]
