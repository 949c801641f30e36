"""Kills, crowds, slow and fat clients: what was acknowledged stays, and the others are served."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from onebrain_server import serve
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


def started(db):
    """Start the command in a process of its own; return it, its address, and the key that it prints the first time."""
    environment = {**os.environ, "RATE_LIMIT_MAX": "0", "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "onebrain.cli", "serve", "--port", "0", "--db", db],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = process.stdout.readline().split(" at ")[1].strip()
    return process, url


def first_key(process):
    for line in process.stdout:
        if line.strip().startswith("ob_"):
            return line.strip()
    raise AssertionError("no key was printed")


posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no signal that asks a process to end")


def stop(process):
    process.terminate()
    process.wait(180)
    process.stdout.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    return request.getfixturevalue("postgres").new_database()


def test_every_acknowledged_write_survives_a_kill_under_load(db):
    process, url = started(db)
    key = first_key(process)
    headers = {"authorization": f"ApiKey {key}"}
    kept, lock = [], threading.Lock()
    enough = threading.Event()

    def write(number):
        with httpx.Client(base_url=url, headers=headers, timeout=180) as client:
            for n in range(10_000):
                try:
                    answer = client.post("/v1/memory", json={"body": f"note {number} {n}"})
                except httpx.HTTPError:
                    return
                assert answer.status_code == 201
                with lock:
                    kept.append(answer.json()["data"]["id"])
                    if len(kept) >= 150:
                        enough.set()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    assert enough.wait(300)
    process.kill()
    process.wait(180)
    process.stdout.close()
    for writer in writers:
        writer.join()
    process, url = started(db)
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=180) as client:
            there = set()
            for start in range(0, len(kept), 400):
                rows = client.post("/v1/memory/lookup", json={"ids": kept[start : start + 400]}).json()[
                    "data"
                ]
                there |= {row["id"] for row in rows}
            assert set(kept) - there == set()
            assert client.get("/v1/memory").json()["meta"]["pagination"]["total"] >= len(kept)
    finally:
        stop(process)


@posix
def test_stopping_finishes_what_is_in_flight(db):
    process, url = started(db)
    key = first_key(process)
    host, port = re.match(r"http://(.*):(\d+)", url).groups()
    body = json.dumps({"body": "the last one"}).encode()
    head = f"POST /v1/memory HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=180) as connection:
        connection.sendall(head.encode() + body[:5])
        # By now the server has read the head.
        httpx.get(url + "/health")
        process.send_signal(signal.SIGTERM)
        connection.sendall(body[5:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 201")
    process.wait(180)
    process.stdout.close()
    assert process.returncode in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def live():
    settings = Settings(
        database_url="sqlite://",
        rate_limit_max=0,
        log_level="error",
        body_seconds=1.0,
        max_body_bytes=1024 * 1024,
    )
    with live_server(settings) as found:
        yield found


def connected(live):
    host, port = re.match(r"http://(.*):(\d+)", live.url).groups()
    return socket.create_connection((host, int(port)), timeout=180)


def test_a_hundred_megabytes_are_refused_before_they_are_read(live):
    with connected(live) as connection:
        head = f"POST /v1/memory HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {live.key}\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_a_body_without_a_length_is_counted_as_it_comes(live):
    def endless():
        while True:
            yield b"x" * 65536

    try:
        answer = httpx.post(
            live.url + "/v1/memory",
            content=endless(),
            headers={"authorization": f"ApiKey {live.key}", "content-type": "application/json"},
        )
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        # The connection was closed while we were still sending.
        pass
    assert httpx.get(live.url + "/health").status_code == 200


def test_a_body_that_does_not_come_is_given_up(live):
    with connected(live) as connection:
        head = f"POST /v1/memory HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {live.key}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b'{"bo')
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_slow_heads_are_given_up_and_the_others_are_served(live, monkeypatch):
    monkeypatch.setattr(serve, "HEADER_SECONDS", 0.5)
    slow = [connected(live) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
    assert httpx.get(live.url + "/health").status_code == 200
    for connection in slow:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
        connection.close()


def test_five_hundred_connections_are_served(live):
    request = f"GET /v1/memory HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {live.key}\r\n\r\n".encode()
    crowd = [connected(live) for _ in range(500)]
    for connection in crowd:
        connection.sendall(request)
    statuses = [connection.recv(4096)[9:12] for connection in crowd]
    for connection in crowd:
        connection.close()
    assert set(statuses) == {b"200"}


def test_a_client_that_leaves_does_no_harm(live):
    for _ in range(20):
        with connected(live) as connection:
            connection.sendall(
                f"GET /v1/context/deep HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {live.key}\r\n\r\n".encode()
            )
    assert httpx.get(live.url + "/health").status_code == 200
    # Theirs may still be running; the one that asks is the last.
    deadline = time.monotonic() + 60
    while "onebrain_requests_running 1.0\n" not in httpx.get(live.url + "/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
