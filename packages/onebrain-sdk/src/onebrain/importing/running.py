"""One pipeline for all formats: entries of readers become memories, and go into a brain in batches."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, overload

from onebrain._core.codec import as_object, to_json
from onebrain._core.steps import Async, Call, Steps, Sync
from onebrain.errors import OneBrainError
from onebrain.importing.entries import Draft, Skipped, moment
from onebrain.importing.registry import detected, reader
from onebrain.importing.sources import Readable, Source
from onebrain.memory.arriving import Arrival, Arrivals, unpacked
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.models import EVERYTHING, NewMemory, Scope
from onebrain.memory.transfer import Copied

# Rows of one batch, and characters of their texts.
_ROWS: Final = 1000
_CHARACTERS: Final = 4_000_000
# Places that a report names; the others are counted.
_NAMED: Final = 1000
_LONGEST_ID: Final = 512


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is.

    Attributes:
        memories: The number of memories that were read.
        read: The number of bytes that were read.
        size: The number of all bytes; None if it is not known.
    """

    memories: int
    read: int
    size: int | None


OnProgress: TypeAlias = Callable[[Progress], object]


@dataclass
class Report:
    """What an import did, or would do.

    Attributes:
        format: The name of the format.
        dry_run: Whether nothing was stored.
        stored: The number of memories that were stored.
        already_there: The number of memories that were there, and stay as they are.
        skipped: The places of which nothing was stored, and why; the first thousand.
        skipped_count: The number of all such places.
        carried: The number of memories with a value that the service has no field for, which their metadata carries, by the
            name of the field.
        lost: The number of memories with a value that was left behind, by its name.
        unlinked: A line for each memory that was stored without a link to another one that it supersedes.
        unknown: The names of fields that no memory has, which are kept in the metadata.
    """

    format: str
    dry_run: bool = False
    stored: int = 0
    already_there: int = 0
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    skipped_count: int = 0
    carried: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])
    unlinked: list[str] = field(default_factory=list[str])
    unknown: set[str] = field(default_factory=set[str])

    def skip(self, place: Skipped) -> None:
        """Count a place, and name it if there is room."""
        self.skipped_count += 1
        if len(self.skipped) < _NAMED:
            self.skipped.append(place)

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Count outcomes."""
        for arrival in arrivals:
            place = arrival.copied.place
            if arrival.outcome == "stored":
                self.stored += 1
            elif arrival.outcome == "there":
                self.already_there += 1
            else:
                self.skip(Skipped(place, arrival.reason))
            if arrival.unlinked and len(self.unlinked) < _NAMED:
                names = ", ".join(arrival.unlinked)
                self.unlinked.append(f"{place}: stored without the link to {names}, which it supersedes")


Entries: TypeAlias = Iterable[Draft | Copied | Skipped]


def read(
    path: Readable, format: str = "auto", *, scope: Scope = EVERYTHING, without: Collection[str] = ()
) -> Iterator[Copied | Skipped]:
    """Read the memories of a file, a folder, a ZIP archive or a stream of bytes, one after the other.

    Args:
        path: The source.
        format: The name of its format; ``auto`` looks at its beginning.
        scope: Parts of the scope of all memories; they win over those of the source.
        without: Names of fields to leave out, such as ``created_at``.

    Returns:
        An iterator of memories, each with the field ``item``, a `NewMemory`; and of `Skipped` for each place without one.

    Raises:
        OneBrainValidationError: There is no such file or format.

    Example:
        >>> import io
        >>> [found.item.content for found in read(io.BytesIO(b'{"text": "likes tea"}'))]
        ['likes tea']
    """
    source = Source(path)
    name = detected(source) if format == "auto" else format
    return _finished(reader(name).read(source), name, scope, frozenset(without))


@overload
def import_file(
    brain: Brain,
    path: Readable,
    *,
    format: str = ...,
    scope: Scope = ...,
    without: Collection[str] = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    on_progress: OnProgress | None = ...,
) -> Report: ...
@overload
def import_file(
    brain: AsyncBrain,
    path: Readable,
    *,
    format: str = ...,
    scope: Scope = ...,
    without: Collection[str] = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    on_progress: OnProgress | None = ...,
) -> Coroutine[Any, Any, Report]: ...
def import_file(
    brain: Brain | AsyncBrain,
    path: Readable,
    *,
    format: str = "auto",
    scope: Scope = EVERYTHING,
    without: Collection[str] = (),
    overwrite: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> Any:
    r"""Store the memories of a file, a folder, a ZIP archive or a stream of bytes. With an `AsyncBrain`, await the result.

    A memory that is there already stays as it is, so that an import can be repeated, and goes on after an interruption.

    Args:
        brain: The brain.
        path: The source.
        format: The name of its format; ``auto`` looks at its beginning.
        scope: Parts of the scope of all memories; they win over those of the source.
        without: Names of fields to leave out, such as ``created_at``.
        overwrite: Whether memories that are there are replaced.
        dry_run: Whether nothing is stored.
        on_progress: Called after each batch.

    Returns:
        A `Report`.

    Raises:
        OneBrainValidationError: There is no such file or format.

    Example:
        >>> import io, onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> file = b'{"text": "likes tea"}\n{"text": '
        >>> report = import_file(brain, io.BytesIO(file))
        >>> report.stored, [str(place) for place in report.skipped]
        (1, ['line 2: is no JSON'])
        >>> import_file(brain, io.BytesIO(file)).already_there
        1
    """
    source = Source(path)
    name = detected(source) if format == "auto" else format
    entries = _finished(reader(name).read(source), name, scope, frozenset(without))
    report = Report(name, dry_run)
    return _run(brain, _importing(brain, entries, report, scope, overwrite, source, on_progress))


@overload
def import_from(
    brain: Brain,
    entries: Entries,
    *,
    scope: Scope = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    on_progress: OnProgress | None = ...,
) -> Report: ...
@overload
def import_from(
    brain: AsyncBrain,
    entries: Entries,
    *,
    scope: Scope = ...,
    overwrite: bool = ...,
    dry_run: bool = ...,
    on_progress: OnProgress | None = ...,
) -> Coroutine[Any, Any, Report]: ...
def import_from(
    brain: Brain | AsyncBrain,
    entries: Entries,
    *,
    scope: Scope = EVERYTHING,
    overwrite: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> Any:
    """Store what `langgraph`, `langchain`, `llama_index`, `chroma` or `read` return. The arguments are those of `import_file`.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> import_from(brain, [Draft("note 1", {"content": "likes tea"})]).stored
        1
    """
    found = _finished(entries, "python", scope, frozenset())
    return _run(
        brain, _importing(brain, found, Report("python", dry_run), scope, overwrite, None, on_progress)
    )


def _run(brain: Brain | AsyncBrain, plan: Steps[Report]) -> Any:
    return Async().drive(plan) if isinstance(brain, AsyncBrain) else Sync().drive(plan)


def _importing(
    brain: Brain | AsyncBrain,
    entries: Iterator[Copied | Skipped],
    report: Report,
    scope: Scope,
    overwrite: bool,
    source: Source | None,
    on_progress: OnProgress | None,
) -> Steps[Report]:
    arrivals = Arrivals(brain, scope, overwrite=overwrite, dry_run=report.dry_run)
    yield from arrivals.begin()
    count = 0
    while batch := (yield Call(_batch, (entries,))):
        rows: list[Copied] = []
        for entry in batch:
            if isinstance(entry, Skipped):
                report.skip(entry)
            else:
                rows.append(unpacked(entry))
                report.unknown.update(entry.others)
        report.add((yield from arrivals.take(rows)))
        count += len(rows)
        if on_progress is not None:
            read_bytes = source.meter.read if source is not None else 0
            on_progress(Progress(count, read_bytes, source.size if source is not None else None))
    report.add((yield from arrivals.finish()))
    report.carried, report.lost = arrivals.losses.carried, arrivals.losses.lost
    return report


def _batch(entries: Iterator[Copied | Skipped]) -> list[Copied | Skipped]:
    batch: list[Copied | Skipped] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.item.content) if isinstance(entry, Copied) else 0
        if len(batch) >= _ROWS or size >= _CHARACTERS:
            break
    return batch


def _finished(
    entries: Entries, format: str, outer: Scope, without: frozenset[str]
) -> Iterator[Copied | Skipped]:
    """Return drafts as memories, and those that cannot be stored as places with the reason."""
    for entry in entries:
        if isinstance(entry, Skipped):
            yield entry
            continue
        try:
            yield (
                _memory(entry, format, outer, without)
                if isinstance(entry, Draft)
                else _within(entry, outer, without)
            )
        except OneBrainError as error:
            yield Skipped(entry.place, error.message)


def _within(copied: Copied, outer: Scope, without: frozenset[str]) -> Copied:
    """Return a memory in a scope, without some fields."""
    if without:
        item = copied.item
        fields = {name: getattr(item, name) for name in item.model_fields_set - without}
        changed = None if "updated_at" in without else copied.updated_at
        copied = replace(copied, item=NewMemory.checked(**fields), updated_at=changed)
    if copied.item.id is None:
        scope = copied.item.scope
        id = _id_of("onebrain", copied.place, scope, copied.item.content)
        copied = replace(copied, item=copied.item.model_copy(update={"id": id}))
    if outer:
        copied = replace(
            copied, item=copied.item.model_copy(update={"scope": outer.within(copied.item.scope)})
        )
    return copied


def _memory(draft: Draft, format: str, outer: Scope, without: frozenset[str]) -> Copied:
    fields = {
        name: value for name, value in draft.fields.items() if value is not None and name not in without
    }
    parts = as_object(fields.pop("scope", None))
    inner = Scope(**{name: part if isinstance(part, str) else str(part) for name, part in parts.items()})
    id = fields.get("id")
    if id is None:
        fields["id"] = _id_of(format, draft.place, inner, str(fields.get("content")))
    elif len(str(id)) > _LONGEST_ID:
        fields["id"] = _digest([format, str(id)])
        fields["metadata"] = {**fields.get("metadata", {}), "original_id": str(id)}
    item = NewMemory.checked(**{**fields, "scope": outer.within(inner) if outer else inner})
    changed = None if "updated_at" in without else moment(draft.updated_at)
    return Copied(item, changed, place=draft.place)


def _id_of(format: str, place: str, scope: Scope, content: str) -> str:
    """Return the id of a memory that has none: the same for the same text at the same place, and no other."""
    return _digest([format, place, scope.space, scope.user, scope.agent, scope.session, content])


def _digest(parts: list[Any]) -> str:
    return hashlib.blake2b(to_json(parts).encode(), digest_size=16).hexdigest()
