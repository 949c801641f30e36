from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onebrain_langchain

SOURCE = Path(onebrain_langchain.__file__).parent
FRAMEWORKS = ("langchain", "langchain_core", "langchain_classic", "langgraph", "langsmith")


def python(program, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_after(statement):
    return set(json.loads(python(f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")))


def test_importing_the_package_loads_nothing_else():
    modules = loaded_after("import onebrain_langchain")
    assert not {name.partition(".")[0] for name in modules} & {*FRAMEWORKS, "onebrain", "pydantic", "httpx"}


@pytest.mark.parametrize(
    ("name", "unneeded"),
    [
        ("OneBrainRetriever", {"langgraph", "langchain", "langchain_classic", "onebrain_engine", "numpy"}),
        ("OneBrainVectorStore", {"langgraph", "langchain", "langchain_classic", "onebrain_engine", "numpy"}),
        ("OneBrainSearchTool", {"langgraph", "langchain", "langchain_classic", "onebrain_engine", "numpy"}),
        ("OneBrainChatMessageHistory", {"langgraph", "langchain", "langchain_classic", "onebrain_engine"}),
        ("OneBrainStore", {"langchain", "langchain_classic", "onebrain_engine"}),
        ("OneBrainMiddleware", {"langchain_classic", "onebrain_engine"}),
    ],
)
def test_a_component_loads_only_the_framework_that_it_needs(name, unneeded):
    modules = loaded_after(f"from onebrain_langchain import {name}")
    assert {module.partition(".")[0] for module in modules} & unneeded == set()


@pytest.mark.parametrize(
    ("framework", "name", "extra"),
    [
        ("langgraph", "OneBrainStore", "langgraph"),
        ("langchain", "OneBrainMiddleware", "agents"),
        ("langchain_classic", "OneBrainMemory", "classic"),
    ],
)
def test_a_missing_framework_is_named_with_the_command_that_installs_it(framework, name, extra):
    program = f"""
import sys
sys.modules[{framework!r}] = None  # what Python makes of it is the error of a module that is not there
from importlib.abc import MetaPathFinder
del sys.modules[{framework!r}]
class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {framework!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
from onebrain_langchain import OneBrainRetriever
try:
    from onebrain_langchain import {name}
except ImportError as error:
    print(type(error).__name__, error)
"""
    said = python(program)
    assert said.startswith("MissingDependency")
    assert f'pip install "onebrain-langchain[{extra}]"' in said


def test_every_public_name_is_there_and_documented_with_an_example():
    for name in onebrain_langchain.__all__:
        value = getattr(onebrain_langchain, name)
        if name != "__version__":
            assert ">>> " in value.__doc__, name
    assert set(onebrain_langchain.__all__) <= set(dir(onebrain_langchain))
    with pytest.raises(AttributeError, match="Nothing"):
        _ = onebrain_langchain.Nothing


def test_only_public_names_of_the_frameworks_are_imported():
    """A private name may go in any release of a framework; so may a module whose name begins with an underscore."""
    private = []
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            private += [
                (path.name, name)
                for name in names
                if name.partition(".")[0] in (*FRAMEWORKS, "onebrain", "pydantic")
                and re.search(r"(^|\.)_", name)
            ]
    assert private == []
