"""README.md cannot drift: every fenced block in it is run, loaded or compared, on the demo provider and a bare home."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import pytest
from click.testing import CliRunner

from mcp_llm import config as configuration
from mcp_llm.catalog import load as catalog
from mcp_llm.cli.commands import group

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
DOCTOR_HAS_ONLY_THE_DEMO: Final = 1


@dataclass(frozen=True)
class Block:
    """A fenced block: the line its text begins at, its language, its text."""

    line: int
    language: str
    text: str


BLOCKS = [
    Block(TEXT[: match.start(2)].count("\n") + 1, match[1], match[2])
    for match in re.finditer(r"^```(.*?)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
]
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Machine:
    """A bare home and working folder, and Python and bash in them with an environment that knows no provider."""

    home: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "TMPDIR"}}
        return {**kept, "MCP_LLM_HOME": str(self.home), "MCP_LLM_DISCOVER": "0", "LANG": "C.UTF-8"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.work,
            timeout=60,
        )

    def config(self) -> configuration.Config:
        return configuration.load(environment=self.environment, working_folder=self.work)


@pytest.fixture
def machine(home: Path) -> Machine:
    return Machine(home, Path.cwd())


def python(block: Block, machine: Machine) -> None:
    done = machine.run(sys.executable, "-W", "error", "-c", block.text)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) > 3


def shell(block: Block, machine: Machine) -> None:
    for line in block.text.splitlines():
        if line.startswith("mcp-llm "):
            command(line, machine)
        elif line.startswith("echo "):
            key(line, machine)
        else:
            assert line in ci_lines(), f"neither a command of ours, nor a key, nor a line that .ci/run runs: {line}"


def command(line: str, machine: Machine) -> None:
    words = shlex.split(line)[1:]
    done = machine.run(sys.executable, "-W", "error", "-m", "mcp_llm", *words)
    expected = DOCTOR_HAS_ONLY_THE_DEMO if words[0] == "doctor" else 0
    assert done.returncode == expected, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
    if "--json" in words:
        json.loads(done.stdout)


def key(line: str, machine: Machine) -> None:
    """A line that puts a key into a file: with a key in the placeholder's place, it has to be found there."""
    assert "YOUR-KEY" in line
    line = line.replace("YOUR-KEY", "0123456789")
    assert machine.run("bash", "-euc", line).returncode == 0
    name = re.findall(r"[A-Z_]+_KEY", line)
    found = machine.config().find_key(name)
    assert found is not None
    told = (found[0], found[1].get_secret_value(), found[2])
    assert told == (name[0], "sk-ant-0123456789", ".env in the working folder")


def ci_lines() -> set[str]:
    """What `.ci/run` takes out of the README, through its own function."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    function = re.search(r"^readme\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    assert function, ".ci/run has no function `readme`"
    words = re.findall(r"\$\(readme '([^']+)'\)", script)
    calls = "\n".join(f"readme {shlex.quote(word)}" for word in words)
    done = subprocess.run(
        ["bash", "-euc", f"{function[0]}\n{calls}"], capture_output=True, encoding="utf-8", cwd=ROOT, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(words) > 0
    return set(lines)


def toml(block: Block, machine: Machine) -> None:
    if "base_url" in tomllib.loads(block.text):
        provider(block, machine)
    else:
        settings(block, machine)


def settings(block: Block, machine: Machine) -> None:
    """A config file: it loads, sets something, and every model it names is one."""
    (machine.home / configuration.FILE).write_text(block.text, encoding="utf-8")
    config = machine.config()
    loaded = config.settings
    assert config.problems == []
    assert set(tomllib.loads(block.text)) <= loaded.model_fields_set
    known = catalog.load()
    routes = [route.model for route in loaded.contexts.values() if route.model]
    for name in (loaded.default, *loaded.fallbacks, *loaded.aliases.values(), *routes):
        owner, _, model = name.partition(":")
        if name in {"auto", "pro", "balanced", "lite"}:
            continue
        if known.provider(owner).local:  # has whatever its server has
            assert model in {"pro", "balanced", "lite"}
        else:
            assert known.find(name).provider_id == owner


def provider(block: Block, machine: Machine) -> None:
    """A provider file, under the name that the text gives it; the command that the text then shows takes its model."""
    names = re.findall(r"`providers/(\w+)\.toml`", PROSE)
    asked = re.findall(r"ask -m (\w+):(\S+)", PROSE)
    assert len(names) == len(asked) == 1
    folder = machine.home / "providers"
    folder.mkdir()
    (folder / f"{names[0]}.toml").write_text(block.text, encoding="utf-8")
    known = catalog.load([folder])
    target = known.find(":".join(asked[0]))
    assert known.problems == ()
    assert (target.provider_id, target.model_id) == (names[0], asked[0][1])
    assert known.provider(names[0]).base_url == tomllib.loads(block.text)["base_url"]


def hosts(block: Block, machine: Machine) -> None:
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


KNOWN: dict[str, Callable[[Block, Machine], None]] = {"python": python, "sh": shell, "toml": toml, "json": hosts}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line {block.line} {block.language}")
def test_every_block_does_what_it_says(block: Block, machine: Machine) -> None:
    assert block.language in KNOWN, f"line {block.line}: no test knows how to run a {block.language!r} block"
    KNOWN[block.language](block, machine)


def test_every_fence_is_read_as_a_block() -> None:
    assert TEXT.count("```") == 2 * len(BLOCKS)
    assert {block.language for block in BLOCKS} == KNOWN.keys()


def test_the_lines_that_ci_runs_are_in_the_readme() -> None:
    assert ci_lines() <= {line for block in BLOCKS for line in block.text.splitlines()}
    assert len(ci_lines()) == 3


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(mcp-llm [^`]+)`", PROSE))))
def test_every_command_in_the_prose_exists_with_its_options(line: str) -> None:
    command: Any = group
    context = click.Context(group)
    for word in shlex.split(line)[1:]:
        if isinstance(command, click.Group):
            command = command.get_command(context, word)
            assert command is not None, word
        elif word.startswith("-"):
            assert word in {name for parameter in command.params for name in parameter.opts}
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0


def test_every_command_in_the_list_of_the_others_exists() -> None:
    sentence = re.search(r"^Also (.*?)\.$", PROSE, re.MULTILINE | re.DOTALL)
    assert sentence
    named = set(re.findall(r"`([a-z]+)`", sentence[1]))
    assert named
    assert named <= set(group.list_commands(click.Context(group)))
