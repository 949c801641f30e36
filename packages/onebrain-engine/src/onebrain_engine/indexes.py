"""The indexes of an engine: found or made, brought up to the store, told of new memories, kept between processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onebrain.errors import OneBrainError
from onebrain_engine.background import Background
from onebrain_engine.embedding import unit_vector
from onebrain_engine.filling import Filling, large_of
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Partition
from onebrain_engine.index.partitions import Partitions
from onebrain_engine.index.slots import Indexed
from onebrain_engine.index.snapshots import Snapshots
from onebrain_engine.index.text import analyse
from onebrain_engine.store.protocol import Reading, Store
from onebrain_engine.store.records import Entry, Put, Space
from onebrain_engine.store.runs import leads_to


class Indexes:
    """Builds and resumes the indexes in memory of one store.

    Args:
        store: The store that they are read from.
        snapshots: Where indexes are kept between processes; None for nowhere.
        filling: Brings large spaces into the database's own indexes.
        background: Runs work that nobody waits for.
        index_bytes: The approximate bytes that indexes may take before the least recently used ones are dropped.
    """

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots | None,
        filling: Filling,
        background: Background,
        index_bytes: int,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._filling = filling
        self._background = background
        self._lexicon = Lexicon()
        self.partitions = Partitions(self._lexicon, index_bytes, self._dropped)

    def loaded(self, tenant: str, space: Space) -> Partition | None:
        """Return the index of a space, or None if it is not in use."""
        return self.partitions.known(tenant, space)

    def catch_up(
        self, read: Reading, tenant: str, space: Space, partition: Partition, user: str | None = None
    ) -> None:
        """Bring an index up to the store; the caller holds its lock.

        An index that is ahead of the transaction is left there. One of another history of the space, such as that from
        before a backup was restored, is read anew.
        """
        partition.flush()
        if partition.at == space.at and partition.space.name == space.name:
            return
        # Snapshots are of whole spaces, not of the part of one user.
        if partition.through == 0 and self._snapshots is not None and user is None:
            self._snapshots.load(partition, space, self._lexicon)
        if partition.through > space.seq:
            return
        # In a restored backup another space may have this key.
        strange = partition.space.name != space.name or not leads_to(read, tenant, partition.at, space)
        partition.space = space
        if strange:
            partition.clear()
        changes = (
            read.changes(tenant, space, partition.through)
            if user is None
            else large_of(read, tenant, space).changes(user, partition.through)
        )
        partition.apply([index_entry(entry) for entry in changes.entries], changes.gone, space.at)

    def note_stored(self, tenant: str, puts: Sequence[Put]) -> None:
        """Give the indexes in use the memories that a transaction has just stored."""
        for put in puts:
            self._filling.consider(tenant, put.after)
            partition = self.loaded(tenant, put.space)
            if partition is not None:
                partition.enqueue([index_entry(entry) for entry in put.entries], put.space, put.after)
                if self._snapshots is not None and self._snapshots.due(partition):
                    self._save(tenant, partition)

    def note_changed(self, tenant: str, entry: Entry, before: Space, after: Space, *, text: bool) -> None:
        """Give the index of a space, if it is in use, a memory that has just been changed; `text` says that it may be read anew."""
        partition = self.loaded(tenant, before)
        if partition is None:
            return
        if text:
            partition.enqueue([index_entry(entry)], before, after)
        else:
            partition.enqueue_change(entry, before, after)

    def forget_snapshots(self, spaces: Sequence[Space]) -> None:
        """Remove the snapshots of spaces."""
        if self._snapshots is not None:
            for space in spaces:
                self._snapshots.forget(space)

    def close(self) -> None:
        """Drop all indexes; keep snapshots of those that have changed."""
        for tenant, partition in self.partitions.clear():
            if self._snapshots is not None and self._snapshots.due(partition, closing=True):
                self._save(tenant, partition)

    def _save(self, tenant: str, partition: Partition) -> None:
        """Keep a snapshot of an index; a failure is no harm, for the index can be read from the store."""
        if self._snapshots is None:
            return
        # The token is stored after its file: a file whose token no space names is not used, and the next one replaces it.
        with partition.lock:
            partition.flush()
            token = self._snapshots.save(partition, self._lexicon)
        if token is not None:
            try:
                with self._store.writing() as write:
                    known = write.set_snapshot(tenant, partition.space, token)
                if not known:  # its tenant was forgotten meanwhile
                    self._snapshots.forget(partition.space)
            except OneBrainError:
                return

    def _dropped(self, tenant: str, partition: Partition) -> None:
        """Keep a snapshot of an index that makes room for others, where one is due."""
        if self._snapshots is not None and self._snapshots.due(partition, closing=True):
            self._background.do(("snapshot", id(partition)), lambda _: self._save(tenant, partition))


def index_entry(entry: Entry) -> Indexed:
    """Make a stored memory ready for the index."""
    vector = None if entry.vector is None else unit_vector(np.frombuffer(entry.vector, np.float32))
    return Indexed(entry, analyse(entry.content), vector)
