"""Which changes of a space belong to one history.

A change's number says how far a history has come, and not which history it is: a restored backup, or a replica that
takes over without the last commits, counts the same numbers again for other changes. So a space also names the *run* that
its last change belongs to: changes that one process has made one after the other, with nobody else's in between. A run
has a random number and is never taken up again, and the store keeps at which change each one began. Two states of a space
with one run, or a state whose last change is of the run that the other one's history has at that number, are states of
one history.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Final

from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import At, Space

_KEPT: Final = 10_000  # spaces; of one that is forgotten the next change begins a new run


def leads_to(read: Reading, tenant: str, at: At, space: Space) -> bool:
    """Return whether a state that is no later than a space is one of its history."""
    seq, run = at
    return seq == 0 or run == space.run or run == read.run_at(tenant, space, seq)


class Runs:
    """The runs of one process in one store, by space; safe to share between threads."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._mine: OrderedDict[int, tuple[int, int]] = OrderedDict()  # the run, and its last change

    def begin(self, space: Space, seq: int) -> int:
        """Return a new run for a change after which a space has another history."""
        if self._pid != os.getpid():
            self._start()
        with self._lock:
            run = int.from_bytes(os.urandom(8)) >> 1
            self._mine.pop(space.key, None)
            self._mine[space.key] = (run, seq)
            return run

    def extend(self, space: Space, seq: int) -> tuple[int, bool]:
        """Return the run of a change that brings a space to `seq`, and whether it begins with it.

        The caller keeps others from the space. A change that is undone afterwards ends its run, too: the next one does
        not find the space where this one left it.
        """
        if self._pid != os.getpid():  # a fork is another process, and must not go on with its parent's
            self._start()
        with self._lock:
            mine = self._mine.pop(space.key, None)
            begins = mine is None or mine != (space.run, space.seq)
            run = int.from_bytes(os.urandom(8)) >> 1 if mine is None or begins else mine[0]
            self._mine[space.key] = (run, seq)
            if len(self._mine) > _KEPT:
                self._mine.popitem(last=False)
            return run, begins
