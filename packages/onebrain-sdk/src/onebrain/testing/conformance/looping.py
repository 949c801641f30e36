"""An `AsyncBrain` that can be used as a `Brain`, and concurrent calls of either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from typing import Any, cast

from onebrain.memory.brain import AsyncBrain, Brain


class Looped:
    """An `AsyncBrain` with the interface of a `Brain`; each call runs to its end on an event loop.

    Tests are written once, for `Brain`. With this class they also test `AsyncBrain`.
    """

    def __init__(self, brain: AsyncBrain) -> None:
        self.brain = brain
        self._loop = asyncio.new_event_loop()

    def as_brain(self) -> Brain:
        """Return this object, typed as a `Brain`."""
        return cast("Brain", self)

    def __repr__(self) -> str:
        return repr(self.brain)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.brain, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            if isinstance(result, AsyncIterator):
                return self._rows(cast("AsyncIterator[Any]", result))
            return self.run(result) if isawaitable(result) else result

        return call

    def run(self, awaitable: Any) -> Any:
        """Run one awaitable to its end."""
        return self._loop.run_until_complete(awaitable)

    def _rows(self, rows: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> tuple[Any, ...]:
            async for row in rows:
                return (row,)
            return ()

        try:
            while got := self.run(following()):
                yield got[0]
        finally:
            if stop := getattr(rows, "aclose", None):
                self.run(stop())

    def finish(self) -> None:
        """Close the brain and the loop."""
        try:
            self.run(self.brain.close())
        finally:
            self.run(self._loop.shutdown_asyncgens())
            self.run(self._loop.shutdown_default_executor())
            self._loop.close()


Call = tuple[str, Mapping[str, Any]]


def at_once(brain: Brain, calls: Sequence[Call], *, workers: int = 8) -> list[Any]:
    """Run `calls`, each a method and its arguments, concurrently in threads or tasks; return the results in order."""
    if isinstance(brain, Looped):
        target = brain.brain

        async def gather() -> list[Any]:
            return list(await asyncio.gather(*(getattr(target, verb)(**given) for verb, given in calls)))

        return cast("list[Any]", brain.run(gather()))
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(getattr(brain, verb), **given) for verb, given in calls]
        return [future.result() for future in futures]
