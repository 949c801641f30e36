"""Counters for Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Final

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Requests by route and status, and how long they took; no tenant, no key and no text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._durations: dict[str, list[float]] = {}
        self._running = 0

    def started(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._running += 1

    def finished(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        place = bisect_left(_BOUNDS, seconds)
        with self._lock:
            self._running -= 1
            self._requests[route, status] = self._requests.get((route, status), 0) + 1
            row = self._durations.get(route)
            if row is None:
                row = self._durations[route] = [0.0] * (len(_BOUNDS) + 2)
            row[place] += 1
            row[-1] += seconds

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        with self._lock:
            requests, durations, running = (
                dict(self._requests),
                {k: list(v) for k, v in self._durations.items()},
                self._running,
            )
        lines = [
            "# HELP onebrain_requests_total Requests answered.",
            "# TYPE onebrain_requests_total counter",
            *(
                f'onebrain_requests_total{{route="{route}",status="{status}"}} {count}'
                for (route, status), count in sorted(requests.items())
            ),
            "# HELP onebrain_requests_running Requests being answered.",
            "# TYPE onebrain_requests_running gauge",
            f"onebrain_requests_running {running}",
            "# HELP onebrain_request_seconds How long requests took.",
            "# TYPE onebrain_request_seconds histogram",
        ]
        for route, row in sorted(durations.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), row[:-1], strict=True):
                total += int(count)
                lines.append(f'onebrain_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'onebrain_request_seconds_sum{{route="{route}"}} {row[-1]:.6f}')
            lines.append(f'onebrain_request_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"
