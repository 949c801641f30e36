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

from benchmarks.processes import output_of

CASES = {  # what, beyond what, must, aim
    "import onebrain": ("import httpx, pydantic", 40, 15),
    # What the first use loads: models, filters, the facade; of pydantic what every model needs is counted to pydantic.
    "from onebrain import Brain": ("import httpx; from pydantic import BaseModel", None, None),
    "import onebrain_langchain": (
        "import langchain_core.retrievers, langchain_core.documents, httpx, pydantic",
        40,
        15,
    ),
    "import onebrain_engine": ("import numpy, httpx; from pydantic import BaseModel", None, None),
    "import onebrain_llamaindex": ("import llama_index.core, httpx, pydantic", None, None),
}


def times(code: str, rounds: int) -> float:
    """Return the median milliseconds of running an import statement in a new process."""
    program = f"import time; start = time.perf_counter(); {code}; print((time.perf_counter() - start) * 1000)"
    output_of(program)  # writes bytecode where there is none yet
    return statistics.median(float(output_of(program)) for _ in range(rounds))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="What importing the packages costs.")
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
