"""Metrics: what Prometheus reads, and what the operator's page shows of one process."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from onebrain_server.metrics import Metrics, quantile


def samples(metrics):
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


@pytest.fixture
def metrics():
    metrics = Metrics()
    for seconds in (0.003, 0.004, 0.2, 60.0):
        metrics.started()
        metrics.finished("GET /v1/memory", 200, seconds)
    metrics.started()
    metrics.finished("GET /v1/memory", 404, 0.5)
    metrics.started()
    return metrics


def test_prometheus_reads_requests_and_durations(metrics):
    found = samples(metrics)
    route = ("route", "GET /v1/memory")
    assert found["onebrain_requests_total", (route, ("status", "200"))] == 4
    assert found["onebrain_requests_total", (route, ("status", "404"))] == 1
    assert found["onebrain_requests_running", ()] == 1
    bounds = {"0.0025": 0, "0.005": 2, "0.25": 3, "0.5": 4, "10.0": 4, "+Inf": 5}
    for bound, count in bounds.items():
        assert found["onebrain_request_seconds_bucket", (("le", bound), route)] == count
    assert found["onebrain_request_seconds_count", (route,)] == 5
    assert found["onebrain_request_seconds_sum", (route,)] == pytest.approx(60.707)
    assert not [name for name, _ in found if name.endswith("_created")]


def test_a_snapshot_holds_each_bucket_by_itself_and_the_sum(metrics):
    metrics.timed("search", 0.01)
    metrics.event("hit")
    metrics.event("hit")
    found = metrics.snapshot()
    assert found.requests == {("GET /v1/memory", 200): 4, ("GET /v1/memory", 404): 1}
    row = found.durations["GET /v1/memory"]
    assert row[:-1] == [0, 0, 2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert row[-1] == pytest.approx(60.707)
    assert sum(found.stages["search"][:-1]) == 1
    assert found.events == {"hit": 2}
    assert quantile(row, 0.5) <= 0.25
    assert quantile(row, 1.0) == 10.0


def test_servers_in_one_process_count_apart(metrics):
    assert Metrics().snapshot().requests == {}
    assert metrics.snapshot().requests


def test_a_route_cannot_break_the_text():
    metrics = Metrics()
    metrics.started()
    metrics.finished('GET /"\n\\', 200, 0.1)
    assert samples(metrics)["onebrain_requests_total", (("route", 'GET /"\n\\'), ("status", "200"))] == 1
