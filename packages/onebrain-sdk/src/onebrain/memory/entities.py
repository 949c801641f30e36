"""Entities: the people, organizations, places and things that memories name, as the memories of a scope show them.

An entity has no scope of its own. It is seen through memories: in a scope there are the entities that memories of this
scope name, with those memories alone behind them, so nothing that another user stored shows through. Facts about an
entity as a whole, its description and metadata, is shown only where no scope is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import Field

from onebrain.memory.models import Memory, Metadata, Model

_WORD: Final = re.compile(r"\w+")
# The type of an entity of which rules cannot say more.
THING: Final = "thing"


class Entity(Model, frozen=True):
    """Somebody or something that memories name.

    Attributes:
        id: Its id, the same in every scope.
        name: Its name, as memories write it.
        type: ``person``, ``organization``, ``place``, ``technology``, ``contact`` (an email address), ``thing``, or
            another word of the service's.
        memory_ids: The memories of the scope that name it, the newest first; after a search, those it found.
        created_at: When the oldest of them was made.
        updated_at: When the newest of them was made.
        description: A text about it, if the service keeps one and no scope was given.
        metadata: Its JSON object, where the service keeps one and no scope was given.

    Example:
        >>> Entity(id="7", name="Maria", type="person", memory_ids=("a", "b")).mentions
        2
    """

    id: str
    name: str
    type: str
    memory_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    description: str | None = None
    metadata: Metadata = Field(default_factory=dict)

    @property
    def mentions(self) -> int:
        """The number of memories that name it."""
        return len(self.memory_ids)


class Relation(Model, frozen=True):
    """A link between two entities: memories of the scope that name both.

    Attributes:
        source: The entity that was asked about.
        target: The other one.
        memory_ids: The memories that name both, the newest first.

    Example:
        >>> maria, lisbon = (Entity(id=name, name=name, type="thing") for name in ("Maria", "Lisbon"))
        >>> Relation(source=maria, target=lisbon, memory_ids=("a",)).target.name
        'Lisbon'
    """

    source: Entity
    target: Entity
    memory_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """A memory that names an entity; the ids and times of `entity` are not read."""

    memory: Memory
    entity: Entity


def gather(mentions: Iterable[Mention], *, whole: bool) -> list[Entity]:
    """Return the entities of mentions, most mentioned first; `whole` keeps descriptions and metadata."""
    groups: dict[str, list[Mention]] = {}
    for mention in mentions:
        groups.setdefault(mention.entity.id, []).append(mention)
    entities = [_seen(group, whole) for group in groups.values()]
    return sorted(entities, key=lambda entity: (-entity.mentions, entity.name.casefold(), entity.id))


def _seen(group: Sequence[Mention], whole: bool) -> Entity:
    """Return one entity as its mentions show it; where they differ in name or type, as most of them do."""
    named = (mention.memory for mention in group)
    behind = {(memory.scope.space, memory.scope.user, memory.id): memory for memory in named}
    newest = sorted(
        behind.values(),
        key=lambda memory: 0.0 if memory.created_at is None else memory.created_at.timestamp(),
        reverse=True,
    )
    times = [memory.created_at for memory in newest if memory.created_at is not None]
    first = group[0].entity
    types = Counter(mention.entity.type for mention in group if mention.entity.type != THING)
    return Entity(
        id=first.id,
        name=Counter(mention.entity.name for mention in group).most_common(1)[0][0],
        type=types.most_common(1)[0][0] if types else first.type,
        memory_ids=tuple(memory.id for memory in newest),
        created_at=times[-1] if times else None,
        updated_at=times[0] if times else None,
        description=first.description if whole else None,
        metadata=first.metadata if whole else {},
    )


def ranked(entities: Iterable[Entity], query: str, scores: Mapping[str, float]) -> list[Entity]:
    """Return entities for a query: those it names first, then by the scores of the memories behind them."""
    asked = set(_WORD.findall(query.casefold()))

    def key(entity: Entity) -> tuple[int, float, str]:
        named = len(asked & set(_WORD.findall(entity.name.casefold())))
        return -named, -sum(scores.get(id, 0.0) for id in entity.memory_ids), entity.name.casefold()

    return sorted(entities, key=key)


def pick(entities: Sequence[Entity], name_or_id: str) -> Entity | None:
    """Return the entity with an id, else the most mentioned one with a name, regardless of case; None for none."""
    folded = " ".join(name_or_id.split()).casefold()
    by_id = (entity for entity in entities if entity.id == name_or_id)
    by_name = (entity for entity in entities if entity.name.casefold() == folded)
    return next(by_id, None) or next(by_name, None)
