"""Connections for the transports of every HTTP library, which belong to one event loop, and not to a forked child."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Forked:
    """Makes transports forget their parent's connections in a forked child, which must not touch those sockets."""

    def __init__(self) -> None:
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        self._kept: list[Any] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def watch(self, transport: Any) -> None:
        """Call ``transport.forked()`` in every child from now on; its result is kept alive, untouched."""
        self._watched.add(transport)

    def _in_child(self) -> None:
        for transport in list(self._watched):
            self._kept.append(transport.forked())


forks = _Forked()


class PerLoop(Generic[T]):
    """One thing for each event loop that asks for it, closed when the loop ends, however it ends.

    Connections belong to the loop that made them. A client in a global outlives an ``asyncio.run``, so the thing is
    tied to the loop by an async generator: ``asyncio.run`` and every framework's runner finish those before they close
    the loop, and the generator's end closes the thing.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._held: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None, None]]] = {}

    def here(self) -> T | None:
        """Return the running loop's thing, if it has one."""
        held = self._held.get(asyncio.get_running_loop())
        return None if held is None else held[0]

    async def make(self) -> T:
        """Return the running loop's thing, made now where it has none."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            for stale in [other for other in list(self._held) if other.is_closed()]:
                self._held.pop(stale, None)
            keeper = self._keep(loop, thing := self._make())
            self._held[loop] = thing, keeper
            # It runs to its yield, which tells the loop about it.
            await keeper.__anext__()
        return self._held[loop][0]

    async def _keep(self, loop: asyncio.AbstractEventLoop, thing: T) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._held.pop(loop, None)
            await self._close(thing)

    async def close(self) -> None:
        """Close the running loop's thing; those of other loops are closed when these end."""
        held = self._held.get(asyncio.get_running_loop())
        if held is not None:
            await held[1].aclose()

    def forget(self) -> Any:
        """Let go of everything without closing it, and return it."""
        held, self._held = self._held, {}
        return held
