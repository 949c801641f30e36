"""Failures on their way to a client: status, code, message, and the errors of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from onebrain.errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    EmbedderMismatch,
    OneBrainConflictError,
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainTransportError,
    OneBrainValidationError,
    QuotaExceeded,
    StorageError,
)
from onebrain_server.security.vault import CredentialsKeyMissing

# The code of a request for a part of the server that its settings leave out.
UNCONFIGURED: Final = "UNCONFIGURED"


class Problem(Exception):
    """A failure with an answer for the client.

    Args:
        status: The HTTP status.
        code: A word that programs compare, such as ``VALIDATION_ERROR``.
        message: The reason and the remedy; never a key, never a memory's text.
        details: More of it, as a list of objects.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers or {}


def not_found(what: str) -> Problem:
    """Return the failure for something that is not there, or not this tenant's."""
    return Problem(404, "NOT_FOUND", f"{what} not found")


def conflict(message: str, existing_id: str | None) -> Problem:
    """Return the failure for something that is there already."""
    return Problem(409, "CONFLICT", message, details=[{"existingId": existing_id}])


def invalid(
    path: Sequence[str | int],
    message: str,
    *,
    code: str = "custom",
    where: str = "request body",
    **facts: Any,
) -> Problem:
    """Return the failure for one wrong value."""
    return Problem(
        400,
        "VALIDATION_ERROR",
        f"Invalid {where}",
        details=[{"code": code, **facts, "path": list(path), "message": message}],
    )


def invalid_input(error: ValidationError, where: str) -> Problem:
    """Return the failure for input that does not fit its model, with an issue for each wrong value."""
    issues = [_issue(one) for one in error.errors(include_url=False, include_input=True)]
    return Problem(400, "VALIDATION_ERROR", f"Invalid {where}", details=issues[:20])


def sentences(error: ValidationError, *path: str) -> list[str]:
    """Return a sentence for each wrong value, such as ``title: Field required``; none quotes its input.

    Args:
        error: The input that does not fit its model.
        path: Where in the request that input stands.
    """
    return [
        f"{'.'.join(map(str, (*path, *one['loc'])))}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]


# Failures of the database by their kinds, the narrower first: the message, and the seconds after which to try again.
_UNAVAILABLE: Final[tuple[tuple[tuple[type[OneBrainError], ...], str, int], ...]] = (
    ((DatabaseBusy,), "The database is busy; try again", 1),
    ((DatabaseFull,), "The database has no space left", 60),
    ((DatabaseReadOnly,), "The database cannot be written", 60),
    ((StorageError, OneBrainTransportError), "The database cannot be reached; try again", 5),
)


def from_engine(error: OneBrainError) -> Problem:
    """Return the failure for an error of the engine or the database."""
    if isinstance(error, OneBrainNotFoundError):
        return not_found("Memory item")
    if isinstance(error, OneBrainConflictError):
        return Problem(409, "CONFLICT", error.message)
    if isinstance(error, CredentialsKeyMissing):
        return Problem(503, UNCONFIGURED, error.message[0].upper() + error.message[1:])
    if isinstance(error, QuotaExceeded):
        return Problem(403, "PLAN_LIMIT_EXCEEDED", error.message[0].upper() + error.message[1:])
    if isinstance(error, EmbedderMismatch | OneBrainValidationError):
        return invalid([], error.message, where="request")
    for kinds, message, seconds in _UNAVAILABLE:
        if isinstance(error, kinds):
            return Problem(503, "SERVICE_UNAVAILABLE", message, headers={"retry-after": str(seconds)})
    return Problem(500, "INTERNAL_ERROR", "Internal server error")


def _issue(error: ErrorDetails) -> dict[str, Any]:
    """Return one issue in the wire's words; the wrong value is shown for enumerations only, where it cannot be a memory."""
    kind, context, given = error["type"], error.get("ctx", {}), error.get("input")
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    code, facts = "custom", dict[str, Any]()
    if kind == "missing":
        code, message = "invalid_type", "Required"
        facts = {"expected": "string", "received": "undefined"}
    elif kind in ("literal_error", "enum"):
        code, message, facts = _enumerated(context, given)
    elif kind in _BOUNDS:
        code, message, facts = _bounded(_BOUNDS[kind], context)
    elif kind == "string_pattern_mismatch":
        code, facts = "invalid_string", {"validation": "regex"}
    elif kind.endswith(("_type", "_parsing")):
        expected = _EXPECTED.get(kind, kind.removesuffix("_type").removesuffix("_parsing"))
        code, facts = "invalid_type", {"expected": expected, "received": _named(given)}
    return {"code": code, **facts, "path": [*error["loc"]], "message": message}


def _enumerated(context: Mapping[str, Any], given: Any) -> tuple[str, str, dict[str, Any]]:
    """Return code, message and facts of a value that is none of an enumeration's."""
    options = [
        option.strip("'") for option in str(context.get("expected", "")).replace(" or ", ", ").split(", ")
    ]
    received = given if isinstance(given, str) and len(given) <= 64 else _named(given)
    expected = " | ".join(f"'{option}'" for option in options)
    message = f"Invalid enum value. Expected {expected}, received '{received}'"
    return "invalid_enum_value", message, {"received": received, "options": options}


# The errors of a bound: its name in pydantic's context, the kind of value, and whether the bound itself is allowed.
_BOUNDS: Final = {
    "string_too_short": ("min_length", "string", True),
    "too_short": ("min_length", "array", True),
    "string_too_long": ("max_length", "string", True),
    "too_long": ("max_length", "array", True),
    "greater_than_equal": ("ge", "number", True),
    "greater_than": ("gt", "number", False),
    "less_than_equal": ("le", "number", True),
    "less_than": ("lt", "number", False),
}
_UNITS: Final = {"string": "character(s)", "array": "element(s)"}


def _bounded(rule: tuple[str, str, bool], context: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return code, message and facts of a value beyond a bound."""
    name, of, inclusive = rule
    least, bound = name in ("min_length", "ge", "gt"), context.get(name)
    if of == "number":
        message = f"Number must be {'greater' if least else 'less'} than {'or equal to ' if inclusive else ''}{bound}"
    else:
        message = f"{of.capitalize()} must contain at {'least' if least else 'most'} {bound} {_UNITS[of]}"
    code, limit = ("too_small", "minimum") if least else ("too_big", "maximum")
    return code, message, {limit: bound, "type": of, "inclusive": inclusive, "exact": False}


_EXPECTED: Final = {
    "string_type": "string",
    "int_type": "number",
    "int_parsing": "number",
    "float_type": "number",
    "float_parsing": "number",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "list_type": "array",
    "tuple_type": "array",
}


def _named(value: Any) -> str:
    """Return the kind of a JSON value as the wire names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"
