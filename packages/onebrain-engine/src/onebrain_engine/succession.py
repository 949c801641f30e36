"""Writing the lives of memories: which one replaces which, with both ends of each link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain_engine.store.lives import Life, Link, Wanted
from onebrain_engine.store.protocol import Writing
from onebrain_engine.store.records import Space

# An id and its user, which together name one memory of a space.
Name = tuple[str, str | None]


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

    def refused(self, wanted: Mapping[Name, Wanted]) -> dict[Name, OneBrainError]:
        """Return why memories cannot have the lives that they are to have together; most can.

        A memory may replace one that is stored, or another one of `wanted`. One that replaces a refused memory is refused
        itself, unless that one is stored.
        """
        linking = {name: one for name, one in wanted.items() if one.supersedes}
        if not linking:
            return {}
        olds = {name: [(id, name[1]) for id in one.supersedes] for name, one in linking.items()}
        there = self._write.identified(
            self._tenant,
            self.space,
            list({old for some in olds.values() for old in some}),
            now=self._now,
        )
        refused: dict[Name, OneBrainError] = {}

        def refuse_missing() -> None:
            while missing := [
                name
                for name, some in olds.items()
                if name not in refused
                and any(old not in there and (old not in wanted or old in refused) for old in some)
            ]:
                refused.update((name, _missing()) for name in missing)

        refuse_missing()
        for name in self._named(olds):
            if name not in refused and self._circles(name, olds):
                refused[name] = OneBrainValidationError(
                    "supersedes: a memory would supersede itself, by way of others"
                )
        # Those that would replace one of a circle.
        refuse_missing()
        return refused

    def _named(self, olds: Mapping[Name, Sequence[Name]]) -> list[Name]:
        """Return the linking memories that others may replace; a new one that no other names closes no circle."""
        named = {old for some in olds.values() for old in some}
        new = [name for name in olds if name not in named]
        if self.space.timed and new:
            named |= self._write.identified(self._tenant, self.space, new).keys()
        return [name for name in olds if name in named]

    def _circles(self, start: Name, olds: Mapping[Name, Sequence[Name]]) -> bool:
        """Return whether following what is to be replaced, and what that replaces, leads back to the start."""
        seen: set[Name] = set()
        ahead = list(olds[start])
        while ahead:
            if start in ahead:
                return True
            seen.update(ahead)
            following = [old for name in ahead if name in olds for old in olds[name]]
            stored = [name for name in ahead if name not in olds]
            rows: Mapping[Name, int] = {}
            if self.space.timed and stored:
                rows = self._write.identified(self._tenant, self.space, stored, now=self._now)
            users = {row: user for (_, user), row in rows.items()}
            following += [
                (link.id, users[life.row]) for life in self._lives(list(users)) for link in life.supersedes
            ]
            ahead = [name for name in dict.fromkeys(following) if name not in seen]
        return False

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
                links.append(kept.get(old) or Link(old, id, self._now))
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
            new = {link.row for link in links}
            for old in kept.keys() - new:
                self._drop(touched, changed, old, row)
            for old in new - kept.keys():
                life = touched[old]
                link = Link(row, bare.id, self._now)
                touched[old] = changed[old] = replace(life, successors=(*life.successors, link))
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
        count = self._write.remove(self._tenant, self.space, rows)
        self.space = self._write.space(self._tenant, self.space.name) or self.space
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


def _missing() -> OneBrainNotFoundError:
    return OneBrainNotFoundError("supersedes: this user has no memory with such an id in this space")
