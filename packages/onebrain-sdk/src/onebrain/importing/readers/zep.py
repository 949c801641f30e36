"""Zep's and Graphiti's facts, episodes, nodes and messages, as their APIs return them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onebrain.importing.entries import Draft, Entry, Row, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_MARKS = {
    "fact",
    "role_type",
    "source_node_uuid",
    "source_description",
    "episode_uuids",
    "processed",
    "token_count",
}


def detects(sample: Sample) -> bool:
    """Whether these are facts or messages of Zep."""
    row = sample.first
    return "uuid" in row and bool(row.keys() & _MARKS)


def read(source: Source) -> Iterator[Entry]:
    """Return facts, episodes and messages, and the summaries of nodes."""
    return rows(
        source,
        _draft,
        keys=frozenset({"edges", "facts", "episodes", "messages", "nodes", "relevant_facts", "items"}),
    )


def _draft(row: Row, place: str) -> Entry | None:
    row.metadata = row.object("metadata")
    is_fact = "fact" in row.left
    is_node = "summary" in row.left and "content" not in row.left and not is_fact
    text = row.text("fact", "content", "summary")
    if is_node and not text.strip():
        # A node without a summary is a name, which facts have as well.
        return None
    scope = scope_of(
        row.take("user_id"), None, row.take("session_id", "thread_id"), row.take("group_id", "graph_id")
    )
    fields: dict[str, Any] = {
        "content": text,
        "id": row.take("uuid"),
        "scope": scope,
        "type": "fact" if is_fact else "summary" if is_node else "message",
        "title": row.take("name") if is_node else None,
        "created_at": row.time("created_at"),
        "source": "zep",
    }
    if is_fact:
        fields |= {"valid_from": row.time("valid_at"), "valid_until": row.time("invalid_at")}
        if fields["valid_from"] and fields["valid_until"] and fields["valid_until"] <= fields["valid_from"]:
            row.left["invalid_at"] = fields.pop("valid_until").isoformat()
    # Older versions have the role in role_type, and the speaker in role.
    kind = row.take("role_type")
    role = kind or row.take("role")
    row.left.pop("score", None)
    return Draft(place, {**fields, "metadata": row.rest("zep", role=role)}, row.left.pop("updated_at", None))
