"""The values that a memory may hold, for every verb, import, driver, route and tool.

`NewMemory` and `Changes` take their values through these functions, and so do the bodies of the server's requests.
What they return, every store keeps and every verb reads; for anything else they raise ValueError, which says what is
wrong and quotes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

from onebrain._core.codec import from_json, is_object, is_sequence, to_json
from onebrain.errors import OneBrainValidationError
from onebrain.memory.moments import instant_of

LATEST: Final = datetime.max.replace(tzinfo=UTC)
# JSON readers end at 128 (Java's), 200 (Rust's) or 1,000 levels (Python's), and services wrap metadata into objects of
# their own.
DEPTH: Final = 100
# Python reads no longer numbers than this unless it is told to.
_DIGITS: Final = 4300
_TOO_LONG: Final = 10**_DIGITS
_WHOLE: Final = 2**63


def text(value: Any) -> Any:
    """Refuse lone surrogates, which neither UTF-8 nor any database can hold."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "holds a lone surrogate, which UTF-8 cannot carry; repair it with "
                "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
            ) from None
    return value


def instant(value: Any) -> Any:
    """Return datetimes, dates and ISO 8601 text as a datetime in UTC; a time without an offset is UTC."""
    moment = _moment(value)
    return value if moment is None else in_utc(moment)


def zoned(value: Any) -> Any:
    """Return datetimes, dates and ISO 8601 text as a datetime in its own time zone, by which its day goes.

    A time without an offset is UTC.
    """
    moment = _moment(value)
    return value if moment is None else in_utc(moment).astimezone(moment.tzinfo)


def _moment(value: Any) -> datetime | None:
    """Return the datetime that a value says; None if it is of no kind that says one."""
    if not isinstance(value, date | str):
        return None
    try:
        moment = instant_of(value)
    except (OverflowError, TypeError, ValueError):
        moment = None
    if moment is None:
        raise ValueError("must be a datetime or ISO 8601 text")
    return moment


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC, as a plain datetime; raise ValueError where UTC has no date for it."""
    try:
        if moment.utcoffset() is None:
            moment = moment.replace(tzinfo=UTC)
        elif moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        if type(moment) is datetime:
            return moment
        # Subclasses, such as those of pandas, may hold more than a datetime: nanoseconds, or no time at all.
        return datetime(
            moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond, UTC
        )  # fmt: skip
    except (OverflowError, TypeError, ValueError):
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


def expiry(expires_at: datetime | None, ttl: timedelta | None, now: datetime) -> datetime | None:
    """Return the time at which a memory expires, or None for never. The latest is the end of the year 9999."""
    if expires_at is not None or ttl is None:
        return expires_at
    try:
        return now + ttl
    except OverflowError:
        return LATEST


def json_object(value: Any) -> Any:
    """Refuse an object that JSON cannot hold exactly, or that is nested deeper than every reader follows."""
    pairs: Any = value
    if is_object(value):
        _check_object(value, 1)
    return pairs


def vector(value: Any) -> tuple[float, ...]:
    """Return numbers as a vector of finite floats within the range of float32."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str | bytes | Mapping):
        raise ValueError("must be a list of numbers")
    try:
        found = tuple(map(float, cast("Iterable[Any]", value)))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a list of numbers") from None
    if not found:
        raise ValueError("must not be empty")
    if not all(-3.4e38 <= number <= 3.4e38 for number in found):
        raise ValueError("must hold finite numbers within the range of float32")
    return found


def _check_object(pairs: Mapping[Any, Any], depth: int) -> None:
    for key in pairs:
        if not isinstance(key, str):
            raise ValueError(f"holds an object with a key that is not text but {type(key).__name__}")
        if not key.isascii():
            text(key)
    _check_items(pairs.values(), depth)


def _check_items(items: Iterable[Any], depth: int) -> None:
    if depth > DEPTH:
        raise ValueError(f"is nested deeper than {DEPTH} levels, or holds itself")
    for item in items:
        # The usual kinds first and in place: this runs for every value that is ever stored.
        kind = cast("type[object]", type(item))
        if kind is str:
            if not item.isascii():
                text(item)
        elif kind is int:
            if not -_WHOLE < item < _WHOLE:
                _check_digits(item)
        elif item is not None and kind is not bool:
            _check_json(item, depth)


def _check_json(value: Any, depth: int) -> None:
    if isinstance(value, str):
        text(value)
    elif isinstance(value, int):
        _check_digits(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("holds NaN or an infinity, which JSON has no word for")
    elif is_object(value):
        _check_object(value, depth + 1)
    elif is_sequence(value):
        _check_items(value, depth + 1)
    elif value is not None:
        _check_json(_as_json(value), depth)


def _check_digits(value: int) -> None:
    if abs(value) >= _TOO_LONG:
        raise ValueError(f"holds a whole number of more than {_DIGITS} digits")


def _as_json(value: Any) -> Any:
    """Return the JSON form of a value that JSON does not know, such as a date."""
    try:
        return from_json(to_json(value, what="value"))
    except OneBrainValidationError as error:
        raise ValueError(str(error).removeprefix("value ")) from None
    except ValueError:
        raise ValueError(f"is nested deeper than {DEPTH} levels") from None
