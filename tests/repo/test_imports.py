"""Importing is light, and packages depend on each other in one direction only."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

FRAMEWORKS = {
    "agent_framework",
    "agents",
    "agno",
    "autogen_agentchat",
    "autogen_core",
    "crewai",
    "dspy",
    "google",
    "haystack",
    "langchain",
    "langchain_classic",
    "langchain_core",
    "langgraph",
    "llama_index",
    "mcp",
    "pydantic_ai",
    "semantic_kernel",
    "smolagents",
    "strands",
}
# "OpenAI memory" and "Pydantic AI memory" are no service.
SERVICES = re.compile(r"(?<![a-z])ai[-_]?memory|herobrain|remember_?os|brrain", re.IGNORECASE)
CORE = {"onebrain-sdk", "onebrain-engine", "onebrain-server"}


class Import(NamedTuple):
    where: str
    module: str
    lazy: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def imports_of(path: Path) -> Iterator[Import]:
    """Yield every absolute import of a module. Lazy ones are in a function or below `if TYPE_CHECKING`."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(path.as_posix(), alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                for alias in child.names:
                    yield Import(path.as_posix(), f"{child.module}.{alias.name}", lazy)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(child, lazy or function or checking)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


def requirements_of(package) -> tuple[set[str], set[str]]:
    """The distributions that a package always needs, and those of its extras."""
    optional = package.project.get("optional-dependencies", {})

    def names(lines):
        return {re.match(r"[A-Za-z0-9._-]+", line)[0] for line in lines}

    return names(package.project["dependencies"]), names(
        line for lines in optional.values() for line in lines
    )


def modules_after(statement: str) -> set[str]:
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "onebrain",
            {"numpy", "wordllama", "psycopg", "fastapi", "onebrain_engine", "onebrain_server", "aiohttp"},
        ),
        ("onebrain_engine", {"wordllama", "psycopg", "fastapi", "onebrain_server"}),
        (
            "onebrain.webhooks",
            {
                f"onebrain.services.{name}.client"
                for name in ("ai_memory", "herobrain", "onebrain", "rememberos", "brrain")
            },
        ),
    ],
)
def test_importing_loads_nothing_heavy(module, heavy):
    assert modules_after(f"import {module}") & (heavy | FRAMEWORKS - {"google"}) == set()


def test_every_package_imports_without_a_warning(package):
    program = f"import {package.source.name}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_siblings_are_imported_only_along_the_dependencies(package, packages):
    """At the top of a module from dependencies, within functions also from extras; the command line may start all."""
    distributions = {sibling.source.name: sibling.name for sibling in packages}
    always, optional = requirements_of(package)
    wrong = []
    for path in package.modules:
        command = "cli" in package.parts_of(path)
        for found in imports_of(path):
            distribution = distributions.get(found.top, package.name)
            if distribution == package.name or distribution in always:
                continue
            if found.lazy and (distribution in optional or command):
                continue
            wrong.append(found)
    assert wrong == []


def test_the_core_imports_no_framework(package):
    """Within functions it may import the packages of its own extras."""
    if package.name in CORE:
        _, optional = requirements_of(package)
        assert [
            found
            for path in package.modules
            for found in imports_of(path)
            if found.top in FRAMEWORKS and not (found.lazy and found.top in optional)
        ] == []


def test_an_adapter_knows_no_service(package):
    """It sees `onebrain.Brain` and its types: no client, no driver, and not even a service's name."""
    if package.name in CORE:
        return
    inner = ("onebrain.services", "onebrain.memory.drivers", "onebrain._core")
    imported = [
        found for path in package.modules for found in imports_of(path) if found.module.startswith(inner)
    ]
    named = [path.name for path in package.modules if SERVICES.search(path.read_text(encoding="utf-8"))]
    assert imported == []
    assert named == []
