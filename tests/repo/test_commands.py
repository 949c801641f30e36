"""The Makefile and docs/development.md have the same commands."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def targets(root) -> dict[str, str]:
    """The recipes of the Makefile as one line of shell, by their targets."""
    text = (root / "Makefile").read_text(encoding="utf-8").replace(" $(ARGS)", "")
    rules = re.findall(r"^([a-z]+):[^\n]*\n((?:\t[^\n]*\n)*)", text, re.MULTILINE)
    return {name: " && ".join(recipe.replace("\t", "").splitlines()) for name, recipe in rules}


def test_every_command_is_documented(targets, root):
    page = (root / "docs" / "development.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^|]+)` \| `([a-z]+)` \|", page, re.MULTILINE)
    documented = {target: command for command, target in rows}
    composed = {"help", "check"}
    assert documented == {name: command for name, command in targets.items() if name not in composed}
