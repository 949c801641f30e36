"""The links of the documentation lead somewhere, and the files that the architecture names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture(scope="session")
def pages(root, texts) -> dict[str, str]:
    """The Markdown pages without their code blocks, by their path from the root."""
    code = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
    return {path: code.sub("", text) for path, text in texts.items() if path.endswith(".md")}


def test_every_link_leads_to_a_file_and_a_heading(root, pages):
    broken = []
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, anchor = target.partition("#")
            file = (root / path).parent / name if name else root / path
            if not file.exists() or (anchor and anchor not in headings(file)):
                broken.append((path, target))
    assert broken == []


def test_every_page_is_reached_from_the_index(root, pages):
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {(root / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", index)}
    unlinked = [path for path in pages if path.startswith("docs/") and (root / path).resolve() not in linked]
    assert unlinked == ["docs/index.md"]


def test_the_files_of_the_architecture_exist(root, packages):
    sources = [package.folder / "src" for package in packages]
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {
        name for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", text) if name.startswith("onebrain")
    }
    assert len(named) > 10
    assert [name for name in sorted(named) if not any((source / name).is_file() for source in sources)] == []


def test_the_tables_of_the_architecture_name_files_and_folders(root):
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (packages/\S+)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert len(sections) == 3
    missing = [
        (folder, name)
        for folder, section in sections
        for cell in re.findall(r"^\| ([^|]*`[^|]*) \|", section, re.MULTILINE)
        for name in re.findall(r"`([^`<]+)`", cell)
        if not (root / folder / name).exists()
    ]
    assert missing == []
