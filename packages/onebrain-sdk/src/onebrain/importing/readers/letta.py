"""Letta's agent files (``.af``), of both versions, and lists of archival passages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from onebrain._core.codec import as_array, as_object
from onebrain.importing.entries import Draft, Entry, Row, Skipped, as_row, blocks_text, scope_of
from onebrain.importing.json_stream import items
from onebrain.importing.rows import placed, rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Part, Source

_Convert: TypeAlias = Callable[[Row, str, str | None], Entry | None]


def detects(sample: Sample) -> bool:
    """Whether it is an agent file, or a list of passages."""
    row = sample.first
    return (
        sample.ends(".af")
        or sample.says("agents", "blocks")
        or sample.says("core_memory", "messages")
        or (isinstance(row.get("text"), str) and bool(row.keys() & {"archive_id", "embedding_config"}))
    )


def read(source: Source) -> Iterator[Entry]:
    """Return the blocks of core memory, the messages and the passages."""
    for part in source.ending(".af", ".json"):
        head = part.head().lstrip()
        if head.startswith("[") or not ('"blocks"' in head or '"core_memory"' in head or '"agents"' in head):
            yield from rows(source, _passage, keys=frozenset({"passages", "items"}))
            return
        yield from _agent_file(part)


def _agent_file(part: Part) -> Iterator[Entry]:
    """Read an agent file; agents that stand in it make their messages items of their own."""
    name: str | None = None
    for item in items(part.chunks()):
        place = placed(part, item.place)
        if item.reason is not None:
            yield Skipped(place, item.reason)
        elif item.key == "name" and isinstance(item.value, str):
            name = item.value
        elif item.key in ("blocks", "core_memory") and item.number:
            yield from _rows(item.value, place, _block, name)
        elif item.key == "messages" and item.number:
            yield from _rows(item.value, place, _message, name)
        elif item.key in ("passages", "archival_memory") and item.number:
            yield from _rows(item.value, place, _passage, name)
        elif item.key == "agents" and item.number:
            yield from _agent(as_object(item.value), place)


def _rows(value: Any, place: str, convert: _Convert, agent: str | None) -> Iterator[Entry]:
    row = as_row(value)
    found = Skipped(place, "is no JSON object") if row is None else convert(row, place, agent)
    if found is not None:
        yield found


def _agent(agent: Mapping[str, Any], place: str) -> Iterator[Entry]:
    name = agent.get("name") or agent.get("id")
    for key, convert in (("memory_blocks", _block), ("messages", _message)):
        for number, value in enumerate(as_array(agent.get(key)), 1):
            where = f"{place}, {key} item {number}"
            yield from _rows(value, where, convert, name)


def _block(row: Row, place: str, agent: str | None) -> Entry | None:
    text = row.text("value")
    if not text.strip():
        return None
    row.metadata = row.object("metadata") or row.object("metadata_")
    fields: dict[str, Any] = {
        "content": text,
        "id": row.take("id"),
        "scope": scope_of(None, agent),
        "title": row.left.get("label"),
        "type": "block",
        "tags": row.texts("tags"),
        "created_at": row.time("created_at"),
        "source": "letta",
    }
    return Draft(place, {**fields, "metadata": row.rest("letta")}, row.time("updated_at"))


def _message(row: Row, place: str, agent: str | None) -> Entry | None:
    content = row.left.pop("content", None)
    text = blocks_text(content) or row.text("text")
    if not text.strip():
        # A call of a tool has no text of its own.
        return None
    fields: dict[str, Any] = {
        "content": text,
        "id": row.take("id"),
        "scope": scope_of(None, agent, row.take("conversation_id", "group_id")),
        "type": "message",
        "created_at": row.time("created_at"),
        "source": "letta",
    }
    return Draft(place, {**fields, "metadata": row.rest("letta")}, row.time("updated_at"))


def _passage(row: Row, place: str, agent: str | None = None) -> Entry:
    row.metadata = row.object("metadata") or row.object("metadata_")
    row.left.pop("embedding", None)
    row.left.pop("embedding_config", None)
    fields: dict[str, Any] = {
        "content": row.text("text", "content"),
        "id": row.take("id"),
        "scope": scope_of(None, row.take("agent_id") or agent),
        "type": "passage",
        "tags": row.texts("tags"),
        "created_at": row.time("created_at"),
        "source": "letta",
    }
    return Draft(place, {**fields, "metadata": row.rest("letta")}, row.time("updated_at"))
