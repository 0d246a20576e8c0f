"""One MCP server that gives any MCP host every LLM; the same functions as a Python library."""

__version__ = "0.1.0"
