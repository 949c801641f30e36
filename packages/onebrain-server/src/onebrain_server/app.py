"""The application: FastAPI behind the middleware that answers for the dialects."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from onebrain_server.dialects import DIALECTS
from onebrain_server.http.document import document_of
from onebrain_server.http.middleware import DialectMiddleware
from onebrain_server.jobs.housekeeping import begin
from onebrain_server.server import Server
from onebrain_server.settings import Settings

VERSION = "2.0.0"


class _Application(FastAPI):
    """FastAPI without its own layers if the dialects' middleware is the only one: they cost time and do nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(self.user_middleware) == 1:
            await self.state.middleware(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
    for dialect in DIALECTS:
        title = "OneBrain" if dialect.partition is None else f"OneBrain as {dialect.name}"
        parts.documents[dialect.name] = document_of(dialect, title=title, version=VERSION)
        if dialect.channel is not None:
            parts.deliveries.open(dialect.name, dialect.channel)
        if dialect.begin is not None:
            dialect.begin(parts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        begin(parts)
        try:
            yield
        finally:
            await parts.close_async()

    app = _Application(
        title="OneBrain", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.openapi = parts.documents[DIALECTS[0].name]  # type: ignore[method-assign]
    app.state.server = parts
    app.add_middleware(DialectMiddleware, server=parts, dialects=DIALECTS)
    app.state.middleware = DialectMiddleware(app.router, server=parts, dialects=DIALECTS)
    return app
