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
        return Problem(
            400,
            "VALIDATION_ERROR",
            "Invalid request",
            details=[{"code": "custom", "path": [], "message": error.message}],
        )
    if isinstance(error, DatabaseBusy):
        return Problem(
            503, "SERVICE_UNAVAILABLE", "The database is busy; try again", headers={"retry-after": "1"}
        )
    if isinstance(error, DatabaseFull):
        return Problem(
            503, "SERVICE_UNAVAILABLE", "The database has no space left", headers={"retry-after": "60"}
        )
    if isinstance(error, DatabaseReadOnly):
        return Problem(
            503, "SERVICE_UNAVAILABLE", "The database cannot be written", headers={"retry-after": "60"}
        )
    if isinstance(error, StorageError | OneBrainTransportError):
        return Problem(
            503,
            "SERVICE_UNAVAILABLE",
            "The database cannot be reached; try again",
            headers={"retry-after": "5"},
        )
    return Problem(500, "INTERNAL_ERROR", "Internal server error")


def _issue(error: ErrorDetails) -> dict[str, Any]:
    """Return one issue in the wire's words; the wrong value is shown for enumerations only, where it cannot be a memory."""
    kind = error["type"]
    facts: dict[str, Any] = {}
    context = error.get("ctx", {})
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    given = error.get("input")
    if kind == "missing":
        code, message = "invalid_type", "Required"
        facts = {"expected": "string", "received": "undefined"}
    elif kind in ("literal_error", "enum"):
        options = [
            option.strip("'") for option in str(context.get("expected", "")).replace(" or ", ", ").split(", ")
        ]
        received = given if isinstance(given, str) and len(given) <= 64 else type(given).__name__
        code, facts = "invalid_enum_value", {"received": received, "options": options}
        expected = " | ".join(f"'{option}'" for option in options)
        message = f"Invalid enum value. Expected {expected}, received '{received}'"
    elif kind in ("string_too_short", "too_short"):
        least = context.get("min_length")
        of = "string" if kind == "string_too_short" else "array"
        code = "too_small"
        facts = {"minimum": least, "type": of, "inclusive": True, "exact": False}
        unit = "character(s)" if of == "string" else "element(s)"
        message = f"{of.capitalize()} must contain at least {least} {unit}"
    elif kind in ("string_too_long", "too_long"):
        most = context.get("max_length")
        of = "string" if kind == "string_too_long" else "array"
        code = "too_big"
        facts = {"maximum": most, "type": of, "inclusive": True, "exact": False}
        unit = "character(s)" if of == "string" else "element(s)"
        message = f"{of.capitalize()} must contain at most {most} {unit}"
    elif kind in ("greater_than_equal", "greater_than"):
        least = context.get("ge", context.get("gt"))
        inclusive = kind == "greater_than_equal"
        code = "too_small"
        facts = {"minimum": least, "type": "number", "inclusive": inclusive, "exact": False}
        message = f"Number must be greater than {'or equal to ' if inclusive else ''}{least}"
    elif kind in ("less_than_equal", "less_than"):
        most = context.get("le", context.get("lt"))
        inclusive = kind == "less_than_equal"
        code = "too_big"
        facts = {"maximum": most, "type": "number", "inclusive": inclusive, "exact": False}
        message = f"Number must be less than {'or equal to ' if inclusive else ''}{most}"
    elif kind == "string_pattern_mismatch":
        code, facts = "invalid_string", {"validation": "regex"}
    elif kind.endswith(("_type", "_parsing")):
        code = "invalid_type"
        facts = {
            "expected": _EXPECTED.get(kind, kind.removesuffix("_type").removesuffix("_parsing")),
            "received": _named(given),
        }
    else:
        code = "custom"
    return {"code": code, **facts, "path": [*error["loc"]], "message": message}


_EXPECTED = {
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
