"""From operations to FastAPI's routes, which write the OpenAPI document from their models."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import Body, FastAPI, Path, Query
from fastapi import File as FormFile
from fastapi.responses import Response

from onebrain_server.dialects.onebrain.wire import Envelope, FailureEnvelope, Page, PageEnvelope
from onebrain_server.http.operation import Operation

_REASONS: Final = {
    400: "The request is wrong; `details` says where",
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
    503: "The database cannot be reached; try again",
}


def describe(app: FastAPI, operation: Operation) -> None:
    """Add an operation to an application's document."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in sorted(_statuses(operation)):
        responses[status] = {"model": FailureEnvelope, "description": _REASONS[status]}
    response_model = _model(operation)
    success: dict[str, Any] = {"description": "Success"}
    if operation.media_type is not None:
        success["content"] = {operation.media_type: {"schema": {"type": "string"}}}
        if response_model is not None and operation.answers is not str:
            success["content"]["application/json"] = {}
    responses[operation.status] = success
    if operation.answers_also is not None:
        for status, (description, model) in operation.answers_also.items():
            responses[status] = {"description": description}
            if model is not None:
                responses[status]["model"] = Envelope[model]  # type: ignore[valid-type]
    words = operation.description.split("\n\n")[0]
    name = operation.function.__name__
    app.add_api_route(
        operation.path,
        _stand_in(operation),
        methods=[operation.method],
        status_code=operation.status,
        response_model=None if operation.status == 204 or operation.answers is str else response_model,
        response_class=Response if operation.status == 204 or operation.answers is str else _json_response(),
        responses=responses,
        tags=list(operation.tags),
        summary=words.partition(";")[0].partition(". ")[0].rstrip("."),
        description=operation.description,
        operation_id=f"{operation.tags[0]}_{name}" + ("_json" if operation.path.endswith(".json") else ""),
        openapi_extra={} if operation.needs == "anyone" else {"security": _security(operation)},
    )


SECURITY_SCHEMES: Final = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ApiKey ob_<prefix>_<secret>`",
    },
    "AccessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    return [{"ApiKey": []}] if operation.keys_only else [{"ApiKey": []}, {"AccessToken": []}]


def _json_response() -> type[Response]:
    from fastapi.responses import JSONResponse

    return JSONResponse


def _statuses(operation: Operation) -> set[int]:
    found = {*operation.errors, 400, 408, 413, 429, 503}
    if operation.needs != "anyone":
        found |= {401, 403}
    if operation.body is not None or operation.upload:
        found.add(415)
    if operation.idempotent:
        found.add(409)
    return found


def _model(operation: Operation) -> Any:
    if operation.answers is None or operation.answers is str:
        return None
    if not operation.envelope:
        return operation.answers
    if get_origin(operation.answers) is Page:
        [row] = get_args(operation.answers)
        return PageEnvelope[list[row]]  # type: ignore[valid-type]
    return Envelope[operation.answers]  # type: ignore[name-defined]


def _stand_in(operation: Operation) -> Any:
    """Return a function with the operation's parameters as FastAPI reads them; it is never called."""

    def answered_by_the_gate(**given: Any) -> None:
        raise AssertionError("the gate answers this route")

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[
                str,
                Path(
                    min_length=1,
                    max_length=512,
                    pattern=r"^[^\x00-\x1f\x7f/]*[^\x00-\x20\x7f/][^\x00-\x1f\x7f/]*$",
                ),
            ],
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
    if operation.upload:
        parameters.append(
            inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[bytes, FormFile()])
        )
    answered_by_the_gate.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    answered_by_the_gate.__name__ = operation.function.__name__
    return answered_by_the_gate
