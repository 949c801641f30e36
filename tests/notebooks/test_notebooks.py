"""Every notebook of the cookbooks runs offline in a new kernel, and its asserts hold."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

COOKBOOKS = Path(__file__).resolve().parents[2] / "cookbooks"
NOTEBOOKS = sorted(COOKBOOKS.glob("*.ipynb"))

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every
def test_a_notebook_is_committed_without_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count is not None] == []


@every
def test_a_notebook_ends_in_an_assert(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert any(line.startswith("assert ") for line in cells[-1].source.splitlines())


@every
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    for name in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(COOKBOOKS)}}
    ).execute()
