"""RememberOS's wire format: bare bodies, ``{"detail": ...}`` for failures, and the headers of its limits and webhooks."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic_core import to_json

from onebrain_server.http import operation as operations
from onebrain_server.http import wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import UNCONFIGURED, Problem
from onebrain_server.http.requests import Call
from onebrain_server.security.limits import State
from onebrain_server.state.outbox import Delivery

NAME: Final = "rememberos"
PREFIX: Final = "/compat/rememberos"

# Limits that the service's reference states.
MAX_TEXT: Final = 10_000
MAX_BULK: Final = 100
MAX_SEARCH: Final = 50
MAX_LIST: Final = 200

NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
# A query.
Asked = Annotated[str, Field(min_length=1, max_length=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=NAME_PATTERN)]
Tag = Annotated[str, Field(min_length=1, max_length=512, pattern=NAME_PATTERN)]
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Wire(wire.Wire):
    """The base of requests and answers; names that are not known are dropped, as the service does."""


class Query(Wire):
    """The base of query strings."""


class Tagged(Query):
    """Which sub-namespace of a collection is meant; none for all of them."""

    container_tag: Tag | None = None


class Failure(Wire):
    """A failure, in a sentence."""

    detail: str


class Deleted(Wire):
    """Something is gone."""

    deleted: bool


class Routes(operations.Routes):
    """Operations of RememberOS below ``/v1``; the service has no idempotency keys."""

    def __init__(self, path: str, tag: str) -> None:
        super().__init__(f"{PREFIX}/v1{path}", tag, bare_json=True)

    def add(self, method: operations.Method, path: str, *, needs: str, **options: Any) -> Decorator:
        """Declare an operation; each write that succeeds is noted for the tenant's audit log, by its name alone."""
        register = super().add(method, path, needs=needs, **options)
        if needs != "write":
            return register

        def noting(function: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(function)
            def write(call: Call, *arguments: Any, **given: Any) -> Any:
                answer = function(call, *arguments, **given)
                call.act(function.__name__, f"{NAME}.{self.tag}")
                return answer

            return register(write)

        return noting

    # The service has one limit for all requests of a key, and none for writes alone.

    def post(self, path: str, **options: Any) -> Decorator:
        """Declare a POST."""
        return super().post(path, **{"idempotent": False, **options})

    def put(self, path: str, **options: Any) -> Decorator:
        """Declare a PUT."""
        return super().put(path, **{"limit": None, **options})

    def patch(self, path: str, **options: Any) -> Decorator:
        """Declare a PATCH."""
        return super().patch(path, **{"limit": None, **options})

    def delete(self, path: str, **options: Any) -> Decorator:
        """Declare a DELETE, which answers with a body."""
        return super().delete(path, **{"limit": None, "status": 200, "answers": Deleted, **options})


def unconfigured(reason: str) -> Problem:
    """Return the failure of a route whose third party is not configured."""
    return Problem(503, UNCONFIGURED, reason)


def failure(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that failed: a sentence, and 400 for whatever is wrong with the input."""
    issues = [_sentence(dict(issue)) for issue in problem.details or () if issue.get("message")]
    detail = "; ".join(issues[:3]) if issues and problem.status == 400 else problem.message
    return Answer(raw=to_json({"detail": detail}))


def _sentence(issue: dict[str, Any]) -> str:
    where = ".".join(map(str, issue.get("path") or ()))
    if issue.get("received") == "undefined":
        return f"{where}: Field required"
    said = str(issue["message"])
    return f"{where}: {said}" if where and not said.startswith(f"{where}: ") else said


def unknown(method: str, path: str, status: int) -> Answer:
    """Return the answer for a route that does not exist, or not for this method."""
    return Answer(raw=to_json({"detail": "Method Not Allowed" if status == 405 else "Not Found"}))


def limits(state: State) -> dict[str, str]:
    """Return the headers that tell a caller's budget; the reset is a time, in Unix seconds."""
    return {
        "ratelimit-limit": str(state.limit),
        "ratelimit-remaining": str(state.remaining),
        "ratelimit-reset": str(int(time.time()) + state.reset),
    }


def sign(delivery: Delivery, moment: int) -> dict[str, str]:
    """Return the header that proves who sent a webhook: the HMAC-SHA256 of the raw body, in lower-case hex."""
    secret = (delivery.secret or "").encode()
    return {"x-rememberos-signature": hmac.new(secret, delivery.body.encode(), hashlib.sha256).hexdigest()}
