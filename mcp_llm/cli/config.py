"""`mcp-llm config`: what is set and where it came from, where the file is, and a first one to fill in."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import click

from . import running, terminal
from .grouped import Group
from .masks import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE: Final = """\
# mcp-llm's settings. Every line is optional; what is commented out shows the shape.
# Keys do not belong here: put them into .env beside this file (OPENAI_API_KEY=...) or into the environment.
# `mcp-llm config show` says what is in force, `mcp-llm doctor` what is wrong.

# The model used where nothing else decides: provider:model, a tier (pro, balanced, lite) or auto.
# default = "auto"

# Providers in the order in which auto and tiers try them.
# prefer = ["anthropic", "openai"]

# Asked in order when the model in force fails before its first token.
# fallbacks = ["google:balanced"]

# [aliases]
# fast = "groq:lite"

# Where a context's calls go; local_only refuses every provider that is not on this machine.
# [contexts]
# "notes.*" = { model = "ollama:lite", local_only = true }

# Caps in dollars. A call of unknown price is refused unless unknown_usd says what it may cost at most.
# [budget]
# call_usd = 0.50
# day_usd = 10
# unknown_usd = 0.05

# Folders that files may be attached from, besides the working folder.
# [files]
# roots = ["~/Documents"]

# Any server that speaks a known wire is a provider of its own.
# [providers.mine]
# base_url = "https://llm.example.com/v1"
# wires = { chat = "openai", models = "openai" }
# auth = { env = ["MINE_API_KEY"] }

# Dollars for a million tokens; beats every price list.
# [prices]
# "mine:model-1" = { input = 1.0, output = 2.0 }

# MCP servers that agents may use; `mcp-llm servers import` takes over those of other programs.
# [servers.time]
# command = "uvx"
# args = ["mcp-server-time"]

# OpenTelemetry spans hold no words of prompts and answers unless this says so.
# [telemetry]
# content = true
"""

EXAMPLES: Final = """\b
Examples:
  mcp-llm config init
  mcp-llm config path
  mcp-llm config show --all
"""


@click.group(cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Show, find or begin the config file."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--all", "everything", is_flag=True, help="Also what is at its default.")
def show(as_json: bool, everything: bool) -> None:
    """The settings in force, all layers joined, secrets masked."""
    from mcp_llm.settings import Settings

    config = running.load()
    settings = config.redactor.value(masked(config.settings.model_dump(mode="json")))
    values = dict(_flat(settings))
    defaults = dict(_flat(Settings().model_dump(mode="json")))
    for words in config.problems:
        terminal.problem(words)
    if as_json:
        terminal.dump({"layers": ["defaults", *config.sources], "settings": settings})
        return
    for words in ("defaults", *config.sources):
        terminal.note(f"layer: {words}", dim=True)
    for name, value in values.items():
        changed = name not in defaults or defaults[name] != value
        if changed or everything:
            shown = json.dumps(value, ensure_ascii=False)
            terminal.line(f"{name} = {shown}{'' if changed else '  # default'}")
    if not everything:
        terminal.note("everything else is at its default; --all shows it", dim=True)


@command.command()
@click.option("--home", "state", is_flag=True, help="The folder of the state database instead.")
def path(state: bool) -> None:
    """Where the user's config file is, or would be."""
    from mcp_llm import config as configuration

    folder, home = configuration.folders()
    terminal.line(os.fspath(home if state else folder / configuration.FILE))


@command.command()
def init() -> int:
    """Write a commented config file where there is none."""
    from mcp_llm import config as configuration
    from mcp_llm.errors import ConfigError

    folder, _ = configuration.folders()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(folder / configuration.FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if not folder.is_dir():
            raise ConfigError("a file is where the config folder has to be: move it, or set MCP_LLM_HOME") from None
        terminal.problem(f"{configuration.FILE} is there already and stays as it is; `mcp-llm config path` says where")
        return 2
    except OSError as exc:
        raise ConfigError(
            f"the config folder cannot be written ({exc.strerror}): set MCP_LLM_HOME to another"
        ) from None
    with os.fdopen(made, "w", encoding="utf-8") as file:
        file.write(TEMPLATE)
    terminal.line(os.fspath(folder / configuration.FILE))
    return 0


def _flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and their values."""
    for name, item in value.items():
        dotted = f"{before}.{json.dumps(name) if '.' in name or ':' in name else name}".lstrip(".")
        if isinstance(item, dict) and item:
            yield from _flat(item, dotted)
        else:
            yield dotted, item
