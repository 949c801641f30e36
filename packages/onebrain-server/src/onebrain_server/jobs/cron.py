"""Cron expressions: five fields, and when one fires next in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
# A 29 February may be eight years away.
_MOST_DAYS = 366 * 8


@dataclass(frozen=True, slots=True)
class Cron:
    """When something happens again and again.

    Example:
        >>> Cron.parse("0 8 * * 1-5").after(
        ...     datetime(2026, 11, 20, 9, tzinfo=UTC), ZoneInfo("UTC")
        ... ).isoformat()
        '2026-11-23T08:00:00+00:00'
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    # Where both days and weekdays are restricted, one of them is enough.
    either: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Read an expression; raise ValueError where it is none."""
        parts = text.split()
        if len(parts) != 5:
            raise ValueError("a cron expression has five fields")
        sets = [_field(part, *bounds) for part, bounds in zip(parts, _FIELDS, strict=True)]
        weekdays = frozenset(day % 7 for day in sets[4])
        return cls(
            sets[0],
            sets[1],
            sets[2],
            sets[3],
            weekdays,
            not parts[2].startswith("*") and not parts[4].startswith("*"),
        )

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the first time after a moment, in UTC; None if there is none, as for a 31 February."""
        local = moment.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None) + timedelta(minutes=1)
        day = local.replace(hour=0, minute=0)
        for _ in range(_MOST_DAYS):
            if day.month in self.months and self._fits(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = day.replace(hour=hour, minute=minute)
                        actual = found.replace(tzinfo=zone).astimezone(UTC)
                        if found >= local and actual > moment:
                            return actual
            day += timedelta(days=1)
        return None

    def _fits(self, day: datetime) -> bool:
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday


def _range(text: str, least: int, most: int, *, open_end: bool) -> tuple[int, int]:
    """Return the first and the last number of a field's part; `open_end` says that a single number begins a range."""
    if text == "*":
        return least, most
    low, _, high = text.partition("-")
    if not low.isdecimal() or (high and not high.isdecimal()):
        raise ValueError("a field holds numbers, ranges, steps and *")
    first = int(low)
    return first, int(high) if high else most if open_end else first


def _field(text: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if step and (not step.isdecimal() or int(step) < 1):
            raise ValueError("a step must be a whole number of at least 1")
        first, last = _range(span, least, most, open_end=bool(step))
        if not least <= first <= last <= most:
            raise ValueError(f"a value must be from {least} to {most}")
        found.update(range(first, last + 1, int(step) if step else 1))
    return frozenset(found)
