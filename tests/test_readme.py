"""README.md cannot drift: every fenced block in it is run, loaded or compared, on the demo provider and a bare home."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest
from documented import machine as checks
from documented.blocks import ROOT, Block, Page
from documented.machine import Machine

from mcp_llm.catalog import load as catalog
from mcp_llm.cli.commands import group

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Page(ROOT / "README.md")
DOCTOR_HAS_ONLY_THE_DEMO: Final = 1


@pytest.fixture
def machine(home: Path) -> Machine:
    return Machine(home, Path.cwd())


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
    done = machine.run(sys.executable, "-m", "mcp_llm", *words)
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
        checks.settings(block, machine)


def provider(block: Block, machine: Machine) -> None:
    """A provider file, under the name that the text gives it; the command that the text then shows takes its model."""
    names = re.findall(r"`providers/(\w+)\.toml`", PAGE.prose)
    asked = re.findall(r"ask -m (\w+):(\S+)", PAGE.prose)
    assert len(names) == len(asked) == 1
    checks.provider(block, machine, names[0])
    target = catalog.load([machine.home / "providers"]).find(":".join(asked[0]))
    assert (target.provider_id, target.model_id) == (names[0], asked[0][1])


KNOWN: dict[str, Callable[[Block, Machine], None]] = {
    "python": checks.python,
    "sh": shell,
    "toml": toml,
    "json": lambda block, _: checks.hosts(block),
}


@pytest.mark.parametrize("block", PAGE.blocks, ids=lambda block: f"line {block.line} {block.language}")
def test_every_block_does_what_it_says(block: Block, machine: Machine) -> None:
    assert block.language in KNOWN, f"line {block.line}: no test knows how to run a {block.language!r} block"
    KNOWN[block.language](block, machine)


def test_every_fence_is_read_as_a_block() -> None:
    assert PAGE.whole
    assert {block.language for block in PAGE.blocks} == KNOWN.keys()


def test_the_lines_that_ci_runs_are_in_the_readme() -> None:
    assert ci_lines() <= {line for block in PAGE.blocks for line in block.text.splitlines()}
    assert len(ci_lines()) == 3


@pytest.mark.parametrize("line", PAGE.commands)
def test_every_command_in_the_prose_exists_with_its_options(line: str) -> None:
    checks.command_exists(line)


def test_every_command_in_the_list_of_the_others_exists() -> None:
    sentence = re.search(r"^Also (.*?)\.$", PAGE.prose, re.MULTILINE | re.DOTALL)
    assert sentence
    named = set(re.findall(r"`([a-z]+)`", sentence[1]))
    assert named
    assert named <= set(group.list_commands(click.Context(group)))
