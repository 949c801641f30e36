"""The README shows the two commands that newcomers and `.ci/run` use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture(params=["run", "test"])
def command(request, root):
    program = [sys.executable, root / ".ci" / "readme.py", request.param]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_command_is_one_line_that_brings_uv_along(command):
    assert "\n" not in command
    assert command.startswith("pip install uv && uv run ")


def test_the_files_that_a_command_names_exist(command, root):
    scripts = [word for word in command.split() if word.endswith(".py")]
    assert [script for script in scripts if not (root / script).is_file()] == []


def test_an_unmarked_command_is_refused(root):
    program = [sys.executable, root / ".ci" / "readme.py", "absent"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "absent" in done.stderr


def test_ci_runs_these_commands_and_the_tests_last(root):
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").strip().splitlines()
    assert "readme run" in lines
    assert lines[-1] == "readme test"


def test_ci_is_a_valid_script(root):
    subprocess.run(["bash", "-n", root / ".ci" / "run"], check=True)
