"""Answers from many memories, by rules: no language model is asked, and every statement comes from a memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Final, Literal

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import Filter
from onebrain.memory.models import Hit, Memory, Scope
from onebrain_engine import Tenant
from onebrain_engine.extraction.proposals import classify

Role = Literal["decision", "context"]
PatternKind = Literal["tag", "entity", "together"]

_MOST_LINKS: Final = 20
# A memory with a lower score has hardly a word or a meaning in common with the topic.
_LEAST_RELEVANCE: Final = 0.25
_MOST_READ: Final = 1000
_MOST_PATTERNS: Final = 100
# Of one memory: their pairs grow with the square.
_MOST_SIGNALS: Final = 12


def chain(memories: Tenant, topic: str, scope: Scope, filter: Filter) -> list[tuple[Hit, Role]]:
    """Return the memories that bear on a topic, oldest first, each with its part in how things were decided."""
    request = SearchRequest(
        query=topic, scope=scope, filter=filter, limit=_MOST_LINKS, min_score=_LEAST_RELEVANCE
    )
    hits = sorted(memories.search(request).hits, key=lambda hit: _made(hit.memory))
    return [(hit, _role(hit.memory)) for hit in hits]


def _role(memory: Memory) -> Role:
    said = classify(memory.content)
    decided = memory.type == "decision" or (said is not None and said[0] == "decision")
    return "decision" if decided else "context"


@dataclass(slots=True)
class Pattern:
    """A tag, a name, or two of them that occur in the same memories, newest memory first."""

    kind: PatternKind
    values: tuple[str, ...]
    memory_ids: list[str] = field(default_factory=list[str])
    first_seen: datetime | None = None
    last_seen: datetime | None = None

    @property
    def occurrences(self) -> int:
        """In how many memories it occurs."""
        return len(self.memory_ids)


def patterns(memories: Tenant, scope: Scope, least: int) -> tuple[list[Pattern], int]:
    """Return the patterns that occur in at least a number of the newest memories, the most frequent first.

    The second value is how many memories were looked at.
    """
    read = memories.list(ListRequest(scope=scope, limit=_MOST_READ)).data
    found: dict[tuple[str, ...], Pattern] = {}
    memories.extract(read)
    named: dict[str, list[str]] = {}
    for mention in memories.mentions(read):
        named.setdefault(mention.memory.id, []).append(mention.entity.name)
    for memory in read:
        for pattern in _of(memory, named.get(memory.id, ())):
            kept = found.setdefault((pattern.kind, *pattern.values), pattern)
            kept.memory_ids.append(memory.id)
            kept.first_seen = _made(memory)
            kept.last_seen = kept.last_seen or _made(memory)
    often = [pattern for pattern in found.values() if pattern.occurrences >= least]
    often.sort(key=lambda pattern: (-pattern.occurrences, pattern.kind, pattern.values))
    return often[:_MOST_PATTERNS], len(read)


def _of(memory: Memory, named: Iterable[str]) -> Iterator[Pattern]:
    tags = _distinct(memory.tags)
    names = _distinct(named)
    signals: list[tuple[PatternKind, str]] = [("tag", tag) for tag in tags]
    signals.extend(("entity", name) for name in names)
    del signals[_MOST_SIGNALS:]
    for kind, value in signals:
        yield Pattern(kind, (value,))
    for (_, left), (_, right) in combinations(signals, 2):
        # A tag that is a name says nothing new beside it.
        if left.casefold() != right.casefold():
            yield Pattern("together", (left, right) if left < right else (right, left))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _made(memory: Memory) -> datetime:
    assert memory.created_at is not None
    return memory.created_at
