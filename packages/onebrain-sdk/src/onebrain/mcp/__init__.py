"""An MCP (Model Context Protocol) server with memory tools, over any brain.

`server` returns one for code, and `serve` and the command ``onebrain mcp`` run one on standard input and output or over
HTTP. It needs the extra ``mcp``.
"""

from onebrain.mcp.http import Listening, http_app
from onebrain.mcp.protocol import server
from onebrain.mcp.running import serve

__all__ = ["Listening", "http_app", "serve", "server"]
