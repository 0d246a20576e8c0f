"""Runs `mcp-llm` with one of its system calls failing: the n-th of a kind, with an error, or by the process's end.

strace does it, so what fails is the real program on a real disk. It counts by thread: the n-th call of each fails. A
write that stops short is no matter for strace, whose `retval` makes it a lie: a limit on the size of files does that.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MISSING: Final = "strace is not here, or may trace nothing, to make system calls fail"
CALLS: Final = {
    "write": "write,pwrite64",
    "sync": "fsync,fdatasync",
    "truncate": "ftruncate",
    "rename": "rename,renameat,renameat2",
    "open": "openat",
}
"""What can fail, by a short name; `size` is every write beyond so many KiB of a file."""
HOW: Final = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "kill": "signal=KILL"}
"""With `kill` the process is gone before the call is made."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The n-th call of a kind fails; with `ever` each one from there on.

    With the call `size` no file grows beyond `number` KiB: a write over it stops short, the next one fails with EFBIG.
    """

    call: str
    how: str
    number: int
    ever: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.how} {self.number}{'+' if self.ever else ''}"


@dataclass(frozen=True, slots=True)
class Done:
    """How it went; `struck` False: there are fewer calls than that, so nothing failed.

    `mute`: what failed was, also, what it had to say on stderr.
    """

    code: int
    stdout: str
    stderr: str
    struck: bool
    mute: bool = False


def traceable() -> bool:
    """Whether strace is here and may trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def needs_strace() -> None:
    """Skip the test where it cannot be done."""
    if not traceable():
        pytest.skip(MISSING)


def tracing(fault: Fault, home: Path, trace: Path) -> list[str]:
    """What stands before a command so that the fault strikes it."""
    calls = CALLS[fault.call]
    words = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}"]
    words += [] if fault.how == "kill" else ["--seccomp-bpf"]  # quicker, but it gives no signals
    words += ["-e", f"inject={calls}:{HOW[fault.how]}:when={fault.number}{'+' if fault.ever else ''}"]
    if fault.call == "open":  # of Python's own imports nobody has to survive the loss
        for name in ("", "/state.db", "/state.db-wal", "/state.db-shm"):
            words += ["-P", f"{home}{name}"]
    return words


def run(
    fault: Fault | None,
    command: list[str],
    home: Path,
    *,
    environment: dict[str, str] | None = None,
    seconds: float = 60,
) -> Done:
    """Run `mcp-llm` with these arguments and the fault."""
    program = [sys.executable, "-m", "mcp_llm", *command]
    env = {**os.environ, "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0", **(environment or {})}
    if fault is None:
        done = subprocess.run(program, capture_output=True, text=True, env=env, timeout=seconds, check=False)
        return Done(done.returncode, done.stdout, done.stderr, struck=False)
    if fault.call == "size":
        limited = ["prlimit", f"--fsize={fault.number * 1024}", *program]
        done = subprocess.run(limited, capture_output=True, text=True, env=env, timeout=seconds, check=False)
        return Done(done.returncode, done.stdout, done.stderr, struck="full" in done.stderr or "failed" in done.stderr)
    trace = home.parent / "trace"
    done = subprocess.run(
        [*tracing(fault, home, trace), *program], capture_output=True, text=True, env=env, timeout=seconds, check=False
    )
    traced = trace.read_text(errors="replace")
    struck = done.returncode == -signal.SIGKILL or "(INJECTED)" in traced
    mute = re.search(r"write\(2, .*\(INJECTED\)$", traced, re.MULTILINE) is not None
    return Done(done.returncode, done.stdout, done.stderr, struck, mute)
