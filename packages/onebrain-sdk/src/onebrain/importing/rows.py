"""Rows of files: JSON lines, arrays, and arrays within objects, with the place of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import Any, Final

from onebrain.importing.entries import Entry, Row, Skipped, as_row
from onebrain.importing.json_stream import items
from onebrain.importing.sources import Part, Source

_decoder = JSONDecoder(strict=False)
# The keys under which tools list rows.
LISTS: Final = frozenset(
    {"results", "items", "memories", "data", "documents", "records", "edges", "facts", "episodes", "messages", "nodes",
     "relevant_facts", "memoryEntries", "memory_units"}
)  # fmt: skip


def placed(part: Part, place: str) -> str:
    """Return a place with the name of its file, if that is one of several."""
    return f"{part.name}: {place}" if part.name else place


def rows(
    source: Source, convert: Callable[[Row, str], Entry | None], *, keys: frozenset[str] = LISTS
) -> Iterator[Entry]:
    """Return what `convert` makes of each object of JSON or JSON Lines files.

    Args:
        source: The files.
        convert: Makes a draft of a row and its place; None for a row that holds nothing.
        keys: The keys under which rows stand if a document is an object. An object without them is a row itself.
    """
    for part in source.ending(".json", ".jsonl", ".ndjson", ".af"):
        found = _lines(part) if is_lines(part) else _items(part, keys)
        for place, row in found:
            if isinstance(row, Skipped):
                yield row
                continue
            made = convert(row, place)
            if made is not None:
                yield made


def is_lines(part: Part) -> bool:
    """Whether a file has one JSON value a line, rather than one document."""
    if part.name.endswith((".jsonl", ".ndjson")):
        return True
    head = part.head().lstrip()
    if not head.startswith("{"):
        return False
    line, feed, rest = head.partition("\n")
    try:
        _decoder.decode(line)
    except JSONDecodeError:
        # The first line is damaged, or one of many lines of a document.
        return rest.lstrip(" \t\r").startswith("{") and line.rstrip().endswith("}")
    return bool(feed) and bool(rest.strip())


def lines(part: Part) -> Iterator[tuple[str, str | Skipped]]:
    """Return the lines of a file that are not blank, with their places."""
    for number, text in part.lines():
        place = placed(part, f"line {number}")
        if text is None:
            yield place, Skipped(place, "the line is longer than 64 MiB")
        elif text.strip():
            yield place, text


def _lines(part: Part) -> Iterator[tuple[str, Row | Skipped]]:
    for place, text in lines(part):
        if isinstance(text, Skipped):
            yield place, text
            continue
        try:
            row = as_row(_decoder.decode(text))
        except (ValueError, RecursionError):
            yield place, Skipped(place, "is no JSON")
            continue
        yield place, row if row is not None else Skipped(place, "is no JSON object")


def _items(part: Part, keys: frozenset[str]) -> Iterator[tuple[str, Row | Skipped]]:
    alone: dict[str, Any] = {}
    listed = False
    for item in items(part.chunks()):
        place = placed(part, item.place)
        if item.reason is not None:
            yield place, Skipped(place, item.reason)
            listed = True
            continue
        if item.key is not None and item.number == 0:
            alone[item.key] = item.value
            continue
        if item.key is not None and item.key not in keys:
            alone.setdefault(item.key, []).append(item.value)
            continue
        row = as_row(item.value)
        listed = True
        yield place, row if row is not None else Skipped(place, "is no JSON object")
    if not listed and alone:
        yield placed(part, "the document"), Row(dict(alone))
