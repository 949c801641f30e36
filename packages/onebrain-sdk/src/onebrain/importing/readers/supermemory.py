"""Documents and memory entries of supermemory, as its API lists them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onebrain.importing.entries import Draft, Entry, Row, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_MARKS = {"containerTags", "containerTag", "customId", "isLatest", "isForgotten", "spaceContainerTag"}


def detects(sample: Sample) -> bool:
    """Whether these are documents or memories of supermemory."""
    return bool(sample.first.keys() & _MARKS)


def read(source: Source) -> Iterator[Entry]:
    """Return documents and memory entries. A forgotten entry is archived; a document without content becomes its summary."""
    return rows(source, _draft, keys=frozenset({"memories", "memoryEntries", "results", "documents"}))


def _draft(row: Row, place: str) -> Entry | None:
    row.metadata = row.object("metadata")
    text = row.text("memory") or row.text("content") or row.text("summary")
    if not text.strip() and row.left.get("status") not in (None, "done"):
        # A document that is not processed yet.
        return None
    tags = row.texts("containerTags")
    container = row.take("containerTag", "spaceContainerTag")
    forgotten = row.take("isForgotten") is True
    fields: dict[str, Any] = {
        "content": text,
        "id": row.take("id"),
        "scope": scope_of(container or (tags[0] if len(tags) == 1 else None)),
        "title": row.take("title"),
        "type": row.take("type"),
        "tags": tags,
        "archived": forgotten,
        "created_at": row.time("createdAt"),
        "expires_at": row.time("forgetAfter"),
        "source": "supermemory",
    }
    changed = row.time("updatedAt")
    return Draft(place, {**fields, "metadata": row.rest("supermemory")}, changed)
