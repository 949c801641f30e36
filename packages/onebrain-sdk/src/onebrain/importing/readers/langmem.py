"""Memories of LangMem: items of a LangGraph store whose values have a kind and a content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onebrain._core.codec import as_object, is_object, to_json
from onebrain.importing.entries import Entry, Row
from onebrain.importing.readers import langgraph_store
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source


def detects(sample: Sample) -> bool:
    """Whether these are memories of LangMem."""
    row = sample.first
    return row.keys() >= {"namespace", "key", "value"} and as_object(row["value"]).keys() >= {
        "kind",
        "content",
    }


def read(source: Source) -> Iterator[Entry]:
    """Return the memories; one with a schema of its own becomes its text, or JSON."""
    return rows(source, _draft, keys=frozenset({"items", "memories"}))


def _draft(row: Row, place: str) -> Entry:
    value = dict(as_object(row.left.get("value")))
    content = value.get("content")
    if is_object(content):
        found: dict[str, Any] = dict(content)
        text = found.pop("content", None)
        if not isinstance(text, str):
            text, found = to_json(dict(content), what="the memory"), {}
        row.left["value"] = {**found, **value, "content": text}
    return langgraph_store.draft(row, place, "langmem")
