"""`Brains`: the sync and the async brain of a framework component, made from a brain, a URL or options."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, Self

from onebrain.errors import ConfigurationError
from onebrain.memory.brain import AsyncBrain, Brain, check_picklable
from onebrain.memory.sqlite_urls import is_in_memory
from onebrain.memory.urls import make_driver
from onebrain.urls import resolve

# Of threads that use a memory for the first time at once, one opens it; opened twice, "sqlite://" would be two memories.
_OPENING = threading.RLock()


class Brains:
    """One memory for sync and async callers; nothing is opened before its first use.

    Args:
        brain: A `Brain`, an `AsyncBrain`, a pair of both, or another `Brains`; the colour that is missing is made
            from the other one and shares its memory.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        options: Further options of the driver.

    Example:
        >>> import onebrain
        >>> both = Brains(onebrain.connect("sqlite://"))
        >>> both.sync.store("Maria prefers window seats").status
        'created'
        >>> both.close()
    """

    def __init__(
        self,
        brain: Brain | AsyncBrain | Brains | tuple[Brain, AsyncBrain] | None = None,
        *,
        url: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        self._given = brain
        # Two threads may come for the first use at once.
        self._lock = threading.RLock()
        self._owner = brain is None
        self._shared = brain if isinstance(brain, Brains) else None
        self._sync, self._async = _pair(brain)
        if brain is None:
            if url is not None and base_url is not None:
                raise ConfigurationError("url and base_url: give one of the two")
            self._url, self._api_key = resolve(url or (f"onebrain+{base_url}" if base_url else None), api_key)
            self._options = options
        elif any(given is not None for given in (url, base_url, api_key)) or options:
            raise ConfigurationError("brain: give either a brain or where to connect, not both")

    def __repr__(self) -> str:
        return (
            repr(self._shared) if self._shared else f"Brains({self._sync or self._async or 'not yet open'!r})"
        )

    # A memory is shared by copies, and a key never travels in a pickle, as for a `Brain`.
    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> Any:
        if self._given is not None:
            return type(self), (self._given,)
        if is_in_memory(self._url):
            raise TypeError(f"{self!r} cannot be pickled: a brain in memory cannot be opened again")
        check_picklable(self._url)
        return _reopen, (type(self), self._url, self._options)

    @property
    def sync(self) -> Brain:
        """The memory for synchronous code."""
        if self._shared is not None:
            return self._shared.sync
        with self._lock:
            if self._sync is None:
                if self._async is not None:
                    self._sync = self._async.to_sync()
                else:
                    driver = make_driver(self._url, api_key=self._api_key, **self._options)
                    self._sync = Brain(driver, origin=(self._url, self._options))
            return self._sync

    @property
    def asynchronous(self) -> AsyncBrain:
        """The memory for asynchronous code."""
        if self._shared is not None:
            return self._shared.asynchronous
        with self._lock:
            if self._async is None:
                self._async = self.sync.to_async()
            return self._async

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open. On an event loop, use `aclose`."""
        if self._owner and self._sync is not None:
            self._sync.close()

    async def aclose(self) -> None:
        """Close what was opened here, the connections of the running event loop included."""
        if self._owner and self._async is not None:
            await self._async.close()
        await asyncio.to_thread(self.close)


def _pair(brain: object) -> tuple[Brain | None, AsyncBrain | None]:
    """Return the memories for sync and async code that were given."""
    match brain:
        case None | Brains():
            return None, None
        case Brain():
            return brain, None
        case AsyncBrain():
            return None, brain
        case (Brain() as first, AsyncBrain() as second):
            return first, second
        case tuple():
            raise ConfigurationError("brain: a pair must be a Brain and an AsyncBrain, in this order")
        case _:
            raise ConfigurationError(f"brain: must be a Brain or an AsyncBrain, not {type(brain).__name__}")


def _reopen(kind: type[Brains], url: str, options: Mapping[str, Any]) -> Brains:
    return kind(url=url, **options)
