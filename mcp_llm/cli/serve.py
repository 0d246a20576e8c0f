"""`mcp-llm serve` with flags; without any, `main` does it and loads less."""

from __future__ import annotations

from typing import Final

import click

from . import running

EXAMPLES: Final = """\b
Examples:
  mcp-llm serve
  mcp-llm serve --packs media,workflow
  mcp-llm serve --http --port 8765
  mcp-llm serve --http --host 0.0.0.0 --allow-host llm.example.com
"""


@click.command(epilog=EXAMPLES)
@click.option("--packs", metavar="NAMES", help="Tool packs, comma-separated: core, media, ops, workflow.")
@click.option("--model", metavar="MODEL", help="The model used where nothing else decides.")
@click.option("--http", "over_http", is_flag=True, help="Serve Streamable HTTP at /mcp instead of stdin and stdout.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 is this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), help="8765 unless set; 0 takes a free one.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name clients call it by; repeatable.")
@click.option("--allow-origin", "origins", multiple=True, metavar="URL", help="A page that may call; repeatable.")
def command(
    packs: str | None,
    model: str | None,
    over_http: bool,
    host: str | None,
    port: int | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
) -> None:
    """Serve MCP on stdin and stdout until the host goes, or with --http on a port until a signal comes.

    `mcp-llm demo` prints what to give to a host.
    """
    overrides: dict[str, object] = {}
    if packs:
        overrides["packs"] = [name.strip() for name in packs.split(",") if name.strip()]
    if model:
        overrides["default"] = model
    http = {"host": host, "port": port, "allow_hosts": hosts or None, "allow_origins": origins or None}
    given = {name: value for name, value in http.items() if value is not None}
    if given and not over_http:
        raise click.UsageError("--host, --port, --allow-host and --allow-origin go with --http")
    if over_http:
        from mcp_llm.server.http.run import serve_http

        config = running.load(**overrides, http=given)
        try:
            serve_http(config)
        except BaseExceptionGroup as group:
            raise running.only(group) from None
        return
    from mcp_llm.server.serve import serve

    serve(running.load(**overrides))
