"""Claude's export: conversations, projects and memories, each an array in a JSON file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onebrain._core.codec import as_array, as_object
from onebrain.importing.entries import Draft, Entry, Row, Skipped, as_row, blocks_text, scope_of
from onebrain.importing.json_stream import items
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_FILES = ("conversations.json", "projects.json", "memories.json")


def detects(sample: Sample) -> bool:
    """Whether it is an export of Claude."""
    return (
        sample.says("chat_messages")
        or sample.says("conversations_memory")
        or sample.says("prompt_template", "docs")
    )


def read(source: Source) -> Iterator[Entry]:
    """Return messages with their attached texts, documents of projects, and memories."""
    for part in source.named(*_FILES):
        for item in items(part.chunks()):
            place = placed(part, item.place)
            row = as_row(item.value)
            if item.reason is not None or row is None:
                yield Skipped(place, item.reason or "is no JSON object")
            elif "chat_messages" in row.left:
                yield from _conversation(row, place)
            elif "conversations_memory" in row.left or "project_memories" in row.left:
                yield from _memories(row, place)
            elif "docs" in row.left or "prompt_template" in row.left:
                yield from _project(row, place)
            else:
                yield Skipped(place, "is neither a conversation, nor a project, nor a memory of Claude")


def _conversation(conversation: Row, place: str) -> Iterator[Entry]:
    session, title = conversation.left.get("uuid"), conversation.left.get("name") or None
    for number, message in enumerate(as_array(conversation.left.get("chat_messages")), 1):
        where = f"{place}, message {number}"
        row = as_row(message)
        if row is None:
            yield Skipped(where, "is no JSON object")
            continue
        plain, content = row.text("text"), row.left.pop("content", None)
        text = plain or blocks_text(content)
        own = row.take("uuid")
        sender = row.take("sender")
        role = "user" if sender == "human" else sender
        attached = as_array(row.left.pop("attachments", None))
        created, changed = row.time("created_at"), row.time("updated_at")
        scope = scope_of(session=session)
        common = {"scope": scope, "title": title, "created_at": created, "source": "claude"}
        if text.strip():
            metadata = row.rest("claude", role=role)
            yield Draft(
                where,
                {**common, "content": text, "id": own, "type": "message", "metadata": metadata},
                changed,
            )
        for index, attachment in enumerate(attached, 1):
            file = Row(dict(as_object(attachment)))
            extracted = file.text("extracted_content")
            if extracted.strip():
                details = file.rest("claude", role=role, message_id=own)
                id = f"{own}/attachment/{index}" if own else None
                yield Draft(
                    f"{where}, attachment {index}",
                    {**common, "content": extracted, "id": id, "type": "attachment", "metadata": details},
                )


def _memories(row: Row, place: str) -> Iterator[Entry]:
    account = row.take("account_uuid")
    about = {} if account is None else {"account_uuid": account}
    text = row.text("conversations_memory")
    if text.strip():
        yield Draft(
            place,
            {"content": text, "type": "summary", "source": "claude", "metadata": row.rest("claude", **about)},
        )
    for project, memory in as_object(row.left.get("project_memories")).items():
        if isinstance(memory, str) and memory.strip():
            yield Draft(
                f"{place}, project {project}",
                {
                    "content": memory,
                    "type": "summary",
                    "source": "claude",
                    "metadata": {**about, "project_id": project},
                },
            )


def _project(row: Row, place: str) -> Iterator[Entry]:
    project, name = row.left.get("uuid"), row.left.get("name") or None
    instructions = row.text("prompt_template")
    about: dict[str, Any] = {"project_id": project, "project": name}
    if instructions.strip():
        id = f"{project}/instructions" if project else None
        yield Draft(
            f"{place}, instructions",
            {
                "content": instructions,
                "id": id,
                "title": name,
                "type": "instructions",
                "source": "claude",
                "metadata": about,
            },
        )
    for number, document in enumerate(as_array(row.left.get("docs")), 1):
        file = Row(dict(as_object(document)))
        text = file.text("content")
        if text.strip():
            fields: dict[str, Any] = {
                "content": text,
                "id": file.take("uuid"),
                "title": file.take("filename"),
                "type": "document",
                "created_at": file.time("created_at"),
                "source": "claude",
            }
            yield Draft(f"{place}, document {number}", {**fields, "metadata": file.rest("claude", **about)})
