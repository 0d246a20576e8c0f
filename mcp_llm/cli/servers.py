"""`mcp-llm servers`: the MCP servers that agents use - which there are, what they offer, what of it changed."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from mcp_llm.errors import InvalidInput
from mcp_llm.types.nearest import nearest

from . import running, terminal
from .grouped import Group
from .importing import imported
from .login import login, logout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_llm.app import App
    from mcp_llm.settings import Server
    from mcp_llm.toolsets.base import Tool
    from mcp_llm.toolsets.pins import Pin

as_json = click.option("--json", "as_json", is_flag=True, help="As one JSON value.")

BEGIN: Final = "put one under [servers.NAME] in the config file (`mcp-llm config path`), or `mcp-llm servers import`"

EXAMPLES: Final = """\b
Examples:
  mcp-llm servers import --from cursor --all
  mcp-llm servers check
  mcp-llm servers approve NAME
"""


@click.group(cls=Group, invoke_without_command=True, epilog=EXAMPLES)
@click.pass_context
def command(context: click.Context) -> int:
    """The MCP servers that agents use: list, check, sign in, approve what changed, import from other programs."""
    code: int = context.invoke(listed, as_json=False) if context.invoked_subcommand is None else 0
    return code


for one_more in (imported, login, logout):
    command.add_command(one_more)


@dataclass(slots=True)
class Seen:
    """One configured server: what was agreed to, and, where it was opened, what it offers now."""

    name: str
    server: Server
    pins: list[Pin]
    opened: bool = False
    error: str | None = None
    notes: tuple[str, ...] = ()
    tools: list[Tool] = field(default_factory=list)

    @property
    def off(self) -> list[Pin]:
        """What is not what was agreed to."""
        return [pin for pin in self.pins if pin.offered is not None]

    @property
    def changed(self) -> list[Pin]:
        """What of it was agreed to as something else."""
        return [pin for pin in self.off if pin.known]

    @property
    def unknown(self) -> list[Pin]:
        """What of it was never agreed to."""
        return [pin for pin in self.off if not pin.known]

    @property
    def state(self) -> str:
        """In a few words."""
        if self.server.disabled:
            return "disabled"
        if self.error is not None:
            return "not available"
        known = len(self.tools) + len(self.off) if self.opened else len(self.pins)
        if not known:
            return "no tools" if self.opened else "never opened"
        tools = f"{known} tool{'s' if known != 1 else ''}"
        changed = f", {len(self.changed)} changed and off" if self.changed else ""
        unknown = f", {len(self.unknown)} never agreed to and off" if self.unknown else ""
        return f"{tools}{changed}{unknown}"

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "at": self.server.place,
            "state": self.state,
            "error": self.error,
            "notes": list(self.notes),
            "tools": [
                {"name": tool.name, "title": tool.title, "description": tool.spec.description, "policy": tool.policy}
                for tool in self.tools
            ]
            if self.opened
            else [{"name": pin.tool} for pin in self.pins if pin.offered is None],
            "changed": [{"name": pin.tool, "diff": [*changes(pin)]} for pin in self.changed],
            "unknown": [{"name": pin.tool, "diff": [*changes(pin)]} for pin in self.unknown],
        }


@command.command("list")
@as_json
def listed(as_json: bool) -> int:
    """The configured servers and what was agreed to; none is started."""
    found = running.done(lambda app: seen(app, ()))
    if as_json:
        terminal.dump([one.data() for one in found])
        return 0
    if not found:
        terminal.note(f"no servers are configured: {BEGIN}")
        return 0
    terminal.line(terminal.table(("server", "at", "state"), [(one.name, one.server.place, one.state) for one in found]))
    for one in found:
        _show_changes(one)
    return 0


@command.command()
@click.argument("names", nargs=-1)
@as_json
def check(names: tuple[str, ...], as_json: bool) -> int:
    """Open the servers (all, without NAMES) and show their tools and what changed. Exit code 1: something is wrong."""

    async def work(app: App) -> list[Seen]:
        return await _opened(app, await seen(app, names))

    found = running.done(work)
    wrong = any((one.off or one.error) and not one.server.disabled for one in found)
    if as_json:
        terminal.dump([one.data() for one in found])
        return int(wrong)
    for one in found:
        terminal.line(f"{one.name}  {one.server.place}  {one.state}")
        rows: list[tuple[str, str, str]] = [
            (f"  {tool.name}", tool.policy, _first_line(tool.spec.description)) for tool in one.tools
        ]
        rows += [(f"  {pin.tool}", "off", "changed since it was agreed to") for pin in one.changed]
        rows += [(f"  {pin.tool}", "off", "never agreed to") for pin in one.unknown]
        if rows:
            terminal.line(terminal.table(("  tool", "policy", "says"), rows))
        for words in (*([one.error] if one.error and not one.server.disabled else []), *one.notes):
            terminal.note(f"  {words}")
        _show_changes(one)
    return int(wrong)


@command.command()
@click.argument("name")
@click.argument("tools", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
def approve(name: str, tools: tuple[str, ...], yes: bool) -> int:
    """Agree to what the server NAME offers now: to TOOLS, or to everything that is off. Shows it first."""

    async def look(app: App) -> Seen:
        found = (await seen(app, (name,)))[0]
        app.store.must_last("nothing can be agreed to")
        return found

    one = running.done(look)
    chosen = {pin.tool: pin for pin in one.off if not tools or pin.tool in tools}
    if missing := [tool for tool in tools if tool not in chosen]:
        raise InvalidInput(f"{', '.join(missing)}: no change is known of; `mcp-llm servers check {name}` looks again")
    if not chosen:
        terminal.note(f"nothing of {name} is off; `mcp-llm servers check {name}` looks again")
        return 0
    _show_changes(one, chosen)
    if not yes and not sys.stdin.isatty():
        raise InvalidInput(
            "nothing was agreed to: no terminal is here to ask at; with --yes, what is shown is agreed to"
        )
    if not yes and not click.confirm(f"Agree to {', '.join(chosen)}?", err=True):
        return 1
    shown = {tool: pin.offered or "" for tool, pin in chosen.items()}

    async def agree(app: App) -> list[str]:
        from mcp_llm.toolsets.pins import StoredPins, target

        return await StoredPins(app.store).approve(name, target(one.server), shown)

    done = running.done(agree)
    if done:
        terminal.line(f"agreed: {', '.join(done)}")
    if late := [tool for tool in shown if tool not in done]:
        terminal.problem(f"{', '.join(late)} changed again just now and stays off: `mcp-llm servers check {name}`")
    return 1 if late else 0


async def seen(app: App, names: Sequence[str]) -> list[Seen]:
    """These servers, or all. Raises InvalidInput for one that is not configured."""
    from mcp_llm.toolsets.pins import StoredPins, target

    servers = app.config.settings.servers
    for name in names:
        if name not in servers:
            close = nearest(name, servers)
            others = f"there are: {', '.join(servers)}" if servers else BEGIN
            hint = f"did you mean {close[0]!r}?" if close else others
            raise InvalidInput(f"no server is configured as {name[:100]!r}; {hint}")
    pins = StoredPins(app.store)
    chosen = [*dict.fromkeys(names)] or [*servers]
    return [Seen(name, servers[name], await pins.of(name, target(servers[name]))) for name in chosen]


async def _opened(app: App, found: list[Seen]) -> list[Seen]:
    """What they offer now."""
    from mcp_llm.toolsets.connect import open_servers
    from mcp_llm.toolsets.pins import OFF, StoredPins, target

    settings, pins = app.config.settings, StoredPins(app.store)
    names = [one.name for one in found]
    async with open_servers(
        names,
        settings.servers,
        app.config.variable,
        pinned=pins,
        ca_file=settings.ca_file,
        signed_in=app.config.signed_in,
        redactor=app.config.redactor,
    ) as group:
        for one in found:
            one.error = group.errors.get(one.name)
            if (member := group.members.get(one.name)) is None:
                continue
            one.opened, one.tools = True, await member.list()
            one.notes = tuple(words for words in group.notes.get(one.name, ()) if not words.startswith(OFF))
            one.pins = await pins.of(one.name, target(one.server))
    return found


def _show_changes(one: Seen, chosen: Iterable[str] | None = None) -> None:
    shown = [pin for pin in one.off if chosen is None or pin.tool in chosen]
    for pin in shown:
        terminal.line(f"\n{one.name}: {pin.tool} {'is not what was' if pin.known else 'was never'} agreed to")
        for words in changes(pin):
            terminal.line(f"  {words}", colour={"+": "green", "-": "red"}.get(words[:1]))
    if shown and chosen is None:
        terminal.note(f"\nto agree: mcp-llm servers approve {one.name}")


def changes(pin: Pin) -> Iterable[str]:
    """What a tool says of itself now against what was agreed to, as lines of a diff."""
    if pin.known and pin.agreed_said is None:
        yield "  (what was agreed to was not kept; this is what it says now)"
    if pin.offered_said is None:
        yield "  (what is offered was not kept; check again)"
        return
    old, new = ((said or "").split("\n") for said in (pin.agreed_said, pin.offered_said))
    # The first two lines name files; of the others only a hunk's head begins so, whatever the server wrote.
    for line in islice(difflib.unified_diff(old, new, lineterm="", n=2), 2, None):
        if not line.startswith("@@"):
            yield line


def _first_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 70 else f"{words[:67]}..."
