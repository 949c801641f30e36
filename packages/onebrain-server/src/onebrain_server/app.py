"""The application: FastAPI with the gate in front, and the dialects behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from onebrain_server.dialects import onebrain
from onebrain_server.http.document import SECURITY_SCHEMES, describe
from onebrain_server.http.gate import Gate
from onebrain_server.jobs import begin
from onebrain_server.server import Server
from onebrain_server.settings import Settings

DIALECTS = (onebrain.dialect,)


def create_app(settings: Settings | None = None, *, server: Server | None = None) -> FastAPI:
    """Return the application, an ASGI callable for any server.

    It opens the database at once, and closes it when the server that runs it shuts down.

    Args:
        settings: How it is configured; the environment's by default.
        server: Its parts, where they are made already.

    Example:
        >>> app = create_app(Settings(database_url="sqlite://"))
        >>> app.state.server.close()
    """
    parts = server or Server(settings or Settings.from_environment())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        begin(parts)
        try:
            yield
        finally:
            await parts.close_async()

    app = FastAPI(
        title="OneBrain",
        version="2.0.0",
        description="Memory for agents: OneBrain's API, served by onebrain-server.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    for dialect in DIALECTS:
        for operation in dialect.operations:
            describe(app, operation)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = _without_defaults(FastAPI.openapi(app))
            made.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    parts.document = document
    app.state.server = parts
    app.add_middleware(Gate, server=parts, dialects=DIALECTS)
    return app


def _without_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the 422 answers that FastAPI adds: this server answers bad input with 400."""
    for methods in document["paths"].values():
        for operation in methods.values():
            answer = operation["responses"].get("422")
            if answer is not None and "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    schemas = document.get("components", {}).get("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return document
