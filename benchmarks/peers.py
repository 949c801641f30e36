"""Measures the embedded brain beside other memories, with the same texts and the same embedder.

    python benchmarks/peers.py [--sizes 1000,10000] [--only OneBrain,chromadb] [--rounds 6] [--json] [--picture FILE.svg]

The others are installed in an environment of their own, from the root of the repository. Those that are missing are
reported and left out:

    uv venv peers
    uv pip install -p peers -e packages/onebrain-sdk -e packages/onebrain-engine chromadb lancedb apsw sqlite-vec duckdb \\
        pandas pyarrow qdrant-client langgraph langgraph-checkpoint-sqlite pysqlite3-binary mem0ai langchain
    peers/bin/python benchmarks/peers.py

Each memory has a process of its own. In each round all take turns, in another order than in the round before, and only one
works at a time. Figures are ratios to OneBrain's in the same run: 2 is twice as slow, or twice as much memory. They do
different work, see the remarks.
"""

from __future__ import annotations

if __name__ == "__main__":
    # The processes that this one starts have its search path already.
    import _path  # noqa: F401  # isort: skip

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.peer_stores import STORES
from benchmarks.texts import machine, make_questions, make_texts

OURS = "OneBrain"
# Calls of each kind in a round.
CALLS = {"search": 40, "get": 40, "store": 10, "search after a store": 10}
SHOWN = (
    ("search, p50", lambda row: row["search"]["p50"]),
    ("search, p99", lambda row: row["search"]["p99"]),
    ("search after a store", lambda row: row["search after a store"]["p50"]),
    ("store one", lambda row: row["store"]["p50"]),
    ("bulk", lambda row: row["bulk"]),
    ("get", lambda row: row["get"]["p50"]),
    ("peak memory", lambda row: row["peak memory"]),
)  # fmt: skip
Row = dict[str, Any]


# ---- one memory, in a process of its own ------------------------------------------------------------------------------


def work(name: str, folder: str, size: int, pipe: Connection) -> None:
    """Carry out the tasks that come over a pipe, and answer each with the times of its calls in milliseconds."""
    try:
        store = STORES[name](Path(folder))
    except ImportError as error:
        pipe.send({"skipped": f"not installed ({error.name or error})"})
        return
    except Exception as error:
        pipe.send({"skipped": f"{type(error).__name__}: {error}"[:200]})
        return
    pipe.send({"remark": getattr(store, "remark", "")})
    texts, questions = make_texts(size + 2000), make_questions(2000)
    numbers = iter(range(10**9))
    actions: dict[str, Callable[[int], Callable[[], object]]] = {
        "bulk": lambda n: lambda: store.bulk(texts[:size]),
        "search": lambda n: lambda: store.search(questions[n % 2000]),
        "get": lambda n: lambda: store.get(n * 7919 % size),
        "store": lambda n: lambda: store.store(texts[size + n % 2000]),
    }
    while (task := pipe.recv()) is not None:
        kind, count = task
        taken = []
        try:
            for _ in range(count):
                number = next(numbers)
                if kind == "search after a store":
                    store.store(texts[size + number % 2000])
                    call = actions["search"](number)
                else:
                    call = actions[kind](number)
                start = time.perf_counter()
                call()
                taken.append((time.perf_counter() - start) * 1000)
            pipe.send({"times": taken, "peak": peak()})
        except Exception as error:
            pipe.send({"skipped": f"{kind}: {type(error).__name__}: {error}"[:200]})
            return
    # Some of these libraries keep threads that outlive their owner.
    os._exit(0)


def peak() -> float | None:
    """Return the most memory that this process has had, in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


# ---- all of them, taking turns ------------------------------------------------------------------------------------------


class Worker:
    """The process of one memory."""

    def __init__(self, name: str, folder: Path, size: int) -> None:
        self.name = name
        self.row: Row = {}
        self._times: dict[str, list[float]] = {}
        self._pipe, theirs = multiprocessing.get_context("spawn").Pipe()
        folder.mkdir()
        self._process = multiprocessing.get_context("spawn").Process(
            target=work, args=(name, str(folder), size, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self.row = self._answer()

    @property
    def works(self) -> bool:
        """Whether it has answered everything so far."""
        return "skipped" not in self.row

    def do(self, kind: str, count: int = 1, *, timed: bool = True) -> None:
        """Carry out a task, and keep the times of its calls."""
        if not self.works:
            return
        self._pipe.send((kind, count))
        answer = self._answer()
        if "skipped" in answer:
            self.row = answer
        elif timed:
            self._times.setdefault(kind, []).extend(answer["times"])
            self.row["peak memory"] = answer["peak"]

    def _answer(self) -> Row:
        try:
            return self._pipe.recv()
        except EOFError:
            return {"skipped": "the process ended"}

    def end(self) -> None:
        """End the process and work the figures out."""
        if self.works:
            self._pipe.send(None)
            self.row["bulk"] = self._times.pop("bulk")[0]
            for kind, taken in self._times.items():
                cuts = statistics.quantiles(taken, n=100)
                self.row[kind] = {"p50": cuts[49], "p99": cuts[98]}
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def compare(size: int, names: Sequence[str], rounds: int) -> dict[str, Row]:
    """Measure memories with `size` texts each, taking turns."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        workers = [Worker(name, Path(folder) / str(number), size) for number, name in enumerate(names)]
        for worker in workers:
            worker.do("bulk")
            print(
                f"{size:,}: {worker.name} {'is filled' if worker.works else worker.row['skipped']}",
                file=sys.stderr,
            )
        for kind in CALLS:
            for worker in workers:
                worker.do(kind, 5, timed=False)
        for turn in range(rounds):
            for kind, count in CALLS.items():
                for worker in workers[turn % len(workers) :] + workers[: turn % len(workers)]:
                    worker.do(kind, count)
        for worker in workers:
            worker.end()
        return {worker.name: worker.row for worker in workers}


# ---- output ---------------------------------------------------------------------------------------------------------


def ratios(rows: dict[str, Row]) -> dict[str, dict[str, float]]:
    """Return each figure of each memory as a ratio to ours."""
    ours = rows[OURS]
    return {
        name: {
            label: value(row) / value(ours)
            for label, value in SHOWN
            if value(row) is not None and value(ours)
        }
        for name, row in rows.items()
        if "skipped" not in row
    }


def show(report: dict[str, Any]) -> None:
    """Print a table for each size."""
    print(report["machine"])
    for size, rows in report["sizes"].items():
        print(f"\n{int(size):,} memories: ratios to {OURS}")
        print(f"{'':<20}" + "".join(f"{label:>22}" for label, _ in SHOWN))
        found = ratios(rows)
        for name, row in rows.items():
            if name not in found:
                print(f"{name:<20}{row['skipped']}")
                continue
            cells = "".join(f"{number(found[name].get(label)):>22}" for label, _ in SHOWN)
            print(f"{name:<20}{cells}   {row['remark']}")


def number(value: float | None) -> str:
    """Return a ratio with two digits that count."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


WIDTH, LABEL, BAR, ROW = 860, 128, 250, 28
# Of the smaller and the larger size: where a memory is ahead of ours, and where it is behind.
AHEAD, BEHIND = ("#f2c28c", "#d9822b"), ("#9cc3e0", "#1b6ca8")


def picture(report: dict[str, Any]) -> str:
    """Return the ratios as bars on a logarithmic scale, in SVG: a panel for each figure, and a bar for each size."""
    sizes = {int(size): ratios(rows) for size, rows in report["sizes"].items()}
    names = [name for name in STORES if name != OURS and any(name in found for found in sizes.values())]
    values = [value for found in sizes.values() for row in found.values() for value in row.values()]
    # Room for the numbers at the ends of the bars.
    low, high = math.log10(min([*values, 0.1])) - 0.35, math.log10(max([*values, 10])) + 0.35
    panel = 34 + ROW * len(names) + 26
    title = f"{OURS} is the line at 1x. To the right: slower, or more memory. To the left: faster, or less memory."
    parts = [_text(10, 24, title, 14, "bold"), *_legend(list(sizes))]
    for place, (label, _) in enumerate(SHOWN):
        left, top = 10 + place % 2 * (WIDTH // 2), 66 + place // 2 * panel
        parts += _panel(label, names, sizes, left, top, low, high)
    left, top = 10 + len(SHOWN) % 2 * (WIDTH // 2), 66 + len(SHOWN) // 2 * panel
    parts.append(_text(left, top + 16, "What each does", 13, "bold"))
    for n, name in enumerate([OURS, *names]):
        latest = reversed(report["sizes"].values())
        remark = next(rows[name]["remark"] for rows in latest if "remark" in rows.get(name, {}))
        parts.append(_text(left, top + 38 + (ROW - 4) * n, f"{name}: {remark}", 10.5))
    height = 66 + math.ceil((len(SHOWN) + 1) / 2) * panel
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _panel(
    label: str,
    names: list[str],
    sizes: dict[int, dict[str, dict[str, float]]],
    left: int,
    top: int,
    low: float,
    high: float,
) -> list[str]:
    def across(value: float) -> float:
        return left + LABEL + (math.log10(value) - low) / (high - low) * BAR

    bottom = top + 28 + ROW * len(names)
    parts = [_text(left, top + 16, label, 13, "bold")]
    for power in range(math.ceil(low), math.floor(high) + 1):
        x = across(10**power)
        strong = "#444" if power == 0 else "#ddd"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 24}" y2="{bottom}" stroke="{strong}"/>')
        parts.append(_text(x, bottom + 13, f"{10.0**power:g}x", 10, anchor="middle", colour="#666"))
    for n, name in enumerate(names):
        y = top + 28 + ROW * n
        parts.append(_text(left + LABEL - 6, y + 17, name, 11, anchor="end"))
        thick = (ROW - 6) / len(sizes)
        for k, found in enumerate(sizes.values()):
            value = found.get(name, {}).get(label)
            if value is None:
                continue
            ends = sorted((across(1), across(value)))
            colour = (AHEAD if value < 1 else BEHIND)[min(k, 1)]
            parts.append(
                f'<rect x="{ends[0]:.1f}" y="{y + 3 + k * thick:.1f}" width="{max(ends[1] - ends[0], 1):.1f}" '
                f'height="{thick - 1:.1f}" fill="{colour}"/>'
            )
            x, anchor = (ends[0] - 3, "end") if value < 1 else (ends[1] + 3, "start")
            parts.append(
                _text(x, y + 3 + (k + 0.5) * thick + 2.8, number(value), 9, anchor=anchor, colour="#333")
            )
    return parts


def _legend(sizes: list[int]) -> list[str]:
    parts = []
    for k, size in enumerate(sizes):
        x = 10 + 140 * k
        for colours, shift in ((AHEAD, 0), (BEHIND, 14)):
            parts.append(f'<rect x="{x + shift}" y="36" width="12" height="12" fill="{colours[min(k, 1)]}"/>')
        parts.append(_text(x + 32, 46, f"{size:,} memories", 11))
    return parts


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    weight: str = "normal",
    anchor: str = "start",
    colour: str = "#111",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{text}</text>'
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", default="1000,10000", help="the numbers of memories, with commas; at most two"
    )
    parser.add_argument("--only", help="names of memories, with commas; OneBrain is always measured")
    parser.add_argument("--rounds", type=int, default=6, help="the number of rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--picture", type=Path, help="write bars to this file, as SVG")
    arguments = parser.parse_args()
    names = [OURS, *arguments.only.split(",")] if arguments.only else list(STORES)
    if unknown := sorted(set(names) - set(STORES)):
        parser.error(f"no such memory: {', '.join(unknown)}; there are {', '.join(STORES)}")
    report: dict[str, Any] = {"machine": machine(), "sizes": {}}
    for size in arguments.sizes.split(","):
        report["sizes"][size] = compare(int(size), list(dict.fromkeys(names)), arguments.rounds)
    if arguments.picture is not None:
        arguments.picture.write_text(picture(report), encoding="utf-8")
    print(json.dumps(report)) if arguments.json else show(report)


if __name__ == "__main__":
    main()
