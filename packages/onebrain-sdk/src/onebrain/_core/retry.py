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

from onebrain.errors import ConfigurationError, OneBrainTransportError

# 500 is left out for writes by the rule above; 501 and 505 say "never".
TRANSIENT = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try again.

    Attributes:
        max_retries: Further attempts after failures; 0 for none at all.
        base_delay: Seconds before the first retry, doubled for each further one, then jittered by ±25 %.
        max_delay: Seconds of back-off at most, where the server names no time.
        max_retry_after: Seconds that a call waits at most because the server names a time (``Retry-After``). For a
            rate limit (429) this is the sum of all its waits, which do not count as retries. A longer wait raises the
            error at once.
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


class Waits:
    """The waits of one call: how long before the next attempt, or whether there is none.

    A server tells all its callers the same moment, so the time that it names gets a random part on top, which spreads
    them out. That part grows as back-off does.

    Example:
        >>> Waits(RetryPolicy(max_retries=0)).next(None, limited=True) is None
        True
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._retries = 0
        self._limits = 0
        self._limited_for = 0.0

    def next(self, asked: float | None, *, limited: bool) -> float | None:
        """Return the seconds to wait, or None if the call has failed for good.

        Args:
            asked: The seconds that the server asks for, if it names a time.
            limited: Whether the server refused the request for its rate (429), so that it did nothing.
        """
        policy = self._policy
        if policy.max_retries == 0:
            return None
        if limited and asked is not None:
            if self._limited_for + asked > policy.max_retry_after:
                return None
            wait = asked + random.uniform(0.0, self._backoff(self._limits))
            self._limits += 1
            self._limited_for += wait
            return wait
        if self._retries >= policy.max_retries or (asked or 0.0) > policy.max_retry_after:
            return None
        backoff = self._backoff(self._retries)
        self._retries += 1
        return backoff * random.uniform(0.75, 1.25) if asked is None else asked + random.uniform(0.0, backoff)

    def _backoff(self, attempt: int) -> float:
        return min(self._policy.max_delay, self._policy.base_delay * 2.0 ** min(attempt, 32))


def should_retry_status(status: int, *, safe: bool, asked: float | None) -> bool:
    """Return whether an answer with `status` is worth another attempt; `safe` says that repeating changes nothing."""
    if status == 429:
        return True
    if status == 503 and asked is not None:
        return True
    return safe and status in TRANSIENT


def should_retry_error(error: OneBrainTransportError, *, safe: bool) -> bool:
    """Return whether a request that got no answer may be sent again."""
    return safe or error.never_sent
