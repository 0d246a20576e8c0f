"""The libraries we are compared with, each in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """`driver` is a file of drivers/, `floor` the column it is divided by, `imports` what its users import.

    `agent` is the driver of its agent, where it has one; a `driver` that is None leaves it out of the single calls.
    """

    driver: str | None
    packages: tuple[str, ...]
    imports: str
    floor: str = "floor"
    agent: str | None = None


PEERS = {
    "openai": Peer("openai_sdk", ("openai>=3.52,<4",), "openai"),
    "anthropic": Peer("anthropic_sdk", ("anthropic>=2.11,<3",), "anthropic", floor="floor, Messages"),
    "litellm": Peer("litellm_library", ("litellm",), "litellm"),
    "pydantic-ai": Peer(
        "pydantic_ai_direct", ("pydantic-ai-slim[openai,mcp]",), "pydantic_ai.direct", agent="work_pydantic_ai"
    ),
    "any-llm": Peer("any_llm_instance", ("any-llm-sdk[openai]",), "any_llm"),
    "openai-agents": Peer(None, ("openai-agents",), "agents", agent="work_openai_agents"),
}


def environment(name: str, venvs: Path) -> Path | None:
    """The Python of a peer's own environment; None, and why on stderr, where it cannot be made."""
    folder = venvs / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {name} ...", file=sys.stderr)
        install = [str(python), "-m", "pip", "install", "-q", *PEERS[name].packages]
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name} is left out: {(done.stderr or done.stdout).strip()[-300:]}", file=sys.stderr)
                return None
        (folder / "ready").touch()
    return python


def version(name: str, python: Path) -> str:
    """`openai 3.52.0`, as installed."""
    package = PEERS[name].packages[0].partition("[")[0].partition(">")[0]
    return f"{package} {_installed(python, package)}"


def _installed(python: Path | str, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def conditions(rounds: int, pythons: dict[str, Path]) -> list[str]:
    """In lines: the machine, and everybody's version."""
    own = [f"{package} {_installed(sys.executable, package)}" for package in ("mcp-llm", "mcp", "httpx2", "pydantic")]
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    library = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return [
        f"{_processor()}, {os.cpu_count()} CPUs, {system}, {library}",
        f"{rounds} rounds; load {os.getloadavg()[0]:.1f} at the end",
        f"ours and the floor: {', '.join(own)}",
        *([f"peers: {', '.join(version(*one) for one in pythons.items())}"] if pythons else []),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
