"""The descriptors that show one plan in every colour: `endpoint` for a single call, `listing` for all rows of a list.

On a class whose mode is `Sync` an endpoint is a method that returns ``T``; on `Async` it is a coroutine function that
returns ``T``; on `Delegate` it returns the plan, for another plan to delegate to. Type checkers and editors see each form
with the parameters and the docstring of the plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from onebrain._core.former import translated
from onebrain._core.misuse import misuse
from onebrain._core.paging import Page
from onebrain._core.steps import Async, Coloured, Delegate, Steps, Sync

P = ParamSpec("P")
T = TypeVar("T")


class endpoint(Generic[P, T]):
    """Shows a plan as a method of its class's colour."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        @wraps(plan)
        def call(me: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                steps = plan(me, *args, **kwargs)
            except TypeError as error:
                steps = self._again(error, me, args, kwargs)
            return me._mode.drive(steps)

        @wraps(plan)
        async def acall(me: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                steps = plan(me, *args, **kwargs)
            except TypeError as error:
                steps = self._again(error, me, args, kwargs)
            return await me._mode.drive(steps)

        self.name = plan.__name__
        self._faces: dict[type, Callable[..., Any]] = {Sync: call, Async: acall, Delegate: plan}
        self.__doc__ = plan.__doc__
        self.__wrapped__ = plan
        self.__name__ = plan.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def _again(self, error: TypeError, me: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps[T]:
        """Return the plan of a call whose arguments do not fit, if an earlier version spelt them so."""
        new = translated(self.__wrapped__, self.name, args, kwargs)
        if new is None:
            raise misuse(error, me, self.name, self.__wrapped__, kwargs) from None
        plan: Callable[..., Steps[T]] = self.__wrapped__
        return plan(me, **new)

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: Coloured[Sync], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, obj: Coloured[Async], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, obj: Coloured[Delegate], owner: type) -> Callable[P, Steps[T]]: ...
    # Inside a class that is generic over its mode, a method that delegates to another sees the plan.
    @overload
    def __get__(self, obj: Coloured[Any], owner: type) -> Any: ...
    def __get__(self, obj: Any, owner: type) -> Any:
        return self if obj is None else MethodType(self._faces[type(obj._mode)], obj)

    def plan(self, me: Any, /, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        """Return the plan itself, whatever the colour of `me`: how one endpoint delegates to another."""
        return self.__wrapped__(me, *args, **kwargs)


class listing(Generic[P, T]):
    """Shows a plan that returns one page as an iterator over the rows of all pages.

    The plan takes a keyword ``cursor`` and returns a `Page`; iteration asks for the next page when the last one is
    used up, so breaking off early costs nothing. `total` names the keyword, if any, that bounds the rows of all pages
    together.
    """

    def __init__(
        self, plan: Callable[Concatenate[Any, P], Steps[Page[T]]], *, total: str | None = None
    ) -> None:
        # The first plan is made at once, so that a misspelt argument raises at the call and not at the first row.
        @wraps(plan)
        def rows(me: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            first = self._first(me, args, kwargs)

            def walk() -> Iterator[T]:
                page = me._mode.drive(first)
                yield from page.data
                while _follow(page, kwargs, total):
                    page = me._mode.drive(plan(me, *args, **kwargs))
                    yield from page.data

            return walk()

        @wraps(plan)
        def arows(me: Any, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            first = self._first(me, args, kwargs)

            async def walk() -> AsyncIterator[T]:
                page = await me._mode.drive(first)
                for row in page.data:
                    yield row
                while _follow(page, kwargs, total):
                    page = await me._mode.drive(plan(me, *args, **kwargs))
                    for row in page.data:
                        yield row

            return walk()

        self._faces: dict[type, Callable[..., Any]] = {Sync: rows, Async: arows, Delegate: plan}
        self.name = plan.__name__
        self.__doc__ = plan.__doc__
        self.__wrapped__ = plan
        self.__name__ = plan.__name__

    def _first(self, me: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps[Page[T]]:
        plan: Callable[..., Steps[Page[T]]] = self.__wrapped__
        try:
            return plan(me, *args, **kwargs)
        except TypeError as error:
            raise misuse(error, me, self.name, plan, kwargs) from None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: Coloured[Sync], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, obj: Coloured[Async], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, obj: Coloured[Delegate], owner: type) -> Callable[P, Steps[Page[T]]]: ...
    @overload
    def __get__(self, obj: Coloured[Any], owner: type) -> Any: ...
    def __get__(self, obj: Any, owner: type) -> Any:
        return self if obj is None else MethodType(self._faces[type(obj._mode)], obj)

    def plan(self, me: Any, /, *args: P.args, **kwargs: P.kwargs) -> Steps[Page[T]]:
        """Return the plan of one page, whatever the colour of `me`."""
        return self.__wrapped__(me, *args, **kwargs)


def _follow(page: Page[Any], kwargs: Any, total: str | None) -> bool:
    """Point `kwargs` at the next page; False on the last one, and where a server repeats its cursor for ever."""
    cursor = page.meta.cursor
    if not page.meta.has_more or cursor is None or cursor == kwargs.get("cursor"):
        return False
    if total is not None and kwargs.get(total) is not None:
        kwargs[total] -= len(page.data)
        if kwargs[total] <= 0:
            return False
    kwargs["cursor"] = cursor
    return True
