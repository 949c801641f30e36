"""A driver that makes links between memories of the metadata in which another driver keeps them.

The link is in the new memory, which is stored first. The mark on the old one is written second. If that fails, this driver
knows the link and tries again with the next read; another process writes the mark when it reads the new memory. A mark whose
memory is gone, or no longer names the old one, is taken off by the next read that looks it up.

A memory without links costs no further request, except on a service that cannot mark memories and has to be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Steps
from onebrain._core.transport import AsyncTransport, SyncTransport
from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.driver import (
    Changes,
    Driver,
    Found,
    KeepsLinks,
    ListRequest,
    SearchRequest,
    expiry,
)
from onebrain.memory.identity import Identity, owner_of
from onebrain.memory.linking.chains import Chains, key_of
from onebrain.memory.linking.fields import Linked, Mark, Replaced
from onebrain.memory.linking.holding import Moment
from onebrain.memory.linking.ledger import Ledger, Link
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.translation import any_stored, failed, in_order

# Fields of a memory that are in the marks on those that it supersedes.
_MARKED: Final = frozenset({"supersedes", "valid_from", "created_at", "expires_at"})
_TIMES: Final = ("valid_from", "valid_until")

# The driver has a method named list, which hides the type.
Positions: TypeAlias = list[int]
Ids: TypeAlias = list[str]
Memories: TypeAlias = list[Memory]


def emulated(driver: Driver) -> Driver:
    """Return a driver with links: itself, unless it declares that they are emulated."""
    if isinstance(driver, Emulated) or driver.capabilities.supersede != "emulated":
        return driver
    return Emulated(driver)


class Emulated:
    """Adds links and validity to a driver that keeps both in metadata.

    Attributes:
        inner: That driver.
    """

    def __init__(self, inner: Driver) -> None:
        self.inner = inner
        self._ledger = Ledger(inner if isinstance(inner, KeepsLinks) else None)

    @property
    def capabilities(self) -> Capabilities:
        """The abilities of the service."""
        return self.inner.capabilities

    def transports(self) -> tuple[SyncTransport | None, AsyncTransport | None]:
        """Return fresh transports."""
        return self.inner.transports()

    def close(self) -> None:
        """Release connections and files."""
        self.inner.close()

    def _chains(self, moment: Moment | None = None) -> Chains:
        return Chains(self.inner, self._ledger, moment or Moment(datetime.now(UTC)))

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store memories, and mark those that they supersede."""
        if not any(item.supersedes for item in items):
            return (yield from self._kept((yield from self.inner.store(items)), items))
        results: dict[int, StoreResult] = {}
        for wave in _waves(items):
            good = yield from self._check_wave(items, wave, results)
            if not good:
                continue
            some = [items[position] for position in good]
            try:
                stored = yield from self.inner.store(some)
            except OneBrainError as error:
                if not any_stored(results):
                    raise
                stored = [failed(error)] * len(good)
            results.update(zip(good, (yield from self._kept(stored, some)), strict=True))
        return in_order(results)

    def _check_wave(
        self, items: Sequence[NewMemory], wave: Positions, results: dict[int, StoreResult]
    ) -> Steps[Positions]:
        """Return the positions of memories that can supersede those that they name; the others get failed results."""
        good: Positions = []
        for position in wave:
            item = items[position]
            owner = Scope(item.scope.space, item.scope.user)
            try:
                yield from self._check_links(owner, item.id, item.supersedes)
            except OneBrainError as error:
                known = isinstance(error, OneBrainNotFoundError | OneBrainValidationError)
                if not known and not any_stored(results):
                    raise
                results[position] = failed(error)
            else:
                good.append(position)
        return good

    def _check_links(self, owner: Scope, id: str | None, supersedes: Sequence[str]) -> Steps[None]:
        """Raise if a memory cannot supersede others of its user and space; a new id is in no chain."""
        if not supersedes:
            return
        chains = self._chains()
        rows = yield from chains.read(owner, supersedes)
        service = self.capabilities.service
        if len(rows) < len(set(supersedes)):
            raise OneBrainNotFoundError(
                "supersedes: this user has no memory with such an id in this space", service=service
            )
        chain: Ids = [key_of(row)[2] for row in rows]
        start = 0
        while id is not None and start < len(chain):
            if id in chain:
                raise OneBrainValidationError(
                    "supersedes: a memory would supersede itself, by way of others", service=service
                )
            ahead, start = chain[start:], len(chain)
            chain.extend(_older((yield from chains.read(owner, ahead)), chain))

    def _kept(
        self, results: Sequence[StoreResult], items: Sequence[NewMemory]
    ) -> Steps[Sequence[StoreResult]]:
        """Write the marks that stored memories make, and take off those of the memories that they replaced."""
        now = datetime.now(UTC)
        plain: list[StoreResult] = []
        for result, item in zip(results, items, strict=True):
            if result.id is not None and item.supersedes and result.status != "pending":
                mark = Mark(result.id, now, item.valid_from, item.created_at or now, expiry(item, now))
                owner = Scope(item.scope.space, item.scope.user)
                for old in item.supersedes:
                    yield from self._ledger.put(Link(owner.space, owner.user, result.id, old), mark)
            if isinstance(result, Replaced):
                released = [old for old in result.former.supersedes if old not in item.supersedes]
                yield from self._chains().reopen(owner_of(result.former), released)
                result = StoreResult(id=result.id, status=result.status, error=result.error)
            plain.append(result)
        return plain

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search, and return the memory of each chain that holds, by the best score among its members."""
        yield from self._ledger.retry()
        found = yield from self.inner.search(request)
        moment = Moment(datetime.now(UTC), request.at, request.include_superseded)
        chains = self._chains(moment)
        rows = yield from chains.added([hit.memory for hit in found.hits])
        if all(type(row) is Memory and moment.holds(row) for row in rows):
            return found
        rows = yield from chains.prepared(rows)
        best: dict[Identity, Hit] = {}
        for hit, row in zip(found.hits, rows, strict=True):
            memory = yield from chains.standing(row)
            if memory is None:
                continue
            known = best.get(key_of(memory))
            if known is None or known.score < hit.score:
                best[key_of(memory)] = hit.model_copy(update={"memory": moment.shown(memory)})
        hits = sorted(best.values(), key=lambda hit: -hit.score)
        return replace(found, hits=hits, looked=len(found.hits))

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Return memories with their links, which are looked up."""
        yield from self._ledger.retry()
        found = yield from self.inner.get(ids, scope, with_embeddings=with_embeddings)
        moment = Moment(datetime.now(UTC))
        chains = self._chains(moment)
        rows = yield from chains.added(found)
        return [moment.shown(row) for row in (yield from chains.checked(rows))]

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page of memories that hold; the links among them are compared, and others trusted."""
        yield from self._ledger.retry()
        page: Page[Memory] = yield from self.inner.list(request)
        moment = Moment(datetime.now(UTC), request.at, request.include_superseded)
        chains = self._chains(moment)
        rows = yield from chains.compared((yield from chains.added(page.data)))
        shown = tuple(moment.shown(row) for row in rows if moment.holds(row))
        meta = page.meta
        whole = request.cursor is None and not meta.has_more
        total = len(shown) if whole and meta.total is not None else None
        if moment.everything and request.include_archived:
            total = meta.total
        return Page(shown, PageMeta(meta.has_more, meta.cursor, total))

    def history(self, id: str, scope: Scope, /) -> Steps[Sequence[Memory]]:
        """Return a memory with all that links connect it with, oldest first."""
        yield from self._ledger.retry()
        found = yield from self.inner.get([id], scope)
        moment = Moment(datetime.now(UTC))
        chains = self._chains(moment)
        rows = yield from chains.added(found)
        chain: dict[str, Memory] = {}
        while rows:
            rows = yield from chains.checked(rows)
            chain.update((key_of(row)[2], row) for row in rows)
            ahead = [id for row in rows for id in _ends(row) if id not in chain]
            rows = yield from chains.read(owner_of(rows[0]), ahead)
        return [moment.shown(row) for row in _oldest_first(chain)]

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Change a memory, and the marks on those that it supersedes or did so far."""
        fields = changes.fields
        before = None
        if not (_MARKED | set(_TIMES)).isdisjoint(fields):
            found = yield from self.inner.get([id], scope)
            before = found[0] if len(found) == 1 else None
        if before is not None:
            self._check_times(before, changes)
            supersedes: Sequence[str] = fields.get("supersedes") or ()
            yield from self._check_links(owner_of(before), key_of(before)[2], supersedes)
        after = yield from self.inner.update(id, changes, scope)
        if before is not None and not _MARKED.isdisjoint(fields):
            yield from self._remark(before, after)
        return Moment(datetime.now(UTC)).shown(after)

    def _check_times(self, before: Memory, changes: Changes) -> None:
        begins, ends = (changes.fields.get(name, getattr(before, name)) for name in _TIMES)
        if begins is not None and ends is not None and ends <= begins:
            raise OneBrainValidationError(
                "valid_until: must be later than valid_from", service=self.capabilities.service
            )

    def _remark(self, before: Memory, after: Memory) -> Steps[None]:
        owner = owner_of(after)
        gone = [old for old in before.supersedes if old not in after.supersedes]
        yield from self._chains().reopen(owner, gone)
        if isinstance(after, Linked) and after.supersedes:
            now = datetime.now(UTC)
            mark = Mark(after.key, now, after.valid_from, after.created_at or now, after.expires_at)
            for old in after.supersedes:
                yield from self._ledger.put(Link(owner.space, owner.user, after.key, old), mark)

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove memories; those that they superseded hold again."""
        rows = yield from self.inner.get(ids, scope)
        return (yield from self.remove(ids, scope, rows))

    def remove(self, ids: Sequence[str], scope: Scope, rows: Iterable[Memory], /) -> Steps[int]:
        """Remove memories that were read already; those that they superseded hold again.

        Args:
            ids: Their ids.
            scope: Where.
            rows: The memories.
        """
        count = yield from self.inner.delete(ids, scope)
        gone = set(ids)
        beside: dict[Scope, dict[str, None]] = {}
        for row in rows:
            ends = [end for end in _ends(row) if end not in gone]
            if ends:
                beside.setdefault(owner_of(row), {}).update(dict.fromkeys(ends))
        for owner, some in beside.items():
            yield from self._chains().reopen(owner, list(some))
        return count


def _waves(items: Sequence[NewMemory]) -> Iterator[Positions]:
    """Return positions in runs, none of which has a memory and one that it supersedes."""
    wave: Positions = []
    ids: set[str] = set()
    for position, item in enumerate(items):
        if not ids.isdisjoint(item.supersedes):
            yield wave
            wave, ids = [], set()
        wave.append(position)
        if item.id is not None:
            ids.add(item.id)
    yield wave


def _older(rows: Iterable[Memory], seen: Collection[str]) -> Ids:
    """Return the ids of memories that some supersede, without those in `seen`."""
    return [id for row in rows for id in row.supersedes if id not in seen]


def _ends(row: Memory) -> Iterator[str]:
    """Return the ids at the other ends of a memory's links."""
    yield from row.supersedes
    if isinstance(row, Linked):
        yield from (mark.by for mark in row.marks)
    elif row.superseded_by is not None:
        yield row.superseded_by


def _oldest_first(chain: Mapping[str, Memory]) -> Memories:
    """Return the memories of a chain by the time from which they hold; of equal times, an old one before a new one."""
    depth = dict.fromkeys(chain, 0)
    for _ in chain:
        deeper = {
            id: max((depth[old] + 1 for old in row.supersedes if old in depth), default=0)
            for id, row in chain.items()
        }
        if deeper == depth:
            break
        depth = deeper

    def place(id: str) -> tuple[float, int]:
        began = chain[id].valid_from or chain[id].created_at
        return (0.0 if began is None else began.timestamp()), depth[id]

    return [chain[id] for id in sorted(chain, key=place)]


__all__ = ["Emulated", "emulated"]
