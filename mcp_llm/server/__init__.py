"""Being asked: the MCP server and its tools; the only part that knows the protocol."""
