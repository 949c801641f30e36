"""HeroBrain's envelope, failures and signatures."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, Field
from pydantic_core import to_json

from onebrain_server.clock import iso, now
from onebrain_server.http import operation as operations
from onebrain_server.http import wire
from onebrain_server.http.operation import Answer, Method, Operation
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.ids import new_id
from onebrain_server.security.limits import State
from onebrain_server.state.outbox import Delivery

T = TypeVar("T")
PREFIX: Final = "/compat/herobrain"
NAME: Final = "herobrain"

# The codes of HeroBrain's document; those of the statuses that it does not list are ours.
_CODES: Final = {
    400: "VALIDATION_ERROR",
    402: "INSUFFICIENT_QUOTA",
    404: "RESOURCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "DUPLICATE_RESOURCE",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMIT_EXCEEDED",
    502: "EXTERNAL_SERVICE_ERROR",
    503: "DATABASE_ERROR",
}

TenantId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$",
    ),
]


class Wire(wire.CamelWire):
    """The base of requests and answers: camelCase outside, and fields that are not documented are dropped."""


class Metadata(BaseModel):
    """Beside every answer and in every webhook; its names are the only ones that are not camelCase."""

    request_id: str
    timestamp: str
    version: Literal["v1"]


class Success(Wire, Generic[T]):
    """Every answer that succeeds."""

    success: Literal[True]
    data: T
    metadata: Metadata


class Issue(Wire):
    """One thing that is wrong, and the field it is wrong with, if any."""

    code: str
    message: str
    field: str | None = None


class Failure(Wire):
    """Every answer that fails."""

    success: Literal[False]
    errors: list[Issue]
    metadata: Metadata


class Routes(operations.Routes):
    """Operations whose answers stand in HeroBrain's envelope."""

    def __init__(self, path: str, tag: str) -> None:
        super().__init__(f"{PREFIX}/api/v1{path}", tag, wrap=wrap, bare_json=True)

    def add(self, method: Method, path: str, **options: Any) -> Callable[..., Any]:
        """Declare an operation; there are no idempotency keys, a deletion answers 200, and a database that is away 500."""
        given: dict[str, Any] = {**options, "idempotent": False, "errors": (*options.get("errors", ()), 500)}
        if method == "DELETE":
            given["status"] = 200
        return super().add(method, path, **given)


def metadata(request_id: str) -> dict[str, str]:
    """Return the metadata of every answer."""
    return {"request_id": request_id, "timestamp": iso(now()), "version": "v1"}


def wrap(answer: Answer, call: Call) -> bytes:
    """Return the body of a success."""
    return to_json({"success": True, "data": answer.data, "metadata": metadata(call.request_id)})


def success(operation: Operation) -> Any:
    """Return the model of an operation's answers."""
    if operation.wrap is None:
        return operation.answers
    return Success[operation.answers]  # type: ignore[name-defined]


def failure(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that failed."""
    if problem.code == "PLAN_LIMIT_EXCEEDED":
        problem.status = 402
    code = _CODES.get(problem.status, problem.code)
    if problem.status == 401:
        code = "AUTH_REQUIRED" if problem.code == "TOKEN_REQUIRED" else "AUTH_INVALID"
    errors = [_issue(code, dict(detail)) for detail in problem.details or ()] or [
        {"code": code, "message": problem.message}
    ]
    body = {"success": False, "errors": errors, "metadata": metadata(request_id)}
    answer = Answer(raw=to_json(body), status=500 if problem.status == 503 else problem.status)
    if problem.status == 429 and "retry-after" in problem.headers:
        answer.headers["x-ratelimit-retry-after"] = problem.headers["retry-after"]
    return answer


def _issue(code: str, detail: dict[str, Any]) -> dict[str, str]:
    message = str(detail.get("message", ""))
    field = ".".join(map(str, detail.get("path", ())))
    if not field:
        return {"code": code, "message": message}
    text = f"The '{field}' field is required" if message == "Required" else f"The '{field}' field: {message}"
    return {"code": code, "message": text, "field": field}


def limits(state: State) -> dict[str, str]:
    """Return the headers that tell a caller's budget; the window ends at a Unix time."""
    return {
        "x-ratelimit-limit": str(state.limit),
        "x-ratelimit-remaining": str(state.remaining),
        "x-ratelimit-reset": str(int(time.time()) + state.reset),
    }


def sign(delivery: Delivery, moment: int) -> dict[str, str]:
    """Return the header that proves who sent a webhook: the HMAC-SHA256 of its body, as it is sent, in hexadecimal."""
    signature = hmac.new((delivery.secret or "").encode(), delivery.body.encode(), hashlib.sha256)
    return {"x-herobrain-signature": signature.hexdigest()}


def made_id(kind: str) -> str:
    """Return a new id of a kind, such as ``mem_...``; later ones sort behind."""
    return f"{kind}_{new_id().replace('-', '')}"


class Deleted(Wire):
    """The answer to a deletion."""

    id: str
    deleted: Literal[True]


def deleted(id: str) -> dict[str, Any]:
    """Return the answer to a deletion."""
    return {"id": id, "deleted": True}


def not_found(what: str) -> Problem:
    """Return the failure for something that is not there, or not this tenant's."""
    return Problem(404, "RESOURCE_NOT_FOUND", f"No {what} with this id")
