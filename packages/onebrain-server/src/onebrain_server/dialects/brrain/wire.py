"""bRRAIn's failures, rate headers, and the fields that several of its operations share."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic_core import to_json

from onebrain_server.http import wire
from onebrain_server.http.dialect import x_ratelimit
from onebrain_server.http.operation import Answer, Routes
from onebrain_server.http.problems import Problem
from onebrain_server.security.limits import State

PREFIX: Final = "/compat/brrain"
NAME: Final = "brrain"
# Every account is one vault.
VAULT: Final = "vlt_default"
# The workspace of memories that a key for all workspaces stores without naming one.
DEFAULT_WORKSPACE: Final = "ws_default"

# The middleware's codes in this service's words: those that its documentation uses, else by the status.
_WORDS: Final = {"TOKEN_REQUIRED": "unauthenticated", "INVALID_API_KEY": "invalid_token"}
_BY_STATUS: Final = {
    400: "validation_error",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "validation_error",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
}


class Wire(wire.Wire):
    """The base of requests and answers; a field that is not known is refused, for it would be ignored in silence."""

    model_config = ConfigDict(extra="forbid")


class Failure(Wire):
    """A failure; ``existing_id`` names the memory that stands in the way."""

    code: str
    message: str
    request_id: str
    status: int
    existing_id: str | None = None
    details: list[dict[str, Any]] | None = None


class FailureBody(Wire):
    """Every answer that fails."""

    error: Failure


WorkspaceId = Annotated[
    str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]


def routes(path: str, tag: str) -> Routes:
    """Return a collection of operations below ``/v1``; their answers stand without an envelope."""
    return Routes(f"{PREFIX}/v1{path}", tag)


def duplicate(code: str, message: str, existing_id: str | None) -> Problem:
    """Return the failure for a memory that is stored already."""
    details = None if existing_id is None else [{"existing_id": existing_id}]
    return Problem(409, code, message, details=details)


def failure(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that failed; a request that is too large is answered 400, as documented."""
    status = 400 if problem.status == 413 else problem.status
    error = {**described(problem), "request_id": request_id, "status": status}
    return Answer(raw=to_json({"error": error}), status=status)


def described(problem: Problem) -> dict[str, Any]:
    """Return a failure's fields, for a whole answer and for one item of a batch."""
    code = problem.code
    if code.isupper():
        code = _WORDS.get(code) or _BY_STATUS.get(problem.status, "internal_error")
    error: dict[str, Any] = {"code": code, "message": problem.message}
    details = [dict(one) for one in problem.details or ()]
    if problem.status == 409 and details:
        return {**error, **details[0]}
    if details:
        error["message"] = "; ".join(_sentence(issue) for issue in details[:3])
        error["details"] = details
    return error


def _sentence(issue: dict[str, Any]) -> str:
    where = ".".join(map(str, issue.get("path") or ()))
    said = str(issue.get("message", ""))
    if not where:
        return said
    return f"{where} is required" if said == "Required" else f"{where}: {said}"


def limits(state: State) -> dict[str, str]:
    """Return the headers that tell a caller's budget; ``reset`` is a Unix time here."""
    return {
        **x_ratelimit(state),
        "x-ratelimit-reset": str(int(time.time()) + state.reset),
        "x-ratelimit-scope": "token",
    }
