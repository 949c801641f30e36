"""Writing the lives of memories: which one replaces which, with both ends of each link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain_engine.store.lives import Life, Link, Wanted
from onebrain_engine.store.protocol import Writing
from onebrain_engine.store.records import Space

# An id and its user, which together name one memory of a space.
Name: TypeAlias = tuple[str, str | None]
# The position of a memory that is to be stored, its name, and those that it is to replace.
_Asked: TypeAlias = tuple[int, Name, list[Name]]


class Succession:
    """The links among the memories of one space, within one transaction.

    Args:
        write: The transaction.
        tenant: Whose space it is.
        space: The space; `space` is the space as it is after the changes.
        now: The time of recording, in microseconds.
    """

    def __init__(self, write: Writing, tenant: str, space: Space, now: int) -> None:
        self.space = space
        self._write = write
        self._tenant = tenant
        self._now = now

    # ---- checks, before anything is stored --------------------------------------------------------------------------

    def refused(self, wanted: Sequence[tuple[Name, Wanted]]) -> dict[int, OneBrainError]:
        """Return why memories cannot have the lives that they are to have together, by position; most can.

        A memory may replace one that is stored, or another one of `wanted`. One that replaces a refused memory is refused
        itself, unless that one is stored. A name that is given several times has the last life that is not refused. A name
        whose lives are all refused keeps the life that is stored.
        """
        drafts: list[_Asked] = [
            (position, name, [(id, name[1]) for id in one.supersedes])
            for position, (name, one) in enumerate(wanted)
        ]
        linking = [name for _, name, olds in drafts if olds]
        if not linking:
            return {}
        named = list({old for _, _, olds in drafts for old in olds})
        there = self._write.identified(self._tenant, self.space, named, now=self._now)
        known: set[Name] = set()
        if self.space.timed:
            known = set(self._write.identified(self._tenant, self.space, list(dict.fromkeys(linking))))
        stored: dict[Name, list[Name]] = {}
        refused: dict[int, OneBrainError] = {}
        while True:
            good = [draft for draft in drafts if draft[0] not in refused]
            made = {name for _, name, _ in good}
            bad: dict[int, OneBrainError] = {
                position: _missing()
                for position, _, olds in good
                if any(old not in there and old not in made for old in olds)
            }
            if not bad:
                # A refused memory keeps its stored links, which may close a circle with those of the others.
                links = {name: olds for _, name, olds in good}
                # No stored link leads to a memory that is new, so that those close a circle only among themselves. An earlier
                # life of a name that is given several times is not among the links.
                starts = dict.fromkeys(
                    old for _, name, olds in good if name in known or links[name] is not olds for old in olds
                )
                graph = self._followed(links, starts, stored)
                bad = {position: _circular() for position in _circles(good, graph)}
            if not bad:
                return refused
            refused.update(bad)

    def _followed(
        self, links: Mapping[Name, list[Name]], starts: Iterable[Name], stored: dict[Name, list[Name]]
    ) -> dict[Name, list[Name]]:
        """Return the links that memories are to have, with the stored ones that lead on from some memories.

        Args:
            links: The links that memories are to have.
            starts: Where to begin.
            stored: The stored links that were read before; the ones that are read now are added.
        """
        graph = dict(links)
        seen: set[Name] = set()
        ahead = list(starts)
        while ahead:
            seen.update(ahead)
            fresh = [name for name in ahead if name not in links and name not in stored]
            if fresh:
                stored.update(self._stored_links(fresh))
            graph.update((name, stored[name]) for name in ahead if name not in links)
            following = dict.fromkeys(old for name in ahead for old in graph[name])
            ahead = [name for name in following if name not in seen]
        return graph

    def _stored_links(self, names: Sequence[Name]) -> dict[Name, list[Name]]:
        """Return the memories that each of some memories replaces as they are stored."""
        rows = self._write.identified(self._tenant, self.space, names, now=self._now)
        users = {row: user for (_, user), row in rows.items()}
        links: dict[Name, list[Name]] = {name: [] for name in names}
        for life in self._lives(list(users)):
            user = users[life.row]
            links[life.id, user] = [(link.id, user) for link in life.supersedes]
        return links

    # ---- changes ----------------------------------------------------------------------------------------------------

    def give(
        self, stored: Sequence[tuple[Life, Wanted | None]], *, users: Mapping[int, str | None]
    ) -> dict[int, Life]:
        """Give memories that are stored their lives, and return those by row; None takes a life away.

        Args:
            stored: The bare life of each memory, and what it is to have.
            users: The user of each row.
        """
        if not self.space.timed and all(wanted is None for _, wanted in stored):
            return {}
        last = {life.row: (life, wanted) for life, wanted in stored}
        lives = {life.row: life for life in self._lives(list(last))}
        pairs = {(id, users[row]) for row, (_, wanted) in last.items() if wanted for id in wanted.supersedes}
        rows: Mapping[Name, int] = {}
        if pairs:
            rows = self._write.identified(self._tenant, self.space, list(pairs))
        changed: dict[int, Life] = {}
        touched = self._fetch(
            {
                *rows.values(),
                *(link.row for life in lives.values() for link in life.supersedes),
            }
            - last.keys(),
            rows,
        )
        touched.update({row: lives.get(row, life) for row, (life, _) in last.items()})
        for row, (bare, wanted) in last.items():
            before = touched[row]
            asked = wanted or Wanted()
            kept = {link.row: link for link in before.supersedes}
            links: list[Link] = []
            for id in asked.supersedes:
                old = rows[id, users[row]]
                links.append(kept.get(old) or Link(old, id, asked.recorded.get(id, self._now)))
            after = replace(
                bare,
                valid_from=asked.valid_from,
                valid_until=asked.valid_until,
                supersedes=tuple(links),
                successors=before.successors,
                sources=asked.sources,
            )
            if after != before or row in changed:
                touched[row] = changed[row] = after
            for old in kept.keys() - {link.row for link in links}:
                self._drop(touched, changed, old, row)
            for link in links:
                if link.row not in kept:
                    life = touched[link.row]
                    successors = _with(life.successors, Link(row, bare.id, link.recorded), self._now)
                    touched[link.row] = changed[link.row] = replace(life, successors=successors)
        self._store(changed.values())
        return {row: touched[row] for row in last}

    def remove_expired(self, names: Sequence[Name]) -> None:
        """Remove those of some memories that have expired, with their links, so that new ones can take their ids."""
        rows = self._write.identified(self._tenant, self.space, names)
        if rows:
            living = self._write.identified(self._tenant, self.space, names, now=self._now)
            gone = [row for name, row in rows.items() if name not in living]
            if gone:
                self.remove(gone)

    def remove(self, rows: Sequence[int]) -> int:
        """Remove memories; the ones that they replaced hold again, and the ones that replaced them stay."""
        if self.space.timed:
            gone = set(rows)
            lives = self._lives(rows)
            touched = self._fetch(
                {link.row for life in lives for link in (*life.supersedes, *life.successors)} - gone, {}
            )
            changed: dict[int, Life] = {}
            for life in lives:
                for link in life.supersedes:
                    self._drop(touched, changed, link.row, life.row)
                for link in life.successors:
                    new = touched.get(link.row)
                    if new is not None:
                        kept = tuple(one for one in new.supersedes if one.row != life.row)
                        touched[link.row] = changed[link.row] = replace(new, supersedes=kept)
            self._store(changed.values())
        count, self.space = self._write.remove(self._tenant, self.space, rows)
        return count

    @staticmethod
    def _drop(touched: dict[int, Life], changed: dict[int, Life], old: int, new: int) -> None:
        """Take a memory out of the ones that replace another one."""
        life = touched.get(old)
        if life is not None:
            kept = tuple(link for link in life.successors if link.row != new)
            touched[old] = changed[old] = replace(life, successors=kept)

    def _lives(self, rows: Sequence[int]) -> Sequence[Life]:
        if not self.space.timed or not rows:
            return ()
        return self._write.lives(self._tenant, self.space, rows=rows)

    def _fetch(self, wanted: set[int], names: Mapping[Name, int]) -> dict[int, Life]:
        """Return the lives of rows, bare ones included."""
        found = {life.row: life for life in self._lives(sorted(wanted))}
        missing = wanted - found.keys()
        if missing:
            ids = {row: id for (id, _), row in names.items()}
            for row, created, expires in self._write.columns(
                self._tenant, self.space, ["created_at", "expires_at"], sorted(missing)
            ):
                found[row] = Life(row, ids.get(row, ""), created, expires)
        return found

    def _store(self, lives: Iterable[Life]) -> None:
        some = list(lives)
        if some:
            self.space = self._write.set_lives(self._tenant, self.space, some)


def _with(links: tuple[Link, ...], link: Link, now: int) -> tuple[Link, ...]:
    """Return links in the order of recording with another one, which is the last one if it is recorded now."""
    position = len(links)
    # Clocks of processes differ, so that the time alone tells the order of those from another brain only.
    while link.recorded < now and position and links[position - 1].recorded > link.recorded:
        position -= 1
    return (*links[:position], link, *links[position:])


def _circles(drafts: Sequence[_Asked], graph: Mapping[Name, Sequence[Name]]) -> list[int]:
    """Return the positions of the memories that would replace themselves, by way of others.

    Args:
        drafts: The memories.
        graph: The links of each name; of a name that has several drafts, those of the last one.
    """
    every: dict[Name, list[Name]] = {name: list(olds) for name, olds in graph.items()}
    for _, name, olds in drafts:
        every[name] += olds
    try:
        # Takes one walk for all, and there is hardly ever a circle.
        TopologicalSorter(every).prepare()
    except CycleError:
        return [position for position, name, olds in drafts if _leads_to(name, olds, graph)]
    return []


def _leads_to(goal: Name, start: Sequence[Name], graph: Mapping[Name, Sequence[Name]]) -> bool:
    """Return whether links lead from some memories to another one."""
    seen: set[Name] = set()
    ahead = list(start)
    while ahead:
        name = ahead.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            ahead += graph.get(name, ())
    return False


def _circular() -> OneBrainValidationError:
    return OneBrainValidationError("supersedes: a memory would supersede itself, by way of others")


def _missing() -> OneBrainNotFoundError:
    return OneBrainNotFoundError("supersedes: this user has no memory with such an id in this space")
