"""OneBrain's envelope, failures, login and paths."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin
from urllib.parse import unquote

from pydantic import Field
from pydantic_core import to_json

from onebrain_server.http import operation as operations
from onebrain_server.http import wire
from onebrain_server.http.operation import Answer, Operation
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.security import keys
from onebrain_server.security.scopes import ACCOUNT, ALL
from onebrain_server.state.accounts import Caller
from onebrain_server.state.outbox import Delivery

T = TypeVar("T")

NAME: Final = "onebrain"

# Where the same API is reachable: as documented, for a self-hosted base URL, and for a region's.
_ALIASES: Final = re.compile(r"^/api(?:/[a-z]{2,12})?(?=/v1(?:/|$)|/health(?:/|$))")


class Wire(wire.CamelWire):
    """The base of requests and answers: camelCase outside, and names that are not known are dropped, as the format has it."""


class Query(Wire):
    """The base of query strings."""


class Meta(Wire):
    """Beside every answer."""

    request_id: str


class Pagination(Wire):
    """Where a page stands in its list."""

    cursor: str | None
    has_more: bool
    total: int


class PageMeta(Meta):
    """Beside every page."""

    pagination: Pagination


class Envelope(Wire, Generic[T]):
    """Every answer that succeeds."""

    data: T
    meta: Meta


class PageEnvelope(Wire, Generic[T]):
    """Every page."""

    data: T
    meta: PageMeta


class Page(Generic[T]):
    """Marks an operation that answers with a page of rows."""


class Failure(Wire):
    """A failure."""

    code: str
    message: str
    details: list[dict[str, Any]] | None = None


class FailureEnvelope(Wire):
    """Every answer that fails."""

    error: Failure
    meta: Meta


Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str, Field(min_length=1, max_length=512)]


class Paging(Query):
    """One page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 20


def paged(rows: list[Any], cursor: str | None, total: int) -> Answer:
    """Return a page; a cursor says that another one follows."""
    return Answer(rows, pagination=_pagination(cursor, total))


def paged_rows(rows: list[bytes], cursor: str | None, total: int) -> Answer:
    """Return a page of rows that are written already."""
    return Answer(written=b"[" + b",".join(rows) + b"]", pagination=_pagination(cursor, total))


def _pagination(cursor: str | None, total: int) -> dict[str, Any]:
    return {"cursor": cursor, "hasMore": cursor is not None, "total": total}


def page_of(
    found: Sequence[T], cursor: str | None, limit: int, id_of: Callable[[T], str]
) -> tuple[Sequence[T], str | None]:
    """Return the page behind the item that a cursor names, and the next page's cursor.

    Raises:
        Problem: 400, no item has the cursor as its id.
    """
    start = 0
    if cursor is not None:
        start = next((index for index, one in enumerate(found, 1) if id_of(one) == cursor), 0)
        if not start:
            raise bad_cursor()
    page = found[start : start + limit]
    return page, id_of(page[-1]) if start + limit < len(found) else None


def bad_cursor() -> Problem:
    """Return the failure for a cursor that no list returned."""
    return Problem(
        400,
        "VALIDATION_ERROR",
        "Invalid query parameters",
        details=[{"code": "custom", "path": ["cursor"], "message": "not a cursor that this list returned"}],
    )


def wrap(answer: Answer, call: Call) -> bytes:
    """Return the body of a success."""
    meta = b'","pagination":' + to_json(answer.pagination) if answer.pagination is not None else b'"'
    return (
        b'{"data":'
        + (to_json(answer.data) if answer.written is None else answer.written)
        + b',"meta":{"requestId":"'
        + call.request_id.encode()
        + meta
        + b"}}"
    )


def model(operation: Operation) -> Any:
    """Return the model of an operation's answers."""
    if operation.answers is None or operation.answers is str:
        return None
    if operation.wrap is None:
        return operation.answers
    if get_origin(operation.answers) is Page:
        [row] = get_args(operation.answers)
        return PageEnvelope[list[row]]  # type: ignore[valid-type]
    return Envelope[operation.answers]  # type: ignore[name-defined]


def security(operation: Operation) -> list[dict[str, list[str]]]:
    """Return the logins that an operation takes."""
    return [{"ApiKey": []}] if operation.keys_only else [{"ApiKey": []}, {"AccessToken": []}]


SCHEMES: Final = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ApiKey ob_<prefix>_<secret>`",
    },
    "AccessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


class Routes(operations.Routes):
    """Operations whose answers stand in OneBrain's envelope."""

    def __init__(self, prefix: str, tag: str) -> None:
        super().__init__(prefix, tag, wrap=wrap)

    def add(self, method: operations.Method, path: str, *, needs: str, **options: Any) -> Any:
        """Declare an operation.

        One that needs a right to write has the limit of writes, unless it names another one or only reads. The parameter of
        a path may name nothing, which is 404.
        """
        if "{" in path:
            options["errors"] = (*options.get("errors", ()), 404)
        if method != "GET" and needs.endswith(".write"):
            options.setdefault("limit", "write")
        return super().add(method, path, needs=needs, **options)


def sign(delivery: Delivery, moment: int) -> dict[str, str]:
    """Return the headers that prove who sent a webhook, and when.

    ``X-BrainPulse-Signature`` is OneBrain's own form, over the body alone; ``X-OneBrain-Signature`` is
    ``t=<seconds>,v1=<HMAC-SHA-256 of "<seconds>.<body>">``, which cannot be replayed later.
    """
    if not delivery.secret:
        return {}
    secret, body = delivery.secret.encode(), delivery.body.encode()
    plain = hmac.new(secret, body, hashlib.sha256).hexdigest()
    timed = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"x-brainpulse-signature": f"sha256={plain}", "x-onebrain-signature": f"t={moment},v1={timed}"}


def failure(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that failed."""
    error: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.details is not None:
        error["details"] = list(problem.details)
    return Answer(raw=to_json({"error": error, "meta": {"requestId": request_id}}))


def unknown(method: str, path: str, status: int) -> Answer:
    """Return the answer for a route that does not exist, or not for this method: the one shape without an envelope."""
    shown = unquote(path)[:200]
    if status == 405:
        message, error = f"{method} is not allowed for {shown}", "Method Not Allowed"
    else:
        message, error = f"Route {method}:{shown} not found", "Not Found"
    return Answer(raw=to_json({"message": message, "error": error, "statusCode": status}))


def rewrite(path: str) -> str:
    """Turn ``/api/v1/...`` and ``/api/eu/v1/...`` into ``/v1/...``, also where a client put the version in twice."""
    if path.startswith("/api"):
        path = _ALIASES.sub("", path, count=1)
    if path.startswith("/v1/v1/"):
        path = path[3:]
    return path


def credential(call: Call, operation: Operation) -> Caller | Callable[[], Caller | None]:
    """Return who calls where that is remembered, or a function that looks it up."""
    given = call.header("authorization")
    if given is None:
        return _by_cookie(call, operation)
    scheme, _, value = given.partition(" ")
    if scheme not in ("ApiKey", "Bearer") or not value or value != value.strip():
        raise _unauthorized(
            "INVALID_AUTH_SCHEME", "Invalid authorization scheme", 'Use "ApiKey <key>" or "Bearer <jwt>"'
        )
    # Many HTTP libraries know bearer tokens only, so that a key is taken as one, too.
    if scheme == "Bearer" and not value.startswith("ob_"):
        if operation.keys_only:
            raise _key_required()
        return _by_token(call, value)
    return _by_key(call, value)


def _by_cookie(call: Call, operation: Operation) -> Caller | Callable[[], Caller | None]:
    if operation.keys_only:
        raise _key_required()
    cookie = _cookie(call.header("cookie") or "", "accessToken")
    if cookie is None:
        raise _unauthorized(
            "TOKEN_REQUIRED", "No API token provided", "Register or sign in to make an API key"
        )
    # A browser sends cookies with any page's form, but this header for no page of an origin that is not allowed.
    if call.header("x-requested-with") is None:
        raise Problem(403, "CSRF_VALIDATION", "Requests with a cookie need the header X-Requested-With")
    return _by_token(call, cookie)


def _key_required() -> Problem:
    return Problem(401, "MISSING_API_KEY", "API key required via Authorization header")


def _by_key(call: Call, value: str) -> Caller | Callable[[], Caller | None]:
    remembered = call.server.accounts.remembered(value)
    if remembered is not None:
        return remembered
    if keys.parse(value) is None:
        raise _unauthorized(
            "INVALID_API_KEY", "Malformed API key", 'API key format: "ApiKey ob_<prefix>_<secret>"'
        )

    def look_up() -> Caller:
        caller = call.server.accounts.by_key(value)
        if caller is None:
            raise _unauthorized(
                "INVALID_API_KEY", "Invalid or expired API key", "Sign in to manage your API keys"
            )
        return caller

    return look_up


def scopes(caller: Caller) -> frozenset[str]:
    """Return a caller's scopes, and `ACCOUNT` for a login or a trusted key that has them all."""
    whole = caller.trusted and caller.scopes >= ALL
    return caller.scopes | {ACCOUNT} if whole else caller.scopes


def _by_token(call: Call, token: str) -> Caller | Callable[[], Caller | None]:
    claims = call.server.tokens.read(token)
    if claims is None:
        raise _unauthorized(
            "TOKEN_EXPIRED", "Token expired or invalid", "Sign in to refresh your access token"
        )
    remembered = call.server.accounts.remembered(token)
    if remembered is not None:
        return remembered

    def look_up() -> Caller:
        caller = call.server.accounts.by_session(token, str(claims["sub"]), str(claims["sid"]))
        if caller is None:
            raise _unauthorized("TOKEN_EXPIRED", "This login has ended", "Sign in again")
        return caller

    return look_up


def _unauthorized(code: str, message: str, hint: str) -> Problem:
    # The credential is never repeated: a malformed key may be a good one with a space too many.
    details = [{"tokenUrl": "/v1/auth/login", "register": "POST /v1/auth/register", "hint": hint}]
    return Problem(401, code, message, details=details, headers={"www-authenticate": "ApiKey"})


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value:
            return value
    return None
