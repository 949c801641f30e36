"""ChatGPT's export: ``conversations.json``, an array of conversations, each with its messages as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onebrain._core.codec import as_array, as_object, is_object
from onebrain.importing.entries import Draft, Entry, Row, Skipped, blocks_text, moment, scope_of
from onebrain.importing.json_stream import items
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Part, Source


def detects(sample: Sample) -> bool:
    """Whether it is an export of ChatGPT."""
    return sample.says("mapping") and (sample.says("current_node") or sample.says("message", "children"))


def read(source: Source) -> Iterator[Entry]:
    """Return the messages that have text, of all branches, in the order of each conversation."""
    parts = (
        source.parts
        if source.is_plain
        else [part for part in source.ending(".json") if _is_conversations(part)]
    )
    for part in parts:
        for item in items(part.chunks()):
            place = placed(part, item.place)
            conversation = as_object(item.value)
            mapping = conversation.get("mapping")
            if item.reason is not None or not is_object(mapping):
                yield Skipped(place, item.reason or "is no conversation of ChatGPT")
                continue
            yield from _messages(conversation, mapping, place, item.number)


def _is_conversations(part: Part) -> bool:
    # Large exports are in several files: conversations-000.json and so on.
    return part.name.rpartition("/")[2].startswith("conversations")


def _messages(
    conversation: Mapping[str, Any], mapping: Mapping[str, Any], place: str, number: int
) -> Iterator[Entry]:
    session = conversation.get("conversation_id") or conversation.get("id")
    shared = {
        name: conversation[name]
        for name in ("gizmo_id", "default_model_slug", "conversation_origin")
        if conversation.get(name) is not None
    }
    for node in _in_order(mapping):
        message = as_object(as_object(mapping[node]).get("message"))
        text = _text(as_object(message.get("content")))
        if not text.strip():
            continue
        row = Row(dict(message))
        author = row.object("author")
        row.left.pop("content", None)
        own = row.take("id") or node
        details = {**shared, **row.object("metadata")}
        created = row.time("create_time") or moment(conversation.get("create_time"))
        fields: dict[str, Any] = {
            "content": text,
            "id": f"{session}/{own}" if session else None,
            "scope": scope_of(session=session),
            "type": "message",
            "title": conversation.get("title") or None,
            "archived": conversation.get("is_archived") is True,
            "created_at": created,
            "source": "chatgpt",
        }
        metadata = row.rest("chatgpt", **details, role=author.get("role"), message_id=own)
        if author.get("name"):
            metadata.setdefault("name", author["name"])
        metadata.pop("update_time", None)
        yield Draft(f"{place}, message {node}", {**fields, "metadata": metadata}, message.get("update_time"))


def _in_order(mapping: Mapping[str, Any]) -> list[str]:
    """Return the nodes of a conversation, each behind its parent; those of a broken tree at the end."""
    parents = {node: as_object(one).get("parent") for node, one in mapping.items()}
    roots = [node for node, parent in parents.items() if not isinstance(parent, str) or parent not in mapping]
    order: dict[str, None] = {}
    waiting = roots[::-1]
    while waiting:
        node = waiting.pop()
        if node in order or node not in mapping:
            continue
        order[node] = None
        children = [
            child for child in as_array(as_object(mapping[node]).get("children")) if isinstance(child, str)
        ]
        waiting.extend(reversed(children))
    return [*order, *(node for node in mapping if node not in order)]


def _text(content: Mapping[str, Any]) -> str:
    """Return the text of a message; empty for images and other things without one."""
    if "parts" in content:
        return blocks_text(content["parts"])
    for name in ("text", "result", "content", "user_profile", "user_instructions"):
        value = content.get(name)
        if isinstance(value, str) and value.strip():
            return value
    thoughts = [as_object(thought).get("content") for thought in as_array(content.get("thoughts"))]
    return "\n\n".join(one for one in thoughts if isinstance(one, str))
