"""The command as people run it: a process of its own, with a home of its own and no keys."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = (sys.executable, "-m", "mcp_llm")


class Run(Protocol):
    def __call__(self, *args: str, stdin: str | bytes = ..., **env: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("ask", "hi", stdin="...", LC_ALL="C")`: stdout and stderr as text, `returncode` as it was."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def command(*args: str, stdin: str | bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*COMMAND, *args], input=given, capture_output=True, env={**os.environ, **env}, timeout=60
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        )

    return command


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[bytes]]:
    """The same, still running; stdin is empty, stdout and stderr are pipes unless told otherwise."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")

    def command(*args: str, **more: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process: subprocess.Popen[bytes] = subprocess.Popen([*COMMAND, *args], **(pipes | more))
        return process

    return command


@pytest.fixture
def gateway(home: Path) -> Callable[[str], None]:
    """`gateway(url)` makes the provider `gate` of a server that speaks the compatible wire."""

    def write(url: str) -> None:
        folder = home / "providers"
        folder.mkdir(exist_ok=True)
        (folder / "gate.toml").write_text(
            f'name = "Gate"\nbase_url = "{url}"\nopen = true\n\n[auth]\nrequired = false\nenv = "GATE_API_KEY"\n'
            'headers = { Authorization = "Bearer {key}" }\n\n[wires]\nchat = "openai"\nmodels = "openai"\n'
        )

    return write
