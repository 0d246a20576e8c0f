"""Calling anything: Python functions and other MCP servers as one kind of thing, with `list` and `call`."""
