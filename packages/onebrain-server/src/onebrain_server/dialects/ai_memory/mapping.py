"""A memory in ai-memory's terms, as the engine keeps it and back.

The namespace is the engine's space, the agent its agent, the priority its importance in tenths. Title and tags are part
of what is searched, as ai-memory has it, and the engine searches a memory's text: so they are kept behind the content,
and taken off again when it is read. What the engine has no field for travels in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from onebrain.memory.driver import Changes
from onebrain.memory.filters import instant_of
from onebrain.memory.models import Memory, NewMemory, Scope

DEFAULT_NAMESPACE: Final = "global"
MESSAGES: Final = "_messages/"
# Fields that ai-memory shows in a memory's metadata and keeps elsewhere.
LIFTED: Final = ("agent_id", "scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One memory.

    Attributes:
        agent: Who wrote it; None for nobody in particular, who is shown as `anonymous`.
        scope: From where it is seen; None means private.
        metadata: The client's metadata, without `LIFTED`.
        readers: Agents that it was granted to.
        writers: Agents that may change it, too.
        to: The agent that it is a message to.
        read: Whether that agent has marked it as read.
    """

    id: str
    title: str
    content: str
    namespace: str = DEFAULT_NAMESPACE
    tier: str = "mid"
    tags: tuple[str, ...] = ()
    priority: int = 5
    confidence: float = 1.0
    source: str = "api"
    expires_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    agent: str | None = None
    anonymous: str | None = None
    scope: str | None = None
    access_count: int = 0
    last_accessed_at: datetime | None = None
    readers: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    to: str | None = None
    read: bool = False
    created_at: datetime
    updated_at: datetime

    @property
    def shown_agent(self) -> str | None:
        """Who wrote it, as clients are told."""
        return self.agent or self.anonymous


def of(memory: Memory) -> Row:
    """Return the engine's memory as a row."""
    extra = memory.extra
    assert memory.created_at is not None
    assert memory.updated_at is not None
    title = memory.title or ""
    return Row(
        id=memory.id,
        title=title,
        content=memory.content[: len(memory.content) - len(_tail(title, memory.tags))],
        namespace=memory.scope.space or DEFAULT_NAMESPACE,
        tier=extra["tier"],
        tags=memory.tags,
        priority=round((memory.importance or 0.0) * 10),
        confidence=extra["confidence"],
        source=memory.source or "api",
        expires_at=memory.expires_at,
        metadata=memory.metadata,
        agent=memory.scope.agent,
        anonymous=extra.get("anonymous"),
        scope=extra.get("scope"),
        access_count=extra.get("access_count", 0),
        last_accessed_at=instant_of(extra["last_accessed_at"]) if "last_accessed_at" in extra else None,
        readers=tuple(extra.get("readers", ())),
        writers=tuple(extra.get("writers", ())),
        to=extra.get("to"),
        read=extra.get("read", False),
        created_at=memory.created_at,
        updated_at=memory.updated_at,
    )


def to_store(row: Row) -> NewMemory:
    """Return a row for the engine, which replaces the memory with this id."""
    return NewMemory.checked(
        id=row.id,
        content=row.content + _tail(row.title, row.tags),
        scope=Scope(space=row.namespace, agent=row.agent),
        title=row.title,
        tags=row.tags,
        metadata=dict(row.metadata),
        importance=importance(row.priority),
        source=row.source,
        created_at=row.created_at,
        expires_at=row.expires_at,
        extra=_extra(row),
    )


def to_judge(row: Row) -> Memory:
    """Return a row as filters see it that ask for everything but its text."""
    return Memory(id=row.id, content="", scope=Scope(space=row.namespace, agent=row.agent), extra=_extra(row))


def besides_text(row: Row) -> Changes:
    """Return a row's fields that can change without its text; those need no new vector."""
    return Changes(
        fields={
            "importance": importance(row.priority),
            "expires_at": row.expires_at,
            "extra": _extra(row),
        },
        merge_metadata=False,
    )


def importance(priority: int) -> float:
    """Return a priority as the engine's importance."""
    return priority / 10


def shown(row: Row) -> dict[str, Any]:
    """Return a row as answers show it, without the fields that are not set."""
    body: dict[str, Any] = {
        "id": row.id,
        "tier": row.tier,
        "namespace": row.namespace,
        "title": row.title,
        "content": row.content,
        "tags": row.tags,
        "priority": row.priority,
        "confidence": row.confidence,
        "source": row.source,
        "access_count": row.access_count,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
    if row.last_accessed_at is not None:
        body["last_accessed_at"] = row.last_accessed_at.isoformat()
    if row.expires_at is not None:
        body["expires_at"] = row.expires_at.isoformat()
    lifted = {"agent_id": row.shown_agent, "scope": row.scope}
    body["metadata"] = {
        **row.metadata,
        **{name: value for name, value in lifted.items() if value is not None},
    }
    return body


def _tail(title: str, tags: Sequence[str]) -> str:
    # The engine keeps each tag once.
    words = " ".join(dict.fromkeys(tags))
    return f"\n\n{title}\n{words}" if words else f"\n\n{title}"


def _extra(row: Row) -> dict[str, Any]:
    extra: dict[str, Any] = {"tier": row.tier, "confidence": row.confidence}
    others: dict[str, Any] = {
        "anonymous": row.anonymous if row.agent is None else None,
        "scope": row.scope,
        "access_count": row.access_count,
        "last_accessed_at": None if row.last_accessed_at is None else row.last_accessed_at.isoformat(),
        "readers": list(row.readers),
        "writers": list(row.writers),
        "to": row.to,
        "read": row.read,
    }
    return extra | {name: value for name, value in others.items() if value}
