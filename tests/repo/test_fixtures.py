"""A fixture that outlives a test is defined once along a path, because fixtures made from it keep the first definition."""

from __future__ import annotations

import ast
from pathlib import Path


def fixtures(conftest: Path) -> dict[str, bool]:
    """Return the fixtures of a file, with True for those that outlive a test."""
    found = {}
    for node in ast.parse(conftest.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in map(ast.unparse, node.decorator_list):
                if decorator.startswith("pytest.fixture"):
                    found[node.name] = "scope=" in decorator
    return found


def test_no_folder_overrides_a_fixture_that_outlives_a_test(root):
    files = {path.parent: fixtures(path) for path in (root / "tests").rglob("conftest.py")}
    assert len(files) > 10
    overridden = [
        (str(folder.relative_to(root)), name)
        for folder, names in files.items()
        for above in folder.parents
        for name, outlives in files.get(above, {}).items()
        if name in names and (outlives or names[name])
    ]
    assert overridden == []
