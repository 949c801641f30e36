"""The middleware of every request: request id, origin, caller, limits, body size, and the answer to a failure."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from onebrain.errors import OneBrainError
from onebrain_server.http.dialect import Dialect, Table, x_ratelimit
from onebrain_server.http.operation import Answer, File, Form, Operation
from onebrain_server.http.problems import UNCONFIGURED, Problem, from_engine
from onebrain_server.http.requests import Call
from onebrain_server.ids import random_id
from onebrain_server.security.limits import State
from onebrain_server.security.scopes import ACCOUNT
from onebrain_server.server import Server
from onebrain_server.state.accounts import Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,128}")
_SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-onebrain-server", b"python"),
)
_EXPOSED: Final = (
    b"x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, "
    b"ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, etag"
)
# Larger bodies are awaited in pieces.
_INLINE: Final = 16 * 1024


class DialectMiddleware:
    """An ASGI middleware that answers every request of the dialects and passes on the rest.

    Args:
        app: The application for all other requests.
        server: The parts that operations work with.
        dialects: The wire formats.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        server: Server,
        dialects: Iterable[Dialect],
    ) -> None:
        self._app = app
        self._server = server
        self._dialects = [(dialect, Table(dialect.operations)) for dialect in dialects]
        self._origins = frozenset(server.settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self, scope, receive, send).answer()

    def find(self, path: str) -> tuple[Dialect, dict[str, Operation], dict[str, str]] | None:
        """Return the dialect, operations and parameters of a path."""
        for dialect, table in self._dialects:
            found = table.find(dialect.rewrite(path))
            if found is not None:
                return dialect, *found
        return None

    def speaker(self, path: str) -> Dialect:
        """Return the dialect that speaks where no operation matches a path."""
        for dialect, _ in self._dialects:
            if dialect.prefix and (path + "/").startswith(dialect.prefix + "/"):
                return dialect
        return self._dialects[0][0]

    @property
    def server(self) -> Server:
        """The parts that operations work with."""
        return self._server

    def cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """Return the headers that let a page of an allowed origin read the answer."""
        if origin is None or origin.decode("latin-1").rstrip("/") not in self._origins:
            return [(b"vary", b"Origin")] if self._origins else []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]


class _Exchange:
    """One request and its answer."""

    def __init__(self, middleware: DialectMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self._middleware = middleware
        self._server = middleware.server
        self._scope = scope
        self._receive = receive
        self._send = send
        client = scope.get("client")
        self._ip: str = client[0] if client else "unknown"
        self._origin: bytes | None = None
        given = b""
        self._length: int | None = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"origin":
                self._origin = value
            elif name == b"content-length":
                self._length = int(value) if value.isdigit() else None
        text = given.decode("latin-1")
        # It goes into the log and an answer's headers, where other characters could begin a line.
        self._request_id = text if text and _REQUEST_ID.fullmatch(text) else random_id()
        self._started = time.perf_counter()
        self._state: State | None = None
        self._route = "unknown"
        self._call: Call | None = None
        self._headers_of: Callable[[State], Mapping[str, str]] = x_ratelimit

    async def answer(self) -> None:
        """Find the operation, run it, and send its answer."""
        scope, server = self._scope, self._server
        server.metrics.started()
        method: str = scope["method"]
        path = _path(scope)
        dialect = self._middleware.speaker(path)
        operation: Operation | None = None
        status = 500
        try:
            if method == "OPTIONS":
                status = await self._preflight()
                return
            found = self._middleware.find(path)
            if found is None:
                status = await self._fail(self._unknown(dialect, method, path, 404), 404)
                return
            dialect, methods, parameters = found
            # HEAD is GET without its body, which the server below leaves out.
            operation = methods.get("GET" if method == "HEAD" else method)
            if operation is None:
                allow = ", ".join(sorted(methods)).encode()
                status = await self._fail(self._unknown(dialect, method, path, 405), 405, [(b"allow", allow)])
                return
            self._route = operation.route
            status = await self._operate(dialect, operation, parameters)
        except (Problem, OneBrainError) as error:
            status = await self._refuse(dialect, error)
        except (asyncio.CancelledError, _Gone):
            # As nginx notes it: nobody is there to be answered.
            status = 499
        except Exception as error:
            # The text of an unknown error may hold anything, a memory included: only its kind and stack are logged.
            server.log.failure(self._request_id, self._route, error)
            unexpected = Problem(500, "INTERNAL_ERROR", "Internal server error")
            status = await self._fail(dialect.failure(unexpected, self._request_id), 500)
        finally:
            # Also for requests that fail: those who watch a server count them, and a tenant's usage does.
            self._finish(operation, status)

    async def _refuse(self, dialect: Dialect, error: Problem | OneBrainError) -> int:
        server = self._server
        if isinstance(error, OneBrainError):
            server.health.note(error)
        problem = error if isinstance(error, Problem) else from_engine(error)
        # A part that nobody has configured is no failure of the server.
        if problem.status >= 500 and problem.code != UNCONFIGURED:
            server.log.failure(self._request_id, self._route, error)
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        # The rest of the body is left unread, so the connection cannot carry another request.
        if problem.status in (408, 413):
            headers.append((b"connection", b"close"))
        return await self._fail(dialect.failure(problem, self._request_id), problem.status, headers)

    def _unknown(self, dialect: Dialect, method: str, path: str, status: int) -> Answer:
        if dialect.unknown is not None:
            return dialect.unknown(method, path, status)
        code, what = ("METHOD_NOT_ALLOWED", "not allowed") if status == 405 else ("NOT_FOUND", "not found")
        problem = Problem(status, code, f"Route {method} {unquote(path)[:200]} {what}")
        return dialect.failure(problem, self._request_id)

    async def _operate(self, dialect: Dialect, operation: Operation, parameters: dict[str, str]) -> int:
        server = self._server
        self._headers_of = dialect.limits
        call = self._call = Call(server, self._scope, self._request_id, self._ip, dialect.partition)  # type: ignore[arg-type]
        try:
            await self._identify(dialect, operation, call)
        except Problem:
            # Guessing keys costs the guesser's address its budget.
            self._limit(f"ip:{self._ip}", operation, None)
            raise
        if call.caller is None:
            self._limit(f"ip:{self._ip}", operation, None)
        else:
            self._admit(dialect, operation, call, call.caller)
        parameters = {name: _decoded(value) for name, value in parameters.items()}
        given = operation.arguments(call, parameters)
        if operation.form:
            given["form"] = await self._form(call, operation.form)
            content = b""
        else:
            content = call.content = await self._body(server.settings.max_body_bytes)
        if operation.asynchronous:
            answer = await operation.run_async(call, given, content)
        else:
            answer = await server.loop_run(operation.run, call, given, content, quick=operation.quick)
        return await self._deliver(operation, answer)

    async def _identify(self, dialect: Dialect, operation: Operation, call: Call) -> None:
        if operation.needs == "anyone":
            return
        found = dialect.credential(call, operation)
        if callable(found):
            found = await self._server.loop_run(found)
        if found is None:
            raise Problem(401, "TOKEN_REQUIRED", "No API token provided")
        call.caller = found

    def _admit(self, dialect: Dialect, operation: Operation, call: Call, caller: Caller) -> None:
        """Note a caller's scopes and use; raise if the caller may not, or not yet, do this."""
        call.scopes = dialect.scopes(caller)
        own = None if caller.key is None else caller.key.rate_limit_per_min
        # Before the rights are checked, so that requests without them cost their budget, too.
        self._limit(caller.subject, operation, own)
        if caller.service not in (None, dialect.name):
            raise Problem(403, "INSUFFICIENT_SCOPE", "This API key was made for another service's routes")
        if operation.needs not in ("login", "anyone") and operation.needs not in call.scopes:
            raise _insufficient(operation.needs)
        self._server.accounts.note_use(caller)

    def _limit(self, subject: str, operation: Operation, own: int | None) -> None:
        self._state = self._server.limiter.take(subject, operation.route, operation.limit, self._ip, own)
        if self._state is not None and self._state.exceeded:
            wait = self._state.reset
            raise Problem(
                429,
                "REQUEST_ERROR",
                f"Rate limit exceeded, retry in {wait} seconds",
                headers={"retry-after": str(wait)},
            )

    # ---- bodies -----------------------------------------------------------------------------------------------------

    async def _body(self, most: int) -> bytes:
        """Return the request's body; refuse one that is too large, or too slow."""
        if self._length is not None and self._length > most:
            raise _too_large(most)
        first = await self._message(None)
        if not first.get("more_body"):
            content: bytes = first.get("body", b"")
            if len(content) > most:
                raise _too_large(most)
            return content
        pieces = [first.get("body", b"")]
        size = len(pieces[0])
        deadline = time.monotonic() + self._server.settings.body_seconds
        while True:
            message = await self._message(deadline)
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                raise _too_large(most)
            if not message.get("more_body"):
                return b"".join(pieces)

    async def _message(self, deadline: float | None) -> MutableMapping[str, Any]:
        seconds = self._server.settings.body_seconds
        if deadline is not None:
            seconds = deadline - time.monotonic()
        if self._length is None and deadline is None and not self._chunked():
            # No body: it is there at once.
            message = await self._receive()
        else:
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    message = await self._receive()
            except TimeoutError:
                raise Problem(408, "REQUEST_ERROR", "The request's body did not arrive in time") from None
        if message["type"] == "http.disconnect":
            raise _Gone
        return message

    def _chunked(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self._scope["headers"])

    async def _form(self, call: Call, most: int) -> Form:
        """Return a multipart form with at most `most` files."""
        if not call.media_type.startswith("multipart/form-data"):
            raise Problem(
                415, "REQUEST_ERROR", "The file must be sent as multipart/form-data, in the field 'file'"
            )
        content = await self._body(self._server.settings.max_body_bytes)

        async def stream() -> AsyncGenerator[bytes, None]:
            yield content

        try:
            form = await MultiPartParser(
                Headers(raw=list(self._scope["headers"])), stream(), max_files=most, max_fields=50
            ).parse()
        except (MultiPartException, ValueError, KeyError):
            raise Problem(400, "UPLOAD_ERROR", "The form cannot be read") from None
        try:
            files: list[tuple[str, File]] = []
            fields: dict[str, str] = {}
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    sent = File(value.filename or "file", value.content_type or "", await value.read())
                    files.append((name, sent))
                else:
                    fields[name] = value
            return Form(files, fields)
        finally:
            await form.close()

    # ---- answers ----------------------------------------------------------------------------------------------------

    async def _deliver(self, operation: Operation, answer: Answer) -> int:
        headers = [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()
        ]
        status = answer.status or operation.status
        if status in (204, 304):
            return await self._reply(status, b"", None, headers)
        return await self._reply(status, answer.raw or b"", answer.media_type, headers)

    async def _fail(self, answer: Answer, status: int, extra: Iterable[tuple[bytes, bytes]] = ()) -> int:
        headers = [*extra, *((name.encode(), value.encode()) for name, value in answer.headers.items())]
        status = answer.status or status
        return await self._reply(status, answer.raw or b"", answer.media_type, headers)

    async def _reply(
        self,
        status: int,
        body: bytes,
        media_type: str | None,
        extra: Iterable[tuple[bytes, bytes]] = (),
    ) -> int:
        headers: list[tuple[bytes, bytes]] = [
            (b"x-request-id", self._request_id.encode()),
            *_SECURITY_HEADERS,
            *extra,
        ]
        if media_type is not None:
            headers.append((b"content-type", media_type.encode()))
        if status not in (204, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        if not any(name == b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", b"no-store"))
        state = self._state
        if state is not None:
            headers.extend((name.encode(), value.encode()) for name, value in self._headers_of(state).items())
        headers.extend(self._middleware.cors(self._origin))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send(
            {"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body}
        )
        return status

    async def _preflight(self) -> int:
        allowed = self._middleware.cors(self._origin)
        if len(allowed) > 1:
            allowed += [
                (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
                (
                    b"access-control-allow-headers",
                    b"authorization, content-type, idempotency-key, if-none-match, x-request-id, x-requested-with",
                ),
                (b"access-control-max-age", b"600"),
            ]
        headers = [(b"x-request-id", self._request_id.encode()), *_SECURITY_HEADERS, *allowed]
        await self._send({"type": "http.response.start", "status": 204, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})
        return 204

    def _finish(self, operation: Operation | None, status: int) -> None:
        server, call = self._server, self._call
        seconds = time.perf_counter() - self._started
        server.metrics.finished(self._route, status, seconds)
        caller = None if call is None else call.caller
        if caller is not None and operation is not None and call is not None:
            server.journal.count(caller.tenant, operation.route, failed=status >= 400, tokens=call.tokens)
        server.log.access(
            self._request_id,
            self._scope["method"],
            self._route,
            status,
            seconds,
            None if caller is None else caller.subject,
        )


class _Gone(Exception):
    """The client has left."""


def _insufficient(scope: str) -> Problem:
    message = f"API key missing required scope: {scope}"
    if scope == ACCOUNT:
        message = "This is for the account's own login, or a trusted key that has every scope"
    return Problem(403, "INSUFFICIENT_SCOPE", message)


def _too_large(most: int) -> Problem:
    return Problem(413, "PAYLOAD_TOO_LARGE", f"The request is larger than {most // 1024} KB")


def _path(scope: Scope) -> str:
    """Return the path with an escaped slash kept apart from the slashes between segments: ``a%2Fb`` is one segment."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None or b"%" not in raw:
        path: str = scope["path"]
        return path
    segments = raw.partition(b"?")[0].decode("latin-1").split("/")
    return "/".join(_decoded(one).replace("%", "%25").replace("/", "%2F") for one in segments)


def _decoded(value: str) -> str:
    """Return a path's parameter; bytes that are no UTF-8 become U+FFFD."""
    return unquote_to_bytes(value).decode("utf-8", "replace") if "%" in value else value
