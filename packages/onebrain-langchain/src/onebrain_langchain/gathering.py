"""`Gathering`: work of one turn of an event loop is done together, as in LangGraph's own async stores."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

W = TypeVar("W")
R = TypeVar("R")

# Does several pieces of work and returns for each its result, or the error that is its own.
Together: TypeAlias = Callable[[Sequence[W]], Awaitable[Sequence[R | BaseException]]]


@dataclass(slots=True, eq=False)
class _Asked(Generic[W, R]):
    work: W
    answer: asyncio.Future[R]
    # The work that it is part of, once that is under way.
    batch: _Batch[R] | None = None


@dataclass(slots=True, eq=False)
class _Batch(Generic[R]):
    under_way: asyncio.Future[Sequence[R | BaseException]]
    # The number of callers that wait for it.
    waiting: int

    def leave(self) -> None:
        """Note that one caller waits no more."""
        self.waiting -= 1
        if not self.waiting:
            self.under_way.cancel()


@dataclass(slots=True, eq=False)
class _Line(Generic[W, R]):
    waiting: list[_Asked[W, R]] = field(default_factory=list[_Asked[W, R]])
    task: asyncio.Task[None] | None = None


class Gathering(Generic[W, R]):
    """Merges work of one event loop: all that is asked in one turn, or while earlier work is under way, is done together.

    Work is done in the order in which it was asked for. Work that is cancelled before it began is not done; work that is
    under way is cancelled when nobody waits for any of it. Each event loop has a line of its own.
    """

    def __init__(self) -> None:
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line[W, R]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Gathering[W, R]], tuple[()]]:
        # Lines belong to the event loops of a process.
        return Gathering, ()

    async def do(self, work: W, together: Together[W, R]) -> R:
        """Return the result of `work`, which `together` does with all other work of this turn."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            with self._lock:
                line = self._lines.setdefault(loop, _Line())
        asked: _Asked[W, R] = _Asked(work, loop.create_future())
        line.waiting.append(asked)
        if line.task is None or line.task.done():
            line.task = loop.create_task(_serve(line, together))
        try:
            return await asked.answer
        except asyncio.CancelledError:
            if asked.batch is not None:
                asked.batch.leave()
            raise


async def _serve(line: _Line[W, R], together: Together[W, R]) -> None:
    """Do the work that waits in a line, until none is left."""
    while line.waiting:
        asked = [one for one in line.waiting if not one.answer.done()]
        line.waiting = []
        if not asked:
            continue
        try:
            await _do(asked, together)
        except BaseException:
            for one in (*asked, *line.waiting):
                one.answer.cancel()
            line.waiting = []
            raise


async def _do(asked: Sequence[_Asked[W, R]], together: Together[W, R]) -> None:
    """Do work together and answer those who asked; cancel it when none of them waits any more."""
    under_way = asyncio.ensure_future(together([one.work for one in asked]))
    batch = _Batch(under_way, len(asked))
    for one in asked:
        one.batch = batch
    outcomes: Sequence[R | BaseException]
    try:
        # A task that is cancelled cancels the future that it awaits.
        outcomes = await under_way
    except asyncio.CancelledError:
        if batch.waiting:
            raise
        return
    except Exception as error:
        outcomes = [error] * len(asked)
    for one, outcome in zip(asked, outcomes, strict=True):
        if one.answer.done():
            continue
        if isinstance(outcome, BaseException):
            one.answer.set_exception(outcome)
        else:
            one.answer.set_result(outcome)
