"""The command that serves memory tools."""

from __future__ import annotations

from onebrain.cli.options import command


@command("mcp", "ONEBRAIN_API_URL=http://localhost:3000 ONEBRAIN_API_KEY=ob_... onebrain mcp")
def mcp() -> None:
    """Serve memory tools to an agent over MCP.

    The server reads standard input and writes standard output.     $ONEBRAIN_API_URL is the address of OneBrain's API, and $ONEBRAIN_API_KEY is the key.
    """
    from onebrain.mcp import serve

    serve()
