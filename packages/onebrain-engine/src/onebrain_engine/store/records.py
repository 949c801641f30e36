"""The rows that pass between the engine and a store; times are microseconds since 1970 in UTC."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np

from onebrain._core.codec import from_json
from onebrain.memory.acceptance import LATEST
from onebrain.memory.models import Memory, Scope
from onebrain.memory.moments import load_object
from onebrain_engine.store.lives import Life, Wanted

Record: TypeAlias = tuple[Any, ...]  # a memory's `MEMORY_COLUMNS`
At: TypeAlias = tuple[int, int | None]  # a state of a space: its last change, and the run of that

NEVER = 2**63 - 1
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return a datetime with an offset as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def now_in_micros() -> int:
    """Return the present in microseconds since 1970."""
    return time.time_ns() // 1000


def to_datetime(micros: int) -> datetime:
    """Return microseconds since 1970 as a datetime in UTC, exactly; the nearest one where there is no such date."""
    try:
        # Twice as fast as timedelta(microseconds=micros), for each memory of a page.
        seconds, rest = divmod(micros, 1_000_000)
        return _EPOCH + timedelta(0, seconds, rest)
    except OverflowError:  # earlier builds stored such moments, too
        return LATEST if micros > 0 else _EARLIEST


@dataclass(slots=True)
class Draft:
    """A memory on its way into the store; JSON fields are encoded already, and `row` is its row if it is new."""

    id: str
    given_id: bool
    user: str | None
    agent: str | None
    session: str | None
    content: str
    title: str | None
    type: str | None
    tags: str
    metadata: str
    importance: float | None
    source: str | None
    pinned: bool
    archived: bool
    created_at: int | None
    expires_at: int | None
    extra: str
    vector: bytes | None
    row: int = 0
    updated_at: int | None = None  # of a memory that was changed elsewhere; None for now
    life: Wanted | None = None


@dataclass(slots=True)
class Entry:
    """The fields of a stored memory that the index needs."""

    row: int
    user: str | None
    agent: str | None
    session: str | None
    content: str
    created_at: int
    updated_at: int
    expires_at: int | None
    importance: float | None
    archived: bool
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class Space:
    """One space of one tenant.

    Attributes:
        key: The store's own number for it.
        name: Its name; empty for the default space.
        seq: The number of its last change.
        embedder: The fingerprint of the embedder whose vectors it holds; ``caller`` for vectors of the caller's own;
            None where it holds none yet.
        dimension: The length of its vectors.
        snapshot: The token of the newest snapshot of its index.
        run: The run of changes that its last change belongs to, see `onebrain_engine.store.runs`; None where it has none
            since runs are noted.
        next_embedder: The fingerprint of the embedder that an unfinished `reembed` makes vectors of; None if there is none.
        filled: The change up to which its words are in the database's own index; None where they are not kept there.
        filling: The change that this has to reach; later ones are kept by those who make them.
        analysis: The version of the text analysis that made the words there; None where none are kept.
        served: Whether the database's own indexes are complete, and serve it.
        timed: Whether any of its memories has had a time for which it holds, or a link to another one.
    """

    key: int
    name: str
    seq: int
    embedder: str | None
    dimension: int | None
    snapshot: str | None
    run: int | None = None
    next_embedder: str | None = None
    filled: int | None = None
    filling: int | None = None
    served: bool = False
    analysis: int | None = None
    timed: bool = False

    @property
    def at(self) -> At:
        """Its state: two spaces with one key and one state hold the same memories."""
        return self.seq, self.run

    def moved(self, seq: int, run: int) -> Space:
        """Return the space after a change."""
        # Four times as fast as dataclasses.replace(), on the way of every store.
        return Space(
            self.key, self.name, seq, self.embedder, self.dimension, self.snapshot, run, self.next_embedder, self.filled,
            self.filling, self.served, self.analysis, self.timed,
        )  # fmt: skip


@dataclass(slots=True)
class Put:
    """The memories that one transaction put into a space, in order; the space before and after it."""

    space: Space
    after: Space
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a space after a given one: new and changed rows, removed rows, and the last change's number."""

    entries: Sequence[Entry]
    gone: Sequence[int]
    seq: int


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A memory that has no vector yet of the embedder that its space is to have, with its last change."""

    row: int
    seq: int
    content: str


def by_space(located: Iterable[tuple[int, Space]]) -> list[tuple[Space, list[int]]]:
    """Group rows by space."""
    groups: dict[int, tuple[Space, list[int]]] = {}
    for row, space in located:
        groups.setdefault(space.key, (space, []))[1].append(row)
    return list(groups.values())


# The columns of a memory in the order of `to_memory`.
MEMORY_COLUMNS = (
    "row, id, user, agent, session, content, title, type, tags, metadata, importance, source, pinned, archived, "
    "created_at, updated_at, expires_at, extra"
)


_PLACES = {name: place for place, name in enumerate(MEMORY_COLUMNS.split(", "))}

METADATA: Final = _PLACES["metadata"]


def changed(record: Record, values: Mapping[str, Any], at: int) -> Record:
    """Return a record after a change of columns at a moment, as the store holds it; a vector is no part of it."""
    columns = list(record)
    for name, value in values.items():
        if name != "vector":
            columns[_PLACES[name]] = value
    columns[_PLACES["updated_at"]] = at
    return tuple(columns)


def entry_of(record: Record, vector: bytes | None) -> Entry:
    """Return the fields of a record that the index needs, with the memory's vector."""
    return Entry(
        record[0], record[2] or None, record[3], record[4], record[5], record[14], record[15], record[16], record[10],
        bool(record[13]), vector,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _scope(space: str, user: str | None, agent: str | None, session: str | None) -> Scope:
    """Return a memory's scope; the memories of a page mostly share a few."""
    return Scope.trusted({"space": space or None, "user": user or None, "agent": agent, "session": session})


# Not frozen, for one is made of every record that is read, and a frozen one takes three times as long.
@dataclass(slots=True)
class Shown:
    """A record made ready to become a memory, once or often.

    Attributes:
        fields: The fields of the memory, shared by all memories that are made of it.
        nested: The texts of its metadata and extra fields if either holds a list or an object; else None.
    """

    fields: dict[str, Any]
    nested: tuple[str, str] | None

    def memory(self, vector: bytes | None = None, life: Life | None = None) -> Memory:
        """Return the memory, with its life and the floats of its vector if given.

        The store's own data needs no validation.
        """
        fields = self.fields.copy()
        # A caller may change what it is given, so no two memories share these.
        if self.nested is None:
            fields["metadata"], fields["extra"] = fields["metadata"].copy(), fields["extra"].copy()
        else:
            fields["metadata"], fields["extra"] = map(load_object, self.nested)
        if vector is not None:
            fields["embedding"] = tuple(np.frombuffer(vector, np.float32).tolist())
        if life is not None:
            last = life.successors[-1] if life.successors else None
            fields.update(
                valid_from=None if life.valid_from is None else to_datetime(life.valid_from),
                valid_until=None if life.valid_until is None else to_datetime(life.valid_until),
                supersedes=tuple(link.id for link in life.supersedes),
                superseded_by=None if last is None else last.id,
                superseded_at=None if last is None else to_datetime(last.recorded),
                sources=life.sources,
            )
        return Memory.trusted(fields)


def to_memory(record: Record, space: str, vector: bytes | None = None, life: Life | None = None) -> Memory:
    """Return the memory of a record, with its life and the floats of its vector if given."""
    if vector is None and life is None:
        return Memory.trusted(_fields(record, space))
    return shown(record, space).memory(vector, life)


def shown(record: Record, space: str) -> Shown:
    """Make a record of a space ready to become a memory."""
    fields = _fields(record, space)
    metadata, extra = fields["metadata"], fields["extra"]
    nested = (metadata and _is_nested(metadata)) or (extra and _is_nested(extra))
    return Shown(fields, (record[9], record[17]) if nested else None)


def _fields(record: Record, space: str) -> dict[str, Any]:
    """Return the fields of the memory of a record, those of its life and its vector empty."""
    created = updated = to_datetime(record[14])
    if record[15] != record[14]:
        updated = to_datetime(record[15])
    return {
        "id": record[1],
        "content": record[5],
        "scope": _scope(space, record[2], record[3], record[4]),
        "title": record[6],
        "type": record[7],
        "tags": () if record[8] == "[]" else tuple(from_json(record[8])),
        "metadata": {} if record[9] == "{}" else load_object(record[9]),
        "importance": record[10],
        "source": record[11],
        "pinned": bool(record[12]),
        "archived": bool(record[13]),
        "created_at": created,
        "updated_at": updated,
        "expires_at": None if record[16] is None else to_datetime(record[16]),
        "valid_from": None,
        "valid_until": None,
        "supersedes": (),
        "superseded_by": None,
        "superseded_at": None,
        "sources": (),
        "embedding": None,
        "extra": {} if record[17] == "{}" else load_object(record[17]),
    }


def _is_nested(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds a list or an object."""
    return any(type(item) in (dict, list) for item in value.values())
