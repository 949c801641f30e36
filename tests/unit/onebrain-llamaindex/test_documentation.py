"""The code on the package's pages runs as it stands, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llama_index.core import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "docs" / "llamaindex.md", ROOT / "packages" / "onebrain-llamaindex" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs(page, monkeypatch, tmp_path, capsys):
    for name in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL", "IS_TESTING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path))
    monkeypatch.setattr(Settings, "_embed_model", None)
    names = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    opened = names.get("brain") or names["index"].vector_store
    opened.close()
