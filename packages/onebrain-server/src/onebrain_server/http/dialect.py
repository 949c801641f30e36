"""A dialect: one service's wire format, as operations and the shape of its failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from onebrain_server.http.operation import Operation
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.state.accounts import Caller

_PARAMETER: Final = re.compile(r"{([a-zA-Z_]+)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire format.

    Attributes:
        name: The service's name.
        operations: Everything it offers.
        failure: Writes a failure's body.
        unknown: Writes the body for a route that does not exist, from method and path.
        credential: Reads who calls from a request: what was remembered of it, or a function that looks it up.
        rewrite: Turns the other paths under which it is reachable into its own.
    """

    name: str
    operations: Sequence[Operation]
    failure: Callable[[Problem, str], bytes]
    unknown: Callable[[str, str, int], bytes]
    credential: Callable[[Call, Operation], Caller | Callable[[], Caller | None] | None]
    rewrite: Callable[[str], str] = str


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
        methods = self._whole.get(path)
        if methods is not None:
            return methods, {}
        for pattern, found in self._templates.get(path.count("/"), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                return found, match.groupdict()
        return None
