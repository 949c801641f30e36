"""RememberOS's memories as the engine's, and back.

What the engine has a field for goes there: the collection is a space, the container tag a user, the category a type. Who
wrote a memory, its files, and what has superseded it travel in its `extra`; `metadata` holds exactly what the client gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic_core import to_json

from onebrain.memory.models import JsonObject, Memory, NewMemory, Scope
from onebrain_server.clock import iso
from onebrain_server.dialects.rememberos.wire import Share, Tag, Text, Wire
from onebrain_server.ids import new_id

Category = Annotated[str, Field(min_length=1, max_length=100)]
Source = Annotated[str, Field(max_length=255)]


class NewFields(Wire):
    """A memory to store."""

    text: Text
    importance: Share = 0.7
    category: Category = "other"
    source: Source = "api"
    metadata: JsonObject = Field(default_factory=dict)
    container_tag: Tag | None = None


class Author(Wire):
    """The agent identity that wrote a memory."""

    id: str
    label: str


class MemoryRow(Wire):
    """A memory, as every answer shows it."""

    id: str
    text: str
    importance: float
    category: str
    source: str
    metadata: JsonObject
    container_tag: str | None
    images: list[JsonObject]
    collection: str
    created_by: Author | None
    pinned: bool
    archived: bool
    superseded_by: str | None
    created_at: str
    updated_at: str


class HitRow(MemoryRow):
    """A memory that a search found."""

    score: float


def draft(fields: NewFields, collection: str, author: Mapping[str, str], **extra: Any) -> NewMemory:
    """Return a memory to store in the engine's terms."""
    return NewMemory.checked(
        id=new_id(),
        content=fields.text,
        scope=Scope(space=collection, user=fields.container_tag),
        type=fields.category,
        importance=fields.importance,
        source=fields.source,
        metadata=fields.metadata,
        extra={"created_by": dict(author), **extra},
    )


def row(memory: Memory) -> dict[str, Any]:
    """Return a memory as answers show it."""
    created, updated, extra = memory.created_at, memory.updated_at, memory.extra
    assert created is not None
    assert updated is not None
    return {
        "id": memory.id,
        "text": memory.content,
        "importance": memory.importance,
        "category": memory.type,
        "source": memory.source,
        "metadata": memory.metadata,
        "container_tag": memory.scope.user,
        "images": extra.get("images", []),
        "collection": memory.scope.space,
        "created_by": extra.get("created_by"),
        "pinned": memory.pinned,
        "archived": memory.archived,
        "superseded_by": extra.get("superseded_by"),
        "created_at": iso(created),
        "updated_at": iso(updated),
    }


def hit(memory: Memory, score: float) -> dict[str, Any]:
    """Return a memory that a search found as answers show it."""
    return {**row(memory), "score": round(score, 6)}


def size(memory: Memory) -> int:
    """Return how many bytes a memory's text and metadata have."""
    return len(memory.content.encode(errors="replace")) + len(to_json(memory.metadata))
