"""What importing costs, beyond what has to be imported anyway.

    python benchmarks/imports.py [--json] [--rounds 15]

Each import is timed in fresh processes, one that imports the base alone and one that imports both; the figure is the
difference of the medians, in milliseconds.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import json
import statistics
import subprocess
import sys

CASES = {  # what, beyond what, must, aim
    "onebrain": ("httpx, pydantic", 40, 15),
    "onebrain_langchain": ("langchain_core.retrievers, langchain_core.documents, httpx, pydantic", 40, 15),
    "onebrain_engine": ("numpy, httpx, pydantic", None, None),
    "onebrain_llamaindex": ("llama_index.core, httpx, pydantic", None, None),
}


def times(code: str, rounds: int) -> float:
    """Return the median milliseconds of running an import statement in a new process."""
    program = f"import time; start = time.perf_counter(); {code}; print((time.perf_counter() - start) * 1000)"
    results = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        results.append(float(done.stdout))
    return statistics.median(results)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="What importing the packages costs.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    report = {}
    for module, (base, must, aim) in CASES.items():
        alone = times(f"import {base}", arguments.rounds)
        both = times(f"import {base}; import {module}", arguments.rounds)
        report[module] = {
            "beyond": base,
            "ms": round(both - alone, 1),
            "base_ms": round(alone, 1),
            "must": must,
            "aim": aim,
        }
    if arguments.json:
        print(json.dumps(report))
        return
    for module, row in report.items():
        goal = f"must {row['must']}, aim {row['aim']}" if row["must"] else ""
        print(
            f"import {module:<22}{row['ms']:>7.1f} ms beyond {row['beyond']} ({row['base_ms']:.0f} ms)  {goal}"
        )


if __name__ == "__main__":
    main()
