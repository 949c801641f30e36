"""From operations to FastAPI's routes, which write the OpenAPI document from their models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Path, Query
from fastapi import File as FormFile
from fastapi.responses import JSONResponse, Response

from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.operation import SEGMENT, Operation, Routes
from onebrain_server.http.requests import Call

# For path parameters of which the handler says no more.
_TEXT: Final = Annotated[str, Path(min_length=1, max_length=512, pattern=SEGMENT)]
_REASONS: Final = {
    400: "The request is wrong; `details` says where",
    402: "The plan's allowance is used up",
    401: "No login, or none that is good",
    403: "The login may not do this",
    404: "There is nothing with this id",
    405: "The route has other methods",
    408: "The body did not arrive in time",
    409: "It exists already",
    413: "The body is too large",
    415: "The body has another media type",
    422: "It was understood, and could not be done",
    429: "Too many requests, or the plan's allowance is used up",
    500: "The database cannot be reached; try again",
    501: "This server does not offer it",
    502: "A service that this one needs did not answer as it should",
    503: "The database cannot be reached; try again",
}


def document_routes(routes: Routes, dialect: str, *, suffixes: Sequence[str] = (".json",)) -> Routes:
    """Return routes with the operation that answers with a dialect's document, at ``/openapi`` and each suffix."""

    def openapi(call: Call) -> dict[str, Any]:
        """Return the OpenAPI document of every route."""
        return call.server.documents[dialect]()

    for suffix in suffixes:
        routes.get("/openapi" + suffix, needs="anyone", answers=dict[str, Any], envelope=False)(openapi)
    return routes


def document_of(dialect: Dialect, *, title: str, version: str) -> Callable[[], dict[str, Any]]:
    """Return a function that returns a dialect's OpenAPI document, made at its first call."""

    @cache
    def document() -> dict[str, Any]:
        app = FastAPI(
            title=title, version=version, description=f"Memory for agents, in {dialect.name}'s format."
        )
        for operation in dialect.operations:
            describe(app, operation, dialect.shapes)
        made = _without_defaults(app.openapi())
        made.setdefault("components", {})["securitySchemes"] = dict(dialect.shapes.schemes)
        return made

    return document


def describe(app: FastAPI, operation: Operation, shapes: Shapes) -> None:
    """Add an operation to an application's document."""
    model = shapes.success(operation)
    bare = operation.status == 204 or operation.answers is str
    responses = _failures(operation, shapes)
    success: dict[str, Any] = {"description": "Success"}
    if operation.media_type is not None:
        success["content"] = {operation.media_type: {"schema": {"type": "string"}}}
        if model is not None and operation.answers is not str:
            success["content"]["application/json"] = {}
    responses[operation.status] = success
    for status, (description, other) in (operation.answers_also or {}).items():
        responses[status] = {"description": description}
        if other is not None:
            responses[status]["model"] = shapes.wrapped(other)
    words = operation.description.split("\n\n")[0]
    name = operation.function.__name__
    app.add_api_route(
        operation.path,
        _stand_in(operation),
        methods=[operation.method],
        status_code=operation.status,
        response_model=None if bare else model,
        response_class=Response if bare else JSONResponse,
        responses=responses,
        tags=list(operation.tags),
        summary=words.partition(";")[0].partition(". ")[0].rstrip("."),
        description=operation.description,
        operation_id=f"{operation.tags[0]}_{name}" + ("_json" if operation.path.endswith(".json") else ""),
        openapi_extra={} if operation.needs == "anyone" else {"security": shapes.security(operation)},
    )


def _failures(operation: Operation, shapes: Shapes) -> dict[int | str, dict[str, Any]]:
    """Return the answers to requests that fail."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in sorted(_statuses(operation, shapes)):
        responses[status] = {"description": _REASONS[status]}
        if shapes.failure is not None:
            responses[status]["model"] = shapes.failure
        if status in shapes.texts:
            responses[status]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return responses


def _statuses(operation: Operation, shapes: Shapes) -> set[int]:
    found = {*operation.errors, 400, shapes.invalid, 408, 413, 429, 503}
    if operation.needs != "anyone":
        found |= {401, 403}
    if operation.body is not None or operation.form:
        found.add(415)
    if operation.idempotent:
        found.add(409)
    return found


def _stand_in(operation: Operation) -> Any:
    """Return a function with the operation's parameters as FastAPI reads them; it is never called."""

    def answered_by_the_middleware(**given: Any) -> None:
        raise AssertionError("the middleware answers this route")

    told = inspect.signature(operation.function, eval_str=True).parameters
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_TEXT if told[name].annotation is str else told[name].annotation,
        )
        for name in operation.parameters
    ]
    if operation.query is not None:
        parameters.append(
            inspect.Parameter(
                "query", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[operation.query, Query()]
            )
        )
    if operation.body_type is not None:
        parameters.append(
            inspect.Parameter(
                "body",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[operation.body_type, Body()],
                **({} if operation.body_required else {"default": None}),
            )
        )
    if operation.form:
        parameters.append(
            inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[bytes, FormFile()])
        )
    answered_by_the_middleware.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    answered_by_the_middleware.__name__ = operation.function.__name__
    return answered_by_the_middleware


def _without_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the 422 answers that FastAPI adds: each dialect says itself how bad input is answered."""
    for methods in document["paths"].values():
        for operation in methods.values():
            answer = operation["responses"].get("422")
            if answer is not None and "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    schemas = document.get("components", {}).get("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return document
