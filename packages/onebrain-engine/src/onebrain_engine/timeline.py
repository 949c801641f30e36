"""Which memories of a space hold at a moment, and which one of a chain is shown in place of the others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onebrain_engine.store.lives import Life, Link
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import NEVER, At, Space, now_in_micros
from onebrain_engine.store.runs import leads_to

_KEPT: Final = 256  # spaces whose timelines are remembered


@dataclass(frozen=True, slots=True)
class Present:
    """The memories of a space that do not hold at a moment.

    Attributes:
        hidden: Their rows, each with the row of the memory that holds in its place, or None.
        until: The moment from which on that may differ.
    """

    hidden: Mapping[int, int | None]
    until: int


@dataclass(frozen=True, slots=True)
class Known:
    """The knowledge of a space at a moment.

    Attributes:
        at: The moment, in microseconds.
        later: The rows of memories that were stored after it.
    """

    at: int
    later: frozenset[int]

    def has(self, link: Link) -> bool:
        """Return whether a link was recorded by then."""
        return link.recorded <= self.at and link.row not in self.later


NOTHING: Final = Present({}, NEVER)


class Timeline:
    """The lives of the memories of one space at one of its changes.

    Args:
        lives: The lives by row; those with nothing in them are left out.
        mortal: Those of memories that may not hold now or later, by row.
        at: The state of the space.
    """

    def __init__(self, lives: dict[int, Life], mortal: dict[int, Life], at: At) -> None:
        self.lives = lives
        self.at = at
        self._mortal = mortal
        self._present: Present | None = None
        self._asked_at = 0

    def followed(self, changed: Iterable[Life], at: At) -> Timeline:
        """Return the timeline at a later state."""
        some = list(changed)
        if not some:
            later = Timeline(self.lives, self._mortal, at)
            later._present, later._asked_at = self._present, self._asked_at
            return later
        lives, mortal = dict(self.lives), dict(self._mortal)
        now = now_in_micros()
        for life in some:
            mortal.pop(life.row, None)
            if life.plain:
                lives.pop(life.row, None)
                continue
            lives[life.row] = life
            if life.successors or life.valid_until is not None or (life.valid_from or 0) > now:
                mortal[life.row] = life
        return Timeline(lives, mortal, at)

    def present(
        self, now: int, at: int | None = None, *, links: bool = True, known: Known | None = None
    ) -> Present:
        """Return the memories that do not hold at a moment, by default now.

        Args:
            now: The present, in microseconds; a memory that has expired by then replaces nothing.
            at: Another moment. Only then `created_at` stands in for a missing `valid_from`.
            links: Whether a memory that is replaced ceases to hold.
            known: Leaves out later links and memories; the default is the present knowledge.
        """
        if at is not None or not links or known is not None:
            moment = now if at is None else at
            view = self if known is None else self.as_known(known)
            return view._made(now, moment, view.lives, told=at is None, links=links)
        cached = self._present
        if cached is None or not self._asked_at <= now < cached.until:
            cached = self._made(now, now, self._mortal, told=True, links=True)
            self._present, self._asked_at = cached, now
        return cached

    def as_known(self, known: Known) -> Timeline:
        """Return the timeline without the links that were recorded after a moment, and without memories stored after it."""
        lives = {
            row: replace(
                life,
                supersedes=tuple(link for link in life.supersedes if known.has(link)),
                successors=tuple(link for link in life.successors if known.has(link)),
            )
            for row, life in self.lives.items()
            if row not in known.later
        }
        return Timeline(lives, {}, self.at)

    def _made(self, now: int, moment: int, among: Mapping[int, Life], *, told: bool, links: bool) -> Present:
        """Return which memories do not hold; `told` says that only a given `valid_from` counts."""
        hidden: dict[int, int | None] = {}
        until = NEVER
        for row, life in among.items():
            begins = life.valid_from or 0 if told else life.begins
            ends = NEVER if life.valid_until is None else life.valid_until
            for new in self._successors(life, now) if links else ():
                ends = min(ends, new.valid_from or 0 if told else new.begins)
                if new.expires is not None:
                    until = min(until, new.expires)
            if begins <= moment < ends:
                until = min(until, ends)
                continue
            hidden[row] = None
            if begins > moment:
                until = min(until, begins)
        for row in hidden:
            hidden[row] = self._standing(row, hidden, now)
        return Present(hidden, until) if hidden or until < NEVER else NOTHING

    def _successors(self, life: Life, now: int) -> list[Life]:
        """Return the living memories that replace one, in the order of recording."""
        return [self.lives[link.row] for link in life.successors if self._lives_on(link, now)]

    def _standing(self, row: int, hidden: Mapping[int, int | None], now: int) -> int | None:
        """Return the memory of the chain of a hidden one that holds: a newer one, else an older one, or None."""
        for newer in (True, False):
            ahead, seen = [row], set[int]()
            while ahead:
                current = ahead.pop()
                if current not in hidden:
                    return current
                life = self.lives.get(current)
                if current not in seen and life is not None:
                    seen.add(current)
                    # The last one is taken first: of several, the one recorded last.
                    ahead += (
                        [new.row for new in self._successors(life, now)]
                        if newer
                        else [link.row for link in life.supersedes if self._lives_on(link, now)]
                    )
        return None

    def living(self, rows: Iterable[int], now: int) -> dict[int, Life]:
        """Return the lives of those of some memories that have one."""
        return {row: life for row in rows if (life := self.life(row, now)) is not None}

    def life(self, row: int, now: int) -> Life | None:
        """Return the life of a memory without links to expired ones; None if nothing is said of it."""
        life = self.lives.get(row)
        if life is None or not (life.supersedes or life.successors):
            return life
        return replace(
            life,
            supersedes=tuple(link for link in life.supersedes if self._lives_on(link, now)),
            successors=tuple(link for link in life.successors if self._lives_on(link, now)),
        )

    def _lives_on(self, link: Link, now: int) -> bool:
        other = self.lives.get(link.row)
        return other is not None and (other.expires is None or other.expires > now)

    def chain(self, row: int, now: int) -> Sequence[Life]:
        """Return the lives of all living memories that links connect with one, by the time from which each holds."""
        found: dict[int, Life] = {}
        ahead = [row]
        while ahead:
            life = self.life(ahead.pop(), now)
            if life is not None and life.row not in found:
                found[life.row] = life
                ahead += [link.row for link in (*life.supersedes, *life.successors)]
        return sorted(found.values(), key=lambda life: (life.begins, life.row))


_EMPTY: Final = Timeline({}, {}, (0, None))


def known_at(read: Reading, tenant: str, space: Space, at: int) -> Known:
    """Return the knowledge of a space at a moment; `created_at` stands in where the time of storing is unknown."""
    columns = read.columns(tenant, space, ["stored_at", "created_at"], None)
    later = (row for row, stored, created in columns if (created if stored is None else stored) > at)
    return Known(at, frozenset(later))


class Timelines:
    """The timelines of an engine's spaces, made when they are asked for; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], Timeline] = OrderedDict()

    def of(self, read: Reading, tenant: str, space: Space) -> Timeline:
        """Return the timeline of a space as a transaction sees it."""
        if not space.timed:
            return _EMPTY
        key = (tenant, space.key)
        with self._lock:
            known = self._kept.get(key, _EMPTY)
        if known.at == space.at:
            return known
        seq = known.at[0]
        if seq > space.seq or not leads_to(read, tenant, known.at, space):
            known = _EMPTY
        fresh = known.followed(read.lives(tenant, space, after=known.at[0]), space.at)
        with self._lock:
            if seq <= space.seq:  # one that is ahead of this transaction stays
                self._kept[key] = fresh
                self._kept.move_to_end(key)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return fresh
