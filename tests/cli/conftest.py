"""The command as people run it: a process of its own, with a home of its own and no keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = (sys.executable, "-m", "mcp_llm")
Done = subprocess.CompletedProcess[str]


class Run(Protocol):
    """`run("ask", "hi", stdin="...", OPENAI_API_KEY="...")`: stdout and stderr as text, `returncode` as it was."""

    def __call__(self, *args: str, stdin: str = ..., **env: str) -> Done: ...


@pytest.fixture
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine is looked for, nothing of its terminal is known."""
    monkeypatch.setenv("MCP_LLM_DISCOVER", "0")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(scope="session")
def forks() -> Iterator[subprocess.Popen[str] | None]:
    """The process that starts others quickly (warm.py); None where processes cannot be forked."""
    if not hasattr(os, "fork"):
        yield None
        return
    script = Path(__file__).with_name("warm.py")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture
def cold(bare: None) -> Run:
    """Runs it as a shell would."""

    def command(*args: str, stdin: str = "", **env: str) -> Done:
        environment = {**os.environ, **env}
        return subprocess.run(
            [*COMMAND, *args], input=stdin, capture_output=True, encoding="utf-8", env=environment, timeout=60
        )

    return command


@pytest.fixture
def run(bare: None, cold: Run, forks: subprocess.Popen[str] | None, tmp_path: Path) -> Run:
    """Runs it in a process of its own that was forked with everything imported."""
    if forks is None:
        return cold
    server = forks

    def command(*args: str, stdin: str = "", **env: str) -> Done:
        streams = [tmp_path / name for name in ("stdin", "stdout", "stderr")]
        for path in streams:
            path.unlink(missing_ok=True)
        streams[0].write_bytes(stdin.encode())
        request = {
            "arguments": args,
            "environment": {**os.environ, **env},
            "folder": os.getcwd(),
            "streams": [str(path) for path in streams],
        }
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = (path.read_text(encoding="utf-8") for path in streams[1:])
        return subprocess.CompletedProcess(args, code, out, err)

    return command


@pytest.fixture
def start(bare: None) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts it as a shell would, with an empty stdin, and leaves it running."""

    def command(*args: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*COMMAND, *args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE)

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
