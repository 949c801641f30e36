"""Memories that say the same: twins, rivals, and how alike two texts are."""

from __future__ import annotations

from typing import Final

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import Memory
from onebrain_engine.extraction.likeness import likeness
from onebrain_server.http.requests import Call

_COMPARED: Final = 600


def similarity(left: str, right: str) -> float:
    """Return how alike two texts are, 0..1, regardless of case and spaces; of long ones, their beginnings."""
    return likeness(comparable(left), comparable(right), 0.4)


def comparable(text: str) -> str:
    """Return the beginning of a text, regardless of case and spaces."""
    return " ".join(text[: 2 * _COMPARED].casefold().split())[:_COMPARED]


def relatives(call: Call, title: str, body: str, type: str) -> list[Memory]:
    """Return the active memories of a type that are most likely to say the same."""
    query = f"{title} {body}"[:1000]
    request = SearchRequest(query=query, filter=Cmp("$type", "eq", type), limit=25, mode="keyword")
    found = {hit.memory.id: hit.memory for hit in call.memories.search(request).hits}
    same = every(Cmp("$type", "eq", type), Cmp("$title", "eq", title))
    for memory in call.memories.list(ListRequest(filter=same, limit=25)).data:
        found.setdefault(memory.id, memory)
    return list(found.values())


def twin(call: Call, title: str, body: str, type: str) -> Memory | None:
    """Return the active memory that says the same as a new one: title alike to 0.8, body to 0.48."""
    best: tuple[float, Memory] | None = None
    for memory in relatives(call, title, body, type):
        names, texts = similarity(title, memory.title or ""), similarity(body, memory.content)
        if names >= 0.8 and texts >= 0.48 and (best is None or names + texts > best[0]):
            best = (names + texts, memory)
    return None if best is None else best[1]


def rival(call: Call, title: str, body: str, type: str) -> Memory | None:
    """Return the active memory of the same title that says something else."""
    folded = title.casefold().strip()
    for memory in relatives(call, title, body, type):
        if (memory.title or "").casefold().strip() == folded and similarity(body, memory.content) < 0.9:
            return memory
    return None
