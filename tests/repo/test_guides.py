"""The examples of each framework's guide and README run as they stand, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = {"sdk", "engine", "server"}
FRAMEWORKS = sorted(
    name
    for folder in ROOT.glob("packages/onebrain-*")
    if (name := folder.name.removeprefix("onebrain-")) not in CORE
)
# A part of the output.
PRINTED = {"langchain": "window seats"}


@pytest.mark.parametrize("page", ["docs/{}.md", "packages/onebrain-{}/README.md"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_examples_of_a_page_run_one_after_the_other(framework, page, tmp_path):
    text = (ROOT / page.format(framework)).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= (2 if framework in PRINTED else 1)
    # Without a key, the tracing of openai-agents says so at the end.
    environment = {
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "ONEBRAIN_HOME": str(tmp_path),
        "PATH": "",
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert PRINTED.get(framework, "") in done.stdout
