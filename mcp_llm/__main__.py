"""`python -m mcp_llm` is the command `mcp-llm`."""

from mcp_llm.cli import main

main()
