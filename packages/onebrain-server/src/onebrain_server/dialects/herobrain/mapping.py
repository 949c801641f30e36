"""HeroBrain's memories as the engine's, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from onebrain.memory.filters import Cmp, Filter, either, every
from onebrain.memory.models import JsonObject, Memory
from onebrain_server.clock import iso
from onebrain_server.dialects.herobrain.wire import TenantId, Wire

MemoryType = Literal[
    "episodic",
    "semantic",
    "procedural",
    "working",
    "prospective",
    "emotional",
    "contextual",
    "identity",
    "relational",
    "event",
    "predictive",
    "task",
    "decision",
]


Content = Annotated[str, Field(min_length=1, max_length=10_000)]


Share = Annotated[float, Field(ge=0, le=1)]


class NewMemoryFields(Wire):
    """A memory to store."""

    content: Content
    type: MemoryType
    importance: Share = 0.5
    tags: list[str] = Field(default_factory=list[str])
    metadata: JsonObject = Field(default_factory=dict[str, Any])
    tenant_id: TenantId | None = None


class MemoryRow(Wire):
    """A memory, whole in every answer."""

    id: str
    content: str
    type: str
    importance: float
    tags: list[str]
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


def row(memory: Memory) -> dict[str, Any]:
    """Return a memory as answers show it."""
    assert memory.created_at is not None
    assert memory.updated_at is not None
    return {
        "id": memory.id,
        "content": memory.content,
        "type": memory.type,
        "importance": memory.importance,
        "tags": memory.tags,
        "metadata": memory.metadata,
        "createdAt": iso(memory.created_at),
        "updatedAt": iso(memory.updated_at),
    }


def matching(type: str | None, tags: Sequence[str]) -> Filter:
    """Return the filter for a kind, and for any of several tags."""
    parts: list[Filter] = [] if type is None else [Cmp("$type", "eq", type)]
    if tags:
        parts.append(either(*(Cmp("$tags", "contains", tag) for tag in tags)))
    return every(*parts)
