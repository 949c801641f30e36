"""The work of several threads in one transaction: work that arrives during a transaction joins the next one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[W]):
    work: W
    woken: threading.Event = field(default_factory=threading.Event)
    leads: list[_Waiting[W]] | None = None  # whom it takes along, itself among them; None where it was taken
    alone: bool = False
    error: BaseException | None = None


@dataclass(slots=True)
class _Line(Generic[W]):
    waiting: list[_Waiting[W]] = field(default_factory=list[_Waiting[W]])


class Combiner(Generic[W]):
    """Does work of one kind, with as few calls as the threads that bring it allow.

    A thread that is alone does its work at once. Those that come meanwhile wait, and the first of them then does the
    work of all. Where that fails, each does its own: one thread's bad work never fails another's.

    Args:
        do: Does several pieces of work, all or none of it.
        most: How much is done at a time, unless one alone is more.
        size: How much a piece of work is.
        final: Whether an error leaves no doubt that nothing was done; one that does is everybody's error.
    """

    def __init__(
        self,
        do: Callable[[Hashable, Sequence[W]], None],
        *,
        most: int,
        size: Callable[[W], int] = lambda work: 1,
        final: Callable[[BaseException], bool],
    ) -> None:
        self._do = do
        self._most = most
        self._size = size
        self._final = final
        self._lock = threading.Lock()
        self._lines: dict[Hashable, _Line[W]] = {}
        self._pid = os.getpid()

    def run(self, key: Hashable, work: W) -> None:
        """Do a piece of work, perhaps with others of the same key; return when it is done."""
        if self._pid != os.getpid():  # the threads that were at work are the parent's
            self._lock, self._lines, self._pid = threading.Lock(), {}, os.getpid()
        mine: _Waiting[W] | None = None
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line()
            else:
                mine = _Waiting(work)
                line.waiting.append(mine)
        if mine is None:  # nobody else is at work
            try:
                self._do(key, [work])
            finally:
                self._hand_over(key, line)
            return
        mine.woken.wait()
        if mine.leads is not None:
            try:
                self._lead(key, mine, mine.leads)
            finally:
                self._hand_over(key, line)
        if mine.alone:
            self._do(key, [work])
        elif mine.error is not None:
            raise mine.error

    def _lead(self, key: Hashable, me: _Waiting[W], group: Sequence[_Waiting[W]]) -> None:
        if len(group) == 1:
            self._do(key, [me.work])
            return
        try:
            self._do(key, [one.work for one in group])
        except BaseException as error:
            # Anything but an Exception, such as an interrupt, is this thread's own affair.
            shared = isinstance(error, Exception) and not self._final(error)
            for one in group:
                one.error, one.alone = (error, False) if shared else (None, True)
            if not isinstance(error, Exception):
                me.alone = False
                raise
        finally:
            for one in group:
                if one is not me:
                    one.woken.set()

    def _hand_over(self, key: Hashable, line: _Line[W]) -> None:
        with self._lock:
            if not line.waiting:
                self._lines.pop(key, None)
                return
            sizes = accumulate(self._size(one.work) for one in line.waiting)
            count = max(1, sum(size <= self._most for size in sizes))
            group, line.waiting = line.waiting[:count], line.waiting[count:]
            group[0].leads = group
        group[0].woken.set()
