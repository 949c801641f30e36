"""The example of the guide runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[5] / "docs" / "remember.md"


def test_the_example_of_the_guide_prints_what_it_says(capsys):
    [block] = re.findall(
        r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    names = {}
    exec(block, names)
    names["brain"].close()
    promised = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == promised
