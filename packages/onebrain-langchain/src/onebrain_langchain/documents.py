"""Memories as LangChain documents."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from onebrain import Memory
from onebrain.frameworks.turns import facts


def document(memory: Memory, score: float | None = None) -> Document:
    """Return a memory as a document.

    Its metadata holds ``score``, the known facts about the memory (see `onebrain.frameworks.turns.facts`), and the
    memory's own metadata, whose keys win.
    """
    metadata: dict[str, Any] = {} if score is None else {"score": score}
    return Document(id=memory.id, page_content=memory.content, metadata={**metadata, **facts(memory)})
