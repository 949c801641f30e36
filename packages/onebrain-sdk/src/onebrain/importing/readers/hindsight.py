"""Memory units of Hindsight, as its API lists and recalls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onebrain.importing.entries import Draft, Entry, Row, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_MARKS = {"fact_type", "mentioned_at", "occurred_start", "bank_id", "chunk_id"}


def detects(sample: Sample) -> bool:
    """Whether these are memory units of Hindsight."""
    row = sample.first
    return isinstance(row.get("text"), str) and bool(row.keys() & _MARKS)


def read(source: Source) -> Iterator[Entry]:
    """Return the units. The bank becomes the user, and the document the session."""
    return rows(source, _draft, keys=frozenset({"items", "results", "memories", "memory_units"}))


def _draft(row: Row, place: str) -> Entry:
    row.metadata = row.object("metadata")
    start, end = row.time("occurred_start"), row.time("occurred_end")
    if start and end and end > start:
        # An event lasts as long as it does, and the memory of it holds afterwards.
        row.metadata.setdefault("occurred_end", end.isoformat())
    if start:
        row.metadata.setdefault("occurred_start", start.isoformat())
    created = row.time("mentioned_at") or row.time("date") or row.time("created_at") or start
    fields: dict[str, Any] = {
        "content": row.text("text"),
        "id": row.take("id"),
        "scope": scope_of(row.take("bank_id", "agent_id"), None, row.take("document_id")),
        "type": row.take("fact_type", "type"),
        "tags": row.texts("tags"),
        "created_at": created,
        "source": "hindsight",
    }
    return Draft(place, {**fields, "metadata": row.rest("hindsight")}, row.time("updated_at"))
