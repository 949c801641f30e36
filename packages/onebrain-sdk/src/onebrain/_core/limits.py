"""The rate limit that a service states with every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit as the latest answer stated it.

    Attributes:
        limit: Requests in the current window, or None where the service does not say.
        remaining: Requests left in it.
        reset: When the window ends.
        scope: The unit that is counted, such as ``"token"`` or ``"org"``, if the service says so.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: datetime | None = None
    scope: str | None = None


def rate_limit(headers: Mapping[str, str], prefix: str = "x-ratelimit-") -> RateLimit | None:
    """Read ``X-RateLimit-Limit``, ``-Remaining``, ``-Reset`` (seconds since 1970) and ``-Scope``; None where none is readable."""
    limit, remaining, reset = (
        _number(headers.get(prefix + name)) for name in ("limit", "remaining", "reset")
    )
    if limit is None and remaining is None and reset is None:
        return None
    return RateLimit(
        None if limit is None else int(limit),
        None if remaining is None else int(remaining),
        _instant(reset),
        headers.get(prefix + "scope"),
    )


def _number(text: str | None) -> float | None:
    """Return a non-negative number of a sane size, or None: a header never breaks an answer."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _instant(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
