"""The marks that one process has written, or still has to write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from onebrain._core.steps import Steps
from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainPermissionError
from onebrain.memory.driver import KeepsLinks
from onebrain.memory.linking.fields import Links, Mark
from onebrain.memory.models import Scope

_MOST: Final = 10_000  # links that are remembered


class Link(NamedTuple):
    """A link from a new memory to an old one of the same space and user."""

    space: str | None
    user: str | None
    new: str
    old: str


class Ledger:
    """Writes marks, and remembers which ones are written.

    Attributes:
        marks: Whether the service can keep marks.
    """

    def __init__(self, driver: KeepsLinks | None) -> None:
        self.marks = driver is not None
        self._driver = driver
        self._written: dict[Link, None] = {}
        self._waiting: dict[Link, Mark] = {}
        # A key that may only read would be refused again and again.
        self._refused = False
        self._lock = threading.Lock()

    def put(self, link: Link, mark: Mark) -> Steps[None]:
        """Mark an old memory; if that fails, the next read tries again."""
        if self.marks:
            # Before the request, because it may be cancelled.
            self._remember(self._waiting, link, mark)
            yield from self._write(link, mark)

    def retry(self) -> Steps[None]:
        """Write the marks that could not be written."""
        if self._waiting and not self._refused:
            for link, mark in list(self._waiting.items()):
                yield from self._write(link, mark)

    def _write(self, link: Link, mark: Mark) -> Steps[None]:
        try:
            yield from self._change(
                link.old, Scope(link.space, link.user), lambda links: _marked(links, mark)
            )
        except OneBrainNotFoundError:
            # The old memory is gone, and so is the link.
            self._waiting.pop(link, None)
        except OneBrainError:
            return
        else:
            self._waiting.pop(link, None)
            self._remember(self._written, link, None)

    def take(self, old: str, owner: Scope, gone: Collection[str]) -> Steps[None]:
        """Take marks off an old memory; if that fails, a later read does it."""
        for new in gone:
            link = Link(owner.space, owner.user, new, old)
            self._waiting.pop(link, None)
            self._written.pop(link, None)
        try:
            yield from self._change(old, owner, lambda links: _unmarked(links, gone))
        except OneBrainError:
            return

    def drop(self, new: str, owner: Scope, gone: Collection[str]) -> Steps[None]:
        """Take the ids of memories that are gone out of the links of a memory; if that fails, a later read does it."""
        try:
            yield from self._change(new, owner, lambda links: _without(links, gone))
        except OneBrainError:
            return

    def _change(self, id: str, owner: Scope, change: Callable[[Links], Links]) -> Steps[None]:
        if self._driver is None or self._refused:
            return
        try:
            yield from self._driver.relink(id, owner, change)
        except OneBrainPermissionError:
            self._refused = True
            raise

    def is_written(self, link: Link) -> bool:
        """Return whether a mark is known to be there."""
        return link in self._written

    def wrote(self, link: Link) -> None:
        """Remember a mark that was read."""
        if self.marks:
            self._remember(self._written, link, None)

    def forget(self, owner: Scope, ids: Collection[str]) -> None:
        """Forget the marks that memories have or made."""
        with self._lock:
            for link in list(self._written):
                if (link.space, link.user) == (owner.space, owner.user) and not {
                    link.new,
                    link.old,
                }.isdisjoint(ids):
                    del self._written[link]

    def waiting(self, owner: Scope, old: str) -> Sequence[Mark]:
        """Return the marks that an old memory still has to get."""
        if not self._waiting:
            return ()
        wanted = (owner.space, owner.user, old)
        return [
            mark for link, mark in list(self._waiting.items()) if (link.space, link.user, link.old) == wanted
        ]

    def _remember(self, where: dict[Link, Any], link: Link, value: Any) -> None:
        with self._lock:
            where[link] = value
            if len(where) > _MOST:
                del where[next(iter(where))]


def _marked(links: Links, mark: Mark) -> Links:
    """Return links with a mark; one that stands keeps its place and its time."""
    known = next((one for one in links.marks if one.by == mark.by), None)
    if known is None:
        return replace(links, marks=(*links.marks, mark))
    new = replace(mark, at=known.at)
    return replace(links, marks=tuple(new if one is known else one for one in links.marks))


def _unmarked(links: Links, gone: Collection[str]) -> Links:
    return replace(links, marks=tuple(mark for mark in links.marks if mark.by not in gone))


def _without(links: Links, gone: Collection[str]) -> Links:
    return replace(links, supersedes=tuple(id for id in links.supersedes if id not in gone))


__all__ = ["Ledger", "Link"]
