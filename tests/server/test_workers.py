"""Several processes at one address: all answer, one that ends is started again, and none outlives the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil
import pytest

from onebrain.errors import ConfigurationError
from onebrain_server.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the signals of POSIX")


class Command:
    """``onebrain serve --workers 2`` on an empty database."""

    def __init__(self, db, **variables):
        environment = {**os.environ, "RATE_LIMIT_MAX": "0", "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "error"}
        environment.update(variables)
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

    def end(self):
        for process in (*self.workers(), self.process) if self.process.poll() is None else ():
            process.kill()
        self.process.wait(180)
        self.process.stdout.close()


@pytest.fixture
def command(postgres):
    command = Command(postgres.new_database())
    yield command
    command.end()


@pytest.fixture
def on_a_file(tmp_path):
    command = Command(f"sqlite:///{tmp_path}/server.db", RATE_LIMIT_MAX="200", RATE_LIMIT_WRITE_MAX="100000")
    yield command
    command.end()


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


def test_workers_share_a_file_and_end_with_the_process_that_started_them(on_a_file):
    clients = [on_a_file.client() for _ in range(16)]
    try:
        with ThreadPoolExecutor(16) as pool:
            # One idempotency key: one memory, whoever answers.
            named = {"idempotency-key": "only-once"}
            answers = list(
                pool.map(
                    lambda client: client.post("/v1/memory", json={"body": "only once"}, headers=named),
                    clients,
                )
            )
            assert {one.status_code for one in answers} <= {201, 409}
            assert len({one.json()["data"]["id"] for one in answers if one.status_code == 201}) == 1
            port = int(on_a_file.url.rpartition(":")[2])
            assert all(
                sum(one.laddr.port == port for one in connected(worker)) for worker in on_a_file.workers()
            )
            # Whoever answers finds what every other one has stored, by words and at once.
            list(
                pool.map(
                    lambda n: clients[n].post("/v1/memory", json={"body": f"heron number {n}"}), range(16)
                )
            )
            for client in clients:
                search = {"query": "heron", "mode": "keyword", "top_k": 20}
                assert len(client.post("/v1/memory/search", json=search).json()["data"]["results"]) == 16
            # A change of one memory is everybody's.
            row = answers[0].json().get("data") or clients[0].get("/v1/memory?limit=1").json()["data"][0]
            assert clients[1].patch(f"/v1/memory/{row['id']}", json={"title": "Changed"}).status_code == 200
            titles = {client.get(f"/v1/memory/{row['id']}").json()["data"]["title"] for client in clients}
            assert titles == {"Changed"}
            # 200 requests of one key in a window, counted together within a second or two.
            until(lambda: any(client.get("/v1/memory?limit=1").status_code == 429 for client in clients))
            until(lambda: all(client.get("/v1/memory?limit=1").status_code == 429 for client in clients))
    finally:
        for client in clients:
            client.close()
    workers = on_a_file.workers()
    on_a_file.process.kill()
    on_a_file.process.wait(180)
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
