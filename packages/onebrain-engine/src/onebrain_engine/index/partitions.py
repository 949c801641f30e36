"""The indexes of a process: one a space, or one a user of a large space; the least recently used ones are dropped."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import TypeAlias

from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Partition
from onebrain_engine.store.records import Space

Key: TypeAlias = tuple[str, int, str | None]  # tenant, space, and user of a large one


class Partitions:
    """Indexes in use, by tenant and space, up to a number of bytes; safe to share between threads.

    One that is dropped while it is read stays whole for whoever holds it, and is read anew for the next one.

    Args:
        lexicon: Numbers for words.
        index_bytes: Approximate bytes that the indexes may take; the one in use may take more.
        dropped: Called with the tenant and each index that is dropped to make room, outside of any lock.
    """

    def __init__(
        self, lexicon: Lexicon, index_bytes: int, dropped: Callable[[str, Partition], None] | None = None
    ) -> None:
        self._lexicon = lexicon
        self._index_bytes = index_bytes
        self._dropped = dropped
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._kept: OrderedDict[Key, Partition] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._stamps: dict[Key, object] = {}  # their stamps when they were measured
        self._used: set[Key] = set()  # since they were last measured
        self._total = 0

    def of(self, tenant: str, space: Space, user: str | None = None) -> Partition:
        """Return the index of a space or of a user in it, empty where it was not in use."""
        key = (tenant, space.key, user)
        with self._lock:
            self._check()
            partition = self._kept.get(key)
            if partition is None or partition.wasteful:
                partition = self._kept[key] = Partition(space, self._lexicon)
            self._kept.move_to_end(key)
            room = self._make_room(key)
        if self._dropped is not None:
            for (name, _, _), old in room:
                self._dropped(name, old)
        return partition

    def known(self, tenant: str, space: Space, user: str | None = None) -> Partition | None:
        """Return an index if it is in use."""
        with self._lock:
            self._check()
            return self._kept.get((tenant, space.key, user))

    def remove(self, tenant: str, space: Space, user: str | None = None) -> None:
        """Drop one index."""
        with self._lock:
            self._check()
            self._take((tenant, space.key, user))

    def forget(self, tenant: str) -> None:
        """Drop all indexes of a tenant."""
        with self._lock:
            self._check()
            for key in [key for key in self._kept if key[0] == tenant]:
                self._take(key)

    def clear(self) -> list[tuple[str, Partition]]:
        """Drop all, and return tenant and index of those of whole spaces."""
        with self._lock:
            self._check()
            kept = [(key[0], partition) for key, partition in self._kept.items() if key[2] is None]
            self._empty()
            return kept

    def values(self) -> Collection[Partition]:
        """Return the indexes in use."""
        with self._lock:
            return list(self._kept.values())

    def _make_room(self, current: Key) -> list[tuple[Key, Partition]]:
        """Measure the indexes used since the last time, and drop the least recently used beyond the bound."""
        for key in self._used:
            if key in self._kept and self._stamps.get(key) != (stamp := self._kept[key].stamp):
                self._stamps[key] = stamp
                size = self._kept[key].nbytes
                self._total += size - self._sizes.get(key, 0)
                self._sizes[key] = size
        self._used = {current}
        room: list[tuple[Key, Partition]] = []
        while self._total > self._index_bytes and len(self._kept) > 1:
            key = next(iter(self._kept))
            room.append((key, self._kept[key]))
            self._take(key)
        return room

    def _take(self, key: Key) -> None:
        self._kept.pop(key, None)
        self._stamps.pop(key, None)
        self._total -= self._sizes.pop(key, 0)

    def _check(self) -> None:
        if self._pid != os.getpid():  # a fork may have copied an index in the middle of a change
            self._empty()
            self._pid = os.getpid()

    def _empty(self) -> None:
        self._kept, self._sizes, self._stamps, self._used, self._total = OrderedDict(), {}, {}, set(), 0
