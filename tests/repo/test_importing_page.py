"""docs/importing.md: its programs run one after the other, its commands are right, and its table has every format."""

from __future__ import annotations

import re
import shlex

import pytest

from onebrain.cli.moving import FORMATS, import_memories, migrate
from onebrain.importing import formats


@pytest.fixture(scope="module")
def text(root) -> str:
    return (root / "docs" / "importing.md").read_text(encoding="utf-8")


def test_the_programs_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    exec(compile(program, "docs/importing.md", "exec"), {})


def test_the_commands_are_right(text, tmp_path):
    commands = [
        shlex.split(line)
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    assert len(commands) == 4
    for _, name, *arguments in commands:
        command = {"import": import_memories, "migrate": migrate}[name]
        command.make_context(name, arguments)


def test_every_format_is_listed(text):
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert listed == set(formats()) == set(FORMATS)
