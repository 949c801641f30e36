"""Calls as an earlier major version of a package spelt them: they work, and warn with the new spelling.

A method declares its earlier spelling with `formerly`, below `endpoint`. Nothing here runs unless a call does not fit
the method, so that calls in the new spelling cost nothing.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

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
    news = [f"{key}=" for key in given] if by_position else [f"{key}=" for key in renamed.values()]
    olds = "arguments by position" if by_position else ", ".join(f"{key}=" for key in renamed)
    warnings.warn(
        f"{name}(): {olds} is the spelling of an earlier version; write {', '.join(news)}",
        DeprecationWarning,
        stacklevel=4,
    )
    return given | new
