"""From rows to memories: pages within a number of bytes, read from the store or remembered by an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from onebrain.memory.models import Memory
from onebrain_engine.bounds import Bounds
from onebrain_engine.index.remembered import Measured, measured
from onebrain_engine.indexes import Indexes
from onebrain_engine.store.lives import Life
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import Record, Space, by_space, now_in_micros, to_micros
from onebrain_engine.timeline import Timelines, known_at

FIRST: Final = 20  # memories of a page that are read before their size is known


class Pages:
    """Reads the memories of rows.

    Args:
        indexes: The indexes, which remember records that were read before.
        timelines: When memories hold, and what they replace.
        bounds: The most bytes of a page.
    """

    def __init__(self, indexes: Indexes, timelines: Timelines, bounds: Bounds) -> None:
        self._indexes = indexes
        self._timelines = timelines
        self._bounds = bounds

    @property
    def unbounded(self) -> bool:
        """Whether a page may have any number of bytes."""
        return self._bounds.page is None

    def page(
        self,
        read: Reading,
        tenant: str,
        located: Sequence[tuple[int, Space]],
        with_embeddings: bool,
        pages: int = 1,
        as_of: datetime | None = None,
        records: Mapping[int, Record] | None = None,
    ) -> tuple[dict[int, Memory], int]:
        """Return the memories of the first rows, as many as `pages` pages may hold, and the number of those rows.

        `records` are those of all rows if they are read already.
        """
        if self._bounds.page is None:
            memories = self.memories(read, tenant, located, with_embeddings, as_of=as_of, records=records)
            return memories, len(located)
        most = self._bounds.page * pages
        memories = dict[int, Memory]()
        sizes: dict[int, int] = {}
        size = done = 0
        step = FIRST
        while done < len(located):
            asked = located[done : done + step]
            some = self.memories(read, tenant, asked, with_embeddings, sizes, as_of, records)
            # Most pages fit at once.
            if len(asked) == len(located) and sum(sizes.values()) <= most:
                return {row: some[row] for row, _ in asked if row in some}, len(asked)
            for row, _ in asked:
                if row in some:
                    size += sizes[row]
                    if size > most and memories:
                        return memories, done
                    memories[row] = some[row]
                done += 1
            # The number that would fit if the others had the mean size of these.
            step = max(1, min(len(located), (most - size) * done // max(1, size)))
        return memories, done

    def memories(
        self,
        read: Reading,
        tenant: str,
        located: Sequence[tuple[int, Space]],
        with_embeddings: bool,
        sizes: dict[int, int] | None = None,
        as_of: datetime | None = None,
        records: Mapping[int, Record] | None = None,
    ) -> dict[int, Memory]:
        """Return the memories of rows, and put their bytes into `sizes`; removed rows are left out.

        Links that were recorded after `as_of` are left out, too.
        """
        memories: dict[int, Memory] = {}
        for space, rows in by_space(located):
            ready = (
                self._records(read, tenant, space, rows)
                if records is None
                else measured({row: records[row] for row in rows}, space.name)
            )
            vectors: Mapping[int, bytes] = (
                read.vectors(tenant, space, rows) if with_embeddings else dict[int, bytes]()
            )
            timeline = self._timelines.of(read, tenant, space)
            if as_of is not None and timeline.lives:
                timeline = timeline.as_known(known_at(read, tenant, space, to_micros(as_of)))
            lives = timeline.living(ready, now_in_micros()) if timeline.lives else dict[int, Life]()
            for row, (record, _) in ready.items():
                memories[row] = record.memory(vectors.get(row), lives.get(row) if lives else None)
            if sizes is not None:
                sizes.update((row, size) for row, (_, size) in ready.items())
                for row, vector in vectors.items():
                    sizes[row] = sizes.get(row, 0) + 4 * len(vector)
        return memories

    def _records(
        self, read: Reading, tenant: str, space: Space, rows: Sequence[int]
    ) -> Mapping[int, Measured]:
        """Return records by row with their sizes, from the index if it remembers them."""
        partition = self._indexes.loaded(tenant, space)
        if partition is None:
            return measured(read.records(tenant, space, rows), space.name)
        with partition.lock:
            known = partition.recall(rows, space.at)
        missing = [row for row in rows if row not in known]
        if missing:
            fresh = measured(read.records(tenant, space, missing), space.name)
            with partition.lock:
                partition.remember(fresh, space.at)
            known.update(fresh)
        return known
