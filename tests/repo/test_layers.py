"""The layers that `pyproject.toml` declares hold, and no circle of imports exists."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

Graph = Mapping[str, Set[str]]


def modules_of(packages) -> dict[str, Path]:
    """Return every module of all packages, by its dotted name."""
    found = {}
    for package in packages:
        for path in package.modules:
            parts = path.relative_to(package.folder / "src").with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of a module outside its functions, those below `if TYPE_CHECKING` included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child)


def graph_of(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    graph = {}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imported = set()
        for statement in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                imported |= {alias.name for alias in statement.names}
                continue
            base = statement.module or ""
            if statement.level:
                base = ".".join(filter(None, [*package.split(".")[: 1 - statement.level or None], base]))
            names = {f"{base}.{alias.name}" for alias in statement.names}
            imported |= {name if name in modules else base for name in names}
        graph[name] = (imported & modules.keys()) - {name}
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules of which each imports, by way of others, every other one (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            position = stack.index(module)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_module_imports_itself_by_way_of_others(packages):
    assert circles(graph_of(modules_of(packages))) == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, [["d", "e"], ["a", "b", "c"]]),
    ],
)
def test_circles_are_found(graph, found):
    assert circles(graph) == found


def test_imports_for_types_alone_count_and_those_in_functions_do_not(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "first.py").write_text("if TYPE_CHECKING:\n    from package import second\n")
    (folder / "second.py").write_text("from .first import name\n\ndef f():\n    import package.third\n")
    (folder / "third.py").write_text("from . import second\n")
    names = {f"package.{path.stem}": path for path in folder.glob("[a-z]*.py")}
    graph = graph_of({"package": folder / "__init__.py", **names})
    assert graph == {
        "package": set(),
        "package.first": {"package.second"},
        "package.second": {"package.first"},
        "package.third": {"package.second"},
    }


def test_the_contracts_of_import_linter_are_kept(root):
    program = "from importlinter.cli import lint_imports_command as run; run(['--no-cache', '--no-logo'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stdout + done.stderr
