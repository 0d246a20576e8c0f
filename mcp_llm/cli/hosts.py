"""What a doctor finds about hosts: how the server starts for them, what their entries start, what they showed."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.hosts import entry, install, known, places

from . import terminal
from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.app import App
    from mcp_llm.config import Config
    from mcp_llm.server.clients import SeenClient

TOPIC: Final = "host"
KEPT: Final = "put it into .env in the config folder, which every host's server reads"


async def findings(app: App) -> list[Finding]:
    """Starts the server twice, reads the hosts' files and what is remembered of them."""
    return [
        *await started(app.config),
        *passed_on(app),
        *command(),
        *entries(app.config),
        *await callers(app),
    ]


async def started(config: Config) -> list[Finding]:
    """The server in both eras with the bare environment that hosts give."""
    from mcp_llm.server.probe import Era, probe
    from mcp_llm.toolsets.variables import child_environment

    program, arguments = entry.command()
    home = config.variable("MCP_LLM_HOME")
    bare = child_environment({"MCP_LLM_HOME": home} if home else {}, config.variable)
    found: list[Finding] = []
    eras: tuple[Era, ...] = ("stateless", "handshake")
    for era in eras:
        try:
            seen = await probe([program, *arguments], bare, era)
        except ToolFailed as exc:
            found.append(Finding(TOPIC, "problem", f"{era}: {exc}", f"run `{_line(program, arguments)}` and see why"))
            continue
        words = f"{era} era, {seen.version}: {seen.tools} tools after {seen.ready_ms} ms"
        if seen.noise:
            found.append(
                Finding(TOPIC, "problem", f"{words}, but stdout has {seen.noise[0]!r}", "find out which package prints")
            )
        else:
            found.append(Finding(TOPIC, "ok", f"{words}, nothing but protocol on stdout"))
    return found


def passed_on(app: App) -> Iterator[Finding]:
    """Keys that only this shell has: a host started from a menu will not pass them on."""
    catalog = app.catalog
    wanted = {name for one in catalog.ids for name in app.access.variables(one, catalog.provider(one))}
    for name in app.config.key_names():
        if name in wanted:
            yield Finding(TOPIC, "note", f"{name} is in this shell's environment: hosts may not pass it on", KEPT)


def command() -> Iterator[Finding]:
    """What this shell means by `mcp-llm`."""
    program, arguments = entry.command()
    found = shutil.which(entry.NAME)
    if found is None:
        yield Finding(TOPIC, "ok", f"this installation is {program}; `mcp-llm` is not on this shell's PATH")
    elif os.path.realpath(os.path.dirname(found)) == os.path.realpath(os.path.dirname(program)):
        yield Finding(TOPIC, "ok", f"`mcp-llm` on this shell's PATH is this installation, {program}")
    else:
        words = f"`mcp-llm` on this shell's PATH is {found}, another installation than {_line(program, arguments)}"
        yield Finding(TOPIC, "note", words, "hosts start what stands in their entries, by its whole path")


def entries(config: Config) -> Iterator[Finding]:
    """The hosts that are on this machine, and whether what their entry starts can be started."""
    for ident, host in known.installable().items():
        place = host.config
        if place is None or not places.is_there(place, Path.home(), config.variable):
            continue
        file = places.file(place, Path.home(), config.variable)
        try:
            there = install.found(place, file, entry.NAME)
        except InvalidInput as exc:
            yield Finding(TOPIC, "problem", f"{host.title}: {file}: {exc}")
            continue
        if there is None:
            yield Finding(TOPIC, "note", f"{host.title} is here and does not have us", f"mcp-llm install {ident}")
        else:
            yield _entry(host.title, ident, there)


def _entry(title: str, ident: str, there: dict[str, Any]) -> Finding:
    """Whether the command of an entry is a program: `.cmd` and `.exe` are found as the system finds them."""
    program = there.get("command")
    again = f"mcp-llm install {ident}"
    if not entry.is_ours(there):
        return Finding(
            TOPIC, "note", f"{title}: its entry `{entry.NAME}` starts another program", f"{again} --name ..."
        )
    if not isinstance(program, str) or (found := shutil.which(program)) is None:
        return Finding(TOPIC, "problem", f"{title}: its entry starts {program}, which is not there", again)
    if not os.path.isabs(program):
        words = f"{title}: its entry starts `{program}`, here {found}; a host started from a menu has another PATH"
        return Finding(TOPIC, "note", words, again)
    return Finding(TOPIC, "ok", f"{title}: its entry starts {program}")


async def callers(app: App) -> list[Finding]:
    """The hosts that have called, the latest first."""
    from mcp_llm.server import clients

    here = app.config.key_names()
    found = [_caller(one, here) for one in await clients.seen(app.store)]
    return found or [Finding(TOPIC, "note", "no host has called this installation yet", "mcp-llm install HOST")]


def _caller(client: SeenClient, here: list[str]) -> Finding:
    bears = known.host(client.name)
    when = datetime.fromtimestamp(client.seen / 1000, UTC).isoformat(timespec="minutes")
    words = [f"{client.name} {client.version} spoke {client.protocol}".replace("  ", " ")]
    words[0] += " over HTTP" if client.http else ""
    words[0] += f", last on {when}"
    if client.declares is not None:
        words.append(f"declares {', '.join(client.declares) or 'nothing'}")
    if client.progress is not None:
        words.append("asks for progress" if client.progress else "did not ask for progress")
    if client.variables is not None:
        words.append(f"let us see {', '.join(client.variables) or 'no key'}")
    words.append(
        f"a call becomes a run to be collected after {bears.soft_deadline:g} s, replies have pages of "
        f"{bears.result_chars:,} characters"
    )
    lacking = [name for name in here if client.variables is not None and name not in client.variables]
    if lacking:
        return Finding(TOPIC, "note", f"{'; '.join(words)}; not {', '.join(lacking)}, which this shell has", KEPT)
    return Finding(TOPIC, "ok", "; ".join(words))


def snippets(config: Config) -> list[dict[str, str]]:
    """What to paste into each host, and where: `{host, id, where, paste}`."""
    home = config.variable("MCP_LLM_HOME")
    hosts = known.installable()
    where = {
        ident: str(places.file(host.config, Path.home(), config.variable))
        for ident, host in hosts.items()
        if host.config is not None
    }
    return entry.snippets(hosts, where, {"MCP_LLM_HOME": home} if home else {})


def tell(pastes: list[dict[str, str]]) -> None:
    """The snippets, each once, under the files it goes into."""
    for paste in dict.fromkeys(one["paste"] for one in pastes):
        terminal.line()
        for one in pastes:
            if one["paste"] == paste:
                terminal.line(f"# {one['host']}: {one['where']}")
        terminal.line(paste)


def _line(program: str, arguments: list[str]) -> str:
    return entry.shell([program, *arguments], platform=sys.platform)
