"""`mcp-llm doctor`: everything that decides whether a call can work, with how to mend what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from mcp_llm.errors import ConfigError

from . import running, terminal
from .vocabulary import spoken

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.config import Config
    from mcp_llm.llm.service import Service

    from .findings import Finding

MOST: Final = 8
"""Providers without a key that are listed."""
COLOURS: Final = {"ok": "green", "note": "yellow", "problem": "red"}

EXAMPLES: Final = """\b
Examples:
  mcp-llm doctor
  mcp-llm doctor --check
  mcp-llm doctor --host
"""


@click.command(epilog=EXAMPLES)
@click.option("--check", is_flag=True, help="Also make one free call to each configured provider.")
@click.option(
    "--host", is_flag=True, help="Also start the server as hosts do, judge their entries, print what to paste."
)
@click.option("--all", "everything", is_flag=True, help="Also every provider that has no key.")
@click.option("--json", "as_json", is_flag=True, help="All findings as JSON.")
def command(check: bool, host: bool, everything: bool, as_json: bool) -> int:
    """Say what was found where, what is wrong, and how to mend it.

    Exit code 0 when a real model can be asked (with --check: when one answers), 1 when only the demo can.
    """
    from . import findings, hosts
    from .mistakes import mistakes

    config: Config | None = None
    found: list[Finding] = []
    able: list[str] = []
    try:
        config = running.load()
    except ConfigError as exc:
        found.append(
            findings.Finding("settings", "problem", str(exc), "mend the file; `mcp-llm config path` says where")
        )
    else:

        async def work(app: App) -> None:
            service: Service = app
            found.extend(findings.settings(config))
            found.extend(mistakes(service))
            found.extend(await findings.state(service))
            found.extend(findings.keys(service, most=None if everything or as_json else MOST))
            found.extend(await findings.local(service))
            found.extend(await findings.workflows(service))
            found.extend(await findings.force(service))
            able.extend(await _able(service, found, check=check))
            found.extend(findings.files(service))
            found.append(findings.tools(config))
            found.extend(await findings.servers(app))
            if host:
                found.extend(await hosts.findings(app))

        try:
            # What came up is told as a finding, not twice.
            running.run(work, config, quiet=True)
        except running.Interrupted as exc:
            return exc.code
    pastes = hosts.snippets(config) if host and config is not None else []
    if as_json:
        data: dict[str, Any] = {"ok": bool(able), "can_be_asked": able, "versions": findings.versions()}
        told = {"hosts": pastes} if host else {}
        terminal.dump({**data, "findings": [one.data() for one in found], **told})
    else:
        _tell(found, able)
        hosts.tell(pastes)
    return 0 if able else 1


async def _able(service: Service, found: list[Finding], *, check: bool) -> list[str]:
    """The providers that can be asked; with `check` those that answer, or cannot be checked."""
    from mcp_llm.llm import checks

    from . import findings

    ids = await checks.configured(service)
    if not check:
        return ids
    states = await checks.check(service, ids)
    found.extend(findings.checked(service, states))
    return [one.provider_id for one in states if one.available is not False]


def _tell(found: list[Finding], able: list[str]) -> None:
    from . import findings

    terminal.line(" · ".join(f"{name} {version}" for name, version in findings.versions().items()))
    topic = ""
    for one in found:
        if one.topic != topic:
            topic = one.topic
            terminal.line(f"\n{topic}")
        words = f"{one.level:<8}"
        terminal.write("  ")
        terminal.write(terminal.mark(words, COLOURS[one.level]), raw=True)
        terminal.line(_folded(one.text if one.level == "ok" else spoken(one.text), 10))
        if one.fix:
            terminal.line(f"          -> {_folded(spoken(one.fix), 13)}")
    problems = sum(one.level == "problem" for one in found)
    words = f"{problems} problem{'' if problems == 1 else 's'}" if problems else "nothing is wrong"
    can = f"can be asked: {', '.join(able)}" if able else "only the built-in demo can be asked"
    terminal.line(f"\n{words}; {can}")


def _folded(text: str, margin: int) -> str:
    """The text as a column that begins after so many others."""
    columns = terminal.width(sys.stdout)
    folded = terminal.fold(text, None if columns is None else columns - margin)
    return folded.replace("\n", "\n" + " " * margin)
