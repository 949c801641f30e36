"""The entities that memories name, kept beside the memories: the engine's only store of entities.

A memory's mentions are what rules found in one text of it. They end with that text or that memory, and an entity is seen
through its mentions alone, so it ends with the last of them. Entities that an account of a server makes and describes
itself are records of that server, which outlive every text.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeAlias

from onebrain._core.codec import from_json, to_json
from onebrain.memory.driver import Mention
from onebrain.memory.entities import Entity
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_engine.retrying import persistent
from onebrain_engine.store.protocol import Reading, Store
from onebrain_engine.store.records import Space, by_space, now_in_micros

# Names and types.
Pairs: TypeAlias = Sequence[tuple[str, str]]


class Mentions:
    """The mentions of all tenants' memories.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def extract(self, tenant: str, memories: Sequence[Memory]) -> int:
        """Read the memories whose present text was not read yet; return the number of those that were."""
        # Imported late because few programs need its rules.
        from onebrain_engine.extraction.entities import find_entities

        with self._store.reading() as read:
            known = self._known(read, tenant, memories)
        unread = [memory for position, memory in enumerate(memories) if position not in known]
        texts = [
            _note(memory, [(one.name, one.type) for one in find_entities(_text(memory))]) for memory in unread
        ]
        return self._keep(tenant, unread, texts)

    def of(self, tenant: str, memories: Sequence[Memory]) -> Sequence[Mention]:
        """Return the mentions that were kept of memories."""
        with self._store.reading() as read:
            notes = self._known(read, tenant, memories)
        # One object for each name, because most names stand in many memories.
        entities: dict[tuple[str, str], Entity] = {}
        for named in notes.values():
            for name, type in named:
                if (name, type) not in entities:
                    entities[name, type] = Entity(id=_entity_id(tenant, name), name=name, type=type)
        return [
            Mention(memories[position], entities[pair])
            for position, named in sorted(notes.items())
            for pair in named
        ]

    def forget(self, tenant: str, entity_id: str, memories: Sequence[Memory]) -> int:
        """Remove an entity from the mentions of memories; return the number of memories changed."""
        with self._store.reading() as read:
            notes = self._known(read, tenant, memories)
        kept = {
            position: [pair for pair in named if _entity_id(tenant, pair[0]) != entity_id]
            for position, named in notes.items()
        }
        changed = [position for position, named in kept.items() if len(named) < len(notes[position])]
        texts = [_note(memories[position], kept[position]) for position in changed]
        return self._keep(tenant, [memories[position] for position in changed], texts)

    @persistent
    def _keep(self, tenant: str, memories: Sequence[Memory], texts: Sequence[str]) -> int:
        """Keep texts beside the memories that are still stored; return the number of those."""
        if not memories:
            return 0
        with self._store.writing() as write:
            notes: dict[int, tuple[Space, dict[int, str]]] = {}
            for position, (row, space) in self._rows(write, tenant, memories).items():
                notes.setdefault(space.key, (space, {}))[1][row] = texts[position]
            for space, some in notes.values():
                write.note(tenant, space, some)
        return sum(len(some) for _, some in notes.values())

    def _known(self, read: Reading, tenant: str, memories: Sequence[Memory]) -> dict[int, Pairs]:
        """Return the notes of memories' present texts, by the memories' positions."""
        rows = self._rows(read, tenant, memories)
        notes = {
            row: text
            for space, some in by_space(rows.values())
            for row, text in read.notes(tenant, space, some).items()
        }
        known: dict[int, Pairs] = {}
        for position, (row, _) in rows.items():
            if row in notes:
                note = from_json(notes[row])
                if note["of"] == _digest(memories[position]):
                    known[position] = [(name, type) for name, type in note["named"]]
        return known

    def _rows(self, read: Reading, tenant: str, memories: Sequence[Memory]) -> dict[int, tuple[int, Space]]:
        """Return row and space of the memories that are still stored, by position; one id may name several memories."""
        wanted = list({memory.id for memory in memories})
        rows: dict[tuple[str, str, str], tuple[int, Space]] = {}
        for space, some in by_space(read.find(tenant, wanted, EVERYTHING, now=now_in_micros())):
            for row, id, user in read.columns(tenant, space, ["id", "user"], some):
                rows[space.name, user or "", id] = (row, space)
        keys = [(memory.scope.space or "", memory.scope.user or "", memory.id) for memory in memories]
        return {position: rows[key] for position, key in enumerate(keys) if key in rows}


def _entity_id(tenant: str, name: str) -> str:
    return sha256(f"{tenant}\0{name.casefold()}".encode()).hexdigest()[:32]


def _text(memory: Memory) -> str:
    """Return a memory's content, with its title if the content does not contain that."""
    title = memory.title or ""
    return memory.content if title in memory.content else f"{title}. {memory.content}"


def _digest(memory: Memory) -> str:
    return sha256(_text(memory).encode()).hexdigest()[:16]


def _note(memory: Memory, named: Pairs) -> str:
    return to_json({"of": _digest(memory), "named": [list(pair) for pair in named]}, what="a note")
