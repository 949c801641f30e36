"""How links and validity are kept in the metadata of a service.

A new memory names those that it supersedes in its envelope (`onebrain.memory.envelope`), beside its sources and the time for
which it holds. That is the link. An old memory has a mark under a key of its own for each memory that supersedes it, so that a
search that finds the old one knows it. A mark is derived from the link, and is written after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from onebrain._core.codec import as_array, as_object, is_object, is_sequence
from onebrain.memory.envelope import KEY, MARKS, Envelope
from onebrain.memory.models import Memory, NewMemory, StoreResult
from onebrain.memory.moments import instant_of

_IDS: Final = ("supersedes", "sources")
_TIMES: Final = ("valid_from", "valid_until")
_LINKED_AT: Final = "linked_at"
_KEPT: Final = frozenset({*_IDS, *_TIMES})
# Keys beside the marks of a memory: its `updated_at` before it was marked, and whether it was archived because of them.
_MARKED: Final = "by"
_TOUCHED: Final = "updated_at"
_HIDDEN: Final = "hidden"


@dataclass(frozen=True, slots=True)
class Mark:
    """A memory that supersedes the marked one.

    Attributes:
        by: Its id.
        at: When that was recorded.
        begins: When it begins to hold, if it says so.
        made: When it was made.
        ends: When it expires, if it does.
    """

    by: str
    at: datetime
    begins: datetime | None = None
    made: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a memory in its metadata.

    Attributes:
        marks: The memories that supersede it, in the order of recording.
        supersedes: The ids of the memories that it supersedes.
    """

    marks: tuple[Mark, ...] = ()
    supersedes: tuple[str, ...] = ()


class Linked(Memory, frozen=True):
    """A memory with the links that its metadata hold; other memories have none.

    Attributes:
        marks: The memories that supersede it, in the order of recording.
        linked_at: When its `supersedes` were recorded.
        key: The id by which links name it.
    """

    marks: tuple[Mark, ...] = ()
    linked_at: datetime | None = None
    key: str = ""

    def but(self, **fields: Any) -> Linked:
        """Return this memory with some fields changed."""
        return Linked.trusted({**self.__dict__, **fields})


class Replaced(StoreResult, frozen=True):
    """The result of storing a memory in place of one that superseded others.

    Attributes:
        former: The memory that was replaced.
    """

    former: Memory


def with_links(memory: Memory, metadata: Mapping[str, Any], envelope: Envelope) -> Memory:
    """Return a memory with the links and the validity in its metadata; one that has none is returned as it is.

    Values that other clients wrote never raise.
    """
    beside = as_object(metadata.get(MARKS))
    if not beside and _KEPT.isdisjoint(envelope.kept):
        return memory
    touched = _instant(beside.get(_TOUCHED))
    return Linked.trusted(
        {
            **memory.__dict__,
            **{name: envelope.texts(name) or () for name in _IDS},
            **{name: envelope.instant(name) for name in _TIMES},
            "updated_at": touched or memory.updated_at,
            "archived": memory.archived and not is_hidden(metadata),
            "marks": marks_of(metadata),
            "linked_at": envelope.instant(_LINKED_AT),
            "key": memory.id,
        }
    )


def links_of(item: NewMemory) -> dict[str, Any]:
    """Return the fields of links and validity of a new memory, for its envelope."""
    return {
        "supersedes": list(item.supersedes) or None,
        "sources": list(item.sources) or None,
        "valid_from": item.valid_from,
        "valid_until": item.valid_until,
        _LINKED_AT: datetime.now(UTC) if item.supersedes else None,
    }


def changed_links(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return these fields after a change; `kept` is the envelope before it, and `given` the fields to change."""
    fields: dict[str, Any] = {}
    for name in (*_IDS, *_TIMES):
        value: Any = given.get(name) if name in given else kept.get(name)
        if name in _IDS:
            value = list(map(str, value)) if is_sequence(value) and value else None
        fields[name] = value
    linked_at = kept.get(_LINKED_AT) or datetime.now(UTC)
    fields[_LINKED_AT] = linked_at if fields["supersedes"] else None
    return fields


def kept_marks(metadata: Mapping[str, Any], *, archived: bool = False) -> dict[str, Any]:
    """Return the marks that a change of a memory keeps, as a part of its metadata.

    Args:
        metadata: Its metadata before the change.
        archived: Whether the change archives it, which is then no longer done because of the marks.
    """
    dropped = (_TOUCHED, _HIDDEN) if archived else (_TOUCHED,)
    left = {name: value for name, value in as_object(metadata.get(MARKS)).items() if name not in dropped}
    return {MARKS: left} if left else {}


def marks_of(metadata: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Return the marks in the metadata of a memory."""
    rows = as_array(as_object(metadata.get(MARKS)).get(_MARKED))
    return tuple(mark for mark in map(_mark, rows) if mark is not None)


def relinked(
    metadata: Mapping[str, Any],
    change: Callable[[Links], Links],
    updated_at: datetime | None,
    *,
    hides: Callable[[Sequence[Mark]], bool] | None = None,
) -> dict[str, Any] | None:
    """Return the metadata of a memory with other links; None if nothing changes.

    Args:
        metadata: The metadata.
        change: Returns the links that it shall have.
        updated_at: When the memory was last changed, which this is not.
        hides: Returns whether the service shall have it archived because of some marks; None if it never has.
    """
    envelope = as_object(metadata.get(KEY))
    before = Links(marks_of(metadata), tuple(map(str, as_array(envelope.get("supersedes")))))
    after = change(before)
    hidden = hides is not None and hides(after.marks)
    if after == before and hidden == is_hidden(metadata):
        return None
    touched = as_object(metadata.get(MARKS)).get(_TOUCHED)
    if touched is None and updated_at is not None:
        touched = updated_at.isoformat()
    whole = {_MARKED: [_row(mark) for mark in after.marks], _TOUCHED: touched, _HIDDEN: hidden}
    changed = {**metadata, MARKS: {name: value for name, value in whole.items() if value}}
    if after.supersedes != before.supersedes and is_object(metadata.get(KEY)):
        changed[KEY] = {**envelope, "supersedes": list(after.supersedes)}
    return changed


def has_begun(marks: Sequence[Mark], moment: datetime) -> bool:
    """Return whether a memory that supersedes another one holds at a moment."""
    return any(
        (mark.begins is None or mark.begins <= moment) and (mark.ends is None or mark.ends > moment)
        for mark in marks
    )


def is_hidden(metadata: Mapping[str, Any]) -> bool:
    """Return whether a memory is archived because of its marks, and not by its user."""
    return as_object(metadata.get(MARKS)).get(_HIDDEN) is True


def _row(mark: Mark) -> dict[str, str]:
    times = {"at": mark.at, "begins": mark.begins, "made": mark.made, "ends": mark.ends}
    return {"id": mark.by, **{name: value.isoformat() for name, value in times.items() if value is not None}}


def _mark(row: Any) -> Mark | None:
    row = as_object(row)
    by = row.get("id")
    if not isinstance(by, str):
        return None
    at = _instant(row.get("at"))
    begins, made, ends = (_instant(row.get(name)) for name in ("begins", "made", "ends"))
    return Mark(by, at or datetime.min.replace(tzinfo=UTC), begins, made, ends)


def _instant(value: Any) -> datetime | None:
    return instant_of(value) if isinstance(value, str) else None
