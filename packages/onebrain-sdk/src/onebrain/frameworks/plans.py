"""Logic that calls a brain several times, written once for sync and async code.

A plan is a generator: it yields effects, receives their results and returns a value. `run` drives it on a `Brain`,
`arun` on an `AsyncBrain`. An effect is an `Ask`, which calls a verb of the brain, or a `Call`, which calls a function of
the user's own, such as an embedding model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from onebrain._core.steps import Async, Sync
from onebrain.memory.brain import AsyncBrain, Brain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Call a verb of the brain. The result of ``list`` is a list; ``capabilities`` is read, not called."""

    verb: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """Call `function` in sync code, and await `coroutine` in async code, with the same arguments."""

    function: Callable[..., Any]
    coroutine: Callable[..., Awaitable[Any]]
    args: tuple[Any, ...]


Effect: TypeAlias = Ask | Call
Plan: TypeAlias = Generator[Effect, Any, T]


def ask(verb: str, /, *args: Any, **kwargs: Any) -> Ask:
    """Return the effect that calls one verb of a brain."""
    return Ask(verb, args, kwargs)


def call(function: Callable[..., Any], coroutine: Callable[..., Awaitable[Any]], /, *args: Any) -> Call:
    """Return the effect that calls a function that exists for sync and for async code."""
    return Call(function, coroutine, args)


def run(brain: Brain, plan: Plan[T]) -> T:
    """Run a plan to its end in the calling thread.

    Example:
        >>> import onebrain
        >>> def remember_twice() -> Plan[int]:
        ...     yield ask("store", "Maria prefers window seats", id="seat")
        ...     yield ask("store", "Maria likes green tea", id="tea")
        ...     return (yield ask("count"))
        >>> brain = onebrain.connect("sqlite://")
        >>> run(brain, remember_twice())
        2
        >>> brain.close()
    """
    return _OnBrain(brain).drive(plan)


async def arun(brain: AsyncBrain, plan: Plan[T]) -> T:
    """Run a plan to its end on the running event loop."""
    return await _OnAsyncBrain(brain).drive(plan)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end, also if the caller is cancelled meanwhile: a write that began is not torn.

    The cancellation is raised afterwards.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # The outcome is of no use to a caller that is gone.
        task.exception()
        raise cancelled
    return task.result()


class _OnBrain(Sync):
    """Drives plans on a brain for sync code."""

    def __init__(self, brain: Brain) -> None:
        super().__init__()
        self._brain = brain

    def perform(self, effect: Any) -> Any:
        """Carry out one effect."""
        if isinstance(effect, Call):
            return effect.function(*effect.args)
        result = _ask(self._brain, effect)
        return list(result) if effect.verb == "list" else result


class _OnAsyncBrain(Async):
    """Drives plans on a brain for async code."""

    def __init__(self, brain: AsyncBrain) -> None:
        super().__init__()
        self._brain = brain

    async def perform(self, effect: Any) -> Any:
        """Carry out one effect."""
        if isinstance(effect, Call):
            return await effect.coroutine(*effect.args)
        result = _ask(self._brain, effect)
        if effect.verb == "list":
            return [memory async for memory in result]
        return result if effect.verb == "capabilities" else await result


def _ask(brain: Brain | AsyncBrain, effect: Ask) -> Any:
    method = getattr(brain, effect.verb)
    return method if effect.verb == "capabilities" else method(*effect.args, **effect.kwargs)
