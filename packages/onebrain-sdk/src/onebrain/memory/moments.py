"""Times in metadata: a stored date or datetime stays one, although JSON has only text for it.

It comes back as ISO 8601 text, of a kind of its own: a `Moment` is a string like any other to a program, and an instant
to a filter. So the same instant finds it in whatever offset it is written. Text that was stored as text stays text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias, cast

from onebrain._core.codec import from_stored, is_array, is_object, is_sequence, plain, to_json
from onebrain.errors import OneBrainValidationError

Path: TypeAlias = list[str | int]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class Moment(str):
    """ISO 8601 text that was a date or a datetime when it was stored."""

    __slots__ = ()


def instant_of(value: Any) -> datetime | None:
    """Return the instant of a date, a datetime or ISO 8601 text; UTC and midnight where it does not say; else None."""
    if isinstance(value, str):
        if len(value) < 8 or not value[:4].isdigit():
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


def dump_object(value: Mapping[str, Any], *, what: str = "metadata") -> str:
    """Return an object as JSON text from which `load_object` makes it again, moments included.

    The text is the object's own JSON where it holds no moment, and else a list of the object and the moments' paths.

    Raises:
        OneBrainValidationError: JSON cannot hold the object exactly.
    """
    text = to_json(value, what=what)
    found = moments_of(value, what=what)
    return f"[{text},{to_json(found)}]" if found else text


def load_object(text: str | bytes) -> dict[str, Any]:
    """Return the object of a text that `dump_object` made."""
    read: Any = from_stored(text)
    # Any other one is a pair.
    if type(read) is dict:
        return read  # pyright: ignore[reportUnknownVariableType]
    value, paths = read
    return with_moments(value, paths)


def moments_of(value: Mapping[str, Any], *, what: str = "metadata") -> list[Path]:
    """Return the paths of all dates, datetimes and moments inside an object that JSON can hold."""
    if _is_plain(value):
        return []
    found: list[Path] = []
    try:
        _collect(value, [], found)
    except RecursionError:
        raise OneBrainValidationError(f"{what} cannot be written as JSON: it is nested too deep") from None
    return found


def with_moments(value: dict[str, Any], paths: object) -> dict[str, Any]:
    """Return `value` with the text at each of `paths` made a `Moment`; a path that leads nowhere is passed over."""
    for path in paths if is_array(paths) else ():
        if not is_array(path) or not path:
            continue
        *outer, last = path
        try:
            holder: Any = value
            for step in outer:
                holder = holder[step]
            text = holder[last]
            if isinstance(text, str) and isinstance(holder, dict | list):
                holder[last] = Moment(text)
        except (KeyError, IndexError, TypeError):
            continue
    return value


def _is_plain(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds only JSON's own types, as nearly every one does."""
    waiting: list[Iterable[Any]] = [value.values()]
    while waiting:
        for item in waiting.pop():
            known = cast("type[object]", type(item))
            if known in _SCALARS:
                continue
            if known is dict:
                waiting.append(cast("dict[str, Any]", item).values())
            elif known is list or known is tuple:
                waiting.append(cast("Sequence[Any]", item))
            else:
                return False
    return True


def _collect(value: Any, path: Path, found: list[Path]) -> None:
    # A datetime is a date, too.
    if isinstance(value, Moment | date):
        found.append(path)
    elif is_object(value):
        for key, item in value.items():
            if isinstance(key, str):
                _collect(item, [*path, key], found)
    elif is_sequence(value):
        for place, item in enumerate(value):
            _collect(item, [*path, place], found)
    elif not isinstance(value, str | int | float | None):
        _collect(plain(value), path, found)
