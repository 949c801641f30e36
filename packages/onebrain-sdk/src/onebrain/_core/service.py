"""The facts that all requests to one service share, and `Service.ask`, which makes every request.

Authentication, idempotency, retries, rate limits and the mapping of failures to errors live here, once, for every
endpoint of every service.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from onebrain._core import retry
from onebrain._core.batches import REQUEST_BYTES, ByteLimit
from onebrain._core.codec import UNSET, from_json, is_sequence, to_json
from onebrain._core.credentials import checked_headers
from onebrain._core.ids import Id, as_id
from onebrain._core.limits import RateLimit, rate_limit
from onebrain._core.retry import RetryPolicy
from onebrain._core.steps import Send, Sleep, Steps
from onebrain._core.transport import Request, Response
from onebrain.errors import (
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainTimeoutError,
    OneBrainTransportError,
    OneBrainValidationError,
    QuotaExceeded,
    UnsupportedByServer,
)

USER_AGENT = "onebrain-python/2.0.0"

Expect = Literal["json", "text", "bytes"]
File = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True, slots=True)
class Spec:
    """One call of a service's API, before base URL and authentication.

    Attributes:
        method: The HTTP method.
        path: The path below the base URL, already percent-encoded (see `path`).
        query: Query parameters; None and `UNSET` are left out, a list repeats its name.
        body: The JSON body, or `UNSET` for none.
        form: Files and fields of a multipart body; excludes `body`.
        headers: Further headers.
        expect: The form of the answer.
        safe: Whether repeating the call changes nothing; None means "by the method".
        idempotency_header: A header that takes a fresh key, which makes repeating the call safe.
        timeout: Seconds, where the call needs another limit than the client's.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: Any = UNSET
    form: tuple[Sequence[File], Mapping[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    expect: Expect = "json"
    safe: bool | None = None
    idempotency_header: str | None = None
    timeout: float | None = None

    def but(self, **changes: Any) -> Spec:
        """Return a copy with `changes`, for options that the short forms below lack."""
        return replace(self, **changes)


def path(template: str, *ids: Id) -> str:
    """Fill the ``{}`` of `template` with `ids`, each percent-encoded as one segment.

    An empty id would address the collection above it, and ``.`` or ``..`` another route, so both are refused.
    """
    names: list[str] = []
    for value in ids:
        try:
            name = as_id(value)
        except ValueError:
            name = ""
        if name.strip() in ("", ".", ".."):
            raise OneBrainValidationError(
                "an id must be a non-empty string other than '.' and '..', a whole number or a UUID, "
                f"not {value!r:.40}"
            )
        names.append(name)
    try:
        return template.format(*(quote(name, safe="") for name in names))
    except UnicodeEncodeError:
        raise OneBrainValidationError("an id holds a lone surrogate, which no URL can carry") from None


def GET(path: str, **query: Any) -> Spec:
    """A read; None and `UNSET` parameters are left out."""
    return Spec("GET", path, query=query)


def DELETE(path: str, **query: Any) -> Spec:
    """A deletion; no body."""
    return Spec("DELETE", path, query=query)


def POST(path: str, **body: Any) -> Spec:
    """A call with a JSON body; None and `UNSET` fields are left out, and without any field there is no body."""
    fields = {name: value for name, value in body.items() if value is not None and value is not UNSET}
    return Spec("POST", path, body=fields if body else UNSET)


def PUT(path: str, **body: Any) -> Spec:
    """A replacement; `UNSET` fields are left out, None is sent as null."""
    return Spec("PUT", path, body={name: value for name, value in body.items() if value is not UNSET})


def PATCH(path: str, **body: Any) -> Spec:
    """A change; `UNSET` fields are left out, None is sent as null."""
    return Spec("PATCH", path, body={name: value for name, value in body.items() if value is not UNSET})


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer.

    Attributes:
        data: The decoded body: JSON, text or bytes by `Spec.expect`; None where there is none.
        status: The HTTP status.
        headers: The headers, names in lower case.
        attempts: How many times the request was sent; more than 1 means that an earlier one may have succeeded.
        in_doubt: Whether an earlier attempt may really have taken effect: it was lost or failed with 5xx, not refused.
    """

    data: Any
    status: int
    headers: Mapping[str, str]
    attempts: int = 1
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The contents of a failed answer, read by the service's own rules."""

    message: str = ""
    code: str | None = None
    details: Any = None
    request_id: str | None = None
    existing_id: str | None = None
    unknown_route: bool = False
    quota: bool = False


Explain = Callable[[Response, Any], Explanation]

_BY_STATUS: dict[int, type[OneBrainError]] = {
    401: OneBrainAuthenticationError,
    402: QuotaExceeded,
    403: OneBrainPermissionError,
    404: OneBrainNotFoundError,
    408: OneBrainTimeoutError,
    409: OneBrainConflictError,
    410: OneBrainNotFoundError,
    412: OneBrainConflictError,
    429: OneBrainRateLimitError,
}


def error_class(status: int) -> type[OneBrainError]:
    """Return the error class for an HTTP status."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return OneBrainValidationError
    return OneBrainInternalError if status >= 500 else OneBrainResponseError


class Service:
    """The facts that every request to one service needs, and `ask`, which makes requests.

    Args:
        name: The service's name in errors.
        base_url: Where paths begin; a trailing slash does not matter.
        explain: Reads a failed answer: gets the response and its JSON body (None where it has none).
        headers: Sent with every request, authentication included.
        secrets: Texts that must never show in an error, such as the key.
        timeout: Seconds for connecting, and again for each read or write.
        retry: When to try again.
        retry_headers: The headers, best first, in which the service says how long to wait.
        busy_did_nothing: Whether a 503 with ``Retry-After`` promises that a write did not happen.
        rate_prefix: How the names of the rate limit's headers begin, in lower case.
        request_bytes: Bytes of a request with many rows; less once the service, or a proxy, answered 413.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        explain: Explain,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
        timeout: float | None = 10.0,
        retry: RetryPolicy | None = None,
        retry_headers: Sequence[str] = ("retry-after",),
        busy_did_nothing: bool = True,
        rate_prefix: str = "x-ratelimit-",
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.retry = retry or RetryPolicy()
        self.secrets = tuple(secret for secret in secrets if secret)
        self._explain = explain
        self._headers = {
            "accept": "application/json",
            "user-agent": USER_AGENT,
            **_lower(checked_headers(headers or {})),
        }
        self._retry_headers = tuple(retry_headers)
        self._busy_did_nothing = busy_did_nothing
        self._rate_prefix = rate_prefix
        self.rate_limit: RateLimit | None = None
        self.byte_limit = ByteLimit(request_bytes)

    def __repr__(self) -> str:
        return f"Service({self.name!r}, {self.base_url!r})"

    def ask(self, spec: Spec) -> Steps[Reply]:
        """Send `spec`, again where that is safe and promising, and return the answer or raise an error of our tree."""
        request, safe = self._request(spec)
        attempts = 1
        waits = retry.Waits(self.retry)
        # Whether an earlier attempt may have taken effect.
        in_doubt = False
        while True:
            asked: float | None = None
            limited = False
            try:
                response: Response = yield Send(request)
            except OneBrainTransportError as error:
                failure: OneBrainError = self._own(error)
                again = retry.should_retry_error(error, safe=safe)
                refused = error.never_sent
            except OneBrainError as error:
                raise self._own(error) from error.__cause__
            else:
                self.rate_limit = rate_limit(response.headers, self._rate_prefix) or self.rate_limit
                if 200 <= response.status < 300:
                    return replace(self._reply(spec, response, attempts), in_doubt=in_doubt)
                asked = self.asked_wait(response)
                failure = self._failure(spec, request, response, asked)
                again = retry.should_retry_status(response.status, safe=safe, asked=asked)
                # Some failures come with a status that says "try again" and mean "never": a used-up plan, a wrong id.
                again = again and not isinstance(failure, QuotaExceeded | OneBrainNotFoundError)
                if response.status == 503 and not self._busy_did_nothing:
                    again = again and safe
                # An answer below 500 says that this attempt did nothing; one of the server's own failures does not.
                refused = response.status < 500
                limited = response.status == 429
            wait = waits.next(asked, limited=limited) if again else None
            if wait is None:
                failure.in_doubt = in_doubt
                raise failure
            in_doubt = in_doubt or not refused
            yield Sleep(wait)
            attempts += 1

    def asked_wait(self, response: Response) -> float | None:
        """Return the seconds that a failed answer asks to wait, or None; a service may read more than headers."""
        return retry.retry_after(response.headers, *self._retry_headers)

    def _request(self, spec: Spec) -> tuple[Request, bool]:
        """Return the request for `spec`, and whether it may be repeated."""
        headers = {**self._headers, **_lower(spec.headers)}
        if spec.expect == "text":
            headers["accept"] = spec.headers.get("accept", "text/plain")
        content: bytes | None = None
        if spec.form is not None:
            from onebrain._core.httpx import multipart

            content, headers["content-type"] = multipart(list(spec.form[0]), spec.form[1])
        elif spec.body is not UNSET:
            content = to_json(spec.body).encode()
            headers["content-type"] = "application/json"
        safe = spec.method in ("GET", "HEAD", "PUT", "DELETE") if spec.safe is None else spec.safe
        if spec.idempotency_header is not None:
            headers.setdefault(spec.idempotency_header.lower(), str(uuid.uuid4()))
            safe = True
        url = self._url(spec)
        return Request(spec.method, url, headers, content, spec.timeout or self.timeout), safe

    def _url(self, spec: Spec) -> str:
        url = self.base_url + spec.path
        query = [
            (name, _query_text(item))
            for name, value in spec.query.items()
            if value is not None and value is not UNSET
            for item in (value if is_sequence(value) else (value,))
        ]
        if not query:
            return url
        try:
            return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        except UnicodeEncodeError:
            raise OneBrainValidationError(
                "a parameter holds a lone surrogate, which no URL can carry"
            ) from None

    def _reply(self, spec: Spec, response: Response, attempts: int) -> Reply:
        body = response.content
        data: Any
        if response.status == 204 or not body:
            data = None
        elif spec.expect == "bytes":
            data = body
        elif spec.expect == "text":
            data = body.decode("utf-8", "replace")
        else:
            try:
                data = from_json(body)
            except ValueError:
                kind = response.headers.get("content-type", "no content type")
                raise OneBrainResponseError(
                    f"{spec.method} {spec.path} was answered with {kind} where JSON was due; is the base URL right?",
                    service=self.name,
                    status_code=response.status,
                    request_id=response.headers.get("x-request-id"),
                ) from None
        return Reply(data, response.status, response.headers, attempts)

    def _failure(
        self, spec: Spec, request: Request, response: Response, asked: float | None
    ) -> OneBrainError:
        try:
            body = from_json(response.content) if response.content else None
        except ValueError:
            body = None
        said = self._explain(response, body)
        facts: dict[str, Any] = {
            "service": self.name,
            "status_code": response.status,
            "code": said.code,
            "request_id": said.request_id or response.headers.get("x-request-id"),
            "retry_after": asked,
            "details": said.details,
            "secrets": self.secrets,
        }
        if said.unknown_route or response.status in (405, 501):
            return UnsupportedByServer(f"{spec.method} {spec.path}", **facts)
        kind = error_class(response.status)
        # A wait of hours is a plan's period, not a rate.
        if said.quota or (kind is OneBrainRateLimitError and (asked or 0) > 3600):
            kind = QuotaExceeded
        error = kind(self._message(said, spec, request, response.status), **facts)
        if isinstance(error, OneBrainConflictError):
            error.existing_id = said.existing_id
        if isinstance(error, OneBrainRateLimitError):
            error.rate_limit = rate_limit(response.headers, self._rate_prefix)
        return error

    def _message(self, said: Explanation, spec: Spec, request: Request, status: int) -> str:
        call = f"{spec.method} {spec.path}"
        if 300 <= status < 400:
            return f"{call} was redirected, which is never followed; is the base URL right?"
        message = said.message or f"{call} failed with status {status}"
        size = f"; the request has {len(request.content or b'')} bytes" if status == 413 else ""
        return message + size

    def _own(self, error: OneBrainError) -> OneBrainError:
        error.service = self.name
        return error


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    return to_json(value).strip('"')
