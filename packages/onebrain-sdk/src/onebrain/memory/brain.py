"""`Brain` and `AsyncBrain`: one memory, whatever service keeps it.

Abilities that a service lacks are made up for in `onebrain.memory.verbs`, once: filters are split and the rest evaluated on the
way back, lists are sorted, batches cut, scopes checked on every memory that comes back. A call that cannot be made up for raises
`Unsupported`. Nothing is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from onebrain._core.steps import Async, Mode, Sync
from onebrain.errors import redact
from onebrain.memory.driver import Driver
from onebrain.memory.remembering.results import RememberResult
from onebrain.memory.sqlite_urls import is_in_memory
from onebrain.memory.urls import make_driver
from onebrain.memory.verbs.changing import Changing
from onebrain.memory.verbs.naming import EntityVerbs
from onebrain.memory.verbs.reading import Reading
from onebrain.memory.verbs.remembering import Remembering
from onebrain.memory.verbs.restoring import Restoring
from onebrain.memory.verbs.searching import DEFAULT_BUDGET as DEFAULT_BUDGET
from onebrain.memory.verbs.superseding import Superseding


class _Brain(
    Superseding[Mode],
    Remembering[Mode],
    Restoring[Mode],
    Reading[Mode],
    Changing[Mode],
    EntityVerbs[Mode],
):
    """All verbs, without colour."""

    def __init__(self, mode: Mode, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None) -> None:
        super().__init__(mode, driver)
        self._origin = origin

    def __repr__(self) -> str:
        where = redact(self._origin[0]) if self._origin else self.capabilities.service
        return f"{type(self).__name__}({where!r})"

    def __reduce__(self) -> Any:
        # A key never travels in a pickle: the copy takes it from the environment, as `connect` does.
        if self._origin is None or is_in_memory(self._origin[0]):
            raise TypeError(
                f"{self!r} cannot be pickled: only what `connect` made of a URL can be opened again"
            )
        check_picklable(self._origin[0])
        url, options = self._origin
        if options.get("encryption_key") is not None or redact(url) != url:
            secret = "encryption_key" if options.get("encryption_key") is not None else "password"
            raise TypeError(
                f"{self!r} cannot be pickled: its {secret} would be in the pickle; connect again where it is needed"
            )
        return _reopen, (type(self), url, options)

    # A brain is a connection: copies share it.
    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __copy__(self) -> Self:
        return self


class Brain(_Brain[Sync]):
    """A memory for synchronous code. Make one with `onebrain.connect`; it is safe to share between threads.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> maria = onebrain.Scope(user="maria")
        >>> brain.store("Maria prefers window seats", scope=maria, tags=["travel"]).status
        'created'
        >>> [hit.content for hit in brain.search("Where does she like to sit?", scope=maria)]
        ['Maria prefers window seats']
        >>> brain.close()
    """

    def __init__(
        self, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None = None, owner: bool = True
    ) -> None:
        super().__init__(Sync(driver.transports()[0]), driver, origin=origin)
        self._owner = owner

    def to_async(self) -> AsyncBrain:
        """Return an `AsyncBrain` on the same memory; closing it leaves this brain open."""
        return AsyncBrain(self._driver, origin=self._origin, owner=False)

    def finish_background(self) -> list[RememberResult]:
        """Wait for what `remember` began in the background, and return the results that were not returned yet."""
        self._mode.finish()
        return self._results()

    def close(self) -> None:
        """Wait for what was begun in the background, and release connections and files; a second call does nothing."""
        self._mode.finish()
        self._mode.drive(self._close_models())
        self._mode.close()
        if self._owner:
            self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncBrain(_Brain[Async]):
    """A memory for asynchronous code. Make one with `onebrain.connect_async`; its verbs are those of `Brain`.

    Example:
        >>> import asyncio, onebrain
        >>> async def main() -> list[str]:
        ...     async with onebrain.connect_async("sqlite://") as brain:
        ...         await brain.store("Maria prefers window seats")
        ...         return [memory.content async for memory in brain.list()]
        >>> asyncio.run(main())
        ['Maria prefers window seats']
    """

    def __init__(
        self, driver: Driver, *, origin: tuple[str, Mapping[str, Any]] | None = None, owner: bool = True
    ) -> None:
        super().__init__(Async(driver.transports()[1]), driver, origin=origin)
        self._owner = owner

    def to_sync(self) -> Brain:
        """Return a `Brain` on the same memory; closing it leaves this brain open."""
        return Brain(self._driver, origin=self._origin, owner=False)

    async def finish_background(self) -> list[RememberResult]:
        """Wait for what `remember` began in the background, and return the results that were not returned yet."""
        await self._mode.finish()
        return self._results()

    async def close(self) -> None:
        """Wait for what was begun in the background, and release connections and files; a second call does nothing."""
        await self._mode.finish()
        await self._mode.drive(self._close_models())
        await self._mode.close()
        if self._owner:
            import asyncio

            await asyncio.to_thread(self._driver.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def check_picklable(url: str) -> None:
    """Raise `TypeError` where a pickle would hold a password, as part of the URL."""
    if redact(url) != url:
        raise TypeError(
            f"a brain at {redact(url)!r} cannot be pickled, because its URL holds a password; "
            "put the URL into $ONEBRAIN_URL and connect without one"
        )


def _reopen(kind: type[Any], url: str, options: Mapping[str, Any]) -> Any:
    return kind(make_driver(url, **options), origin=(url, options))
