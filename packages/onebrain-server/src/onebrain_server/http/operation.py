"""One operation of an API: a function with its models, its requirements, and its documentation.

An operation is declared once; FastAPI reads its models for the OpenAPI document, and `answer` runs it. A request is
validated once, by its model; answers are built by the handlers and checked against their models in the tests rather than
at run time. Handlers are plain functions and run in a pool of threads, because the engine blocks; those that are
coroutines run on the event loop.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args
from urllib.parse import parse_qsl

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, to_json

from onebrain_server.http.problems import Problem, invalid, invalid_input

if TYPE_CHECKING:
    from onebrain_server.http.requests import Call

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Wrap = Callable[["Answer", "Call"], bytes]
_PARAMETER: Final = re.compile(r"{([a-zA-Z_]+)}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# The pattern of a path's segment in documents.
SEGMENT: Final = r"^[^\x00-\x1f\x7f/]*[^\x00-\x20\x7f/][^\x00-\x1f\x7f/]*$"
_IDEMPOTENCY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class _NotNull:
    """Refuses null, which pydantic takes for a field that is None when it is left out."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        assert schema["type"] == "nullable"
        inner: CoreSchema = schema["schema"]
        return inner


# A field that a request may leave out and may not set to null.
Given = Annotated[T | None, _NotNull()]


def holding(name: str, kind: str) -> dict[str, Any]:
    """Return the JSON Schema of an object in which a field is there and not null: a part of rules on several fields."""
    return {"required": [name], "properties": {name: {"type": kind}}}


@dataclass(slots=True)
class Answer:
    """The answer of a handler that returns more than plain data."""

    data: Any = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pagination: dict[str, Any] | None = None
    # The data as JSON if it is written already.
    written: bytes | None = None
    # The whole body, instead of the envelope.
    raw: bytes | None = None
    media_type: str | None = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class File:
    """A file that a client sent."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: its files with the fields they stand in, and its other fields."""

    files: Sequence[tuple[str, File]]
    fields: Mapping[str, str]

    def file(self, name: str = "file") -> File | None:
        """Return the file of a field, or the only one's where it stands in another field; None for no file."""
        return next(
            (file for field, file in self.files if field == name), self.files[0][1] if self.files else None
        )


@dataclass(slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        needs: The scope that a caller must have; ``"anyone"`` for none at all, ``"login"`` for any valid login.
        keys_only: Whether access tokens are refused: the agents' own routes.
        limit: The name of its rate limits; those for all routes always count.
        idempotent: Whether an ``Idempotency-Key`` is honoured.
        form: How many files a multipart form may bring; 0 for operations that take none.
        quick: Whether it is done in a moment, without a network, a model or a pass over everything.
        wrap: Writes a success's body around its data; None if the data is the body.
        bare_json: Whether a request may say that it brings JSON and bring none, as many clients do for all methods.
    """

    method: Method
    path: str
    function: Callable[..., Any]
    needs: str
    status: int
    answers: Any
    errors: tuple[int, ...]
    limit: str | None
    keys_only: bool
    idempotent: bool
    tags: tuple[str, ...]
    media_type: str | None
    description: str = ""
    body: TypeAdapter[Any] | None = None
    body_type: Any = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    lists: frozenset[str] = frozenset()
    form: int = 0
    parameters: tuple[str, ...] = ()
    asynchronous: bool = False
    wrap: Wrap | None = None
    quick: bool = False
    bare_json: bool = False
    answers_also: Mapping[int, tuple[str, Any]] | None = None

    # Its name in usage counts and metrics: the method and the template of its path.
    route: str = ""

    def __post_init__(self) -> None:
        self.route = self.method + " " + _PARAMETER.sub(r":\1", self.path)

    def parse_query(self, text: bytes) -> Any:
        """Return the query's model."""
        assert self.query is not None
        fields: dict[str, Any] = {}
        if text:
            for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
                if name in self.lists:
                    fields.setdefault(name, []).append(value)
                else:
                    fields[name] = value
        try:
            return self.query.model_validate(fields)
        except ValidationError as error:
            raise invalid_input(error, "query parameters") from None

    def parse_body(self, content: bytes, media_type: str) -> Any:
        """Return the body's model; numbers are not made of texts."""
        assert self.body is not None
        if not content:
            if "json" in media_type and not self.bare_json:
                raise Problem(
                    400,
                    "REQUEST_ERROR",
                    "Body cannot be empty when content-type is set to 'application/json'",
                )
            if not self.body_required:
                content = b"{}"
            else:
                raise Problem(400, "REQUEST_ERROR", "A JSON body is needed")
        elif "json" not in media_type:
            raise Problem(415, "REQUEST_ERROR", f"Unsupported Media Type: {media_type[:60] or 'none'}")
        try:
            return self.body.validate_json(content, strict=True)
        except ValidationError as error:
            # Only where the body is refused, so that all others are read once.
            written = _whole_numbers(content, error)
            if written is not None:
                return self.parse_body(written, media_type)
            if any(
                issue["type"] == "json_invalid"
                for issue in error.errors(include_input=False, include_url=False)
            ):
                raise Problem(400, "REQUEST_ERROR", "The body is not valid JSON") from None
            raise invalid_input(error, "request body") from None

    def arguments(self, call: Call, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the handler's arguments besides the call and the body."""
        given: dict[str, Any] = {}
        for name in self.parameters:
            value = parameters[name]
            if not value.strip() or len(value) > 512 or _CONTROL.search(value):
                raise invalid(
                    [name],
                    "must have 1 to 512 characters, none of them a control character",
                    where="path parameters",
                )
            given[name] = value
        if self.query is not None:
            given["query"] = self.parse_query(call.query_string)
        return given

    def run(self, call: Call, given: dict[str, Any], content: bytes) -> Answer:
        """Run the handler of a plain function and return its answer."""
        if self.body is not None:
            given["body"] = self.parse_body(content, call.media_type)
        elif (
            not content
            and not self.bare_json
            and "json" in call.media_type
            and self.method in ("POST", "PUT", "PATCH", "DELETE")
        ):
            raise Problem(
                400,
                "REQUEST_ERROR",
                "Body cannot be empty when content-type is set to 'application/json'",
            )
        kept = call.header("idempotency-key") if self.idempotent else None
        if kept is not None:
            return self._once(call, given, content, kept)
        return self._answer(self.function(call, **given), call)

    async def run_async(self, call: Call, given: dict[str, Any], content: bytes) -> Answer:
        """Run the handler of a coroutine function and return its answer."""
        if self.body is not None:
            given["body"] = self.parse_body(content, call.media_type)
        return self._answer(await self.function(call, **given), call)

    def _once(self, call: Call, given: dict[str, Any], content: bytes, key: str) -> Answer:
        """Run the handler unless an answer for this key is kept; return the same answer for the same request."""
        if not _IDEMPOTENCY.fullmatch(key):
            raise Problem(
                400, "VALIDATION_ERROR", "Idempotency-Key must have 1 to 255 printable ASCII characters"
            )
        server, tenant = call.server, call.tenant_id
        name = f"{self.route}\0{key}"
        fingerprint = hashlib.sha256(call.path.encode() + b"\0" + content).hexdigest()
        with server.once(tenant, name):
            kept = server.journal.kept_answer(tenant, name)
            if kept is not None:
                if kept[0] != fingerprint:
                    raise Problem(
                        409,
                        "IDEMPOTENCY_CONFLICT",
                        "This Idempotency-Key was used for another request; use a new one",
                    )
                return Answer(raw=kept[2], status=kept[1], headers={"idempotency-replayed": "true"})
            call.idempotency = server.sealer.digest(tenant, name)
            answer = self._answer(self.function(call, **given), call)
            server.journal.keep_answer(
                tenant, name, fingerprint, answer.status or self.status, answer.raw or b""
            )
        return answer

    def _answer(self, result: Any, call: Call) -> Answer:
        answer = result if isinstance(result, Answer) else Answer(result)
        status = answer.status or self.status
        answer.status = status
        if answer.raw is None and status not in (204, 304):
            answer.raw = to_json(answer.data) if self.wrap is None else self.wrap(answer, call)
        return answer


class Routes:
    """A collection of operations with one prefix.

    Args:
        prefix: Where their paths begin.
        tag: How the OpenAPI document groups them.
        wrap: Writes a success's body around its data, in the dialect's envelope; None for none.
        bare_json: Whether a request may say that it brings JSON and bring none.
    """

    def __init__(self, prefix: str, tag: str, *, wrap: Wrap | None = None, bare_json: bool = False) -> None:
        self.prefix = prefix
        self.tag = tag
        self._wrap = wrap
        self._bare_json = bare_json
        self.operations: list[Operation] = []

    def add(
        self,
        method: Method,
        path: str,
        *,
        needs: str,
        answers: Any = None,
        status: int = 200,
        errors: Sequence[int] = (),
        limit: str | None = None,
        keys_only: bool = False,
        idempotent: bool = False,
        media_type: str | None = None,
        envelope: bool = True,
        body_required: bool = True,
        form: int = 0,
        quick: bool = False,
        answers_also: Mapping[int, tuple[str, Any]] | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare an operation; its handler takes the call, the path's parameters, ``query``, and ``body`` or ``form``."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            signature = inspect.signature(function, eval_str=True)
            known = _PARAMETER.findall(self.prefix + path)
            operation = Operation(
                method=method,
                path=self.prefix + path,
                function=function,
                needs=needs,
                status=status,
                answers=answers,
                errors=tuple(errors),
                limit=limit,
                keys_only=keys_only,
                idempotent=idempotent,
                tags=(self.tag,),
                media_type=media_type,
                description=inspect.getdoc(function) or "",
                parameters=tuple(known),
                asynchronous=inspect.iscoroutinefunction(function),
                wrap=self._wrap if envelope else None,
                bare_json=self._bare_json,
                body_required=body_required,
                form=form,
                quick=quick,
                answers_also=answers_also,
            )
            for name, parameter in signature.parameters.items():
                if name == "body":
                    operation.body_type = parameter.annotation
                    operation.body = TypeAdapter(parameter.annotation)
                elif name == "query":
                    operation.query = parameter.annotation
                    operation.lists = frozenset(
                        info.alias or field_name
                        for field_name, info in parameter.annotation.model_fields.items()
                        if _is_list(info.annotation)
                    )
            self.operations.append(operation)
            return function

        return register

    def get(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a GET."""
        return self.add("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a POST; it honours idempotency keys unless told otherwise, as operations that answer with secrets must."""
        given: dict[str, Any] = {"idempotent": True, **options}
        return self.add("POST", path, **given)

    def patch(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a PATCH."""
        given: dict[str, Any] = {"limit": "write", **options}
        return self.add("PATCH", path, **given)

    def put(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a PUT."""
        given: dict[str, Any] = {"limit": "write", **options}
        return self.add("PUT", path, **given)

    def delete(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a DELETE, which answers 204."""
        given: dict[str, Any] = {"limit": "write", "status": 204, **options}
        return self.add("DELETE", path, **given)


def _whole_numbers(content: bytes, error: ValidationError) -> bytes | None:
    """Return a body with ``2.0`` written as ``2`` where a whole number belongs; None if no such number is found.

    JSON has one kind of number and JSON Schema calls 2.0 an integer; some languages write all their numbers so.
    """
    paths = [
        issue["loc"]
        for issue in error.errors(include_url=False, include_context=False)
        if issue["type"] == "int_type" and isinstance(issue["input"], float) and issue["input"].is_integer()
    ]
    if not paths:
        return None
    document = json.loads(content)
    for *path, last in paths:
        holder = document
        try:
            for step in path:
                holder = holder[step]
            holder[last] = int(holder[last])
        # The path names parts of the model, which the document may lack.
        except (KeyError, IndexError, TypeError):
            return None
    return json.dumps(document).encode()


def _is_list(annotation: Any) -> bool:
    return "list" in str(annotation).lower() or any(
        "list" in str(part).lower() for part in get_args(annotation)
    )


__all__ = ["SEGMENT", "Answer", "File", "Form", "Given", "Operation", "Routes", "holding"]
