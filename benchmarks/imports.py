"""Measures the time of imports, beyond that of their dependencies.

    python benchmarks/imports.py [--json] [--rounds 15]

Each import is timed in new processes: one imports the dependencies alone, and one imports both. The figure is the
difference of the medians, in milliseconds.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import json
import statistics

from benchmarks.processes import output_of

# The import, its dependencies, the figure that must be reached, and the one to aim for.
CASES = {
    "import onebrain": ("import httpx, pydantic", 40, 15),
    # The first use loads models, filters and the facade. Importing BaseModel is part of the dependencies.
    "from onebrain import Brain": ("import httpx; from pydantic import BaseModel", None, None),
    "import onebrain_langchain": (
        "import langchain_core.retrievers, langchain_core.documents, httpx, pydantic",
        40,
        15,
    ),
    "import onebrain_engine": ("import numpy, httpx; from pydantic import BaseModel", None, None),
    "import onebrain_llamaindex": ("import llama_index.core, httpx, pydantic", None, None),
    "import onebrain_openai_agents": ("import agents, httpx, pydantic", None, None),
}


def times(code: str, rounds: int) -> float:
    """Return the median milliseconds of running an import statement in a new process."""
    program = f"import time; start = time.perf_counter(); {code}; print((time.perf_counter() - start) * 1000)"
    # Writes missing bytecode.
    output_of(program)
    return statistics.median(float(output_of(program)) for _ in range(rounds))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measures the time of imports.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    report = {}
    for statement, (base, must, aim) in CASES.items():
        alone = times(base, arguments.rounds)
        both = times(f"{base}; {statement}", arguments.rounds)
        report[statement] = {
            "beyond": base,
            "ms": round(both - alone, 1),
            "base_ms": round(alone, 1),
            "must": must,
            "aim": aim,
        }
    if arguments.json:
        print(json.dumps(report))
        return
    for statement, row in report.items():
        goal = f"must {row['must']}, aim {row['aim']}" if row["must"] else ""
        print(f"{statement:<29}{row['ms']:>7.1f} ms beyond {row['beyond']} ({row['base_ms']:.0f} ms)  {goal}")


if __name__ == "__main__":
    main()
