"""Changing stored memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from onebrain._core.codec import to_json
from onebrain.errors import EmbedderMismatch, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.driver import Change, Changes, several_with_id
from onebrain.memory.models import EVERYTHING, Memory, Scope
from onebrain.memory.moments import dump_object, load_object
from onebrain_engine.bounds import Bounds
from onebrain_engine.embedding import Vectorizer
from onebrain_engine.fitting import CALLER, claimed, mismatch, vector_bytes
from onebrain_engine.indexes import Indexes
from onebrain_engine.retrying import persistent
from onebrain_engine.store.lives import Life, Wanted
from onebrain_engine.store.protocol import Store, Writing
from onebrain_engine.store.records import (
    METADATA,
    Entry,
    Record,
    Space,
    by_space,
    changed,
    now_in_micros,
    to_memory,
    to_micros,
)
from onebrain_engine.succession import Succession
from onebrain_engine.vectorizers import Vectorizers

# The fields of a memory that its life holds.
LIFE: Final = ("valid_from", "valid_until", "supersedes", "sources")


@dataclass(frozen=True, slots=True)
class Revision:
    """New fields of one memory, its content and its vector excepted.

    Attributes:
        id: The memory's id.
        space: Its space; empty for the default space.
        changes: The new fields.
        at: The time that is noted as that of its last change.
    """

    id: str
    space: str
    changes: Changes
    at: datetime


class Made(NamedTuple):
    """A vector, and the fingerprint of the embedder that made it."""

    vector: bytes
    embedder: str


class Updating:
    """Changes memories, with their vectors and their entries in the index.

    Args:
        store: The store.
        embedders: Make the vectors of new contents.
        bounds: The most that a memory may hold.
        indexes: The indexes that learn of each change.
    """

    def __init__(self, store: Store, embedders: Vectorizers, bounds: Bounds, indexes: Indexes) -> None:
        self._store = store
        self._embedders = embedders
        self._bounds = bounds
        self._indexes = indexes

    def update(
        self, tenant: str, id: str, changes: Changes, scope: Scope, at: datetime | None = None
    ) -> Memory:
        """Change one memory and return it; `at` is the time of the change, by default now."""
        if "content" not in changes.fields or "embedding" in changes.fields:
            return self._update(tenant, id, changes, scope, at, None)
        content: str = changes.fields["content"]
        # Made before the transaction, which may have to be repeated: a vector may be paid for.
        embedder = self._embedder(tenant, id, scope)
        try:
            return self._update(tenant, id, changes, scope, at, _made(embedder, content))
        except EmbedderMismatch:
            # Its space may have been given another embedder while this one made the vector.
            other = self._embedder(tenant, id, scope)
            if other is embedder:
                raise
            return self._update(tenant, id, changes, scope, at, _made(other, content))

    def _embedder(self, tenant: str, id: str, scope: Scope) -> Vectorizer | None:
        """Return the embedder for the new text of a memory."""
        if not self._embedders.several:
            return self._embedders.own
        with self._store.reading() as read:
            found = read.find(tenant, [id], scope, now=now_in_micros())
        space = found[0][1] if found else None
        if space is None or space.embedder is None:
            return self._embedders.for_new(tenant, "" if space is None else space.name)
        return self._embedders.for_vectors(space.embedder)

    @persistent
    def change(self, tenant: str, id: str, change: Change, scope: Scope) -> Memory:
        """Change one memory, its content and vector excepted, by what it holds; read and changed in one transaction."""
        now = now_in_micros()
        with self._store.writing() as write:
            space, record = self._found(write, tenant, id, scope, now)
            old = to_memory(record, space.name, life=known_life(write, tenant, space, record[0]))
            wanted = change(old)
            if wanted is None:
                return old
            memory, entry, after = self._changed(write, tenant, space, record, wanted, now, now, None)
        self._indexes.note_changed(tenant, entry, space, after, text=False)
        return memory

    @persistent
    def _update(
        self,
        tenant: str,
        id: str,
        changes: Changes,
        scope: Scope,
        at: datetime | None,
        made: Made | None,
    ) -> Memory:
        now = now_in_micros()
        with self._store.writing() as write:
            space, record = self._found(write, tenant, id, scope, now)
            vector: dict[str, bytes | None] = {}
            # The content is that of the record in clear.
            if "embedding" in changes.fields or (made is not None and changes.fields["content"] != record[5]):
                space, vector["vector"] = self._vector(write, tenant, space, changes.fields, made)
            moment = now if at is None else to_micros(at)
            memory, entry, after = self._changed(write, tenant, space, record, changes, now, moment, vector)
        text = "content" in changes.fields or bool(vector)
        self._indexes.note_changed(tenant, entry, space, after, text=text)
        return memory

    def _changed(
        self,
        write: Writing,
        tenant: str,
        space: Space,
        record: Record,
        changes: Changes,
        now: int,
        at: int,
        vector: Mapping[str, bytes | None] | None,
    ) -> tuple[Memory, Entry, Space]:
        """Change one memory within a transaction; return it, its entry for the index, and the space as it is then."""
        row = record[0]
        values = {**_columns(changes, record), **(vector or {})}
        self._bounds.check_changes(values, record, tenant)
        life = self._life(write, tenant, space, record, changes.fields, now)
        new = changed(record, values, at)
        entry, after = write.change(tenant, space, new, values, at)
        if life is not None:
            bare = Life(row, record[1], entry.created_at, entry.expires_at)
            succession = Succession(write, tenant, after, now)
            succession.give([(bare, life)], users={row: record[2] or None})
            after = succession.space
        memory = to_memory(new, space.name, life=known_life(write, tenant, after, row))
        return memory, entry, after

    @persistent
    def revise(self, tenant: str, revisions: Sequence[Revision]) -> int:
        """Change several memories in one transaction, and return the number of those that were there."""
        if not revisions:
            return 0
        wanted = {(one.id, one.space): one for one in revisions}
        made: list[tuple[Entry, Space, Space]] = []
        with self._store.writing() as write:
            located = write.find(tenant, [one.id for one in revisions], EVERYTHING, now=now_in_micros())
            for space, rows in by_space(located):
                latest = space
                records = write.records(tenant, space, rows)
                for row in rows:
                    record = records[row]
                    revision = wanted.get((record[1], space.name))
                    if revision is None:
                        continue
                    values = _columns(revision.changes, record)
                    self._bounds.check_changes(values, record, tenant)
                    before = latest
                    at = to_micros(revision.at)
                    entry, latest = write.change(tenant, before, changed(record, values, at), values, at)
                    made.append((entry, before, latest))
        for entry, before, after in made:
            self._indexes.note_changed(tenant, entry, before, after, text=False)
        return len(made)

    def _found(self, write: Writing, tenant: str, id: str, scope: Scope, now: int) -> tuple[Space, Record]:
        found = write.found(tenant, [id], scope, now=now)
        if not found:
            raise OneBrainNotFoundError("no memory with this id in this scope", service=self._store.service)
        if len(found) > 1:
            raise several_with_id(self._store.service)
        return found[0]

    def _life(
        self, write: Writing, tenant: str, space: Space, record: Record, given: Mapping[str, Any], now: int
    ) -> Wanted | None:
        """Return the life that a memory is to have, or None if it stays as it is."""
        changes = {name: given[name] for name in LIFE if name in given}
        if not changes:
            return None
        known = known_life(write, tenant, space, record[0])
        before = Wanted()
        if known is not None:
            olds = tuple(link.id for link in known.supersedes)
            before = Wanted(known.valid_from, known.valid_until, olds, known.sources)
        values: dict[str, Any] = {
            name: (() if name in ("supersedes", "sources") else None)
            if value is None
            else (value if isinstance(value, tuple) else to_micros(value))
            for name, value in changes.items()
        }
        life = replace(before, **values)
        if None not in (life.valid_from, life.valid_until) and life.valid_until <= life.valid_from:  # type: ignore[operator]
            raise OneBrainValidationError(
                "valid_until: must be later than valid_from", service=self._store.service
            )
        name = (record[1], record[2] or None)
        problem = Succession(write, tenant, space, now).refused([(name, life)]).get(0)
        if problem is not None:
            problem.service = self._store.service
            raise problem
        return life

    def _vector(
        self, write: Writing, tenant: str, space: Space, given: Mapping[str, Any], made: Made | None
    ) -> tuple[Space, bytes | None]:
        """Return the new vector of a memory, and the space that holds vectors of its kind."""
        service = self._store.service
        if made is None:
            if not given["embedding"]:
                return space, None
            embedder, vector = CALLER, vector_bytes(given["embedding"])
        else:
            if space.embedder == CALLER:
                raise mismatch(service, space, "new content without a vector", None)
            embedder, vector = made.embedder, made.vector
        return claimed(service, write, tenant, space, embedder, len(vector) // 4), vector


def _made(embedder: Vectorizer | None, content: str) -> Made | None:
    """Return the vector of a text, None without an embedder."""
    if embedder is None:
        return None
    return Made(embedder.documents([content])[0].tobytes(), embedder.fingerprint)


def _columns(changes: Changes, old: Record) -> dict[str, Any]:
    """Return the new values of fields by column, a vector excepted."""
    return {
        name: _column(name, value, old, merge=changes.merge_metadata)
        for name, value in changes.fields.items()
        if name != "embedding" and name not in LIFE
    }


def known_life(write: Writing, tenant: str, space: Space, row: int) -> Life | None:
    """Return the life of a memory, or None if nothing is said of it."""
    found = write.lives(tenant, space, rows=[row]) if space.timed else ()
    return found[0] if found else None


def _column(name: str, value: Any, old: Record, *, merge: bool) -> Any:
    """Return the new value of a field as its column holds it."""
    if name == "metadata" and value is not None and merge:
        return dump_object({**load_object(old[METADATA]), **value})
    if name in ("metadata", "extra"):
        return "{}" if value is None else dump_object(value, what=name)
    if name == "tags":
        return "[]" if value is None else to_json(value, what=name)
    if name in ("created_at", "expires_at"):
        return None if value is None else to_micros(value)
    return bool(value) if name in ("pinned", "archived") else value
