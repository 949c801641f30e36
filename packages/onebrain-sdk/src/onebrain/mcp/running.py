"""Running an MCP server until its client leaves, on standard input and output or over HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from onebrain.errors import ConfigurationError
from onebrain.frameworks.connection import ScopeLike, as_scope
from onebrain.mcp.account import account_server
from onebrain.mcp.http import PATH, Listening, http_app
from onebrain.mcp.protocol import server
from onebrain.memory.models import Scope
from onebrain.memory.remembering.model import ModelLike
from onebrain.services.onebrain import AsyncOneBrain
from onebrain.urls import connect_async, resolve

if TYPE_CHECKING:
    from mcp.server import MCPServer, Server

Runnable: TypeAlias = "Server[Any] | MCPServer[Any]"
ToolsOf: TypeAlias = Literal["memory", "account"]


def serve(
    url: str | None = None,
    *,
    api_key: str | None = None,
    scope: ScopeLike | None = None,
    read_only: bool = False,
    review: bool = False,
    model: ModelLike | None = None,
    tools: ToolsOf = "memory",
    listening: Listening | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Open a brain and serve its memory to MCP clients until they leave.

    Args:
        url: The brain, as for `onebrain.connect`; the default is ``onebrain+$ONEBRAIN_API_URL`` if that is set.
        api_key: The key of the brain.
        scope: Whose memory, as for `server`.
        read_only: As for `server`.
        review: As for `server`.
        model: As for `server`.
        tools: ``memory``, or ``account`` for the tools of a whole account of OneBrain.
        listening: Where to serve over HTTP; the default is standard input and output.
        announce: Called with the address once the server listens.

    Raises:
        MissingDependency: The extra ``mcp`` is not installed.
        ConfigurationError: The URL or an option is wrong.
        OneBrainAuthenticationError: No key is set for the service.
    """
    if listening is not None:
        listening.check()
    made: AbstractAsyncContextManager[Runnable]
    if tools == "account":
        if as_scope(scope) != Scope() or read_only or model is not None:
            raise ConfigurationError("the tools of an account take no scope, no read_only and no model")
        made = _account(url, api_key, review)
    else:
        made = _memory(url, api_key, scope, read_only=read_only, review=review, model=model)
    asyncio.run(_serve(made, listening, announce))


@asynccontextmanager
async def _memory(
    url: str | None, api_key: str | None, scope: ScopeLike | None, **options: Any
) -> AsyncGenerator[Server[Any], None]:
    given = url or _api_url("onebrain+")
    address, key = await asyncio.to_thread(resolve, given, api_key)
    more: dict[str, Any] = {}
    if options["read_only"] and address.startswith("sqlite:"):
        # A mistyped name is an error for a reader.
        more["create"] = False
    async with connect_async(address, api_key=key, **more) as brain:
        # A missing file or a wrong version is an error now, rather than at the first call.
        yield server(brain, scope=scope, **options)


@asynccontextmanager
async def _account(
    url: str | None, api_key: str | None, review: bool
) -> AsyncGenerator[MCPServer[Any], None]:
    if url is not None and not url.startswith("onebrain+"):
        raise ConfigurationError("the tools of an account need OneBrain's API: --url onebrain+https://...")
    address = url.removeprefix("onebrain+") if url else _api_url("")
    async with AsyncOneBrain(api_key, base_url=address) as client:
        yield account_server(client, review=review)


def _api_url(prefix: str) -> str | None:
    """Return the address of OneBrain's API in the environment, which earlier versions read."""
    address = os.environ.get("ONEBRAIN_API_URL")
    return f"{prefix}{address}" if address and not os.environ.get("ONEBRAIN_URL") else None


async def _serve(made: Any, listening: Listening | None, announce: Callable[[str], None] | None) -> None:
    async with made as one:
        if listening is None:
            await run_stdio(one)
        else:
            await run_http(one, listening, announce)


async def run_stdio(server: Runnable) -> None:
    """Serve on standard input and output until the input ends."""
    from mcp.server import MCPServer
    from mcp.server.stdio import stdio_server

    if isinstance(server, MCPServer):
        await server.run_stdio_async()
        return
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def run_http(server: Runnable, where: Listening, announce: Callable[[str], None] | None = None) -> None:
    """Serve over HTTP until the process is asked to end."""
    import uvicorn

    app = http_app(server, where)
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((where.host, where.port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {where.host}:{where.port}: {error.strerror}"
            ) from None
        name = f"[{where.host}]" if ":" in where.host else where.host
        if announce is not None:
            announce(f"http://{name}:{own.getsockname()[1]}{PATH}")
        # Open streams would hold the end up for as long as their clients stay.
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=3
        )
        await uvicorn.Server(config).serve(sockets=[own])
