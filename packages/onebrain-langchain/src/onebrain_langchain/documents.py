"""Memories as LangChain documents."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from onebrain import Memory, NewMemory


def document(memory: Memory, score: float | None = None) -> Document:
    """Return a memory as a document whose metadata says what is known about it.

    The facts are ``score``, ``created_at`` (ISO 8601), ``updated_at``, ``title``, ``type``, ``tags``, ``source``,
    ``importance`` and the parts of the scope, each only where it is known; the memory's own metadata comes last, so a
    key of the caller's is never hidden.
    """
    facts: dict[str, Any] = {} if score is None else {"score": score}
    for name in ("created_at", "updated_at"):
        moment = getattr(memory, name)
        if moment is not None:
            facts[name] = moment.isoformat()
    for name in ("title", "type", "source", "importance"):
        value = getattr(memory, name)
        if value is not None:
            facts[name] = value
    if memory.tags:
        facts["tags"] = list(memory.tags)
    facts |= memory.scope.model_dump(exclude_none=True)
    return Document(id=memory.id, page_content=memory.content, metadata={**facts, **memory.metadata})


def new_memory(**fields: Any) -> NewMemory:
    """Return a memory to store; raise `OneBrainValidationError`, without the text, where it is not valid."""
    return NewMemory.checked(**fields)
