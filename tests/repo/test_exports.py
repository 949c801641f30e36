"""The public names of onebrain: the list for type checkers and the list for the running program agree."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import onebrain


def test_each_public_name_is_loaded_from_where_type_checkers_see_it():
    tree = ast.parse(Path(onebrain.__file__).read_text())
    seen = {
        alias.name: (node.module or "")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == onebrain._HOME_OF
    assert sorted({*seen, "__version__"}) == sorted(onebrain.__all__)
    for name in onebrain.__all__:
        assert getattr(onebrain, name) is not None
    assert set(onebrain.__all__) <= set(dir(onebrain))


def test_importing_onebrain_loads_no_http_library_and_no_engine():
    program = "import sys, onebrain; onebrain.Brain; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"httpx", "aiohttp", "numpy", "asyncio", "onebrain_engine"})
