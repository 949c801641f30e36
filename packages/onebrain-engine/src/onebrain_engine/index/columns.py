"""Filters over a whole space: which slots match, exactly as `onebrain.memory.filters.compare` says.

A field becomes a column when a filter first names it: its distinct values, and a code for each slot. A comparison is
then decided once for each distinct value and spread over the slots by their codes. Answers are kept and extended as
slots are added, for agents ask with the same filter again and again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from onebrain._core.codec import from_json
from onebrain.memory.filters import All, Cmp, Filter, Not, compare, fields, kind
from onebrain.memory.moments import Moment, dump_object, instant_of, load_object
from onebrain.memory.paths import MISSING, lookup
from onebrain.memory.words import normalized
from onebrain_engine.index.growable import Growable
from onebrain_engine.store.records import to_datetime, to_micros

Mask: TypeAlias = npt.NDArray[np.bool_]
Fetch: TypeAlias = Callable[[Sequence[str], Sequence[int] | None], Iterator[Sequence[Any]]]

_KEPT = 128  # answers to comparisons that are kept
_EXACT_FLOAT = 2**53
_NO_INSTANT: Final = -(2**63)
_VALUE_BYTES = 200  # of a value and its entry in a dictionary, about

# A field of the index's own, which no filter can name: a digest that is equal for texts that say exactly the same.
_SAYING: Final = "$saying"
# The database column of an own field that has another name.
_SOURCES: Final[Mapping[str, str]] = {"saying": "content"}


def saying(text: str) -> int:
    """Return a number that is equal for texts that say exactly the same, and hardly ever for others."""
    return int.from_bytes(hashlib.blake2b(normalized(text).encode(), digest_size=8).digest(), "big")


# How an own field is read from its database column; None means missing.
_OWN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": lambda value: value,
    "content": lambda value: value,
    "saying": saying,
    "title": lambda value: value,
    "type": lambda value: value,
    "tags": from_json,
    "importance": lambda value: value,
    "source": lambda value: value,
    "pinned": bool,
    "archived": bool,
    "created_at": to_datetime,
    "updated_at": to_datetime,
    "expires_at": to_datetime,
    "user": lambda value: value or None,
    "agent": lambda value: value,
    "session": lambda value: value,
}


class Unread(Exception):
    """The store does not have the row of a living slot: the index belongs to another state of it."""


class _Column:
    """The values of one field: distinct ones, and a code for each slot."""

    def __init__(self, field: str, space: str) -> None:
        head, _, rest = field.partition(".")
        self.own = field.startswith("$")
        self._field = head[1:]
        self.source = _SOURCES.get(self._field, self._field) if self.own else "metadata"
        self._name = rest if self.own else field
        self._space = space or None
        self.codes = Growable(np.int32)
        self.values: list[Any] = [MISSING]
        self.known: dict[Any, int] = {MISSING: 0}
        self._numbers: npt.NDArray[np.float64] | None = None
        self._instants: npt.NDArray[np.int64] | None = None
        self._has_moments = False

    def read(self, raw: Any, parsed: dict[str, Any]) -> int:
        """Return the code of a slot's value; `parsed` keeps JSON columns parsed for the other fields of the row."""
        if self.source in ("metadata", "extra"):
            if self.source not in parsed:
                parsed[self.source] = {} if raw == "{}" else load_object(raw)
            value = lookup(parsed[self.source], self._name) if self._name else parsed[self.source]
        elif self.source == "space":
            value = MISSING if self._space is None else self._space
        else:
            value = None if raw is None else _OWN[self._field](raw)
            value = MISSING if value is None else value
        key = _key(value)
        code = self.known.get(key)
        if code is None:
            code = self.known[key] = len(self.values)
            self.values.append(value)
            self._has_moments = self._has_moments or type(value) is Moment
        return code

    def decide(self, comparison: Cmp, start: int) -> Mask:
        """Decide a comparison for the distinct values from `start` on.

        The branches are shortcuts of some operators. `compare` decides every other one.
        """
        op, wanted = comparison.op, comparison.value
        values = self.values[start:]
        wanted_kind = kind(wanted)
        if op == "ne":
            return ~self.decide(Cmp(comparison.field, "eq", wanted), start)
        if op == "not_in":
            return ~self.decide(Cmp(comparison.field, "in", wanted), start)
        if op == "in":
            result = np.zeros(len(values), bool)
            for item in wanted:
                result |= self.decide(Cmp(comparison.field, "eq", item), start)
            return result
        # Text may be the instant of a stored date, which has a code of its own.
        dated = wanted_kind == "string" and self._has_moments
        if op == "eq" and wanted_kind in ("string", "number", "bool") and not dated:
            result = np.zeros(len(values), bool)
            code = self.known.get(_key(wanted), -1)
            if code >= start:
                result[code - start] = True
            return result
        if op in ("gt", "ge", "lt", "le"):
            if wanted_kind == "date":
                return self._compare_instants(op, start, wanted)
            numbers = self._as_numbers(wanted, wanted_kind)
            if numbers is not None:
                return _compare_numbers(op, numbers[0][start:], numbers[1])
        return np.fromiter((compare(op, value, wanted) for value in values), bool, len(values))

    def _as_numbers(self, wanted: Any, wanted_kind: str) -> tuple[npt.NDArray[np.float64], float] | None:
        """Return all distinct values and `wanted` as floats (NaN for values that cannot match), or None if that is inexact."""
        if wanted_kind == "number" and abs(wanted) < _EXACT_FLOAT:
            if self._numbers is None or len(self._numbers) < len(self.values):
                self._numbers = np.array([_number(value) for value in self.values], np.float64)
            return (self._numbers, float(wanted)) if not np.isinf(self._numbers).any() else None
        return None

    def _compare_instants(self, op: str, start: int, wanted: Any) -> Mask:
        """Compare the distinct values from `start` on with a date, as exact microseconds."""
        if self._instants is None or len(self._instants) < len(self.values):
            self._instants = np.array([_instant(value) for value in self.values], np.int64)
        instants = self._instants[start:]
        moment = instant_of(wanted)
        assert moment is not None
        mask = _compare_numbers(op, instants, to_micros(moment))
        mask &= instants != _NO_INSTANT
        return mask


class Columns:
    """The columns of one space's index.

    Args:
        rows: The store's row of each slot.
        space: The space's name, for the field ``$space``.
        alive: Which slots are the newest version of their row; None for all.
    """

    def __init__(self, rows: Growable, space: str, alive: Growable | None = None) -> None:
        self._rows = rows
        self._alive = alive
        self._space = space
        self._columns: dict[str, _Column] = {}
        self._answers: OrderedDict[str, tuple[Growable, Growable]] = OrderedDict()

    @property
    def stamp(self) -> tuple[int, int]:
        """A value that stays equal as long as `nbytes` is about the same for one number of slots."""
        return len(self._columns), len(self._answers)

    @property
    def nbytes(self) -> int:
        """The approximate number of bytes it takes."""
        return sum(
            column.codes.nbytes + len(column.values) * _VALUE_BYTES for column in list(self._columns.values())
        ) + sum(table.nbytes + mask.nbytes for table, mask in list(self._answers.values()))

    def mask(self, f: Filter, fetch: Fetch) -> Mask:
        """Return for every living slot whether it matches `f`; of a dead one the answer means nothing.

        `fetch` reads columns of rows from the store as it was at the index's own change, because the values are kept.

        Raises:
            Unread: The store is in another state.
        """
        self._load(fields(f), fetch)
        return self._mask(f)

    def saying(self, text: str, fetch: Fetch) -> Mask:
        """Return for every living slot whether it says exactly the same as a text."""
        self._load(frozenset({_SAYING}), fetch)
        column = self._columns[_SAYING]
        mask: Mask = column.codes.view == column.known.get(_key(saying(text)), -1)
        return mask

    def _mask(self, f: Filter) -> Mask:
        if isinstance(f, Cmp):
            return self._compare(f)
        if isinstance(f, Not):
            return ~self._mask(f.part)
        conjunction = isinstance(f, All)
        result = np.full(self._rows.size, conjunction)
        for part in f.parts:
            result = result & self._mask(part) if conjunction else result | self._mask(part)
        return result

    def _compare(self, comparison: Cmp) -> Mask:
        column = self._columns[comparison.field]
        # Not the comparison itself, because True and 1 are the same key of a dict, but differ in a filter.
        key = repr(comparison)
        answer = self._answers.pop(key, None) or (Growable(np.bool_), Growable(np.bool_))
        self._answers[key] = answer
        if len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        table, mask = answer
        if table.size < len(column.values):
            table.extend(column.decide(comparison, table.size))
        if mask.size < column.codes.size:
            mask.extend(table.view[column.codes.view[mask.size :]])
        return mask.view

    def _load(self, names: frozenset[str], fetch: Fetch) -> None:
        """Make the columns that are missing, and bring all named ones up to the last slot."""
        for name in names:
            if name not in self._columns:
                self._columns[name] = _Column(name, self._space)
        size = self._rows.size
        behind: dict[int, list[_Column]] = {}
        for name in names:
            column = self._columns[name]
            if column.codes.size < size:
                behind.setdefault(column.codes.size, []).append(column)
        for start, columns in behind.items():
            rows = self._rows.view[start:]
            living = np.arange(len(rows)) if self._alive is None else np.flatnonzero(self._alive.view[start:])
            wanted: list[int] = rows[living].tolist()
            sources = sorted({column.source for column in columns if column.source != "space"}) or ["id"]
            positions = [
                sources.index(column.source) + 1 if column.source != "space" else 0 for column in columns
            ]
            # A single scan is cheaper than looking up a large part of all rows.
            few = wanted if len(wanted) < 2000 or len(wanted) * 4 < size else None
            found: dict[int, list[int]] = {}
            for record in fetch(sources, few):
                parsed: dict[str, Any] = {}
                found[record[0]] = [
                    column.read(record[position], parsed)
                    for column, position in zip(columns, positions, strict=True)
                ]
            try:
                codes = [found[row] for row in wanted]
            except KeyError:
                raise Unread from None
            spread = np.zeros((len(rows), len(columns)), np.int32)
            spread[living] = np.array(codes, np.int32).reshape(len(wanted), len(columns))
            for position, column in enumerate(columns):
                column.codes.extend(spread[:, position])


def _key(value: Any) -> Any:
    """Return a key that two values share exactly if they are the same value of the same kind."""
    if value is MISSING:
        return value
    value_kind = kind(value)
    if value_kind in ("list", "object"):
        return (value_kind, dump_object({"": value}))
    # 1 and 1.0 are the same number to every comparison, and hash alike.
    return (value_kind, value)


def _number(value: Any) -> float:
    """Return a number as a float; NaN for no number, infinity for one that a float cannot hold exactly."""
    if kind(value) != "number":
        return float("nan")
    return float(value) if isinstance(value, float) or abs(value) < _EXACT_FLOAT else float("inf")


def _instant(value: Any) -> int:
    """Return a value as a date in microseconds since 1970, or `_NO_INSTANT` if it is none."""
    moment = instant_of(value) if kind(value) in ("string", "date") else None
    return _NO_INSTANT if moment is None else to_micros(moment)


def _compare_numbers(op: str, values: npt.NDArray[np.float64] | npt.NDArray[np.int64], wanted: float) -> Mask:
    if op == "gt":
        return values > wanted
    if op == "ge":
        return values >= wanted
    return values < wanted if op == "lt" else values <= wanted
