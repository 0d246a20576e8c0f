"""`mcp-llm serve` with flags; without any, `main` does it and loads less."""

from __future__ import annotations

import click

from . import running


@click.command()
@click.option("--packs", metavar="NAMES", help="Tool packs, comma-separated: core, media, ops, workflow.")
@click.option("--model", metavar="MODEL", help="The model used where nothing else decides.")
def command(packs: str | None, model: str | None) -> None:
    """Serve MCP on stdin and stdout until the host goes. `mcp-llm demo` prints what to give to a host."""
    overrides: dict[str, object] = {}
    if packs:
        overrides["packs"] = [name.strip() for name in packs.split(",") if name.strip()]
    if model:
        overrides["default"] = model
    config = running.load(**overrides)
    from mcp_llm.server.serve import serve

    serve(config)
