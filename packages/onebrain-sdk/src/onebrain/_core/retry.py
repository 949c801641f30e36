"""When and how long to wait before trying again: pure functions over facts.

Reads, and writes that carry an idempotency key or are idempotent by nature, are tried again on connection failures
and on 5xx. Any other write is tried again only if its request provably never left, or if the server answered 429
or 503 with ``Retry-After``, by which it says that it did nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from onebrain.errors import ConfigurationError, OneBrainConnectionError

# 500 is left out for writes by the rule above; 501 and 505 say "never".
TRANSIENT = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try again.

    Attributes:
        max_retries: Further attempts after the first one; 0 for none.
        base_delay: Seconds before the first retry, doubled for each further one, then jittered by ±25 %.
        max_delay: Seconds of back-off at most, where the server names no time.
        max_retry_after: Seconds that a server may ask for; a longer wait raises the error at once.
    """

    max_retries: int = 2
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries: must be 0 or more, not {self.max_retries}")


def retry_after(headers: Mapping[str, str], *names: str, now: datetime | None = None) -> float | None:
    """Return the seconds that the first readable one of `names` (default ``retry-after``) asks to wait.

    Seconds may have a fraction; a date counts from `now`, and one in the past is 0. Negative and non-finite numbers
    and everything unreadable count as absent.
    """
    for name in names or ("retry-after",):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value)
        except ValueError:
            try:
                when = parsedate_to_datetime(value)
            except (ValueError, TypeError, IndexError):
                continue
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def delay(policy: RetryPolicy, attempt: int, asked: float | None = None) -> float | None:
    """Return the seconds to wait before retry number `attempt` (from 0), or None where waiting would take too long."""
    if asked is not None:
        return asked if asked <= policy.max_retry_after else None
    backoff = min(policy.max_delay, policy.base_delay * 2.0**attempt)
    return backoff * random.uniform(0.75, 1.25)


def should_retry_status(status: int, *, safe: bool, asked: float | None) -> bool:
    """Return whether an answer with `status` is worth another attempt; `safe` says that repeating changes nothing."""
    if status == 429:
        return True
    if status == 503 and asked is not None:
        return True
    return safe and status in TRANSIENT


def should_retry_error(error: OneBrainConnectionError, *, safe: bool) -> bool:
    """Return whether a request that got no answer may be sent again."""
    return safe or error.never_sent
