"""OneBrain's tools for agents over MCP (Model Context Protocol): a server on standard input and output.

``onebrain mcp`` starts it; it needs the extra ``mcp``. It works with any server that speaks OneBrain's API.
"""

from onebrain.mcp.server import serve

__all__ = ["serve"]
