"""Times: microseconds since 1970 inside, ISO 8601 with milliseconds and a ``Z`` on the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from onebrain_engine.store.records import to_datetime

# Numbers of two and of three digits as text.
_TWO: Final = tuple(f"{number:02}" for number in range(60))
_THREE: Final = tuple(f"{number:03}" for number in range(1000))


def now_micros() -> int:
    """Return the present in microseconds since 1970."""
    return time.time_ns() // 1000


def iso(moment: datetime) -> str:
    """Return a moment in UTC as the wire writes it."""
    # Faster than isoformat(), for each memory of a page.
    day = f"{moment.year:04}-{_TWO[moment.month]}-{_TWO[moment.day]}"
    time = f"{_TWO[moment.hour]}:{_TWO[moment.minute]}:{_TWO[moment.second]}"
    return f"{day}T{time}.{_THREE[moment.microsecond // 1000]}Z"


def iso_micros(micros: int) -> str:
    """Return microseconds since 1970 as the wire writes them."""
    return iso(to_datetime(micros))


def iso_or_none(micros: int | None) -> str | None:
    """Return microseconds since 1970 as the wire writes them, or None."""
    return None if micros is None else iso_micros(micros)


def now() -> datetime:
    """Return the present in UTC."""
    return datetime.now(UTC)
