"""The quickstart reads the conversations and the notes that people have."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "cookbooks" / "quickstart.py"


@pytest.fixture(scope="module")
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart", PATH)
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look up their annotations there.
    sys.modules["quickstart"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quickstart"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1e"])
def test_a_separator_inside_a_text_ends_no_line(quickstart, tmp_path, separator, end, mark):
    # JSON writes control characters as escapes, and may hold the others as they are.
    rows = [{"speaker": "Ann", "text": f"I moved{separator}to Oslo."}, {"speaker": "Bo", "text": "When?"}]
    file = tmp_path / "chat.jsonl"
    file.write_bytes((mark + end.join(json.dumps(row, ensure_ascii=False) for row in rows) + end).encode())
    (tmp_path / "questions.jsonl").write_bytes(
        (
            mark + json.dumps({"question": f"Where{separator}?", "evidence": [0]}, ensure_ascii=False) + end
        ).encode()
    )
    memories, questions = quickstart.read(file)
    assert [memory.content for memory in memories] == [f"Ann: I moved{separator}to Oslo.", "Bo: When?"]
    assert [question.text for question in questions] == [f"Where{separator}?"]


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("```sh", "```"),
        ("```", "````"),
        ("~~~ text `x`", "~~~"),
        ("````\n```\n# inner\n```", "````"),
        ("  ```", " ```  "),
        ("~~~\n```", "~~~"),
        ("```\n```sh", "```"),
        ("```\n\n\n", "```"),
    ],
)
def test_a_comment_in_fenced_code_is_no_heading(quickstart, opened, closed):
    code = f"{opened}\n# open the valve first\n\n## then\nvalve --open\n{closed}"
    first, second = quickstart.sections(f"# Pump\n\nStart it so:\n\n{code}\n\n## Parts\n\nA seal.\n")
    assert first == f"# Pump\n\nStart it so:\n\n{code}"
    assert second == "## Parts\n\nA seal."


def test_what_only_looks_like_a_fence_hides_no_heading(quickstart):
    text = "# One\n\n``` a `b` ```\n\n## Two\n\n    ```\n\n## Three\n\n``\n\n## Four"
    assert [block.split("\n")[0] for block in quickstart.sections(text)] == [
        "# One",
        "## Two",
        "## Three",
        "## Four",
    ]


def test_a_fence_that_is_never_closed_holds_the_rest(quickstart):
    assert len(quickstart.sections("# One\n\n```\n# two\n\n# three")) == 1


@pytest.mark.parametrize("text", ["    # indented code\n\nText.", "#\nText.", "\t# indented\n"])
def test_a_block_that_begins_with_no_heading_has_none(quickstart, tmp_path, text):
    (tmp_path / "note.md").write_text(text)
    [memory], questions = quickstart.read(tmp_path)
    assert memory.metadata["heading"] == ""
    assert questions == []
