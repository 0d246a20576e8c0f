"""The reference MCP servers that other people wrote, as a person would configure them: both eras, Node and Python.

They are no part of our environment: `.ci/servers` installs them and names their folder in `MCP_LLM_SERVERS`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_llm.settings import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

# Read here: a test's home has an environment of its own.
_NAMED = os.environ.get("MCP_LLM_SERVERS")


def folder() -> Path:
    """Holds `node`, `node_modules` and one environment per Python server; skips the test where there is none."""
    if not _NAMED:
        pytest.skip(
            "MCP_LLM_SERVERS names no folder with the reference servers; `.ci/servers` makes one and runs these"
        )
    return Path(_NAMED)


def node(name: str, *args: str, env: dict[str, str] | None = None) -> Server:
    """A server that is written in TypeScript."""
    script = folder() / "node_modules" / ".bin" / f"mcp-server-{name}"
    return Server(command=str(folder() / "node"), args=(str(script), *args), env=env or {})


def five(tmp_path: Path) -> dict[str, Server]:
    """All five over stdio, each on a folder of the test's."""
    files, repository = tmp_path / "files", tmp_path / "repository"
    files.mkdir()
    (files / "hello.txt").write_text("hello there\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(repository)], check=True)
    (repository / "a.txt").write_text("a\n", encoding="utf-8")
    return {
        "everything": node("everything", "stdio"),
        "files": node("filesystem", str(files), str(repository)),
        "memory": node("memory", env={"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}),
        "time": Server(command=str(folder() / "time/bin/mcp-server-time"), args=("--local-timezone", "UTC")),
        "git": Server(command=str(folder() / "git/bin/mcp-server-git"), args=("--repository", str(repository))),
    }


@contextmanager
def everything_over_http() -> Iterator[Server]:
    """The server of examples, over Streamable HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [folder() / "node", folder() / "node_modules/.bin/mcp-server-everything", "streamableHttp"],
        env={"PORT": str(port), "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.05)
        yield Server(url=f"http://127.0.0.1:{port}/mcp")
    finally:
        process.kill()
        process.wait()
