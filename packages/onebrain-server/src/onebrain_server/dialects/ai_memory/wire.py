"""ai-memory's failures, login and fields: JSON from its handlers, plain text where a request cannot be read at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import to_json

from onebrain.errors import OneBrainValidationError
from onebrain.services.ai_memory import service as rules
from onebrain_engine.store.records import to_datetime
from onebrain_server.http import operation as operations
from onebrain_server.http import wire
from onebrain_server.http.credentials import caller_of
from onebrain_server.http.operation import Answer, Method, Operation
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.state.accounts import Caller

NAME: Final = "ai-memory"
PREFIX: Final = "/compat/ai-memory"
RELATIONS: Final = ("related_to", "supersedes", "contradicts", "derived_from")
# Errors of a field that are found before any handler sees it.
_UNREADABLE: Final = ("invalid_type", "invalid_enum_value")
# Statuses whose body is plain text: those of requests that ai-memory's HTTP library refuses before any handler.
TEXTS: Final = frozenset({400, 413, 415, 422})


class Wire(wire.Wire):
    """The base of requests and answers; fields that are not known are dropped, as the format has it."""


Id = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _documented(kind: str, **facts: Any) -> WithJsonSchema:
    """Return the OpenAPI schema of a field that the format checks by itself."""
    return WithJsonSchema({"type": kind, **facts})


_TEXT: Final = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
Title = Annotated[str, _documented("string", minLength=1, maxLength=rules.MOST_TITLE, pattern=_TEXT)]
Content = Annotated[
    str, _documented("string", minLength=1, maxLength=rules.MOST_CONTENT_BYTES, pattern=_TEXT)
]
Words = Annotated[str, _documented("string", minLength=1, pattern=r"\S")]
Tags = Annotated[
    list[str],
    _documented(
        "array",
        items={"type": "string", "minLength": 1, "maxLength": rules.MOST_TAG_BYTES, "pattern": _TEXT},
        maxItems=rules.MOST_TAGS,
    ),
]
_PART: Final = r"[^\s/\\\x00-\x1f\x7f-\x9f]+"
Namespace = Annotated[str, _documented("string", maxLength=512, pattern=rf"^{_PART}(/{_PART}){{0,7}}$")]
AgentId = Annotated[str, _documented("string", pattern=r"^[A-Za-z0-9_\-:@./]{1,128}$")]
AgentType = Annotated[
    str, _documented("string", maxLength=64, pattern=r"^(human|system|ai:[A-Za-z0-9_.-]+)$")
]
Priority = Annotated[int, _documented("integer", minimum=1, maximum=10)]
Confidence = Annotated[float, _documented("number", minimum=0, maximum=1)]
Seconds = Annotated[int, _documented("integer", minimum=1, maximum=rules.MOST_TTL_SECONDS)]
Source = Annotated[str, _documented("string", enum=sorted(rules.SOURCES))]
Scope = Annotated[str, _documented("string", enum=sorted(rules.SCOPES))]
Relation = Annotated[str, _documented("string", enum=list(RELATIONS))]


def row_by_row(schema: dict[str, Any]) -> None:
    """Remove from a row's schema the constraints that leave out the row instead of refusing the request."""
    for name, field in schema["properties"].items():
        # What refuses the whole request.
        if name in ("id", "access_count"):
            continue
        for one in (field, *field.get("anyOf", ())):
            for limit in ("pattern", "minLength", "maxLength", "minimum", "maximum", "maxItems"):
                one.pop(limit, None)
            if name != "tier":
                one.pop("enum", None)
            if "items" in one:
                one["items"] = {"type": one["items"]["type"]}


class Failure(Wire):
    """Every failure that a handler tells; ``code`` and ``existing_id`` where a title is taken."""

    error: str
    code: str | None = None
    existing_id: str | None = None


def _moment(value: Any) -> datetime:
    """Read RFC 3339; a date without an offset is refused, for nobody could say when it is."""
    if not isinstance(value, str):
        raise ValueError("must be RFC 3339 text, such as 2026-01-15T09:30:00+00:00")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or len(value) < len("2026-01-15T00:00Z"):
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be RFC 3339 text with an offset, such as 2026-01-15T09:30:00+00:00") from None


Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]


def written(micros: int) -> str:
    """Return microseconds since 1970 as ai-memory writes them."""
    return to_datetime(micros).isoformat()


class Routes(operations.Routes):
    """Operations that answer with bare JSON, without idempotency keys; a deletion answers 200.

    Writes have no limit of their own, only the one for all requests: ai-memory's clients do not expect any.
    """

    def __init__(self, path: str, tag: str) -> None:
        super().__init__(PREFIX + path, tag, bare_json=True)

    def add(self, method: Method, path: str, **options: Any) -> Callable[..., Any]:
        """Declare an operation."""
        given: dict[str, Any] = {**options, "idempotent": False, "limit": None}
        if method == "DELETE":
            given["status"] = 200
        return super().add(method, path, **given)


def refused(message: str) -> OneBrainValidationError:
    """Return the failure for a value that is understood and not allowed: 400."""
    return OneBrainValidationError(message, service=NAME)


def not_found(what: str = "memory") -> Problem:
    """Return the failure for something that is not there, or not the caller's to see."""
    return Problem(404, "NOT_FOUND", f"not found: no {what} with this id")


def failure(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that failed."""
    details = [dict(detail) for detail in problem.details or ()]
    said = [_sentence(detail) for detail in details if "message" in detail]
    message = "; ".join(said) if said else problem.message
    match problem.status:
        case 500:
            return _json({"error": "internal server error"})
        case 413 | 415:
            return _text(message, problem.status)
        case 400:
            return _bad_request(problem, message, details)
        case 409:
            existing = [detail["existing_id"] for detail in details if detail.get("existing_id")]
            body = {"error": message, "code": problem.code}
            return _json({**body, "existing_id": existing[-1]} if existing else body)
        case _:
            return _json({"error": message})


def _bad_request(problem: Problem, message: str, details: Sequence[Mapping[str, Any]]) -> Answer:
    if problem.code == "REQUEST_ERROR":
        return _text(message, 400)
    if problem.message in ("Invalid query parameters", "Invalid path parameters"):
        return _text(f"{problem.message}: {message}", 400)
    if any(detail.get("code") in _UNREADABLE for detail in details):
        return _text(f"{problem.message}: {message}", 422)
    return _json({"error": message})


def _sentence(detail: Mapping[str, Any]) -> str:
    field = ".".join(map(str, detail.get("path", ())))
    return f"{field}: {detail['message']}" if field else str(detail["message"])


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(raw=to_json(body), media_type="application/json")


def _text(message: str, status: int) -> Answer:
    return Answer(raw=message.encode(), status=status, media_type="text/plain; charset=utf-8")


def unknown(method: str, path: str, status: int) -> Answer:
    """Return the answer for a route that does not exist, or not for this method: nothing, by which clients know it."""
    return Answer(raw=b"", media_type=None)


SCHEMES: Final = {
    "Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "QueryKey": {"type": "apiKey", "in": "query", "name": "api_key"},
}


def security(operation: Operation) -> list[dict[str, list[str]]]:
    """Return the logins that an operation takes."""
    return [{"Key": []}, {"QueryKey": []}]


def credential(call: Call, operation: Operation) -> Caller | Callable[[], Caller]:
    """Return who calls, from the header ``X-API-Key`` or the query's ``api_key``."""
    given = call.header("x-api-key")
    if given is None and b"api_key=" in call.query_string:
        given = dict(parse_qsl(call.query_string.decode("latin-1"))).get("api_key")
    if not given:
        raise Problem(401, "TOKEN_REQUIRED", "missing API key: send it as the header X-API-Key")
    return caller_of(call, given)
