"""Memories from one brain into another: one JSON object a line, with all of its fields.

A line has the fields of `NewMemory`, and beside them ``updated_at``, ``superseded_by``, ``superseded_at`` and ``embedder``,
the name of the embedder whose vectors the memory's space holds. The link to a superseded memory is in ``supersedes`` of the
other one's line; ``superseded_by`` tells which of several links is the last one, and ``superseded_at`` when it was made.
``embedding`` is the vector, false where the memory has none, and left out where the embedder of the brain that wrote the
line made it: the same embedder makes it again. ``dates`` is there where the metadata
or the extra fields hold dates and datetimes, which JSON has only text for; it says where, by their paths:
``{"metadata": [["due"]]}``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, runtime_checkable

from onebrain._core.codec import from_json, is_array, is_object, to_json
from onebrain._core.steps import Steps
from onebrain.errors import OneBrainError, OneBrainValidationError
from onebrain.memory.acceptance import instant, json_object
from onebrain.memory.models import EVERYTHING, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.moments import moments_of, with_moments

# Keys of a line that say no field of a new memory.
_BESIDE: Final = frozenset({"updated_at", "embedder", "superseded_by", "superseded_at"})
# Fields that a line leaves out if they are empty.
_LINKS: Final = ("supersedes", "sources")
# Objects of a memory that may hold dates, and the key of a line that says where. A line of another program may have a key
# of this name for something else, so it counts only where it has this form.
_OBJECTS: Final = ("metadata", "extra")
_DATES: Final = "dates"
_MOMENT: Final = timedelta(microseconds=1)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
KNOWN: Final = frozenset(NewMemory.model_fields) | _BESIDE


@dataclass(frozen=True, slots=True)
class Copied:
    """A memory on its way into another brain.

    Attributes:
        item: The memory to store.
        updated_at: When it was last changed.
        embedder: Whose vectors its space holds; None where that is not known.
        line: Where it stands in the file, from 1.
        place: Where it stands in another source, in words.
        others: The names of fields that no memory has; they are kept in its metadata.
        superseded_by: The id of the memory that supersedes it, the one recorded last; None if none does.
        superseded_at: When that was recorded.
        recorded: When it was recorded that this memory supersedes others, by their ids; `with_recorded` finds it.
    """

    item: NewMemory
    updated_at: datetime | None = None
    embedder: str | None = None
    line: int = 0
    others: tuple[str, ...] = ()
    superseded_by: str | None = None
    superseded_at: datetime | None = None
    recorded: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    place: str = ""


@dataclass(frozen=True, slots=True)
class Embedders:
    """Whose vectors a brain holds.

    Attributes:
        own: The brain's own embedder; None where it makes no vectors.
        spaces: The embedders of its spaces by their names, None for the default space.
    """

    own: str | None
    spaces: Mapping[str | None, str]


@runtime_checkable
class Copies(Protocol):
    """A driver that takes in whole memories, and says whose vectors its spaces hold."""

    def embedders(self) -> Steps[Embedders]:
        """Return whose vectors this brain holds."""
        ...

    def restore(self, copies: Sequence[Copied], /) -> Steps[list[StoreResult]]:
        """Store memories as they were in another brain; return one result each, in order."""
        ...


def in_order_of_links(copies: Sequence[Copied]) -> list[int]:
    """Return the positions of memories in the order of storing: as they are, but none before one that it supersedes."""
    waiting = [copied for copied in copies if copied.item.supersedes]
    if not waiting:
        return list(range(len(copies)))
    position = {_named(copied.item, copied.item.id): index for index, copied in enumerate(copies)}
    order: dict[int, None] = {}
    for start in range(len(copies)):
        ahead = [start]
        while ahead:
            index = ahead[-1]
            item = copies[index].item
            older = [position.get(_named(item, id)) for id in item.supersedes]
            missing = [one for one in older if one is not None and one not in order and one not in ahead]
            if missing:
                ahead.append(missing[0])
            else:
                order[ahead.pop()] = None
    return list(order)


def with_recorded(copies: Sequence[Copied]) -> list[Copied]:
    """Return memories with the times at which their links were recorded, as far as the memories that they supersede tell.

    Of several that supersede one memory, only the last one's time is known; the others were earlier.
    """
    if not any(copied.item.supersedes for copied in copies):
        return list(copies)
    last = {
        _named(copied.item, copied.item.id): (copied.superseded_by, copied.superseded_at)
        for copied in copies
        if copied.superseded_at is not None and copied.superseded_at > _EARLIEST
    }
    found: list[Copied] = []
    for copied in copies:
        recorded = dict(copied.recorded)
        for id in copied.item.supersedes:
            by, moment = last.get(_named(copied.item, id), (None, None))
            if moment is not None:
                recorded[id] = moment if by == copied.item.id else moment - _MOMENT
        found.append(replace(copied, recorded=recorded) if recorded else copied)
    return found


def _named(item: NewMemory, id: str | None) -> tuple[str | None, str | None, str | None]:
    return item.scope.space, item.scope.user, id


def line(memory: Memory, embedders: Embedders | None) -> str:
    """Return a memory as a line, without its end.

    Args:
        memory: The memory, with its vector where the brain gives vectors.
        embedders: Whose vectors the brain holds; None where it does not say.
    """
    row = memory.model_dump(mode="json", exclude_none=True)
    for link in _LINKS:
        if not row[link]:
            del row[link]
    dates = {name: found for name in _OBJECTS if (found := moments_of(getattr(memory, name), what=name))}
    if dates:
        row[_DATES] = dates
    if embedders is not None:
        name = embedders.spaces.get(memory.scope.space)
        if memory.embedding is None:
            row["embedding"] = False
        elif name is not None:
            row["embedder"] = name
            if name == embedders.own:
                del row["embedding"]
    return to_json(row, what="the memory")


def read(
    lines: Iterable[str], outer: Scope = EVERYTHING, *, without: Collection[str] = ()
) -> Iterator[Copied]:
    """Read lines as `line` writes them; blank ones are passed over, and so is a byte order mark.

    A field that no memory has, such as ``role``, is kept in the metadata by its own name. Parts of `outer` win over those of
    a line, and the fields in `without` are left out.

    Raises:
        OneBrainValidationError: A line is no memory, or a field of its own name is in its metadata already; the message
            names the line.
    """
    for number, text in enumerate(lines, 1):
        text = text.removeprefix("\ufeff") if number == 1 else text
        if text.strip():
            try:
                yield read_line(text, outer, number=number, without=without)
            except OneBrainError as error:
                raise OneBrainValidationError(f"line {number}: {error.message}") from None
            except ValueError as error:
                raise OneBrainValidationError(f"line {number}: {error}") from None


def read_line(
    text: str,
    outer: Scope = EVERYTHING,
    *,
    number: int = 0,
    place: str = "",
    without: Collection[str] = (),
) -> Copied:
    """Read one line, as `read` does.

    Raises:
        OneBrainValidationError: It is a memory that cannot be stored.
        ValueError: It is no memory.
    """
    try:
        row: Any = from_json(text)
    except ValueError:
        raise ValueError("not JSON") from None
    if not is_object(row):
        raise ValueError("not a memory, which is a JSON object")
    fields = {name: value for name, value in row.items() if value is not None and name not in without}
    beside = {name: fields.pop(name) for name in _BESIDE & fields.keys()}
    if _says_dates(fields.get(_DATES)):
        for name, paths in fields.pop(_DATES).items():
            if isinstance(fields.get(name), dict):
                fields[name] = with_moments(fields[name], paths)
    others = {name: fields.pop(name) for name in sorted(fields.keys() - KNOWN)}
    if others:
        fields["metadata"] = _with_others(fields.get("metadata", {}), others)
    scope = _scope(fields.pop("scope", {}))
    for name in ("embedder", "superseded_by"):
        if not isinstance(beside.get(name), str | None):
            raise ValueError(f"{name}: must be text")
    changed, superseded = (_moment(name, beside.get(name)) for name in ("updated_at", "superseded_at"))
    item = NewMemory.checked(**{**fields, "scope": outer.within(scope) if outer else scope})
    return Copied(
        item,
        changed,
        beside.get("embedder"),
        number,
        tuple(others),
        superseded_by=beside.get("superseded_by"),
        superseded_at=superseded,
        place=place,
    )


def _with_others(metadata: Any, others: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return metadata with the fields that no memory has."""
    if not is_object(metadata):
        raise ValueError("metadata: must be an object")
    taken = sorted(others.keys() & metadata.keys())
    if taken:
        raise ValueError(
            f"{taken[0]}: is no field of a memory, and its metadata has another value of this name"
        )
    merged: Mapping[str, Any] = json_object({**metadata, **others})
    return merged


def _scope(value: Any) -> Scope:
    if not is_object(value):
        raise ValueError("scope: must be an object with space, user, agent and session")
    unknown = sorted(value.keys() - {"space", "user", "agent", "session"})
    if unknown:
        raise ValueError(f"scope: has no part {unknown[0]!r}; there are space, user, agent and session")
    return Scope(**value)


def _says_dates(value: Any) -> bool:
    """Whether a value has the form of ``dates`` as `line` writes it."""
    if not is_object(value) or not value:
        return False
    for name, paths in value.items():
        if name not in _OBJECTS or not is_array(paths):
            return False
        if not all(isinstance(path, list) for path in paths):
            return False
    return True


def _moment(name: str, value: Any) -> datetime | None:
    try:
        moment = instant(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(moment, datetime | None):
        raise ValueError(f"{name}: must be ISO 8601 text")
    return moment
