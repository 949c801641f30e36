"""Measures the server over loopback, against the figures of OneBrain's hosted server on the same kind of machine.

    python benchmarks/server.py [--memories 2000 100000] [--seconds 3] [--db postgresql] [--workers 1 2]
        [--registered] [--tenants 100] [--json]

``--db postgresql`` starts a PostgreSQL server; a URL names an empty database of another one, for one number of memories and
of workers. ``--registered`` makes each call for the owner and for a registered account with as many memories of its own,
whose calls also count against its allowances.
The server runs in a separate process, with rate limits off. The clients are plain sockets with keep-alive in this process, so
both share the machine's cores. Every list, search and context covers a brain with the given number of memories, and the
status of each answer is checked. Hosted figures: 2,000 memories, the same five calls.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import postgresql

WORDS = [
    "garden",
    "river",
    "window",
    "coffee",
    "train",
    "meeting",
    "budget",
    "python",
    "database",
    "holiday",
    "music",
    "guitar",
    "kitchen",
    "recipe",
    "mountain",
    "camera",
    "doctor",
    "school",
    "planet",
    "bridge",
    "market",
    "letter",
    "winter",
    "summer",
    "engine",
    "garage",
    "pencil",
    "travel",
    "ticket",
    "museum",
    "festival",
    "keyboard",
    "language",
    "painting",
    "football",
    "marathon",
    "neighbor",
    "apartment",
    "contract",
    "invoice",
    "deadline",
    "project",
    "sprint",
    "review",
    "design",
    "release",
    "customer",
    "support",
    "airport",
    "luggage",
    "passport",
    "weather",
    "forecast",
    "umbrella",
    "bicycle",
    "helmet",
    "battery",
    "charger",
    "telescope",
    "harbor",
    "island",
    "forest",
    "desert",
    "candle",
    "blanket",
    "mirror",
    "carpet",
    "ladder",
    "hammer",
    "violin",
    "theater",
    "novel",
    "poem",
    "journal",
]
PEOPLE = ["Maria", "Ahmed", "Yuki", "Lars", "Chen", "Olga", "Pedro", "Amara", "Nina", "Tom"]

# The allowances of registered accounts.
ALLOWANCES = [
    "memories",
    "memory_bytes",
    "memory_writes_per_month",
    "extract_calls_per_month",
    "context_calls_per_month",
]

# Requests per second with 16 connections.
HOSTED_RATE = {"keyword search": 344, "list 20": 368, "create": 204}
HOSTED_P50 = {
    "create": 7.2,
    "list 20": 5.9,
    "keyword search": 6.4,
    "deep context": 14.9,
    "connect brief": 10.6,
}


def text(chance: random.Random) -> str:
    """Return a memory of eight to thirty words."""
    return f"{chance.choice(PEOPLE)} " + " ".join(chance.choices(WORDS, k=chance.randint(8, 30)))


class Connection:
    """A keep-alive connection that sends prepared requests."""

    def __init__(self, host: str, port: int) -> None:
        self._where = (host, port)

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return int(head[9:12]), await self._reader.readexactly(length) if length else b""


def request(method: str, path: str, key: str, body: Any = None, accept: str = "application/json") -> bytes:
    """Return the bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    kind = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: server\r\nAuthorization: ApiKey {key}\r\nAccept: {accept}\r\n{kind}\r\n"
    return head.encode() + content


def calls(key: str, seed: int) -> dict[str, Any]:
    """Return a function for each call, which returns its next request."""
    chance = random.Random(seed)
    searching = ("POST", "/v1/memory/search", key)

    def query() -> str:
        return " ".join(chance.choices(WORDS, k=3))

    def create() -> bytes:
        body = text(chance)
        return request("POST", "/v1/memory", key, {"type": "fact", "title": body[:40], "body": body})

    return {
        "keyword search": lambda: request(*searching, {"query": query(), "mode": "keyword"}),
        "hybrid search": lambda: request(*searching, {"query": query()}),
        "list 20": lambda: request("GET", "/v1/memory?limit=20", key),
        "deep context": lambda: request("GET", "/v1/context/deep", key),
        "deep context, asked": lambda: request(
            "GET", f"/v1/context/deep?query={query().replace(' ', '+')}", key
        ),
        "connect brief": lambda: request("GET", "/v1/connect?scope=brief", key),
        "create": create,
    }


async def measure(
    host: str, port: int, keys: list[str], name: str, connections: int, seconds: float
) -> dict[str, float]:
    """Repeat a call over several connections; return requests per second and percentiles in milliseconds."""
    times: list[float] = []

    async def warm() -> None:
        async with Connection(host, port) as connection:
            # The first request of a key may wait until an index is read.
            for number, key in enumerate(keys):
                await connection.send(calls(key, number)[name]())

    # Sixteen connections reach every worker.
    await asyncio.gather(*(warm() for _ in range(16 if len(keys) == 1 else 1)))
    deadline = time.perf_counter() + seconds + 0.5
    # The first half second warms up and is not counted.
    counted_from = time.perf_counter() + 0.5

    async def client(number: int) -> None:
        made = [calls(key, 1000 * number + index)[name] for index, key in enumerate(keys)]
        chance = random.Random(number)
        async with Connection(host, port) as connection:
            while (start := time.perf_counter()) < deadline:
                status, body = await connection.send(chance.choice(made)())
                if status not in (200, 201):
                    raise RuntimeError(f"{name}: {status} {body[:200]!r}")
                if start >= counted_from:
                    times.append(time.perf_counter() - start)

    await asyncio.gather(*(client(number) for number in range(connections)))
    times.sort()
    return {
        "rate": len(times) / seconds,
        "p50": 1000 * statistics.median(times),
        "p99": 1000 * times[min(len(times) - 1, int(len(times) * 0.99))],
    }


async def fill(host: str, port: int, key: str, count: int) -> None:
    """Store memories by the import route."""
    chance = random.Random(7)
    async with Connection(host, port) as connection:
        for start in range(0, count, 500):
            bodies = [text(chance) for _ in range(min(500, count - start))]
            items = [{"type": "fact", "title": body[:40], "body": body} for body in bodies]
            status, answer = await connection.send(
                request("POST", "/v1/memory/import", key, {"items": items})
            )
            if status != 201:
                raise RuntimeError(f"filling: {status} {answer[:200]!r}")


class Served:
    """A server in a process of its own."""

    def __init__(self, db: str, workers: int = 1) -> None:
        environment = {
            **os.environ,
            "RATE_LIMIT_MAX": "0",
            # Counted, and never used up.
            "FREE_PLAN_LIMITS": ",".join(f"{name}=1000000000000" for name in ALLOWANCES),
            "LOG_LEVEL": "error",
            "PYTHONUNBUFFERED": "1",
        }
        program = "from onebrain.cli import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", "--port", "0", "--db", db, "--workers", str(workers)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port, self.key = 0, ""
        for line in self._process.stdout:
            if " at http://" in line:
                self.port = int(line.rsplit(":", 1)[1])
            if line.strip().startswith("ob_"):
                self.key = line.strip()
                break

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


async def register(host: str, port: int, owner: str, name: str) -> str:
    """Register an account, and return its key."""
    login = {"email": f"{name}@example.com", "password": "correct horse battery"}
    async with Connection(host, port) as connection:
        await connection.send(request("POST", "/v1/auth/register", owner, login))
        status, answer = await connection.send(request("POST", "/v1/auth/login", owner, login))
        if status != 200:
            raise RuntimeError(f"login: {status} {answer[:200]!r}")
        token = json.loads(answer)["data"]["accessToken"]
        made = request("POST", "/v1/api-keys", "x", {"name": "bench"})
        status, answer = await connection.send(made.replace(b"ApiKey x", f"Bearer {token}".encode()))
        key: str = json.loads(answer)["data"]["fullKey"]
        return key


async def tenants(host: str, port: int, owner: str, count: int, seconds: float) -> dict[str, Any]:
    """Compare searches of one tenant of 1,000 memories with those of 100 such tenants."""
    keys = [await register(host, port, owner, f"tenant{number}") for number in range(count)]
    for key in keys:
        await fill(host, port, key, 1000)
    # Reads the index of every tenant.
    await measure(host, port, keys, "hybrid search", 4, 2 * seconds)
    one = await measure(host, port, keys[:1], "hybrid search", 1, seconds)
    many = await measure(host, port, keys, "hybrid search", 1, seconds)
    return {"tenants": count, "one": one, "many": many, "ratio": many["p50"] / one["p50"]}


def sizes(
    db: str, workers: int, count: int, seconds: float, *, registered: bool = False
) -> Iterator[dict[str, Any]]:
    """Fill a new server with memories, and measure each call with 1 and with 16 connections, of each account."""
    served = Served(db, workers)
    where = ("127.0.0.1", served.port)
    try:
        keys = {"owner": served.key}
        if registered:
            keys["registered"] = asyncio.run(register(*where, served.key, "registered"))
        for key in keys.values():
            asyncio.run(fill(*where, key, count))
        for name in calls(served.key, 0):
            for connections in (1, 16):
                for account, key in keys.items():
                    row: dict[str, Any] = {
                        "memories": count,
                        "workers": workers,
                        "account": account,
                        "call": name,
                        "connections": connections,
                    }
                    row |= asyncio.run(measure(*where, [key], name, connections, seconds))
                    hosted = HOSTED_RATE.get(name) if connections == 16 else None
                    row["times_hosted"] = row["rate"] / hosted if hosted and count == 2000 else None
                    if connections == 1 and count == 2000 and name in HOSTED_P50:
                        row["times_hosted"] = HOSTED_P50[name] / row["p50"]
                    yield row
    finally:
        served.stop()


@contextmanager
def databases(db: str) -> Iterator[Callable[[], str]]:
    """Yield a function that returns the URL of an empty database."""
    if db == "postgresql":
        with postgresql() as new_database:
            yield new_database
    elif db == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            made = iter(range(1000))
            yield lambda: f"sqlite:///{Path(folder) / f'server{next(made)}.db'}"
    else:
        yield lambda: db


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memories", type=int, nargs="+", default=[2000])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument(
        "--db", default="sqlite", help="sqlite, postgresql, or the URL of an empty database; default: sqlite"
    )
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1], help="processes that answer; each number in turn"
    )
    parser.add_argument("--registered", action="store_true", help="also measure a registered account")
    parser.add_argument("--tenants", type=int, default=0, help="also compare this many tenants with one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    name = options.db.partition(":")[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {name}", file=sys.stderr)
    with databases(options.db) as new_database:
        for count, workers in itertools.product(options.memories, options.workers):
            for row in sizes(new_database(), workers, count, options.seconds, registered=options.registered):
                results.append(row)
                if not options.json:
                    times = f"{row['times_hosted']:.1f}x" if row["times_hosted"] else ""
                    print(
                        f"{count:>7} {row['account']:<10} {workers} worker(s) {row['call']:<20} "
                        f"{row['connections']:>2} conn  {row['rate']:>7.0f}/s  "
                        f"p50 {row['p50']:>7.2f} ms  p99 {row['p99']:>7.2f} ms  {times}",
                        flush=True,
                    )
        if options.tenants:
            served = Served(new_database(), options.workers[-1])
            try:
                found = asyncio.run(
                    tenants("127.0.0.1", served.port, served.key, options.tenants, options.seconds)
                )
            finally:
                served.stop()
            results.append(found)
            if not options.json:
                print(
                    f"{found['tenants']} tenants of 1,000: p50 {found['many']['p50']:.2f} ms, "
                    f"one: {found['one']['p50']:.2f} ms, {found['ratio']:.2f}x"
                )
    if options.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
