"""Which memories a verb deletes: a condition that holds for every memory is never taken for one that somebody meant.

Deleting everything has a name of its own in each component, so an empty filter, or one that always holds, is a mistake of
the code that made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from onebrain.errors import OneBrainValidationError
from onebrain.memory.filters import Any, Cmp, Filter, Not, Operator, Value, negate, parse

# Every memory has these fields, and none of them is ever null.
_ALWAYS_THERE: Final = frozenset(["$id", "$content"])
_TEXT: Final = frozenset(["contains", "icontains", "starts_with"])
_NEGATIONS: Final[Mapping[str, Operator]] = {"ne": "eq", "not_in": "in"}


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
    """Whether a filter holds for every memory there can be, as far as its form shows.

    Example:
        >>> from onebrain import F
        >>> holds_always(F("year").exists()), holds_always(F("year").exists() | ~F("year").exists())
        (False, True)
    """
    return _constant(filter) is True


def _constant(filter: Filter) -> bool | None:
    """Return the value of a filter that is the same for every memory, or None if it depends on the memory."""
    if isinstance(filter, Not):
        inner = _constant(filter.part)
        return None if inner is None else not inner
    if isinstance(filter, Cmp):
        return _constant_of(filter)
    decisive = isinstance(filter, Any)
    parts = [_constant(part) for part in filter.parts]
    if decisive in parts or _contradict(filter.parts):
        return decisive
    return None if None in parts else not decisive


def _constant_of(filter: Cmp) -> bool | None:
    if filter.op in ("in", "not_in") and not filter.value:
        return filter.op == "not_in"
    if filter.field in _ALWAYS_THERE:
        if filter.op == "exists":
            return bool(filter.value)
        if filter.value is None and filter.op in ("eq", "ne"):
            return filter.op == "ne"
        if filter.op in _TEXT and filter.value == "":
            return True
    return None


def _contradict(parts: tuple[Filter, ...]) -> bool:
    """Whether one part is the negation of another."""
    plain = {_plain(part) for part in parts}
    return any(_plain(negate(part)) in plain for part in plain)


def _plain(filter: Filter) -> Filter:
    """Write a comparison that negates another one as the negation of that one."""
    inner = filter.part if isinstance(filter, Not) else filter
    if not isinstance(inner, Cmp):
        return filter
    plain: Filter = inner
    if inner.op in _NEGATIONS:
        plain = Not(Cmp(inner.field, _NEGATIONS[inner.op], inner.value))
    elif inner.op == "exists" and inner.value is False:
        plain = Not(Cmp(inner.field, "exists", True))
    return negate(plain) if isinstance(filter, Not) else plain


__all__ = ["condition", "holds_always"]
