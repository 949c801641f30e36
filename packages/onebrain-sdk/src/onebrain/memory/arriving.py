"""Memories that arrive from another place: each is stored once, and nothing that the brain has no field for is lost in silence.

A value that the service cannot keep, such as an id of the caller's own, is carried in the metadata under `CARRIED`. A brain
that can keep it takes it out of there again. The carried id also tells that a memory is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from pydantic import ValidationError

from onebrain._core.codec import as_object, is_array
from onebrain._core.steps import Call, Steps
from onebrain.errors import OneBrainError
from onebrain.memory.acceptance import instant
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.models import EVERYTHING, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.transfer import Copied, in_order_of_links
from onebrain.memory.verbs.base import QUERY_CHARACTERS
from onebrain.memory.verbs.storing import check_storable

AnyBrain: TypeAlias = Brain | AsyncBrain
Key: TypeAlias = tuple[str | None, str | None, str | None]
# The id of a memory in the brain, a digest of its text, and the ids of those that it supersedes.
Known: TypeAlias = tuple[str, int, tuple[str, ...]]
Outcome: TypeAlias = Literal["stored", "there", "different", "failed"]

# The key of the metadata for the values that a service has no field for.
CARRIED: Final = "onebrain_carried"
_TIMES: Final = ("created_at", "expires_at", "valid_from", "valid_until")
# More than any brain holds, so that a service without an order of its own is walked once.
_ALL: Final = 2**31
# Hits of a search for a text among which a memory is looked for on a service that cannot list any.
_COPIES: Final = 50


def ask(verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Steps[Any]:
    """Return a plan that calls a verb of a brain of either colour."""
    return (yield Call(verb, args, kwargs, coroutine=verb))


@dataclass(frozen=True, slots=True)
class Arrival:
    """The outcome for one memory.

    Attributes:
        copied: The memory.
        outcome: ``stored``; ``there`` if it was; ``different`` if a memory with its id says something else; or ``failed``.
        id: Its id in the brain.
        reason: Why it was not stored.
        unlinked: The memories that it supersedes elsewhere, and that are not in the brain.
    """

    copied: Copied
    outcome: Outcome
    id: str | None = None
    reason: str = ""
    unlinked: tuple[str, ...] = ()


@dataclass
class Losses:
    """The number of memories that have a value which the brain has no field for, by the name of the value.

    Attributes:
        carried: Values that the metadata carries.
        lost: Values that are left behind.
    """

    carried: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])


def unpacked(copied: Copied) -> Copied:
    """Return a memory with the values that its metadata carries in their fields."""
    carried = as_object(copied.item.metadata.get(CARRIED))
    if not carried:
        return copied
    metadata = {name: value for name, value in copied.item.metadata.items() if name != CARRIED}
    changes: dict[str, Any] = {"metadata": metadata}
    for name in (
        "id",
        "tags",
        "importance",
        "pinned",
        "archived",
        "embedding",
        "extra",
        "sources",
        "supersedes",
    ):
        if name in carried:
            changes[name] = carried[name]
    changes.update((name, carried[name]) for name in _TIMES if name in carried)
    by = carried.get("superseded_by")
    try:
        item = copied.item.model_copy(update=changes)
    except ValidationError:
        # Somebody else wrote them.
        return copied
    return replace(
        copied,
        item=item,
        updated_at=_time(carried, "updated_at", copied.updated_at),
        superseded_at=_time(carried, "superseded_at", copied.superseded_at),
        superseded_by=by if isinstance(by, str) else copied.superseded_by,
    )


def packed(copied: Copied, can: Capabilities, losses: Losses, *, whole: bool) -> Copied:
    """Return a memory as a service can keep it, with all other values in its metadata, and count them in `losses`.

    Args:
        copied: The memory.
        can: The abilities of the service.
        losses: The counts.
        whole: Whether times of change are kept.
    """
    item = copied.item
    lacking = {
        "id": item.id is not None and not can.client_ids,
        "created_at": item.created_at is not None and not can.created_at,
        "expires_at": item.expires_at is not None and not can.expiry,
        "pinned": item.pinned and not can.archive,
        "archived": item.archived and not can.archive,
        "tags": bool(item.tags) and not can.tags,
        "importance": item.importance is not None and not can.importance,
        "supersedes": bool(item.supersedes) and not can.supersede,
        "sources": bool(item.sources) and not can.supersede,
        "valid_from": item.valid_from is not None and not can.validity,
        "valid_until": item.valid_until is not None and not can.validity,
        "embedding": item.embedding is not None and not can.embeddings,
    }
    names = [name for name, lacks in lacking.items() if lacks]
    carried: dict[str, Any] = {}
    if "embedding" in names and item.embedding is not False:
        losses.lost["vectors"] += 1
    for name in names:
        value = getattr(item, name)
        if name != "embedding" or value is False:
            carried[name] = _plain(value)
    if not whole:
        for name in ("updated_at", "superseded_at", "superseded_by"):
            value = getattr(copied, name)
            if value is not None:
                carried[name] = _plain(value)
    losses.carried.update(carried.keys())
    if not names and not carried:
        return copied
    changes: dict[str, Any] = {
        name: NewMemory.model_fields[name].get_default(call_default_factory=True) for name in names
    }
    if carried:
        changes["metadata"] = {**item.metadata, CARRIED: carried}
    return replace(copied, item=item.model_copy(update=changes))


class Arrivals:
    """Stores memories in a brain, those alone that are not there yet.

    Memories that supersede others wait until these are there, or until `finish`.

    Args:
        brain: The brain.
        scope: The scope that all memories lie in.
        overwrite: Whether a memory that is there is replaced.
        dry_run: Whether nothing is stored, and the outcomes tell what would be.
        many: Whether so many memories arrive that listing a service is faster than asking it for each id.

    Attributes:
        losses: The values that the brain has no field for.
    """

    def __init__(
        self,
        brain: AnyBrain,
        scope: Scope = EVERYTHING,
        *,
        overwrite: bool = False,
        dry_run: bool = False,
        many: bool = False,
    ) -> None:
        self.losses = Losses()
        self._brain = brain
        self._can = brain.capabilities
        # The owners of the memories; a memory may have come into another session since.
        self._owners = Scope(scope.space, scope.user)
        self._whole = False
        self._overwrite = overwrite
        self._dry_run = dry_run
        self._held: list[Copied] = []
        self._many = many
        self._listed = not self._can.client_ids
        # On a service that chooses ids, or that was listed: the id there and a digest of the text for each id.
        self._there: dict[Key, Known] = {}
        self._recorded: dict[Key, tuple[str | None, datetime]] = {}

    def begin(self) -> Steps[None]:
        """Look at the brain: on a service that chooses ids, every memory is read for the id that it carries."""
        self._whole = (yield from ask(self._brain.embedders)) is not None
        self._listed |= self._many and self._can.list and not self._whole
        if not self._listed or not self._can.list:
            return
        cursor: str | None = None
        while True:
            page, cursor = yield from page_of(self._brain, cursor, scope=self._owners)
            for memory in page:
                id = memory.id if self._can.client_ids else as_object(memory.metadata.get(CARRIED)).get("id")
                if isinstance(id, str):
                    self._there[memory.scope.space, memory.scope.user, id] = _known(memory)
            if cursor is None:
                return

    def take(self, rows: Iterable[Copied]) -> Steps[list[Arrival]]:
        """Store memories, and return an outcome for each that does not wait."""
        return (yield from self._take(list(rows), last=False))

    def finish(self) -> Steps[list[Arrival]]:
        """Store the memories that wait, without links to those that never came."""
        held, self._held = self._held, []
        return (yield from self._take(held, last=True))

    def _take(self, rows: list[Copied], *, last: bool) -> Steps[list[Arrival]]:
        # Also of those that are there: what supersedes them may come only now.
        self._note_links(rows)
        found = yield from self._look_up(rows)
        arrivals: list[Arrival] = []
        fresh: dict[Key, Copied] = {}
        for row in rows:
            key = key_of(row.item)
            known = found.get(key)
            if key in fresh or (known is not None and not self._overwrite):
                same = (
                    known[1] == hash(row.item.content)
                    if known
                    else fresh[key].item.content == row.item.content
                )
                arrivals.append(_present(row, known[0] if known else None, same))
                if known is not None and same:
                    yield from self._link(row, known, found)
            else:
                fresh[key if row.item.id is not None else (None, None, f"\0{len(fresh)}")] = row
        ready = list(fresh.values()) if last else self._hold_back(fresh, found)
        for wave in self._waves(ready):
            arrivals += yield from self._store(wave, found)
        return arrivals

    def _link(self, row: Copied, known: Known, found: Mapping[Key, Known]) -> Steps[None]:
        """Make links of a memory that is there to those that it supersedes, if these came only after it."""
        if self._dry_run or not self._can.client_ids:
            return
        owner = key_of(row.item)[:2]
        links = [id for id in row.item.supersedes if id not in known[2] and (*owner, id) in found]
        if links:
            scope = Scope(row.item.scope.space, row.item.scope.user)
            yield from ask(self._brain.update, known[0], supersedes=[*known[2], *links], scope=scope)

    def _look_up(self, rows: Sequence[Copied]) -> Steps[Mapping[Key, Known]]:
        """Return which of some memories, and of those that they supersede, are there: their ids and digests of their texts."""
        if self._listed:
            if not self._can.list:
                yield from self._search_for(rows)
            return self._there
        ids = dict.fromkeys(row.item.id for row in rows if row.item.id is not None)
        ids.update(dict.fromkeys(id for row in rows for id in row.item.supersedes))
        if not ids:
            return {}
        memories: list[Memory] = yield from ask(self._brain.get_many, list(ids))
        return {(memory.scope.space, memory.scope.user, memory.id): _known(memory) for memory in memories}

    def _search_for(self, rows: Sequence[Copied]) -> Steps[None]:
        """Look for memories on a service that cannot list any, each by its text."""
        for row in rows:
            key = key_of(row.item)
            if key not in self._there:
                memory = yield from found_by_text(self._brain, row.item)
                if memory is not None:
                    self._there[key] = _known(memory)

    def _hold_back(self, fresh: dict[Key, Copied], found: Mapping[Key, Known]) -> list[Copied]:
        """Return the memories whose superseded ones are there or among them; the others wait."""
        while True:
            late = [
                key
                for key, row in fresh.items()
                if any(
                    (one := (*key_of(row.item)[:2], id)) not in found and one not in fresh
                    for id in row.item.supersedes
                )
            ]
            if not late:
                return list(fresh.values())
            self._held += [fresh.pop(key) for key in late]

    def _waves(self, rows: list[Copied]) -> list[list[Copied]]:
        """Return memories in parts that can be stored one after the other, each behind those that it supersedes."""
        if not rows:
            return []
        if self._can.client_ids or not any(row.item.supersedes or row.item.sources for row in rows):
            return [rows]
        waves: list[list[Copied]] = [[]]
        names: set[Key] = set()
        for position in in_order_of_links(rows):
            item = rows[position].item
            linked = {(*key_of(item)[:2], id) for id in (*item.supersedes, *item.sources)}
            if linked & names:
                waves.append([])
                names.clear()
            waves[-1].append(rows[position])
            names.add(key_of(item))
        return waves

    def _store(self, rows: list[Copied], found: Mapping[Key, Known]) -> Steps[list[Arrival]]:
        arrivals: list[Arrival] = []
        fitting: list[tuple[Copied, Copied]] = []
        for row in rows:
            try:
                fitted = packed(self._linked(row), self._can, self.losses, whole=self._whole)
                check_storable(self._can, fitted.item)
            except OneBrainError as error:
                arrivals.append(Arrival(row, "failed", None, error.message))
            else:
                fitting.append((row, fitted))
        if self._dry_run:
            return [*arrivals, *(Arrival(row, "stored", row.item.id) for row, _ in fitting)]
        results: Sequence[StoreResult] = (
            (yield from ask(self._brain.restore, [fitted for _, fitted in fitting])) if fitting else []
        )
        for (row, _), result in zip(fitting, results, strict=True):
            if result.error is not None:
                arrivals.append(Arrival(row, "failed", None, result.error.message))
                continue
            arrivals.append(Arrival(row, "stored", result.id, unlinked=result.unlinked))
            if self._listed and result.id is not None:
                yield from self._remember(row, result.id, found)
        return arrivals

    def _remember(self, row: Copied, id: str, found: Mapping[Key, Known]) -> Steps[None]:
        """Keep the id of a memory that a service chose, and delete the memory that it replaces."""
        key = key_of(row.item)
        former = found.get(key)
        self._there[key] = id, hash(row.item.content), row.item.supersedes
        if former is not None and former[0] != id:
            yield from ask(self._brain.delete, former[0], scope=row.item.scope)

    def _linked(self, row: Copied) -> Copied:
        """Return a memory with its links in the ids of the service, and with the times at which they were recorded."""
        item, owner = row.item, key_of(row.item)[:2]
        if not item.supersedes and not item.sources:
            return row
        recorded: dict[str, datetime] = {}
        for id in item.supersedes:
            by, at = self._recorded.get((*owner, id), (None, None))
            if at is not None and by == item.id:
                recorded[id] = at
        row = replace(row, recorded=recorded) if recorded else row
        if self._can.client_ids:
            return row
        there = self._there
        links = {
            name: [there[one][0] if (one := (*owner, id)) in there else id for id in getattr(item, name)]
            for name in ("supersedes", "sources")
        }
        return replace(row, item=item.model_copy(update=links))

    def _note_links(self, rows: Iterable[Copied]) -> None:
        for row in rows:
            if row.superseded_at is not None:
                self._recorded[key_of(row.item)] = row.superseded_by, row.superseded_at


def page_of(
    brain: AnyBrain, cursor: str | None, **options: Any
) -> Steps[tuple[Sequence[Memory], str | None]]:
    """Return some memories of a brain in the order of storing, those included that lists leave out, and the next cursor."""
    page = yield from ask(
        brain.page,
        order="sequence",
        limit=_ALL,
        cursor=cursor,
        include_archived=True,
        include_superseded=True,
        **options,
    )
    following = page.meta.cursor if page.meta.has_more else None
    return page.data, None if following == cursor else following


def found_by_text(brain: AnyBrain, item: NewMemory) -> Steps[Memory | None]:
    """Return the memory that carries an id, of those whose text is like that of a memory; None if there is none."""
    found = yield from ask(
        brain.search,
        item.content[:QUERY_CHARACTERS],
        scope=item.scope,
        limit=_COPIES,
        include_archived=True,
        include_superseded=True,
    )
    carrying = (
        memory for memory in found.memories if as_object(memory.metadata.get(CARRIED)).get("id") == item.id
    )
    return next(carrying, None)


def key_of(item: NewMemory) -> Key:
    """Return the space, the user and the id of a memory."""
    return item.scope.space, item.scope.user, item.id


def _known(memory: Memory) -> Known:
    return memory.id, hash(memory.content), memory.supersedes


def _present(row: Copied, id: str | None, same: bool) -> Arrival:
    if same:
        return Arrival(row, "there", id)
    return Arrival(row, "different", id, "a memory with this id is there, and says something else")


def _plain(value: Any) -> Any:
    """Return a value of a field as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) or is_array(value) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _time(carried: Mapping[str, Any], name: str, default: datetime | None) -> datetime | None:
    try:
        found = instant(carried.get(name))
    except ValueError:
        return default
    return found if isinstance(found, datetime) else default
