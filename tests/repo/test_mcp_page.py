"""The snippets of docs/mcp.md: the command takes the arguments of each configuration, and the program runs."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from onebrain.cli.mcp import mcp
from onebrain.mcp.toolset import TITLES


@pytest.fixture(scope="module")
def blocks(root):
    text = (root / "docs" / "mcp.md").read_text(encoding="utf-8")

    def of(language):
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

    return of


def test_the_command_takes_the_arguments_of_each_client(blocks):
    calls = []
    for block in blocks("json"):
        [[one]] = (list(servers.values()) for servers in json.loads(block).values())
        if one.get("type") == "http":
            assert one["url"].endswith("/mcp")
            continue
        assert one["command"] == "onebrain"
        calls.append(one["args"])
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        if words[0] != "pip" and "http://127.0.0.1:8765/mcp" not in words:
            calls.append(words[words.index("mcp", words[0] == "claude" and 2) :])
    assert len(calls) == 6
    for first, *arguments in calls:
        assert first == "mcp"
        context = mcp.make_context("mcp", list(arguments))
        assert context.params["user"] == "maria"
        assert context.params["url"]


def test_the_page_lists_every_tool(root):
    text = (root / "docs" / "mcp.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `onebrain_([a-z]+)` \|", text, re.MULTILINE))
    assert rows == set(TITLES) - {"remember"}


def test_the_program_runs(blocks, capsys):
    [block] = blocks("python")
    exec(compile(block, "docs/mcp.md", "exec"), {})
    assert "window seats" in capsys.readouterr().out
