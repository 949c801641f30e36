"""How a space that outgrows memory comes to be served by the database's own indexes.

Its words are filled into the database in the background, piece by piece, each in a short transaction; from the first one
on, every writer adds those of the memories that it stores. Then the indexes are made, and they serve the space. How far that
is stands in the database, so whoever comes next goes on from there, and of several engines one does it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from onebrain.errors import OneBrainError
from onebrain_engine.background import Background
from onebrain_engine.index.text import VERSION
from onebrain_engine.store.protocol import Reading, Store
from onebrain_engine.store.records import Space

if TYPE_CHECKING:
    from onebrain_engine.store.postgres_large import LargeSpace, Upkeep

_log = logging.getLogger("onebrain_engine")

_BATCH: Final = 2_000  # memories that are filled in by one transaction
_PATIENCE: Final = 2.0  # seconds before looking again at a space that another engine fills
_TRIES: Final = 5
_AGAIN: Final = 60.0  # seconds until a space is seen to again that failed so often


@runtime_checkable
class Indexing(Protocol):
    """A store whose database can serve spaces that are too large for memory."""

    @property
    def seals(self) -> bool:
        """Whether memories stored from now on are sealed."""
        ...

    def upkeep(self) -> Upkeep:
        """Return the part that makes and drops indexes of large spaces."""
        ...


@runtime_checkable
class ReadingLarge(Protocol):
    """A view of such a store."""

    def large(self, tenant: str, space: Space) -> LargeSpace:
        """Return a space as the database's own indexes know it."""
        ...


class Filling:
    """Brings large spaces into the database's own indexes, and keeps them there.

    Args:
        store: Where they are.
        large: Number of memories at which a space is brought there; None for never.
        background: Where that happens.
    """

    def __init__(self, store: Store, large: int | None, background: Background) -> None:
        self._store = store
        self._background = background
        self._upkeep = store.upkeep() if isinstance(store, Indexing) else None
        self._seals = isinstance(store, Indexing) and store.seals
        self._wanted = large is not None
        self.large = 0 if large is None else large
        self._looked: dict[tuple[str, int], int] = {}  # the change at which a space was found too small
        self._complete: dict[
            tuple[str, int], int | None
        ] = {}  # the vectors' length when all indexes were there
        self._failed: dict[tuple[str, int], float] = {}  # when it was given up, on the monotonic clock
        self._able: bool | None = None

    @property
    def possible(self) -> bool:
        """Whether this engine lets the database serve spaces."""
        return self._wanted and self._upkeep is not None and not self._seals and self._able is not False

    def consider(self, tenant: str, space: Space) -> None:
        """Build or resume the indexes of a space in the background if they may be incomplete; cheap if they are complete."""
        if self._upkeep is None or not self._wanted or self._able is False or space.seq < self.large:
            return
        key = (tenant, space.key)
        if self._seals:
            if space.filled is None and key in self._looked:
                return
        elif space.served:
            if self._complete.get(key, -1) == space.dimension and space.analysis == VERSION:
                return
        elif space.filled is None:
            seen = self._looked.get(key)
            if seen is not None and space.seq < max(seen + 1, seen + self.large // 10):
                return
        if time.monotonic() - self._failed.get(key, float("-inf")) >= _AGAIN:
            self._background.do(key, lambda stop: self._see_to(tenant, space.name, stop))

    @contextmanager
    def forgetting(self, tenant: str) -> Generator[None, None, None]:
        """Drop the indexes of all spaces of a tenant, whose rows the block removes."""
        if self._upkeep is None:
            yield
            return
        with self._store.reading() as read:
            keys = [space.key for space in read.spaces(tenant)]
        # Before the block, so that a second try after a failure still knows which; and after it, for indexes made meanwhile.
        self._upkeep.drop(keys)
        yield
        self._upkeep.drop(keys)
        for key in keys:
            self._looked.pop((tenant, key), None)
            self._complete.pop((tenant, key), None)

    @contextmanager
    def without_vectors(self, space: Space) -> Generator[bool, None, None]:
        """Drop the index of a space's vectors, and keep others from making it for the block.

        False means that somebody is making indexes of the space, and nothing was done.
        """
        if self._upkeep is None:
            yield True
            return
        with self._upkeep.alone(space.key) as alone:
            if alone:
                self._upkeep.drop_vectors(space.key)
            yield alone

    def _see_to(self, tenant: str, name: str, stop: threading.Event) -> None:
        upkeep = self._upkeep
        assert upkeep is not None
        space = self._space(tenant, name)
        if space is None:
            return
        if self._seals:
            self._take_out(upkeep, tenant, space)
            return
        if self._able is None:
            obstacle = upkeep.obstacle()
            self._able = obstacle is None
            if obstacle is not None:
                _log.warning("large spaces stay in memory, for %s", obstacle)
        if not self._able:
            return
        with upkeep.alone(space.key) as alone:
            if alone:
                self._fill(upkeep, tenant, name, stop)
                return
        # Another engine is at it. If it ends before it is done, this one goes on.
        if not stop.wait(_PATIENCE):
            current = self._space(tenant, name)
            if current is not None and not current.served:
                self._background.do((tenant, space.key), lambda stop: self._see_to(tenant, name, stop))

    def _take_out(self, upkeep: Upkeep, tenant: str, space: Space) -> None:
        """Remove the clear words of a space whose memories are sealed from now on."""
        with self._store.writing() as write:
            current = write.space(tenant, space.name)
            if current is not None and current.filled is not None:
                large_of(write, tenant, current).reset()
        upkeep.drop([space.key])
        self._looked[tenant, space.key] = space.seq

    def _fill(self, upkeep: Upkeep, tenant: str, name: str, stop: threading.Event) -> None:
        failures, key, tidy = 0, None, False
        while not stop.is_set():
            try:
                space = self._space(tenant, name)
                if space is None or key not in (None, space.key):
                    if key is not None:  # its tenant was forgotten meanwhile
                        upkeep.drop([key])
                    return
                key = space.key
                missing = upkeep.missing(space) if _is_filled(space) else []
                if len(missing) > 1 and not tidy:  # the planner, and how much memory to ask for, go by it
                    upkeep.tidy()
                    tidy = True
                if self._advance(upkeep, tenant, space, missing, stop):
                    return
                failures = 0
            except OneBrainError:
                failures += 1
                if failures == _TRIES:
                    if key is not None:
                        self._failed[tenant, key] = time.monotonic()
                    raise
                stop.wait(0.1 * 2**failures)

    def _advance(
        self, upkeep: Upkeep, tenant: str, space: Space, missing: Sequence[str], stop: threading.Event
    ) -> bool:
        """Do the next step of serving a space; return whether there is none."""
        if space.filled is None:
            begun = self._begin(tenant, space.name)
            if not begun:
                self._looked[tenant, space.key] = space.seq
            return not begun
        if space.analysis != VERSION:
            self._refill(tenant, space)
        elif not _is_filled(space):
            self._fill_in(tenant, space)
        elif missing:
            upkeep.build(space, missing[0], stop)
        elif not space.served:
            self._serve(tenant, space)
        else:
            self._complete[tenant, space.key] = space.dimension
            return True
        return False

    def _space(self, tenant: str, name: str) -> Space | None:
        with self._store.reading() as read:
            return read.space(tenant, name)

    def _begin(self, tenant: str, name: str) -> bool:
        with self._store.writing() as write:
            space = write.space(tenant, name)
            return (
                space is not None
                and space.filled is None
                and large_of(write, tenant, space).begin(self.large)
            )

    def _refill(self, tenant: str, space: Space) -> None:
        with self._store.writing() as write:
            current = write.space(tenant, space.name)
            if current is not None and current.key == space.key and current.analysis == space.analysis:
                large_of(write, tenant, current).refill()

    def _fill_in(self, tenant: str, space: Space) -> None:
        with self._store.reading() as read:
            batch, through = large_of(read, tenant, space).unfilled(_BATCH)
        with self._store.writing() as write:
            current = write.space(tenant, space.name)
            # Another engine may have gone on, or somebody started from the beginning.
            if current is not None and (current.key, current.filled, current.filling) == (
                space.key,
                space.filled,
                space.filling,
            ):
                large_of(write, tenant, current).fill(batch, through)

    def _serve(self, tenant: str, space: Space) -> None:
        with self._store.writing() as write:
            current = write.space(tenant, space.name)
            if current is not None and current.key == space.key and _is_filled(current):
                large_of(write, tenant, current).serve()


def _is_filled(space: Space) -> bool:
    return space.filled is not None and space.filled == space.filling


def large_of(read: Reading, tenant: str, space: Space) -> LargeSpace:
    """Return a space as the database's own indexes know it."""
    assert isinstance(read, ReadingLarge)
    return read.large(tenant, space)
