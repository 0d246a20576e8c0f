"""A bare machine on which documentation is tried, and the checks that the README and the pages of docs/ share."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.testing import CliRunner

from mcp_llm import config as configuration
from mcp_llm.catalog import load as catalog
from mcp_llm.cli.commands import group

from .blocks import ROOT

if TYPE_CHECKING:
    from .blocks import Block

TIERS = {"auto", "pro", "balanced", "lite"}


@dataclass(frozen=True)
class Machine:
    """A bare home and working folder, and an environment in which `mcp-llm` is installed and no provider known."""

    home: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in {"SYSTEMROOT", "TMPDIR"}}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        ours = {"MCP_LLM_HOME": str(self.home), "MCP_LLM_DISCOVER": "0", "PYTHONWARNINGS": "error"}
        return {**kept, **ours, "PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"}

    def run(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=folder or self.work,
            timeout=120,
        )

    def config(self) -> configuration.Config:
        return configuration.load(environment=self.environment, working_folder=self.work)


def python(block: Block, machine: Machine) -> None:
    """A program runs, says something, and warns of nothing."""
    done = machine.run(sys.executable, "-c", block.text)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) > 3


def settings(block: Block, machine: Machine) -> None:
    """A config file: it loads, sets something, and every model it names is one."""
    (machine.home / configuration.FILE).write_text(block.text, encoding="utf-8")
    config = machine.config()
    loaded = config.settings
    assert config.problems == []
    assert set(tomllib.loads(block.text)) <= loaded.model_fields_set
    known = catalog.load([machine.home / "providers"])
    routes = [route.model for route in loaded.contexts.values() if route.model]
    for name in (loaded.default, *loaded.fallbacks, *loaded.aliases.values(), *loaded.tiers.values(), *routes):
        owner, _, model = name.partition(":")
        if name in TIERS or name in loaded.aliases or owner == "demo":  # which answers to any name
            continue
        if known.provider(owner).local:  # has whatever its server has
            assert model in TIERS
        else:
            assert known.find(name).provider_id == owner


def provider(block: Block, machine: Machine, name: str) -> None:
    """A provider's file in the config folder: the catalog takes it, under its name and with its address."""
    folder = machine.home / "providers"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(block.text, encoding="utf-8")
    known = catalog.load([folder])
    assert known.problems == ()
    said = tomllib.loads(block.text).get("base_url")
    assert said is None or known.provider(name).base_url == said


def hosts(block: Block) -> None:
    """A host's file: servers by name, under the host's own key, each a command that we install."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    data = json.loads(block.text)
    ((outer, servers),) = data.items()
    assert outer in {"mcpServers", "servers"}
    assert list(servers) == ["mcp-llm"]
    for server in servers.values():
        assert server["command"] in scripts
        assert server.keys() <= {"type", "command", "args", "env"}
        assert server.get("type", "stdio") == "stdio"
        assert all(isinstance(value, str) for value in server.get("env", {}).values())
    assert (outer == "servers") == ("type" in servers["mcp-llm"])  # only the one that calls it `servers` wants a type


def command_exists(line: str) -> None:
    """A command of the prose is one, down to its subcommand, with every option that it is shown with."""
    command: Any = group
    context = click.Context(group)
    for word in shlex.split(line)[1:]:
        if isinstance(command, click.Group) and not word.startswith("-"):
            below = command.get_command(context, word)
            assert below is not None or word.isupper(), word  # capitals stand for an argument
            command = below or command
        elif word.startswith("-") and word != "-":
            known = {name for parameter in command.params for name in parameter.opts}
            assert word in known | {"--help"}, word
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0
