"""What is logged while the database is away: that it began, and that it is over."""

from __future__ import annotations

import io
import json
import threading
import time

import psycopg
import pytest

from onebrain_server.jobs.housekeeping import begin
from onebrain_server.logs import Log, Watch
from onebrain_server.server import Server
from onebrain_server.settings import Settings


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream():
    return io.StringIO()


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(cluster, stream):
    with psycopg.connect(cluster.admin_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    settings = Settings(database_url=cluster.admin_url, log_level="error")
    server = Server(settings, log=Log("error", stream))
    round_done = threading.Semaphore(0)
    every_second = ("deliveries", "job limits")
    try:
        begin(server)
        server.every(1, round_done.release, "round")
        assert round_done.acquire(timeout=180)
        assert lines(stream) == []
        cluster.stop()
        for _ in range(5):
            round_done.acquire(timeout=180)
        cluster.start()
        deadline = time.monotonic() + 180
        while {row["where"] for row in lines(stream) if row["message"] == "recovery"} < {*every_second}:
            assert time.monotonic() < deadline, stream.getvalue()
            time.sleep(0.05)
    finally:
        server.close()
    for where in every_second:
        began, ended = (row for row in lines(stream) if row["where"] == where)
        assert (began["message"], began["level"], began["error"]) == ("failure", "error", "StorageError")
        assert (ended["message"], ended["level"]) == ("recovery", "info")
        assert ended["failures"] > 1


def test_another_failure_in_the_same_time_is_noted_once_too(stream):
    watch = Watch(Log("error", stream), "job")

    def fail(kind):
        with watch.once():
            if kind is not None:
                raise kind("a memory's text")

    for kind in (KeyError, KeyError, ValueError, KeyError, ValueError, None, None, KeyError):
        fail(kind)
    told = [(row["message"], row.get("error"), row.get("failures")) for row in lines(stream)]
    assert told == [
        ("failure", "KeyError", None),
        ("failure", "ValueError", None),
        ("recovery", None, 5),
        ("failure", "KeyError", None),
    ]
    assert "text" not in stream.getvalue()
