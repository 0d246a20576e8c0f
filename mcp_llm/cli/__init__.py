"""The command `mcp-llm`: the same functions without a host. stdout is the answer, stderr is everything else."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Without arguments it serves, and loads nothing that serving does not need."""
    if sys.argv[1:] in ([], ["serve"]):
        from mcp_llm.errors import Error
        from mcp_llm.server.serve import serve

        if sys.stdin is not None and sys.stdin.isatty():
            sys.stderr.write(
                "mcp-llm: serving MCP on stdin and stdout, for a host; `mcp-llm --help` has the commands\n"
            )
        try:
            serve()
        except Error as exc:
            sys.stderr.write(f"mcp-llm: {exc}\n")
            raise SystemExit(2) from None
        return
    from .commands import commands

    commands()
