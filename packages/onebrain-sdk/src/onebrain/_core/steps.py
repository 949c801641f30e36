"""Plans and the modes that drive them.

A plan is a generator that yields effects, receives their results and returns a value. It has no colour: `Sync` runs
its effects in place, `Async` awaits them, and `Delegate` hands the plan itself to another plan, which delegates with
``yield from``. Everything above this module is therefore written once.

A plan must run to its end or be closed, so it holds no resources; those belong to a mode's transport.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    import asyncio

    from onebrain._core.background import Background
    from onebrain._core.transport import AsyncTransport, Request, SyncTransport

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request and receive its `Response`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function that may block: in place in sync code, in a worker thread in async code.

    If there is a `coroutine` function, async code awaits that one instead, with the same arguments.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    coroutine: Callable[..., Awaitable[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a plan in the background: in a thread of the mode in sync code, as a task of the event loop in async code.

    Nobody receives its result or its failure, so the plan has to keep both. Closing the mode waits for its end.
    """

    steps: Generator[Any, Any, None]


Effect: TypeAlias = Send | Sleep | Call | Begin


class Caller:
    """Who waits for a function that runs in a worker thread.

    Attributes:
        gone: Whether the caller was cancelled: nobody gets the result any more.
    """

    __slots__ = ("gone",)

    def __init__(self) -> None:
        self.gone = False


# The caller of the function that runs in this thread; None in synchronous code, which waits until the end.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
# The task in the background that this code runs in, also where it runs in a task or thread begun there.
_background: ContextVar[asyncio.Task[Any] | None] = ContextVar("background", default=None)
Steps: TypeAlias = Generator[Effect, Any, T]


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
    """Return a plan that calls `function`, which may block, and returns its result."""
    result: T = yield Call(function, args, kwargs)
    return result


def done(value: T) -> Steps[T]:
    """Return a plan that does nothing and returns `value`."""
    yield from ()
    return value


class Sync:
    """Drives plans in the calling thread."""

    def __init__(self, transport: SyncTransport | None = None) -> None:
        self.transport = transport
        self._background: Background | None = None

    def drive(self, steps: Generator[Any, Any, T]) -> T:
        """Run a plan to its end and return its value."""
        try:
            effect = next(steps)
            while True:
                try:
                    result = self.perform(effect)
                except Exception as error:
                    # The plan decides: retry, map, or let it out.
                    effect = steps.throw(error)
                else:
                    effect = steps.send(result)
        except StopIteration as finished:
            value: T = finished.value
            return value
        finally:
            steps.close()

    def perform(self, effect: Effect) -> Any:
        """Carry out one effect."""
        if type(effect) is Call:
            return effect.function(*effect.args, **effect.kwargs)
        if type(effect) is Send:
            if self.transport is None:
                raise RuntimeError("this mode has no transport; a plan that sends needs one")
            return self.transport.send(effect.request)
        if type(effect) is Sleep:
            return time.sleep(effect.seconds)
        if type(effect) is Begin:
            return self._begin(effect.steps)
        raise TypeError(f"not an effect: {effect!r}")

    def _begin(self, steps: Generator[Any, Any, None]) -> None:
        if self._background is None:
            # Imported here, because few programs do anything in the background.
            from onebrain._core.background import Background

            self._background = Background()
        self._background.begin(lambda: self.drive(steps))

    def finish(self) -> None:
        """Wait for the end of all that was begun in the background."""
        if self._background is not None:
            self._background.finish()

    def close(self) -> None:
        """Wait for what was begun in the background, and close the transport, if there is one."""
        self.finish()
        if self.transport is not None:
            self.transport.close()


class Async:
    """Drives plans on the running event loop."""

    def __init__(self, transport: AsyncTransport | None = None) -> None:
        self.transport = transport
        # The event loop itself holds no task.
        self._tasks: set[asyncio.Task[None]] = set()

    async def drive(self, steps: Generator[Any, Any, T]) -> T:
        """Run a plan to its end and return its value."""
        try:
            effect = next(steps)
            while True:
                try:
                    result = await self.perform(effect)
                except Exception as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(result)
        except StopIteration as finished:
            value: T = finished.value
            return value
        finally:
            steps.close()

    async def perform(self, effect: Effect) -> Any:
        """Carry out one effect."""
        # Imported here, because programs without an event loop need not load it.
        import asyncio

        if type(effect) is Call and effect.coroutine is not None:
            return await effect.coroutine(*effect.args, **effect.kwargs)
        if type(effect) is Call:
            me = Caller()
            outer = caller.set(me)
            try:
                return await asyncio.to_thread(effect.function, *effect.args, **effect.kwargs)
            except asyncio.CancelledError:
                me.gone = True
                raise
            finally:
                caller.reset(outer)
        if type(effect) is Send:
            if self.transport is None:
                raise RuntimeError("this mode has no transport; a plan that sends needs one")
            return await self.transport.send(effect.request)
        if type(effect) is Sleep:
            return await asyncio.sleep(effect.seconds)
        if type(effect) is Begin:
            task = asyncio.ensure_future(self._inside(effect.steps))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return None
        raise TypeError(f"not an effect: {effect!r}")

    async def _inside(self, steps: Generator[Any, Any, None]) -> None:
        import asyncio

        _background.set(asyncio.current_task())
        await self.drive(steps)

    async def finish(self) -> None:
        """Wait for the end of all that was begun in the background of the running event loop.

        Raises:
            OneBrainValidationError: The work in the background itself asks for it, and would wait for its own end.
        """
        import asyncio

        if _background.get() in self._tasks:
            from onebrain._core.background import ITSELF
            from onebrain.errors import OneBrainValidationError

            raise OneBrainValidationError(ITSELF)
        here = asyncio.get_running_loop()
        while mine := [task for task in self._tasks if task.get_loop() is here]:
            await asyncio.wait(mine)

    async def close(self) -> None:
        """Wait for what was begun in the background, and close the transport, if there is one."""
        if self._tasks:
            await self.finish()
        if self.transport is not None:
            await self.transport.close()


class Delegate:
    """Drives nothing: methods of a client in this mode return their plans, for other plans to delegate to."""


Mode = TypeVar("Mode", bound="Sync | Async | Delegate", covariant=True)


class Coloured(Generic[Mode]):
    """The base of every class whose methods are plans: it knows the mode that drives them."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
