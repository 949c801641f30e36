"""The memory and the scope of a component, which may depend on the run."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from agents import RunContextWrapper
from pydantic import SecretStr

from onebrain import Scope
from onebrain.frameworks.connection import AnyBrain, Component, Connection, ScopeLike, as_scope
from onebrain.frameworks.plans import Plan
from onebrain.frameworks.scope import ScopeSource, check_source, resolve_scope

T = TypeVar("T")


class Scoped(Component):
    """A component with one memory, whose scope is set here or comes from the run's context."""

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        scope_from: ScopeSource | None = None,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self._scope_from = check_source(scope_from)

    def scope_of(self, context: Any) -> Scope:
        """Return the scope of a run with this context object, or with this wrapper of one.

        Raises:
            ConfigurationError: The run does not name the memory that ``scope_from`` asks for.
        """
        if isinstance(context, RunContextWrapper):
            context = cast("RunContextWrapper[Any]", context).context
        return resolve_scope(self._scope, self._scope_from, context)

    async def run(self, plan: Plan[T]) -> T:
        """Run a plan on the memory."""
        return await self._connection.arun(plan)
