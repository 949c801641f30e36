"""Answers for which a transaction and the indexes that it asks are at the same change."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, TypeVar

from onebrain.errors import DatabaseBusy
from onebrain_engine.index.partition import Partition
from onebrain_engine.store.protocol import Reading, Writing

T = TypeVar("T")

_ROUNDS: Final = 1_000  # more than there are spaces that somebody writes to meanwhile


class Behind(Exception):
    """A transaction does not see everything that an index knows, so the two together answer nothing.

    Attributes:
        index: The index.
    """

    def __init__(self, index: Partition) -> None:
        super().__init__("the index is ahead of this transaction")
        self.index = index


class Agreement:
    """Has a question asked again, in a newer view of the store, where an index knows more than the view shows.

    Other threads may bring an index further between the beginning of a transaction and its first look at the index. The
    second time that happens, the index is kept from them while the view is renewed, so that a reader gets its answer
    however much is written beside it.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        # Only one thread at a time holds several indexes, so that no two wait for each other.
        self._several = threading.Lock()

    def reach(self, read: Reading | Writing, writes: bool, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, once it is asked in a view at the same change as every index that it asks.

        `writes` says that `read` is a transaction that writes, which sees everything that an index can know.

        Raises:
            DatabaseBusy: The database changes faster than it can be read.
        """
        if self._pid != os.getpid():  # a fork may have copied a lock that is taken
            self._start()
        try:
            return ask()
        except Behind as behind:
            index = behind.index
        return self._reach(read, writes, ask, index)

    def _reach(self, read: Reading | Writing, writes: bool, ask: Callable[[], T], index: Partition) -> T:
        held: list[Partition] = []
        with ExitStack() as locks:
            for round in range(_ROUNDS):
                if writes or any(index is one for one in held):
                    # Whatever it knows was stored before this view began, and is no longer there.
                    with index.lock:
                        index.clear()
                elif round:
                    if not held:
                        locks.enter_context(self._several)
                    locks.enter_context(index.lock)
                    held.append(index)
                read.renew()
                try:
                    return ask()
                except Behind as behind:
                    index = behind.index
        raise DatabaseBusy(
            "the database changes faster than it can be read; try again", service=self._service
        )
