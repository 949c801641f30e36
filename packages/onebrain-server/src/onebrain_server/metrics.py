"""Counters: for Prometheus, and for those who run the server."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment.

    Attributes:
        requests: Requests by route and status.
        durations: By route, and so for `stages`: how many ended within each of the bounds, then the seconds of all of them.
        stages: Parts of requests.
        events: What happened how often.
    """

    requests: dict[tuple[str, int], int]
    durations: dict[str, list[float]]
    stages: dict[str, list[float]]
    events: dict[str, int]


def quantile(row: Sequence[float], share: float) -> float:
    """Return within how many seconds so many of a row of `Snapshot.durations` ended, as exactly as its bounds are.

    Example:
        >>> metrics = Metrics()
        >>> for seconds in (0.003, 0.004, 0.2):
        ...     metrics.timed("search", seconds)
        >>> row = metrics.snapshot().stages["search"]
        >>> quantile(row, 0.5) <= 0.005 < quantile(row, 0.95) <= 0.25
        True
    """
    counts = row[:-1]
    wanted = share * sum(counts)
    reached = 0.0
    for place, count in enumerate(counts):
        if count and reached + count >= wanted:
            low = _BOUNDS[place - 1] if place else 0.0
            high = _BOUNDS[place] if place < len(_BOUNDS) else _BOUNDS[-1]
            return low + max(0.0, high - low) * max(0.0, wanted - reached) / count
        reached += count
    return 0.0


class Metrics:
    """Requests by route and status, and how long they took; no tenant, no key and no text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._durations: dict[str, list[float]] = {}
        self._stages: dict[str, list[float]] = {}
        self._events: dict[str, int] = {}
        self._running = 0

    def started(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._running += 1

    def finished(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._running -= 1
            self._requests[route, status] = self._requests.get((route, status), 0) + 1
            _count(self._durations, route, seconds)

    def timed(self, stage: str, seconds: float) -> None:
        """Count how long a part of a request took."""
        with self._lock:
            _count(self._stages, stage, seconds)

    @contextmanager
    def timing(self, stage: str) -> Generator[None, None, None]:
        """Count how long a block takes, whether or not it raises."""
        started = perf_counter()
        try:
            yield
        finally:
            self.timed(stage, perf_counter() - started)

    def event(self, name: str) -> None:
        """Count something that happens."""
        with self._lock:
            self._events[name] = self._events.get(name, 0) + 1

    def snapshot(self) -> Snapshot:
        """Return all counters as they are now."""
        with self._lock:
            return Snapshot(
                dict(self._requests),
                {name: list(row) for name, row in self._durations.items()},
                {name: list(row) for name, row in self._stages.items()},
                dict(self._events),
            )

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        now, running = self.snapshot(), self._running
        lines = [
            "# HELP onebrain_requests_total Requests answered.",
            "# TYPE onebrain_requests_total counter",
            *(
                f'onebrain_requests_total{{route="{route}",status="{status}"}} {count}'
                for (route, status), count in sorted(now.requests.items())
            ),
            "# HELP onebrain_requests_running Requests being answered.",
            "# TYPE onebrain_requests_running gauge",
            f"onebrain_requests_running {running}",
            "# HELP onebrain_request_seconds How long requests took.",
            "# TYPE onebrain_request_seconds histogram",
        ]
        for route, row in sorted(now.durations.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), row[:-1], strict=True):
                total += int(count)
                lines.append(f'onebrain_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'onebrain_request_seconds_sum{{route="{route}"}} {row[-1]:.6f}')
            lines.append(f'onebrain_request_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"


def _count(table: dict[str, list[float]], name: str, seconds: float) -> None:
    row = table.get(name)
    if row is None:
        row = table[name] = [0.0] * (len(_BOUNDS) + 2)
    row[bisect_left(_BOUNDS, seconds)] += 1
    row[-1] += seconds
