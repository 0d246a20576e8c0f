"""`mcp-llm install`: puts this server into a host's own settings, or takes it out; shows what it would do if asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mcp_llm.errors import InvalidInput
from mcp_llm.hosts import entry as entries
from mcp_llm.hosts import install as files
from mcp_llm.hosts import known, places
from mcp_llm.types.nearest import nearest

from . import running, terminal

if TYPE_CHECKING:
    from mcp_llm.config import Config
    from mcp_llm.hosts.known import Host, Place

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEY = re.compile(r".*(KEY|TOKEN|SECRET|PASSWORD)(_.*)?", re.IGNORECASE)
WORDS = {
    "added": "{title} has {name} now, in {file}",
    "updated": "{title}'s entry {name} is up to date now, in {file}",
    "removed": "{name} is taken out of {title}, in {file}",
    "none": "nothing to do: {title} is as it should be, in {file}",
}

EXAMPLES: Final = """\b
Examples:
  mcp-llm install
  mcp-llm install vscode --print
  mcp-llm install claude-code --env MCP_LLM_DAY_USD=5
  mcp-llm install claude-code --remove
"""


@click.command(epilog=EXAMPLES)
@click.argument("host", required=False)
@click.option("--print", "only_print", is_flag=True, help="Show what would be written where, and change nothing.")
@click.option("--remove", is_flag=True, help="Take the entry out.")
@click.option("--name", default=entries.NAME, show_default=True, help="What the host calls the server.")
@click.option("--env", "given", multiple=True, metavar="NAME[=VALUE]", help="Also set a variable; repeatable.")
@click.option("--uvx", is_flag=True, help="Start the published package by name instead of this installation.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(
    host: str | None, only_print: bool, remove: bool, name: str, given: tuple[str, ...], uvx: bool, as_json: bool
) -> int:
    """Put this server into HOST's settings; without HOST, say which hosts are here.

    HOST is claude-code, claude-desktop, vscode, cursor, codex, gemini, zed or windsurf. Everything else in the file
    stays as it is, byte for byte, and the former file stays beside it. Keys are not written unless --env says so:
    the server finds them in .env in its config folder.
    """
    config = running.load()
    if host is None:
        return _list(config, name, as_json=as_json)
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise InvalidInput("--name is a few letters, digits, - and _")
    found = _host(host)
    place = found.config
    assert place is not None
    file = places.file(place, Path.home(), config.variable)
    fields = entries.entry(place, entries.command(uvx=uvx), _environment(config, given))
    if only_print:
        return _show(place, file, name, fields, as_json=as_json)
    if not places.is_there(place, Path.home(), config.variable):
        raise InvalidInput(
            f"{found.title} has never been started here: there is no {file.parent}. Start it once, or use --print"
        )
    done = files.remove(place, file, name) if remove else files.install(place, file, name, fields)
    _tell(found, done, name, given, as_json=as_json)
    return 0


def _host(ident: str) -> Host:
    hosts = known.installable()
    lower = ident.strip().lower().replace(" ", "-")
    if lower not in hosts:
        near = nearest(lower, hosts)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(hosts)}"
        raise InvalidInput(f"no host is known as {ident[:80]!r}: {hint}")
    return hosts[lower]


def _environment(config: Config, given: tuple[str, ...]) -> dict[str, str]:
    """What the entry sets: the home of this shell, where it has one of its own, and what the user asks for."""
    home = config.variable("MCP_LLM_HOME")
    wanted = {"MCP_LLM_HOME": str(Path(home).expanduser().absolute())} if home else {}
    for one in given:
        name, told, value = one.partition("=")
        if not VARIABLE.fullmatch(name):
            raise InvalidInput(f"--env {name[:60]!r} is no name of a variable: NAME=VALUE, or NAME for its value here")
        if not told:
            value = config.variable(name) or ""
            if not value:
                raise InvalidInput(f"--env {name}: it is not set here, so give it a value: --env {name}=...")
        wanted[name] = value
    return wanted


def _show(place: Place, file: Path, name: str, fields: dict[str, Any], *, as_json: bool) -> int:
    paste = entries.snippet(place, name, fields)
    if as_json:
        terminal.dump({"file": str(file), "paste": paste, "entry": fields})
    else:
        terminal.note(f"into {file}:", dim=True)
        terminal.line(paste)
    return 0


def _tell(host: Host, done: files.Done, name: str, given: tuple[str, ...], *, as_json: bool) -> None:
    assert host.config is not None
    if as_json:
        backup = str(done.backup) if done.backup else None
        terminal.dump({"host": host.id, "change": done.change, "file": str(done.file), "backup": backup})
        return
    terminal.line(WORDS[done.change].format(title=host.title, name=name, file=done.file))
    if done.backup:
        terminal.note(f"the former file is {done.backup.name} beside it", dim=True)
    if done.change in {"added", "updated"}:
        terminal.note(f"next: {host.config.then}", dim=True)
    if done.change != "removed" and any(KEY.fullmatch(one.partition("=")[0]) for one in given):
        terminal.note("the key stands in the host's file now; .env in the config folder keeps it to this server")


def _list(config: Config, name: str, *, as_json: bool) -> int:
    """Which hosts are on this machine, and which of them have us."""
    rows = [_state(config, host, name) for host in known.installable().values()]
    if as_json:
        terminal.dump(rows)
        return 0
    words = [(row["host"], row["here"], row["entry"], row["file"]) for row in rows]
    terminal.line(terminal.table(("host", "here", "mcp-llm", "file"), words))
    terminal.note("`mcp-llm install HOST` puts it there, --print shows what it would write", dim=True)
    return 0


def _state(config: Config, host: Host, name: str) -> dict[str, str]:
    place = host.config
    assert place is not None
    file = places.file(place, Path.home(), config.variable)
    here = places.is_there(place, Path.home(), config.variable)
    try:
        there = files.found(place, file, name)
        entry = "no" if there is None else "yes" if entries.is_ours(there) else "another program"
    except InvalidInput as exc:
        entry = str(exc)
    return {"host": host.id, "here": "yes" if here else "no", "entry": entry, "file": str(file)}
