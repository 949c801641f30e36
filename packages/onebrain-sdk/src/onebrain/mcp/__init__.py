"""An MCP (Model Context Protocol) server with memory tools, on standard input and output.

``onebrain mcp`` starts it. It needs the extra ``mcp``, and a server that speaks OneBrain's API.
"""

from onebrain.mcp.server import serve

__all__ = ["serve"]
