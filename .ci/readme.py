"""Print a command of README.md: `readme.py test` prints the block that `<!-- command: test -->` marks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def command(name: str) -> str:
    """The text of the first fenced block below the named marker."""
    block = re.compile(
        rf"^<!-- command: {re.escape(name)} -->\s*^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL
    )
    found = block.search(README.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"README.md has no fenced block below <!-- command: {name} -->")
    return found[1].strip()


if __name__ == "__main__":
    print(command(sys.argv[1]))
