"""The scope of a run of an agent: from the data of the run, never from the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack

from pydantic import SecretStr

from onebrain._core.codec import is_object
from onebrain.errors import ConfigurationError
from onebrain.frameworks.connection import AnyBrain, Component, Connection, ScopeLike, as_scope
from onebrain.frameworks.plans import Plan
from onebrain.memory.models import Scope

T = TypeVar("T")

# The names under which the run holds the parts of a scope, or a function of the run's context.
ScopeSource: TypeAlias = Mapping[str, str] | Callable[[Any], ScopeLike]

_PARTS = ("space", "user", "agent", "session")


class ScopedOptions(TypedDict, total=False):
    """The options of a component with one memory, for signatures such as ``**options: Unpack[ScopedOptions]``."""

    brain: AnyBrain | None
    url: str | None
    api_key: SecretStr | str | None
    base_url: str | None
    scope: ScopeLike | None
    scope_from: ScopeSource | None


class Scoped(Component):
    """A component with one memory, whose scope is fixed or comes from the run.

    Args:
        options: ``brain``, ``url``, ``api_key`` and ``base_url``, as for `Connection`; ``scope``, whose memory; and
            ``scope_from``, whose memory, from the run: ``{"user": "user_id"}`` takes the user from ``user_id`` in the
            run's context, and a function is given the context. A run that does not name it is refused.

    Example:
        >>> notes = Scoped(url="sqlite://", scope={"space": "notes"}, scope_from={"user": "user_id"})
        >>> notes.scope_of({"user_id": "maria"})
        Scope(space='notes', user='maria', agent=None, session=None)
    """

    def __init__(self, **options: Unpack[ScopedOptions]) -> None:
        where: dict[str, Any] = dict(options)
        self._scope = as_scope(where.pop("scope", None))
        self._scope_from = check_source(where.pop("scope_from", None))
        self._connection = Connection(**where)

    def scope_of(self, *contexts: Any) -> Scope:
        """Return the scope of a run with these contexts.

        Raises:
            ConfigurationError: The run does not name the memory that ``scope_from`` asks for.
        """
        return resolve_scope(self._scope, self._scope_from, *contexts)

    def run(self, plan: Plan[T]) -> T:
        """Run a plan on the memory for sync code."""
        return self._connection.run(plan)

    async def arun(self, plan: Plan[T]) -> T:
        """Run a plan on the memory for async code."""
        return await self._connection.arun(plan)


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
    if is_object(context):
        return context.get(name)
    return getattr(context, name, None)
