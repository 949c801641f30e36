"""The scope of a run of an agent: from the data of the run, never from the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from onebrain.errors import ConfigurationError
from onebrain.frameworks.connection import ScopeLike, as_scope
from onebrain.memory.models import Scope

# The names under which the run holds the parts of a scope, or a function of the run's context.
ScopeSource: TypeAlias = Mapping[str, str] | Callable[[Any], ScopeLike]

_PARTS = ("space", "user", "agent", "session")


def check_source(source: ScopeSource | None) -> ScopeSource | None:
    """Return `source` unchanged; raise `ConfigurationError` if it can never give a scope."""
    if source is None or callable(source):
        return source
    if not isinstance(source, Mapping) or not all(isinstance(name, str) for name in source.values()):
        raise ConfigurationError(
            'scope_from: must be a function of the context, or a dict such as {"user": "user_id"}'
        )
    unknown = sorted(set(source) - set(_PARTS))
    if unknown:
        raise ConfigurationError(
            f"scope_from: {', '.join(unknown)}: a scope has the parts {', '.join(_PARTS)}"
        )
    return source


def resolve_scope(scope: Scope, source: ScopeSource | None, *contexts: Any) -> Scope:
    """Return the scope of one run: the parts that `source` finds in the run, the others from `scope`.

    A name is looked up in each of `contexts`, which are mappings or objects, until it has a value. A function is given
    the first context that is not None.

    Raises:
        ConfigurationError: The run does not name the memory. Falling back on everybody's memory would be a leak.

    Example:
        >>> resolve_scope(Scope(space="support"), {"user": "user_id"}, {"user_id": "maria"})
        Scope(space='support', user='maria', agent=None, session=None)
    """
    if source is None:
        return scope
    if callable(source):
        context = next((one for one in contexts if one is not None), None)
        return as_scope(source(context)).within(scope)
    parts: dict[str, Any] = {}
    for part, name in source.items():
        found = (_lookup(context, name) for context in contexts)
        parts[part] = next((value for value in found if value is not None), None)
        if parts[part] is None:
            raise ConfigurationError(
                f"the run has no {name!r} in its context or config, so there is no telling whose memory to use; "
                f"pass it, for example as context={{{name!r}: ...}}"
            )
    return Scope(**parts).within(scope)


def _lookup(context: Any, name: str) -> Any:
    if isinstance(context, Mapping):
        return cast("Mapping[str, Any]", context).get(name)
    return getattr(context, name, None)
