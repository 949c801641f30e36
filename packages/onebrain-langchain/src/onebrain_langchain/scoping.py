"""Whose memory a run of an agent uses: a scope from what the run knows, never from the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from onebrain import ConfigurationError, Scope
from onebrain_langchain.connection import ScopeLike, as_scope

# The parts of a scope by the names under which the run knows them, or a function of the run's context.
ScopeSource: TypeAlias = Mapping[str, str] | Callable[[Any], ScopeLike]

_PARTS = ("space", "user", "agent", "session")


def check_source(source: ScopeSource | None) -> ScopeSource | None:
    """Return `source` as it is; raise where it can never give a scope."""
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


def resolve_scope(
    scope: Scope, source: ScopeSource | None, context: Any, configurable: Mapping[str, Any]
) -> Scope:
    """Return the scope of one run: what `source` finds in it, with the parts left open taken from `scope`.

    A name is looked up in the runtime context, then among the run's ``configurable`` values. A function is given the
    context, or the ``configurable`` values where the run has no context.

    Raises:
        ConfigurationError: The run does not say whose memory to use; falling back on everybody's would be a leak.
    """
    if source is None:
        return scope
    if not isinstance(source, Mapping):
        return as_scope(source(configurable if context is None else context)).within(scope)
    parts: dict[str, Any] = {}
    for part, name in cast("Mapping[str, str]", source).items():
        value = _lookup(context, name)
        parts[part] = configurable.get(name) if value is None else value
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


def running_context() -> Any:
    """Return the runtime context of the LangGraph run that calls, or None outside of one."""
    if "langgraph.runtime" not in sys.modules:
        return None  # no graph can be running
    from langgraph.runtime import get_runtime

    try:
        runtime: Any = get_runtime()
    except RuntimeError:
        return None
    return getattr(runtime, "context", None)
