"""Memories of mem0: what its ``get_all``, its REST API and its exports return."""

from __future__ import annotations

from collections.abc import Iterator

from onebrain.importing.entries import Draft, Entry, Row, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source


def detects(sample: Sample) -> bool:
    """Whether these are memories of mem0."""
    row = sample.first
    return isinstance(row.get("memory"), str) and bool(
        row.keys() & {"hash", "user_id", "agent_id", "run_id", "app_id", "categories"}
    )


def read(source: Source) -> Iterator[Entry]:
    """Return the memories; relations of its graph are left out."""
    return rows(source, _draft, keys=frozenset({"results", "memories"}))


def _draft(row: Row, place: str) -> Entry:
    row.metadata = row.object("metadata")
    fields = {
        "content": row.text("memory", "text", "data"),
        "id": row.take("id"),
        "scope": scope_of(row.take("user_id"), row.take("agent_id"), row.take("run_id")),
        "tags": row.texts("categories"),
        "created_at": row.time("created_at"),
        "expires_at": row.time("expiration_date"),
        "source": "mem0",
    }
    changed = row.time("updated_at")
    for name in ("hash", "score"):
        row.left.pop(name, None)
    return Draft(place, {**fields, "metadata": row.rest("mem0")}, changed)
