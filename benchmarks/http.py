"""Measures the overhead of the client over an HTTP library, in requests per second to a loopback server.

    python benchmarks/http.py [--seconds 1.0] [--rounds 5]

Each line does the same work: it reads one memory and decodes it. The plain libraries decode the JSON; the client also
validates it and builds a typed record. Rounds are interleaved, so that a slower machine slows all candidates down. A ratio is
the median over the rounds. The exit status is 1 if a figure of docs/clients/onebrain.md is not reached.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file has the name of a module of Python, and would hide it if its folder were searched first.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import httpx

from onebrain import AsyncOneBrain, OneBrain

ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"
MEMORY = {
    "id": ID,
    "userId": "8b121a17-9836-4f8e-aba0-e2827f0b84d9",
    "type": "fact",
    "title": "Home town",
    "body": "Lives in Lisbon, Portugal",
    "sourceType": "user_input",
    "confidence": 1,
    "status": "active",
    "metadata": {"src": "probe"},
    "createdAt": "2026-11-20T22:48:32.491Z",
    "updatedAt": "2026-11-20T22:48:32.491Z",
}
BODY = json.dumps({"data": MEMORY, "meta": {"requestId": "6531860b-9016-4ed1-be53-52c1404e92cf"}}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
KEY = "ob_0123456789abcdef_aabbccddeeff00112233445566778899"
HEADERS = {"authorization": f"ApiKey {KEY}", "accept": "application/json"}

# The ratio to the plain library that must be reached, at each concurrency.
MUST = {
    ("onebrain sync", "httpx.Client", 1): 0.85,
    ("onebrain async", "httpx.AsyncClient", 16): 1.0,
    ("onebrain async", "httpx.AsyncClient", 64): 1.0,
    ("onebrain async [aiohttp]", "httpx.AsyncClient", 16): 4.0,
    ("onebrain async [aiohttp]", "httpx.AsyncClient", 64): 4.0,
}


class Answers(asyncio.Protocol):
    """A minimal server for requests without a body, so that the clients dominate the measurement."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


def serve(ready: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, backlog=512)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def measure(contenders: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Alternate after a few calls each, because a busy machine varies by more than a tenth."""
    spent = dict.fromkeys(contenders, 0.0)
    done = 0
    for call in contenders.values():
        for _ in range(20):
            call()
    while min(spent.values()) < seconds:
        for name, call in contenders.items():
            start = time.perf_counter()
            for _ in range(25):
                call()
            spent[name] += time.perf_counter() - start
        done += 25
    return {name: done / taken for name, taken in spent.items()}


async def ameasure(call: Callable[[], Awaitable[object]], seconds: float, concurrency: int) -> float:
    for _ in range(2):
        await asyncio.gather(*(call() for _ in range(concurrency)))
    done, start = 0, time.perf_counter()
    end = start + seconds

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return done / (time.perf_counter() - start)


Rates = dict[tuple[str, int], list[float]]


def run_sync(url: str, seconds: float, rates: Rates) -> None:
    where = f"{url}/v1/memory/{ID}"
    with httpx.Client(headers=HEADERS) as raw, OneBrain(KEY, base_url=url) as ours:
        contenders: dict[str, Callable[[], object]] = {
            "httpx.Client": lambda: raw.get(where).json(),
            "onebrain sync": lambda: ours.memory.get(ID),
        }
        for name, rate in measure(contenders, seconds).items():
            rates.setdefault((name, 1), []).append(rate)


async def run_async(url: str, seconds: float, concurrency: int, rates: Rates) -> None:
    where = f"{url}/v1/memory/{ID}"
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with (
        httpx.AsyncClient(headers=HEADERS, limits=limits) as raw,
        aiohttp.ClientSession(headers=HEADERS) as session,
        AsyncOneBrain(KEY, base_url=url) as ours,
        AsyncOneBrain(KEY, base_url=url, transport="aiohttp") as ours_aiohttp,
    ):

        async def httpx_call() -> object:
            return (await raw.get(where)).json()

        async def aiohttp_call() -> object:
            async with session.get(where) as response:
                return await response.json()

        contenders: dict[str, Callable[[], Awaitable[object]]] = {
            "httpx.AsyncClient": httpx_call,
            "onebrain async": lambda: ours.memory.get(ID),
            "aiohttp": aiohttp_call,
            "onebrain async [aiohttp]": lambda: ours_aiohttp.memory.get(ID),
        }
        for name, call in contenders.items():
            rates.setdefault((name, concurrency), []).append(await ameasure(call, seconds, concurrency))


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each line of each round")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}"
    rates: Rates = {}
    try:
        for _ in range(options.rounds):
            run_sync(url, options.seconds, rates)
            for concurrency in (1, 16, 64):
                asyncio.run(run_async(url, options.seconds, concurrency, rates))
    finally:
        server.terminate()
        server.join()
    print(f"{'':28}{'at once':>8}{'requests/s':>12}{'of httpx':>10}")
    for (name, concurrency), found in rates.items():
        base = "httpx.Client" if name in ("httpx.Client", "onebrain sync") else "httpx.AsyncClient"
        ratio = statistics.median(a / b for a, b in zip(found, rates[base, concurrency], strict=True))
        print(f"{name:28}{concurrency:8}{statistics.median(found):12,.0f}{ratio:10.2f}")
    broken = 0
    for (ours, base, concurrency), least in MUST.items():
        pairs = zip(rates[ours, concurrency], rates[base, concurrency], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        kept = ratio >= least
        broken += not kept
        print(
            f"{'kept' if kept else 'BROKEN':7}{ours} at {concurrency}: {ratio:.2f} of {base}, must be {least:.2f}"
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
