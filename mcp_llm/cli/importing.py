"""`mcp-llm servers import`: servers that are set up in other programs, written into our own config file.

Nothing is started. Values that are secret go into `.env` beside the file, which then names them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_llm.errors import ConfigError, InvalidInput
from mcp_llm.toolsets.variables import SECRET

from . import running, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp_llm.config import Config
    from mcp_llm.settings import Server
    from mcp_llm.toolsets.importers import Imported


@click.command("import")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are found.")
@click.option("--from", "host", metavar="PROGRAM", help="Only those of Claude Desktop, Claude Code, VS Code or Cursor.")
@click.option("--project", is_flag=True, help="Also what lies in the working folder, which you trust.")
@click.option("--json", "as_json", is_flag=True, help="What is found, as JSON.")
def imported(names: tuple[str, ...], everything: bool, host: str | None, project: bool, as_json: bool) -> int:
    """Take over servers that Claude Desktop, Claude Code, VS Code or Cursor have; without NAMES, list them."""
    from mcp_llm.toolsets.importers import find

    config = running.load()
    found = find(Path.home(), config.variable, project=config.working_folder, trusted=project)
    if host is not None:
        found = [one for one in found if _same(one.host, host)]
        if not found:
            raise InvalidInput(f"nothing of {host[:60]!r} is here; without --from, everything that is found is listed")
    servers = {name: (one, server) for one in reversed(found) for name, server in one.servers.items()}
    if as_json and not names and not everything:
        terminal.dump([_data(one, config) for one in found])
        return 0
    if not names and not everything:
        return _list(found, config)
    if missing := [name for name in names if name not in servers]:
        raise InvalidInput(f"not found: {', '.join(missing)}; `mcp-llm servers import` lists what there is")
    taken = _take({name: servers[name][1] for name in names or servers}, config)
    if as_json:
        terminal.dump({"imported": taken})
    return 0


def _same(one: str, other: str) -> bool:
    return re.sub(r"\W", "", one).lower() == re.sub(r"\W", "", other).lower()


def _list(found: list[Imported], config: Config) -> int:
    if not any(one.servers for one in found):
        terminal.note("no servers of Claude Desktop, Claude Code, VS Code or Cursor are here")
    rows = [
        (name, one.host, server.place, "configured" if name in config.settings.servers else "")
        for one in found
        for name, server in one.servers.items()
    ]
    if rows:
        terminal.line(terminal.table(("server", "of", "at", "here"), rows))
        terminal.note("to take over: mcp-llm servers import NAME..., or --all", dim=True)
    for one in found:
        for words in one.notes:
            terminal.note(f"{one.host}, {one.file}: {words}", dim=True)
    return 0


def _data(one: Imported, config: Config) -> dict[str, Any]:
    from .masks import masked

    servers = {
        name: {**masked(server.model_dump(mode="json", exclude_defaults=True)), "here": name in config.settings.servers}
        for name, server in one.servers.items()
    }
    return {"host": one.host, "file": one.file, "servers": servers, "notes": one.notes}


def _take(servers: Mapping[str, Server], config: Config) -> list[str]:
    """Write those that are not there yet. Raises InvalidInput where our file cannot be changed safely."""
    from mcp_llm import config as configuration
    from mcp_llm.hosts import install
    from mcp_llm.hosts.known import Place

    place = Place(kind="toml", key="servers", file=configuration.FILE, then="")
    file = config.folder / configuration.FILE
    taken = []
    for name, server in servers.items():
        if name in config.settings.servers:
            terminal.note(f"{name} is configured already and stays as it is")
            continue
        fields = server.model_dump(mode="json", exclude_defaults=True)
        hidden = dict(_secrets(name, fields, config))
        _remember(hidden, config)
        install.install(place, file, name, fields)
        taken.append(name)
        kept = f"; in .env beside it: {', '.join(hidden)}" if hidden else ""
        terminal.note(f"{name} is in {file} now{kept}. `mcp-llm servers check {name}` opens it")
    return taken


def _secrets(name: str, fields: dict[str, Any], config: Config) -> Iterator[tuple[str, str]]:
    """(variable, value) of each secret, whose place in `fields` is taken by the variable."""
    for where in ("env", "headers"):
        for key, value in fields.get(where, {}).items():
            if not SECRET.search(key) or "${" in value or not value:
                continue
            own = re.sub(r"[^A-Z0-9]+", "_", f"{name}_{key}".upper()).strip("_")
            variable = key if where == "env" and config.variable(key) in {None, value} else own
            fields[where][key] = f"${{{variable}}}"
            if config.variable(variable) != value:
                yield variable, value


def _remember(hidden: Mapping[str, str], config: Config) -> None:
    """Add variables to the config folder's `.env`, for this user's eyes only."""
    if not hidden:
        return
    if odd := [name for name, value in hidden.items() if "\n" in value or "'" in value or "\\" in value]:
        raise InvalidInput(
            f"{', '.join(odd)}: its value cannot be written into .env; set it in the environment instead"
        )
    file = config.folder / ".env"
    try:
        config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = file.read_bytes() if file.exists() else b""
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(number, "ab") as out:
            lines = "".join(f"{name}='{value}'\n" for name, value in hidden.items())
            out.write((b"\n" if before and not before.endswith(b"\n") else b"") + lines.encode())
    except OSError as exc:
        raise ConfigError(f".env in the config folder cannot be written ({exc.strerror})") from None
