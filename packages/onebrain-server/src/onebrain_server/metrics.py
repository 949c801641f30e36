"""Metrics: for Prometheus, and for the server's operator."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# Variable of prometheus-client: the directory in which the processes of one server keep their values.
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metrics of this process at one moment.

    Attributes:
        requests: Number of requests by route and status.
        durations: Durations of requests by route: the number that ended within each bound, then the sum in seconds.
        stages: Durations of parts of requests by name, in the same form.
        events: Number of events by name.
    """

    requests: dict[tuple[str, int], int]
    durations: dict[str, list[float]]
    stages: dict[str, list[float]]
    events: dict[str, int]


def quantile(row: Sequence[float], share: float) -> float:
    """Return the quantile of a row of `Snapshot.durations` in seconds, interpolated between its bounds.

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
    for bucket, count in enumerate(counts):
        if count and reached + count >= wanted:
            low = _BOUNDS[bucket - 1] if bucket else 0.0
            high = _BOUNDS[bucket] if bucket < len(_BOUNDS) else _BOUNDS[-1]
            return low + max(0.0, high - low) * max(0.0, wanted - reached) / count
        reached += count
    return 0.0


class Metrics:
    """Requests by route and status with their durations, and stages and events; no tenant, no key and no text."""

    def __init__(self) -> None:
        # A registry of its own: the library's default one would add up several servers in one process.
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "onebrain_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._running = Gauge(
            "onebrain_requests_running",
            "Requests being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._durations = Histogram(
            "onebrain_request_seconds",
            "How long requests took.",
            ["route"],
            buckets=_BOUNDS,
            registry=registry,
        )
        self._stages = Histogram(
            "onebrain_stage_seconds",
            "How long parts of requests took.",
            ["stage"],
            buckets=_BOUNDS,
            registry=registry,
        )
        self._events = Counter("onebrain_events", "Events.", ["event"], registry=registry)
        # The library takes a lock, and makes texts of the labels, each time that it is asked for these.
        self._counters: dict[tuple[str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def started(self) -> None:
        """Count a request that begins."""
        self._running.inc()

    def finished(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._running.dec()
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._requests.labels(route, status)
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = self._durations.labels(route)
        counter.inc()
        timer.observe(seconds)

    def timed(self, stage: str, seconds: float) -> None:
        """Count the duration of a part of a request."""
        self._stages.labels(stage).observe(seconds)

    @contextmanager
    def timing(self, stage: str) -> Generator[None, None, None]:
        """Count the duration of a block, whether or not it raises."""
        started = perf_counter()
        try:
            yield
        finally:
            self.timed(stage, perf_counter() - started)

    def event(self, name: str) -> None:
        """Count an event."""
        self._events.labels(name).inc()

    def snapshot(self) -> Snapshot:
        """Return the current values of this process."""
        return Snapshot(
            {
                (sample.labels["route"], int(sample.labels["status"])): round(sample.value)
                for sample in _totals(self._requests)
            },
            _rows(self._durations, "route"),
            _rows(self._stages, "stage"),
            {sample.labels["event"]: round(sample.value) for sample in _totals(self._events)},
        )

    def text(self) -> bytes:
        """Return everything in Prometheus' text format, added up over all processes of the server."""
        registry = self._registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(_WithoutCreated(registry))


class _WithoutCreated(Collector):
    """The metrics of a registry without the times at which each was created, which double the text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _samples(metric: Collector, suffix: str) -> Iterable[Sample]:
    return [one for family in metric.collect() for one in family.samples if one.name.endswith(suffix)]


def _totals(counter: Counter) -> Iterable[Sample]:
    return _samples(counter, "_total")


def _rows(histogram: Histogram, label: str) -> dict[str, list[float]]:
    """Return each label's number of observations within each bound, then their sum."""
    rows: dict[str, list[float]] = {}
    reached: dict[str, float] = {}
    for sample in _samples(histogram, "_bucket"):
        name = sample.labels[label]
        rows.setdefault(name, []).append(sample.value - reached.get(name, 0.0))
        reached[name] = sample.value
    for sample in _samples(histogram, "_sum"):
        rows[sample.labels[label]].append(sample.value)
    return rows
