"""Starts new processes that run compiled bytecode, as on a user's machine."""

from __future__ import annotations

import os
import subprocess
import sys


def output_of(program: str, *arguments: str) -> str:
    """Run a Python program in a new process and return what it printed.

    PYTHONDONTWRITEBYTECODE is removed from the environment, because every process would compile every module again.
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
