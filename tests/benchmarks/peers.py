"""The libraries we are compared with, each in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return f"{package} {done.stdout.strip() or '?'}"
