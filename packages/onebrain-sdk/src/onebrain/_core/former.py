"""Earlier spellings of calls and names: they work, and warn with the present spelling.

A method declares its earlier arguments with `formerly`, below `endpoint`; a module declares names that have moved by
a `__getattr__` that `moved` returns. Nothing here runs unless a call or a name does not fit, so that the present
spelling costs nothing.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar, cast

D = TypeVar("D")
F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__formerly__"


@dataclass(frozen=True, slots=True)
class _Former:
    positional: tuple[str, ...]
    renamed: Mapping[str, str]


def formerly(*positional: str, **renamed: str) -> Callable[[F], F]:
    """Declare how an earlier version spelt the arguments of a method.

    Args:
        positional: The names of the arguments that it took by position, in order.
        renamed: The new name of each argument, by its earlier name.
    """

    def declare(method: F) -> F:
        setattr(method, _ATTRIBUTE, _Former(positional, renamed))
        return method

    return declare


def translated(
    plan: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the keyword arguments of a call in an earlier spelling, or None if it is no such call.

    Warns with `DeprecationWarning`, which names the new spelling, at the line of the call.
    """
    former: _Former | None = getattr(plan, _ATTRIBUTE, None)
    if former is None:
        return None
    parameters = list(inspect.signature(plan).parameters.values())[1:]
    taken = sum(parameter.kind is not inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
    renamed = {old: new for old, new in former.renamed.items() if old in kwargs}
    by_position = len(args) > taken and len(args) <= len(former.positional)
    if not renamed and not by_position:
        return None
    names = former.positional if by_position else [parameter.name for parameter in parameters]
    given = dict(zip(names, args, strict=False))
    new = {renamed.get(key, key): value for key, value in kwargs.items()}
    if given.keys() & new.keys() or len(new) < len(kwargs):
        return None
    olds = "arguments by position" if by_position else _keywords(renamed)
    news = _keywords(given if by_position else renamed.values())
    warnings.warn(
        f"{name}(): {olds} is the spelling of an earlier version; write {news}",
        DeprecationWarning,
        stacklevel=4,
    )
    return given | new


def _keywords(names: Iterable[str]) -> str:
    return ", ".join(f"{name}=" for name in names)


def moved(module: str, home: str, *names: str, **renamed: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose names have moved.

    An import of a name from the module warns with `DeprecationWarning`, which names the present address.

    Args:
        module: The earlier module.
        home: The present module.
        names: The names that moved.
        renamed: The present name of each name that moved and changed.
    """
    present = {name: name for name in names} | renamed

    def attribute(name: str) -> Any:
        if name not in present:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} has moved to {home}.{present[name]}", DeprecationWarning, stacklevel=2
        )
        return getattr(import_module(home), present[name])

    return attribute


def former(method: D, resource: str = "") -> D:
    """Return an earlier name for `method`, which `resource` of the same object has now.

    A call by the earlier name warns with `DeprecationWarning`. Without `resource`, it is the object's own method, which
    was a call of the object.
    """
    return cast("D", _FormerMethod(method, resource))


class _FormerMethod:
    def __init__(self, method: Any, resource: str) -> None:
        self._method = method
        self._resource = resource
        self._earlier = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._earlier = f"{owner.__name__}()" if name == "__call__" else f"{name}()"

    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self._method
        name = self._method.name
        present = getattr(getattr(owner, self._resource) if self._resource else owner, name)
        path = f"{self._resource}.{name}" if self._resource else name
        warning = f"{self._earlier} is the spelling of an earlier version; write {path}()"

        # A look at the attribute is no use of it: debuggers, mocks and inspect.getmembers() look at all of them.
        @wraps(present)
        def call(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(warning, DeprecationWarning, stacklevel=2)
            return present(*args, **kwargs)

        return call
