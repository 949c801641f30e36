"""The code on the package's pages runs as it stands, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "docs" / "openai-agents.md", ROOT / "packages" / "onebrain-openai-agents" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs(page, monkeypatch, tmp_path, capsys):
    for name in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path))
    names = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    names["brain"].close()
