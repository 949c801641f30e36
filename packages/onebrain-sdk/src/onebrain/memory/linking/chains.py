"""The chains of the memories in one answer: their members are read, compared, and repaired where they disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from onebrain._core.steps import Steps
from onebrain.errors import OneBrainError
from onebrain.memory.driver import Driver, TellsSuccessors
from onebrain.memory.identity import Identity, owner_of
from onebrain.memory.linking.fields import Linked, Mark
from onebrain.memory.linking.holding import Moment
from onebrain.memory.linking.ledger import Ledger, Link
from onebrain.memory.models import Memory, Scope

Memories: TypeAlias = list[Memory]


def key_of(memory: Memory) -> Identity:
    """Return the identity by which links name a memory."""
    id = memory.key if isinstance(memory, Linked) else memory.id
    return memory.scope.space, memory.scope.user, id


class Chains:
    """The memories that one call has read, by their identity."""

    def __init__(self, driver: Driver, ledger: Ledger, moment: Moment) -> None:
        self.moment = moment
        self._driver = driver
        self._ledger = ledger
        self._tells = driver if isinstance(driver, TellsSuccessors) else None
        # None for a memory that does not exist.
        self._known: dict[Identity, Memory | None] = {}
        self._asked: set[Identity] = set()

    # ---- read -------------------------------------------------------------------------------------------------------

    def added(self, rows: Sequence[Memory]) -> Steps[Memories]:
        """Take memories that were read, and return them with all marks that are known."""
        marked = [self._with_waiting(row) for row in rows]
        if self._tells is not None and marked:
            told = yield from self._tells.successors(marked)
            for new in told:
                self._known.setdefault(key_of(new), new)
            marked = [_marked_by(row, told) for row in marked]
            self._asked.update(map(key_of, marked))
        for row in marked:
            self._keep(row)
        return marked

    def _with_waiting(self, row: Memory) -> Memory:
        """Return a memory with the marks that could not be written."""
        for mark in self._ledger.waiting(owner_of(row), key_of(row)[2]):
            row = _with_mark(row, mark)
        return row

    def _keep(self, row: Memory) -> None:
        self._known[key_of(row)] = row
        # It may have been asked for by another form of its id.
        self._known[row.scope.space, row.scope.user, row.id] = row

    def current(self, row: Memory) -> Memory:
        """Return a memory as it is known by now."""
        return self._known.get(key_of(row)) or row

    def read(self, owner: Scope, ids: Iterable[str]) -> Steps[Memories]:
        """Return the memories of one user and space with these ids, as far as they exist."""
        keys = {id: (owner.space, owner.user, id) for id in ids}
        missing = [id for id, key in keys.items() if key not in self._known]
        if missing:
            found = yield from self._driver.get(missing, owner)
            yield from self.added([row for row in found if owner_of(row) == owner])
            for id in missing:
                self._known.setdefault(keys[id], None)
        rows = [row for key in keys.values() if (row := self._known[key]) is not None]
        if self._tells is not None:
            untold = [row for row in rows if key_of(row) not in self._asked]
            yield from self.added(untold)
            rows = [self.current(row) for row in rows]
        return rows

    def _read_all(self, wanted: Iterable[tuple[Scope, str]]) -> Steps[None]:
        """Read memories, in one call for each owner."""
        owners: dict[Scope, dict[str, None]] = {}
        for owner, id in wanted:
            owners.setdefault(owner, {})[id] = None
        for owner, ids in owners.items():
            yield from self.read(owner, ids)

    # ---- search -----------------------------------------------------------------------------------------------------

    def prepared(self, rows: Sequence[Memory]) -> Steps[Memories]:
        """Read at once what stands for memories that do not hold, and mark those that lack a mark."""
        linked = [row for row in rows if isinstance(row, Linked)]
        hidden = [row for row in linked if not self.moment.holds(row)]
        unsure = linked if self._ledger.marks else []
        yield from self._read_all([*self._successors(hidden), *self._unsure(unsure)])
        for row in unsure:
            yield from self._mark_olds(row)
        return [self.current(row) for row in rows]

    def _successors(self, rows: Iterable[Linked]) -> Iterator[tuple[Scope, str]]:
        for row in rows:
            owner = owner_of(row)
            yield from ((owner, mark.by) for mark in self.moment.standing(row.marks))

    def _unsure(self, rows: Iterable[Linked]) -> Iterator[tuple[Scope, str]]:
        """Return the memories that are superseded and may lack a mark."""
        for row in rows:
            owner = owner_of(row)
            for old in row.supersedes:
                if not self._ledger.is_written(_link(row, old)):
                    yield owner, old

    def standing(self, row: Memory) -> Steps[Memory | None]:
        """Return the memory of a chain that holds: this one, a newer one, or else an older one."""
        if self.moment.holds(row):
            return row
        for newer in (True, False):
            found = yield from self._nearest(row, newer=newer)
            if found is not None:
                return found
        return None

    def _nearest(self, row: Memory, *, newer: bool) -> Steps[Memory | None]:
        ahead, seen = [row], set[Identity]()
        while ahead:
            one = ahead.pop()
            if key_of(one) in seen:
                continue
            seen.add(key_of(one))
            if newer and isinstance(one, Linked):
                yield from self._read_all(self._successors([one]))
                one = yield from self._without_stale(one)
            if self.moment.holds(one):
                return one
            if isinstance(one, Linked):
                ids = [mark.by for mark in self.moment.standing(one.marks)] if newer else one.supersedes
                ahead += yield from self.read(owner_of(one), ids)
        return None

    # ---- compare and repair -----------------------------------------------------------------------------------------

    def checked(self, rows: Sequence[Memory]) -> Steps[Memories]:
        """Return memories whose links agree with the memories at their other ends, which are read."""
        linked = [row for row in rows if isinstance(row, Linked)]
        yield from self._read_all([*self._successors(linked), *self._unsure(linked)])
        for row in linked:
            yield from self._without_stale(row)
            yield from self._mark_olds(row)
        return [self.current(row) for row in rows]

    def compared(self, rows: Sequence[Memory]) -> Steps[Memories]:
        """Return memories whose links agree with each other; those with others are trusted."""
        here = {key_of(row) for row in rows}
        for row in rows:
            if isinstance(row, Linked):
                yield from self._without_stale(row, here)
                yield from self._mark_olds(row, here)
        return [self.current(row) for row in rows]

    def _without_stale(self, row: Linked, here: set[Identity] | None = None) -> Steps[Linked]:
        """Take off the marks of memories that are gone or do not name this one; with `here`, look only at those."""
        space, user, id = key_of(row)
        stale: list[str] = []
        for mark in self.moment.standing(row.marks):
            key = (space, user, mark.by)
            if key not in self._known or (here is not None and key not in here):
                continue
            new = self._known[key]
            if new is None or id not in new.supersedes:
                stale.append(mark.by)
        if not stale or self._tells is not None:
            return row
        row = row.but(marks=tuple(mark for mark in row.marks if mark.by not in stale))
        self._keep(row)
        yield from self._ledger.take(id, owner_of(row), stale)
        return row

    def _mark_olds(self, row: Linked, here: set[Identity] | None = None) -> Steps[None]:
        """Mark the memories that one supersedes, and drop the links to those that are gone; with `here`, only at those."""
        owner = owner_of(row)
        gone: list[str] = []
        for id in row.supersedes:
            key, link = (owner.space, owner.user, id), _link(row, id)
            if key not in self._known or (here is not None and key not in here):
                continue
            old = self._known[key]
            if old is None:
                gone.append(id)
            elif isinstance(old, Linked) and any(mark.by == row.key for mark in old.marks):
                self._ledger.wrote(link)
            else:
                mark = _mark_of(row)
                self._keep(_with_mark(old, mark))
                yield from self._ledger.put(link, mark)
        if gone:
            left = tuple(id for id in row.supersedes if id not in gone)
            # Marks may have been taken off it meanwhile.
            now = self.current(row)
            self._keep((now if isinstance(now, Linked) else row).but(supersedes=left))
            yield from self._ledger.drop(row.key, owner, gone)

    def reopen(self, owner: Scope, ids: Sequence[str]) -> Steps[None]:
        """Compare memories with what they are linked to, after a change there; a failure leaves that to a later read."""
        if not ids or not self._ledger.marks:
            return
        self._ledger.forget(owner, ids)
        try:
            yield from self.checked((yield from self.read(owner, ids)))
        except OneBrainError:
            # The change is made, and an error here would say that it is not.
            return


def _link(row: Linked, old: str) -> Link:
    return Link(row.scope.space, row.scope.user, row.key, old)


def _mark_of(new: Linked) -> Mark:
    """Return the mark of a memory on those that it supersedes."""
    return Mark(new.key, new.linked_at or datetime.now(UTC), new.valid_from, new.created_at, new.expires_at)


def _marked_by(row: Memory, others: Iterable[Memory]) -> Memory:
    """Return a memory with a mark for each of the others that supersedes it, in the order of recording."""
    space, user, id = key_of(row)
    marks = [
        _mark_of(new)
        for new in others
        if isinstance(new, Linked) and id in new.supersedes and key_of(new)[:2] == (space, user)
    ]
    for mark in sorted(marks, key=lambda mark: mark.at):
        row = _with_mark(row, mark)
    return row


def _with_mark(row: Memory, mark: Mark) -> Linked:
    """Return a memory with one more mark."""
    if not isinstance(row, Linked):
        row = Linked.trusted({**row.__dict__, "marks": (), "linked_at": None, "key": row.id})
    if any(known.by == mark.by for known in row.marks):
        return row
    return row.but(marks=(*row.marks, mark))


__all__ = ["Chains", "key_of"]
