"""`mcp-llm servers login` and `logout`: sign in at a remote server with a browser, and forget what came of it."""

from __future__ import annotations

import sys
import webbrowser
from typing import TYPE_CHECKING

import anyio
import click

from mcp_llm.errors import InvalidInput, ToolFailed

from . import running, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.config import Config
    from mcp_llm.settings import Server

PATIENCE = 330.0
"""Seconds: as long as the loopback address waits, and a little."""


@click.command()
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only show the page's URL: for a machine without a browser.")
def login(name: str, no_browser: bool) -> int:
    """Sign in at the server NAME with a browser; its tokens are kept in the home folder, for this person alone.

    The browser has to be on this machine, or its loopback port forwarded: the page sends it back there.
    """
    config = running.load()
    server = _remote(config, name)
    if server.oauth is not None and server.oauth.grant == "client_credentials":
        raise InvalidInput(f"{name} signs in by itself (client_credentials): there is nothing to do")
    file = _file(config, name, server)
    if not sys.stderr.isatty():
        terminal.note("waiting for the browser; the URL of the page follows")

    async def work() -> int:
        return await _sign_in(config, name, server, browse=not no_browser)

    old = file.with_suffix(".old")
    if file.exists():
        file.replace(old)  # a registration is for one redirect address: a new sign-in registers anew
    try:
        tools = anyio.run(lambda: running.attended(work, last=True))
        if not file.exists():
            terminal.line(f"{name} wants nobody to sign in; it has {tools} tools")
        else:
            terminal.line(f"signed in at {name}; it has {tools} tools")
    except running.Interrupted as exc:
        return exc.code
    finally:
        if old.exists():
            old.unlink() if file.exists() else old.replace(file)
    return 0


@click.command()
@click.argument("name")
def logout(name: str) -> int:
    """Forget what signing in at the server NAME gave. The server itself is not told."""
    config = running.load()
    file = _file(config, name, _remote(config, name))
    if not file.exists():
        terminal.note(f"nobody is signed in at {name}")
        return 0
    file.unlink()
    terminal.line(f"signed out of {name}; its tokens are deleted here, and end over there when their time is over")
    return 0


def _remote(config: Config, name: str) -> Server:
    servers = config.settings.servers
    if name not in servers:
        known = ", ".join(one for one, server in servers.items() if server.url is not None)
        raise InvalidInput(f"no server is configured as {name[:100]!r}; with a url there are: {known or 'none'}")
    if servers[name].url is None:
        raise InvalidInput(f"{name} is a program on this machine: only servers with a url want a sign-in")
    return servers[name]


def _file(config: Config, name: str, server: Server) -> Path:
    from mcp_llm.toolsets.connect import signed_in_file
    from mcp_llm.toolsets.variables import fill

    return signed_in_file(config.signed_in, name, fill(server.url or "", config.variable))


async def _sign_in(config: Config, name: str, server: Server, *, browse: bool) -> int:
    """The number of its tools. Raises ToolFailed when that did not come to be."""
    from mcp_llm.toolsets.connect import open_servers
    from mcp_llm.toolsets.loopback import shell

    def tell(url: str) -> None:
        terminal.note(f"sign in here: {url}")

    patient = server.model_copy(update={"start_timeout_s": PATIENCE, "disabled": False})
    port = server.oauth.redirect_port if server.oauth else None
    async with (
        shell(port, tell, webbrowser.open if browse else lambda _: False) as person,
        open_servers(
            [name],
            {name: patient},
            config.variable,
            ca_file=config.settings.ca_file,
            signed_in=config.signed_in,
            redactor=config.redactor,
            person=person,
        ) as group,
    ):
        if group.errors:
            raise ToolFailed(group.errors[name].rstrip("."))
        return len(await group.list())
