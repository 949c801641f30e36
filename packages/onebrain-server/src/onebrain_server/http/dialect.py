"""A dialect: one service's wire format, as operations and the shape of its failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from onebrain_server.http.operation import Answer, Operation
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.jobs.deliveries import Channel
from onebrain_server.security.limits import State
from onebrain_server.state.accounts import Caller

if TYPE_CHECKING:
    from onebrain_server.server import Server

_PARAMETER: Final = re.compile(r"{([a-zA-Z_]+)}")


def own_scopes(caller: Caller) -> frozenset[str]:
    """Return a caller's scopes as they are."""
    return caller.scopes


def x_ratelimit(state: State) -> dict[str, str]:
    """Return the headers that most services tell a caller's budget with; ``reset`` counts seconds from now."""
    return {
        "x-ratelimit-limit": str(state.limit),
        "x-ratelimit-remaining": str(state.remaining),
        "x-ratelimit-reset": str(state.reset),
    }


def data_alone(operation: Operation) -> Any:
    """Return the model of an operation's answers where they stand without an envelope."""
    return None if operation.answers is str else operation.answers


def bearer(operation: Operation) -> list[dict[str, list[str]]]:
    """Return the login of operations that take a key as ``Authorization: Bearer``."""
    return [{"Key": []}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The parts of a dialect's OpenAPI document that all its operations share.

    Attributes:
        failure: The model of a failure's body; None if it is plain text.
        success: The model of a success's body, from the operation.
        wrapped: The model of a success's body, from the model of its data.
        invalid: The status of input that does not fit its model.
        texts: The statuses of failures that may be plain text instead.
        security: The logins that an operation takes.
        schemes: The logins by name.
    """

    failure: type[BaseModel] | None
    success: Callable[[Operation], Any] = data_alone
    wrapped: Callable[[Any], Any] = lambda model: model
    invalid: int = 400
    texts: frozenset[int] = frozenset()
    security: Callable[[Operation], list[dict[str, list[str]]]] = bearer
    schemes: Mapping[str, Any] = field(default_factory=lambda: {"Key": {"type": "http", "scheme": "bearer"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire format.

    Attributes:
        name: The service's name.
        prefix: Where all its paths begin; empty for the server's own format, whose memories are the account's. Every
            other service has a partition of its own in each account, so that no service can evade the rules of another.
        operations: Everything it offers.
        failure: Writes the answer to a request that failed, from the problem and the request's id.
        unknown: Writes the answer for a route that does not exist (404) or not for this method (405), from method, path
            and status; None if that is a failure like all others.
        credential: Reads who calls from a request: a remembered caller, or a function that looks it up.
        shapes: The shared parts of its OpenAPI document.
        scopes: A caller's rights here, in the words of `Operation.needs`.
        limits: Writes the headers that tell a caller's budget.
        channel: How its webhooks are signed; None if it has none.
        rewrite: Turns the other paths under which it is reachable into its own.
        begin: Declares its background jobs (`Server.every`); None if it has none.
    """

    name: str
    prefix: str = ""
    operations: Sequence[Operation]
    failure: Callable[[Problem, str], Answer]
    unknown: Callable[[str, str, int], Answer] | None = None
    credential: Callable[[Call, Operation], Caller | Callable[[], Caller | None] | None]
    shapes: Shapes
    scopes: Callable[[Caller], frozenset[str]] = own_scopes
    limits: Callable[[State], Mapping[str, str]] = x_ratelimit
    channel: Channel | None = None
    rewrite: Callable[[str], str] = str
    begin: Callable[[Server], None] | None = None

    @property
    def partition(self) -> str | None:
        """The partition of an account that holds its memories; None for the account's own."""
        return self.name if self.prefix else None


class Table:
    """Finds the operation for a method and path: whole paths by a dictionary, templates by their length."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._whole: dict[str, dict[str, Operation]] = {}
        self._templates: dict[int, list[tuple[re.Pattern[str], dict[str, Operation]]]] = {}
        known: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            methods = known.get(operation.path)
            if methods is None:
                methods = known[operation.path] = {}
                if "{" in operation.path:
                    pattern = re.compile(
                        "".join(
                            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
                            for index, part in enumerate(_PARAMETER.split(operation.path))
                        )
                    )
                    self._templates.setdefault(operation.path.count("/"), []).append((pattern, methods))
                else:
                    self._whole[operation.path] = methods
            methods[operation.method] = operation

    def find(self, path: str) -> tuple[dict[str, Operation], dict[str, str]] | None:
        """Return the operations of a path by method, and the path's parameters."""
        # First, for a template fits such a path, too: ``/memory/{id}`` is not asked for ``/memory/duplicates``.
        methods = self._whole.get(path)
        if methods is not None:
            return methods, {}
        for pattern, found in self._templates.get(path.count("/"), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                return found, match.groupdict()
        return None
