"""Times: microseconds since 1970 inside, ISO 8601 with milliseconds and a ``Z`` on the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from onebrain_engine.store.records import to_datetime


def now_micros() -> int:
    """Return the present in microseconds since 1970."""
    return time.time_ns() // 1000


def iso(moment: datetime) -> str:
    """Return a moment in UTC as the wire writes it."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def iso_micros(micros: int) -> str:
    """Return microseconds since 1970 as the wire writes them."""
    return iso(to_datetime(micros))


def iso_or_none(micros: int | None) -> str | None:
    """Return microseconds since 1970 as the wire writes them, or None."""
    return None if micros is None else iso_micros(micros)


def now() -> datetime:
    """Return the present in UTC."""
    return datetime.now(UTC)
