"""Checks of the arguments that many methods share: numbers of results, weights, functions and ids.

Every component that takes such an argument asks here, so that all of them accept and refuse the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, cast

from onebrain.errors import OneBrainError, OneBrainValidationError
from onebrain.memory.ids import as_id, is_id


def check_whole(
    name: str, value: object, low: int = 0, *, error: type[OneBrainError] = OneBrainValidationError
) -> int:
    """Return a whole number of at least `low`; raise `error` for any other value, booleans and text included."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise error(f"{name}: must be a whole number of at least {low}, not {value!r:.40}")
    return value


def check_range(name: str, value: object, low: float, high: float | None = None) -> float:
    """Return a number from `low` to `high`, both included; raise `OneBrainValidationError` for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= low:
        raise OneBrainValidationError(f"{name}: must be a number of at least {low}, not {value!r:.40}")
    if high is not None and value > high:
        raise OneBrainValidationError(f"{name}: must be at most {high}, not {value!r:.40}")
    return value


def check_function(name: str, value: object) -> None:
    """Raise `OneBrainValidationError` where `value` is neither None nor a function that can be called in place."""
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        kind = "a coroutine function" if callable(value) else type(value).__name__
        raise OneBrainValidationError(f"{name}: must be a plain function, not {kind}")


def check_id(name: str, value: object) -> str:
    """Return an id as text, as `as_id` does; raise `OneBrainValidationError` where it is none."""
    try:
        return as_id(value)
    except ValueError as error:
        raise OneBrainValidationError(f"{name}: {error}") from None


def check_ids(name: str, values: object) -> list[str]:
    """Return a list of ids as text; raise where it is no list of ids."""
    return [check_id(name, value) for value in _listed(name, values)]


def check_new_ids(name: str, values: object) -> list[str | None]:
    """Return the ids of new rows as text, None where a row has none; raise where two of them become one id."""
    ids: list[str | None] = []
    kinds: dict[str, type[object]] = {}
    for value in _listed(name, values):
        kind = cast("type[object]", type(value))
        id = None if value is None else check_id(name, value)
        if id is not None and kinds.setdefault(id, kind) is not kind:
            raise OneBrainValidationError(f"{name}: two of them differ in type only, and would be one id")
        ids.append(id)
    return ids


def _listed(name: str, values: object) -> Iterable[Any]:
    if is_id(values) or isinstance(values, bytes) or not isinstance(values, Iterable):
        raise OneBrainValidationError(f"{name}: must be a list of ids, not {type(values).__name__}")
    return cast("Iterable[Any]", values)
