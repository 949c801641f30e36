"""Several processes at one address: all answer, one that ends is started again, and none outlives the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import psutil
import pytest

from onebrain.errors import ConfigurationError
from onebrain_server.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")


class Command:
    """``onebrain serve --workers 2`` on an empty database."""

    def __init__(self, db):
        environment = {**os.environ, "RATE_LIMIT_MAX": "0", "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "error"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "onebrain.cli", "serve", "--port", "0", "--db", db, "--workers", "2"],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = self.process.stdout.readline().split(" at ")[1].strip()
        self.key = next(line.strip() for line in self.process.stdout if line.strip().startswith("ob_"))

    def workers(self):
        """Return the processes that answer."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            # It has just ended.
            with suppress(psutil.Error):
                if "multiprocessing.spawn" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def client(self):
        return httpx.Client(base_url=self.url, headers={"authorization": f"ApiKey {self.key}"}, timeout=180)


@pytest.fixture
def command(postgres):
    command = Command(postgres.new_database())
    yield command
    for process in (*command.workers(), command.process) if command.process.poll() is None else ():
        process.kill()
    command.process.wait(180)
    command.process.stdout.close()


def until(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def connected(worker):
    return [
        one
        for one in worker.net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED and one.laddr.port
    ]


def test_all_answer_and_one_that_ends_is_started_again(command):
    first, second = command.workers()
    port = int(command.url.rpartition(":")[2])
    clients = [command.client() for _ in range(24)]
    try:
        stored = [
            client.post("/v1/memory", json={"body": f"note {n}"}).json()["data"]["id"]
            for n, client in enumerate(clients)
        ]
        served = {
            worker.pid: sum(one.laddr.port == port for one in connected(worker)) for worker in (first, second)
        }
        assert sum(served.values()) == 24
        assert all(served.values())
        # Whoever answers knows what every other one has stored.
        for client in clients:
            assert client.get("/v1/memory?limit=1").json()["meta"]["pagination"]["total"] == 24
        stores = 'onebrain_requests_total{route="POST /v1/memory",status="201"} 24.0\n'
        # And counts what they have answered.
        for client in clients[:4]:
            until(lambda client=client: stores in client.get("/metrics").text)
    finally:
        for client in clients:
            client.close()
    first.kill()
    until(lambda: first.pid not in {one.pid for one in command.workers()} and len(command.workers()) == 2)

    def answered():
        try:
            with command.client() as client:
                rows = client.post("/v1/memory/lookup", json={"ids": stored}).json()["data"]
        except httpx.TransportError:
            # A connection that waited at the one that was killed.
            return False
        return {row["id"] for row in rows} == set(stored)

    until(answered)
    workers = command.workers()
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait(180) == 0
    assert not [worker for worker in workers if worker.is_running()]


def test_workers_end_with_the_process_that_started_them(command):
    workers = command.workers()
    assert len(workers) == 2
    command.process.kill()
    command.process.wait(180)
    _, alive = psutil.wait_procs(workers, timeout=180)
    assert alive == []


def test_an_address_that_is_taken_is_not_shared(command, postgres):
    port = command.url.rpartition(":")[2]
    for options in (["--db", "sqlite://"], ["--db", postgres.new_database(), "--workers", "2"]):
        again = subprocess.run(
            [sys.executable, "-m", "onebrain.cli", "serve", "--port", port, *options],
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert again.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in again.stderr
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(180) == 0


@pytest.mark.parametrize("workers", ["0", "x", "2"])
def test_what_cannot_be_is_said_before_anything_starts(workers):
    with pytest.raises(ConfigurationError, match="WORKERS"):
        Settings.from_environment({"DATABASE_URL": "sqlite://", "WORKERS": workers})
