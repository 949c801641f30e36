"""Functions of callers that return awaitables: which they are, and a limit of their time."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any


def waits(function: Any) -> bool:
    """Return whether a function, or an object that is called like one, is a coroutine function."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method of an object, to look at it
    )


def in_time(ask: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Awaitable[Any]]:
    """Return a function that raises TimeoutError if another one takes longer."""

    async def answer(*args: Any) -> Any:
        # Imported here, because programs without an event loop need not load it.
        import asyncio

        return await asyncio.wait_for(ask(*args), seconds)

    return answer
