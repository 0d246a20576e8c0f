"""The command `mcp-llm`: the same functions without a host. stdout is the answer, stderr is everything else."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Without arguments it serves, and loads nothing that serving does not need."""
    if sys.argv[1:] in ([], ["serve"]):
        from mcp_llm.server.serve import serve

        serve()
        return
    from .commands import commands

    commands()
