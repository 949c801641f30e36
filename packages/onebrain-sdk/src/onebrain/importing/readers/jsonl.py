"""JSON Lines and JSON arrays of anybody's: objects with a text and further fields under usual names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from onebrain.importing.entries import Draft, Entry, Row, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

TEXTS: Final = (
    "content",
    "text",
    "memory",
    "document",
    "page_content",
    "fact",
    "note",
    "message",
    "body",
    "value",
)
_IDS: Final = ("id", "_id", "uuid", "key")
_TIMES: Final = ("created_at", "createdAt", "created", "timestamp", "date", "time")
_TAGS: Final = ("tags", "labels", "categories")
_PLAIN: Final = ("title", "type", "source")


def detects(sample: Sample) -> bool:
    """Whether it is JSON, of which no other reader knows more."""
    return sample.is_json or sample.ends(".jsonl", ".ndjson")


def read(source: Source) -> Iterator[Entry]:
    """Return the objects."""
    return rows(source, lambda row, place: draft(row, place))


def draft(row: Row, place: str, name: str = "jsonl") -> Entry:
    """Make a draft of a row by the usual names of its fields; all others are kept in the metadata."""
    row.metadata = row.object("metadata")
    text = row.text(*TEXTS)
    parts = row.object("scope")
    scope = scope_of(
        row.take("user", "user_id", "userId"),
        row.take("agent", "agent_id", "agentId"),
        row.take("session", "session_id", "sessionId", "thread_id", "threadId", "run_id", "conversation_id"),
        row.take("space", "collection"),
    )
    fields: dict[str, Any] = {"content": text, "id": row.take(*_IDS), "scope": {**scope, **parts}}
    fields |= {"tags": row.texts(*_TAGS), "created_at": row.time(*_TIMES)}
    for field in ("expires_at", "valid_from", "valid_until"):
        fields[field] = row.time(field)
    for field in _PLAIN:
        if isinstance(row.left.get(field), str):
            fields[field] = row.take(field)
    importance = _fraction(row.left.get("importance"))
    if importance is not None:
        fields["importance"] = importance
        del row.left["importance"]
    for field in ("pinned", "archived"):
        if _is_boolean(row.left.get(field)):
            fields[field] = str(row.left.pop(field)).lower() == "true"
    changed = row.time("updated_at", "updatedAt")
    return Draft(place, {**fields, "metadata": row.rest(name)}, changed)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _fraction(value: Any) -> float | None:
    """Return a number from 0 to 1; None for anything else, which stays in the metadata."""
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None
