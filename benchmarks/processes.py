"""New processes for the benchmarks, as a user's machine runs them: from compiled bytecode."""

from __future__ import annotations

import os
import subprocess
import sys


def output_of(program: str, *arguments: str) -> str:
    """Run a Python program in a new process and return what it printed.

    Where the environment forbids Python to keep bytecode, every process would compile every module again, which no
    installed package does; so that is allowed here.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout
