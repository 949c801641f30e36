"""Markdown: a memory for each section, or for each item of a plain list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from onebrain.importing.entries import Draft, Entry, Skipped, moment
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Part, Source

_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?![^ \t])")
_HEADINGS: Final = re.compile(r"^#{1,6} ", re.MULTILINE)
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"[-*+][ \t]+(?:\[[ xX]\][ \t]+)?(.*)$")
_FIELD: Final = re.compile(r"([A-Za-z_][\w-]*):[ \t]*(.*)$")


def detects(sample: Sample) -> bool:
    """Whether it is Markdown or other plain text."""
    if sample.plain:
        return sample.ends(".md", ".markdown", ".txt") or bool(_HEADINGS.search(sample.head))
    return any(name.endswith((".md", ".markdown")) for name in sample.names)


def read(source: Source) -> Iterator[Entry]:
    """Return the sections. The headings above a section are in its metadata, and those of front matter, too."""
    for part in source.ending(".md", ".markdown", ".txt"):
        yield from _sections(part)


@dataclass
class _Section:
    """Lines below a heading."""

    line: int
    path: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list[str])


def _sections(part: Part) -> Iterator[Entry]:
    front: dict[str, Any] = {}
    section = _Section(1)
    levels: list[tuple[int, str]] = []
    fence: str | None = None
    in_front = False
    for number, text in part.lines():
        if text is None:
            yield Skipped(placed(part, f"line {number}"), "the line is longer than 64 MiB")
            continue
        line = text.rstrip("\r\n")
        if number == 1 and line.strip() == "---":
            in_front = True
        elif in_front:
            in_front = line.strip() not in ("---", "...")
            if match := _FIELD.match(line):
                front[match[1]] = match[2].strip().strip("\"'")
        elif fence is None and (heading := _HEADING.match(line)):
            yield from _made(part, section, front)
            level = len(heading[1])
            title = _title_of(line[heading.end() :].strip(" \t"))
            levels = [*(one for one in levels if one[0] < level), (level, title)]
            section = _Section(number + 1, tuple(title for _, title in levels if title))
        else:
            fence = _fence_after(fence, line)
            section.lines.append(line)
    yield from _made(part, section, front)


def _title_of(text: str) -> str:
    """Return the text of a heading without the number signs that may close it."""
    title = text.rstrip("#")
    return title.rstrip(" \t") if not title or title[-1] in " \t" else text


def _fence_after(fence: str | None, line: str) -> str | None:
    """Return the fence of the code that goes on behind a line; None outside of code."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    if fence is None:
        return match[1]
    closes = match[1].startswith(fence) and not line.strip().strip(fence[0])
    return None if closes else fence


def _made(part: Part, section: _Section, front: dict[str, Any]) -> Iterator[Entry]:
    filled = [(number, line) for number, line in enumerate(section.lines, section.line) if line.strip()]
    if not filled:
        return
    matches = [(number, _ITEM.match(line)) for number, line in filled]
    if all(match and match[1].strip() for _, match in matches):
        texts = [(number, match[1].strip()) for number, match in matches if match]
    else:
        texts = [(filled[0][0], "\n".join(section.lines).strip("\n"))]
    metadata = {name: value for name, value in front.items() if name not in ("title", "tags") and value}
    if section.path:
        metadata["headings"] = list(section.path)
    if part.name:
        metadata["file"] = part.name
    tags = [
        tag.strip(" \"'") for tag in str(front.get("tags") or "").strip("[]").split(",") if tag.strip(" \"'")
    ]
    for number, text in texts:
        yield Draft(
            placed(part, f"line {number}"),
            {
                "content": text,
                "title": section.path[-1] if section.path else front.get("title") or None,
                "tags": tags,
                "created_at": moment(front.get("date") or front.get("created")),
                "source": "markdown",
                "metadata": metadata,
            },
        )
