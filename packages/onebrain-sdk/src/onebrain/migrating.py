"""Moving all memories of one brain into another, whatever the services of the two are.

`migrate` carries scopes, texts, tags, metadata, times, ids, links and vectors as far as both brains can keep them. A value that
the target has no field for goes along in the metadata, from where a later migration takes it again. A migration can be
repeated: it goes on where it was interrupted, and stores nothing twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, TypeAlias, overload

from pydantic import ValidationError

from onebrain._core.codec import to_json
from onebrain._core.steps import Async, Steps, Sync
from onebrain.errors import ConfigurationError
from onebrain.memory.arriving import (
    AnyBrain,
    Arrival,
    Arrivals,
    Key,
    ask,
    found_by_text,
    key_of,
    page_of,
    unpacked,
)
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.models import EVERYTHING, Memory, NewMemory, Scope, problems
from onebrain.memory.transfer import Copied, Embedders

_ROWS: Final = 500
# Problems that a report names; the others are counted.
_NAMED: Final = 1000
# Fields of a memory that a copy takes over as they are.
_FIELDS: Final = (
    "id", "content", "scope", "title", "type", "tags", "metadata", "importance", "source", "pinned", "archived",
    "created_at", "expires_at", "valid_from", "valid_until", "supersedes", "sources",
)  # fmt: skip
# Services on which the extra fields are the caller's own, rather than what the service says of a memory.
_OWN_EXTRA: Final = frozenset({"sqlite", "postgresql", "reference"})
OnProgress: TypeAlias = Callable[[int], object]


@dataclass
class Verification:
    """A comparison of two brains after a migration.

    Attributes:
        source: The number of memories of the source.
        target: The number of memories of the target that came from a place such as the source.
        missing: The ids of memories that the target lacks; the first thousand.
        different: The ids of memories that differ, each with the names of the fields; the first thousand.
        doubled: The ids of memories that the target has several times.
        problems: The number of all of these.
    """

    source: int = 0
    target: int = 0
    missing: list[str] = field(default_factory=list[str])
    different: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    doubled: list[str] = field(default_factory=list[str])
    problems: int = 0

    @property
    def ok(self) -> bool:
        """Whether the target has every memory once, as it is in the source."""
        return self.problems == 0


@dataclass
class MigrationReport:
    """What a migration did, or would do.

    Attributes:
        dry_run: Whether nothing was stored.
        read: The number of memories of the source.
        stored: The number of memories that were stored.
        already_there: The number of memories that were there.
        failed: Why memories were not stored, by their ids; the first thousand.
        failed_count: The number of all of them.
        carried: The number of memories with a value that the target has no field for, which their metadata carries, by its
            name. Such a value has no effect there: a memory that is archived is found, and one that expires does not.
        lost: The number of memories with a value that is left behind, by its name.
        unlinked: The ids of memories that were stored without a link to a memory that they supersede.
        verification: The comparison of both brains, if it was asked for.
    """

    dry_run: bool = False
    read: int = 0
    stored: int = 0
    already_there: int = 0
    failed: dict[str, str] = field(default_factory=dict[str, str])
    failed_count: int = 0
    carried: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])
    unlinked: list[str] = field(default_factory=list[str])
    verification: Verification | None = None

    def refuse(self, refused: Mapping[str, str]) -> None:
        """Count memories that no brain can keep."""
        self.read += len(refused)
        self.failed_count += len(refused)
        self.failed.update(islice(refused.items(), _NAMED))

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Count outcomes."""
        for arrival in arrivals:
            id = str(arrival.copied.item.id)
            if arrival.outcome == "stored":
                self.stored += 1
            elif arrival.outcome == "there":
                self.already_there += 1
            else:
                self.failed_count += 1
                if len(self.failed) < _NAMED:
                    self.failed[id] = arrival.reason
            if arrival.unlinked and len(self.unlinked) < _NAMED:
                self.unlinked.append(id)


@overload
def migrate(
    source: Brain,
    target: Brain,
    *,
    scope: Scope = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    verify: bool = ...,
    on_progress: OnProgress | None = ...,
) -> MigrationReport: ...
@overload
def migrate(
    source: AsyncBrain,
    target: AsyncBrain,
    *,
    scope: Scope = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    verify: bool = ...,
    on_progress: OnProgress | None = ...,
) -> Coroutine[Any, Any, MigrationReport]: ...
def migrate(
    source: Brain | AsyncBrain,
    target: Brain | AsyncBrain,
    *,
    scope: Scope = EVERYTHING,
    overwrite: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    on_progress: OnProgress | None = None,
) -> Any:
    """Store the memories of a brain in another one. With two `AsyncBrain`, await the result.

    A memory that is in the target already stays as it is there, so that a migration can be repeated after an interruption. On a
    target that chooses ids itself, a memory is known by the id that its metadata carries. If such a target is eventually
    consistent, wait until it shows the last memories before you go on.

    Args:
        source: The brain to read.
        target: The brain to write.
        scope: Only the memories in this scope.
        overwrite: Whether memories that are there are replaced.
        dry_run: Whether nothing is stored; the report tells what cannot be carried.
        verify: Whether both brains are compared at the end.
        on_progress: Called after each batch with the number of memories that were read.

    Returns:
        A `MigrationReport`.

    Raises:
        ConfigurationError: One brain is for synchronous code, and the other for asynchronous code.

    Example:
        >>> import onebrain
        >>> source, target = onebrain.connect("sqlite://"), onebrain.connect("sqlite://")
        >>> source.store("Maria prefers window seats", id="seat").status
        'created'
        >>> report = migrate(source, target, verify=True)
        >>> report.stored, report.verification.ok, target.get("seat").content
        (1, True, 'Maria prefers window seats')
        >>> migrate(source, target).already_there
        1
    """
    if isinstance(source, AsyncBrain) != isinstance(target, AsyncBrain):
        raise ConfigurationError(
            "migrate: both brains must be for synchronous code, or both for asynchronous code"
        )
    report = MigrationReport(dry_run)
    plan = _migrating(source, target, scope, report, overwrite, verify, on_progress)
    return Async().drive(plan) if isinstance(source, AsyncBrain) else Sync().drive(plan)


def _migrating(
    source: AnyBrain,
    target: AnyBrain,
    scope: Scope,
    report: MigrationReport,
    overwrite: bool,
    verify: bool,
    on_progress: OnProgress | None,
) -> Steps[MigrationReport]:
    arrivals = Arrivals(target, scope, overwrite=overwrite, dry_run=report.dry_run, many=True)
    reading = _Reading(source, scope)
    yield from arrivals.begin()
    yield from reading.begin(target)
    lost = arrivals.losses.lost
    while (page := (yield from reading.page(lost))) is not None:
        for rows in _parts(page):
            report.add((yield from arrivals.take(rows)))
            report.read += len(rows)
            if on_progress is not None:
                on_progress(report.read)
    report.add((yield from arrivals.finish()))
    report.refuse(reading.refused)
    report.carried, report.lost = arrivals.losses.carried, lost
    if verify and not report.dry_run:
        report.verification = yield from _verified(source, target, scope, report)
    return report


class _Reading:
    """The memories of a brain as they are to arrive in another one, page by page."""

    def __init__(self, brain: AnyBrain, scope: Scope) -> None:
        self._brain = brain
        self._scope = scope
        self._cursor: str | None = None
        self._ended = False
        self._embedders: Embedders | None = None
        self._vectors_again: frozenset[str | None] = frozenset()
        self._same_service = False
        # The ids that memories had before a service gave them others.
        self._former: dict[Key, str] = {}
        # Why memories cannot be copied, by their ids.
        self.refused: dict[str, str] = {}

    def begin(self, target: AnyBrain) -> Steps[None]:
        """Look at the embedders of both brains."""
        self._same_service = target.capabilities.service == self._brain.capabilities.service
        self._embedders = yield from ask(self._brain.embedders)
        theirs: Embedders | None = yield from ask(target.embedders)
        makes = theirs is None or theirs.own is not None
        if self._embedders is not None and makes:
            own = self._embedders.own
            # Vectors of the brain's own embedder are made again by the one of the target.
            self._vectors_again = frozenset(
                space for space, name in self._embedders.spaces.items() if name == own
            )

    def page(self, lost: Counter[str]) -> Steps[list[Copied] | None]:
        """Return the memories of the next page; None at the end."""
        if self._ended:
            return None
        page, self._cursor = yield from page_of(
            self._brain,
            self._cursor,
            scope=self._scope,
            with_embeddings=self._brain.capabilities.embeddings,
        )
        self._ended = self._cursor is None
        return self._copies(page, lost)

    def _copies(self, page: Sequence[Memory], lost: Counter[str]) -> list[Copied]:
        copies: list[Copied] = []
        for memory in page:
            try:
                copied = self._copy(memory, lost)
            except ValidationError as error:
                self.refused[memory.id] = problems(error)
                continue
            copies.append(copied)
            if copied.item.id is not None and copied.item.id != memory.id:
                self._former[memory.scope.space, memory.scope.user, memory.id] = copied.item.id
        return [self._linked(copied) for copied in copies] if self._former else copies

    def _copy(self, memory: Memory, lost: Counter[str]) -> Copied:
        fields: dict[str, Any] = {}
        if self._embedders is not None:
            space = memory.scope.space
            if memory.embedding is None:
                fields["embedding"] = False
            elif space not in self._vectors_again:
                fields["embedding"] = memory.embedding
        elif memory.embedding is not None:
            fields["embedding"] = memory.embedding
        if memory.extra:
            own = self._brain.capabilities.service in _OWN_EXTRA
            if self._same_service:
                fields["extra"] = memory.extra
            elif own:
                lost["extra fields"] += 1
        embedder = None
        if self._embedders is not None and fields.get("embedding"):
            embedder = self._embedders.spaces.get(memory.scope.space)
        return _copy_of(memory, fields, embedder)

    def _linked(self, copied: Copied) -> Copied:
        """Return a memory whose links are in the ids that memories had before."""
        item, former = copied.item, self._former
        if not (item.supersedes or item.sources or copied.superseded_by):
            return copied
        owner = key_of(item)[:2]
        links = {
            name: [former.get((*owner, id), id) for id in getattr(item, name)]
            for name in ("supersedes", "sources")
        }
        by = copied.superseded_by
        return replace(
            copied,
            item=item.model_copy(update=links),
            superseded_by=None if by is None else former.get((*owner, by), by),
        )


def _copy_of(memory: Memory, more: Mapping[str, Any], embedder: str | None = None) -> Copied:
    """Return a memory to store, with the fields that it carries and some others."""
    fields = {
        name: value for name in _FIELDS if (value := getattr(memory, name)) not in (None, (), {}, False)
    }
    return unpacked(
        Copied(
            NewMemory(**{**fields, **more}),
            memory.updated_at,
            embedder,
            superseded_by=memory.superseded_by,
            superseded_at=memory.superseded_at,
            place=memory.id,
        )
    )


def _parts(rows: list[Copied]) -> Iterator[list[Copied]]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]


def _verified(
    source: AnyBrain, target: AnyBrain, scope: Scope, report: MigrationReport
) -> Steps[Verification]:
    """Compare all memories of both brains by the fields that a migration carries."""
    result = Verification()
    there, doubled = (yield from _index(target, scope)) if target.capabilities.list else (None, set[Key]())
    result.target = len(there) if there is not None else report.stored + report.already_there
    reading = _Reading(source, scope)
    yield from reading.begin(target)
    while (page := (yield from reading.page(Counter()))) is not None:
        for copied in page:
            result.source += 1
            if there is not None:
                found = there.get(key_of(copied.item))
            else:
                found = yield from _searched(target, copied.item)
            _compare(copied, found, result)
            if key_of(copied.item) in doubled:
                result.problems += 1
                result.doubled.append(str(copied.item.id))
    return result


def _index(target: AnyBrain, scope: Scope) -> Steps[tuple[dict[Key, tuple[bytes, ...]], set[Key]]]:
    """Return digests of all memories of a target, and those that it has several times."""
    there: dict[Key, tuple[bytes, ...]] = {}
    doubled: set[Key] = set()
    reading = _Reading(target, scope)
    yield from reading.begin(target)
    while (page := (yield from reading.page(Counter()))) is not None:
        for copied in page:
            key = key_of(copied.item)
            if key in there:
                doubled.add(key)
            there[key] = _digests(copied)
    return there, doubled


def _searched(target: AnyBrain, item: NewMemory) -> Steps[tuple[bytes, ...] | None]:
    memory = yield from found_by_text(target, item)
    if memory is None:
        return None
    # The memories that it links to have other ids there, which cannot be listed.
    links = {
        name: getattr(item, name)
        for name in ("supersedes", "sources")
        if len(getattr(memory, name)) == len(getattr(item, name))
    }
    return _digests(_copy_of(memory, links))


_COMPARED: Final = (*_FIELDS, "updated_at")


def _compare(copied: Copied, found: tuple[bytes, ...] | None, result: Verification) -> None:
    if found is None:
        result.problems += 1
        if len(result.missing) < _NAMED:
            result.missing.append(str(copied.item.id))
        return
    wanted = _digests(copied)
    if found != wanted:
        result.problems += 1
        if len(result.different) < _NAMED:
            names = tuple(name for name, a, b in zip(_COMPARED, found, wanted, strict=True) if a != b)
            result.different[str(copied.item.id)] = names


def _digests(copied: Copied) -> tuple[bytes, ...]:
    """Return a short digest of each field."""
    row = copied.item.model_dump(mode="json", include=set(_FIELDS))
    row["updated_at"] = copied.updated_at
    return tuple(
        hashlib.blake2b(to_json(row[name], what=name).encode(), digest_size=6).digest() for name in _COMPARED
    )
