"""Servers that misbehave, opened as the user's settings would have them, and what they cost us while they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from canary import KEY

from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from mcp_llm.toolsets.compose import Group

CHILD = str(Path(__file__).resolve().parents[1] / "faults" / "child.py")
MIB = 1024 * 1024


def stdio(mode: str, argument: str = "", **fields: Any) -> Server:
    """The child in this mode, over stdio."""
    return Server(command=sys.executable, args=("-S", "-E", CHILD, mode, argument), **fields)


class Cost:
    """What a stretch of time cost: the longest the event loop was busy or blocked, and how memory peaked."""

    stall = 0.0
    growth = 0


@asynccontextmanager
async def measured() -> AsyncIterator[Cost]:
    """The longest stretch between two beats, in CPU seconds of the loop's thread, so that a busy machine counts less.

    What blocks without computing is seen by the wall clock, at a second.
    """
    cost = Cost()

    async def beat() -> None:
        cpu, wall = time.thread_time(), time.monotonic()
        while True:
            await anyio.sleep(0.01)
            now_cpu, now_wall = time.thread_time(), time.monotonic()
            cost.stall = max(cost.stall, now_cpu - cpu, (now_wall - wall) / 4)
            cpu, wall = now_cpu, now_wall

    before = _memory("VmRSS")
    _forget_peak()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield cost
        tasks.cancel_scope.cancel()
    cost.growth = _memory("VmHWM") - before


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.fixture
def meter() -> Callable[[], Any]:
    return measured


@pytest.fixture
def child() -> Callable[..., Server]:
    return stdio


@pytest.fixture
def opened() -> Callable[..., Any]:
    """Opens one server under the name `s`, with a small environment."""

    @asynccontextmanager
    async def open_one(server: Server, **options: Any) -> AsyncIterator[Group]:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "OPENAI_API_KEY": KEY, "LANG": "C.UTF-8"}
        async with open_servers(["s"], {"s": server}, environment.get, **options) as group:
            yield group

    return open_one


@pytest.fixture
def web() -> Iterator[Callable[..., Server]]:
    """The child in a mode over HTTP; all are ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(mode: str, *arguments: str, **fields: Any) -> Server:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", CHILD, "http", mode, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return Server(url=f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", **fields)

    yield start
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def descendants() -> Iterator[Callable[[], set[int]]]:
    """The processes that appeared since and are still alive, wherever they have gone."""
    before = _running()
    yield lambda: _running() - before


def _running() -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if state != "Z" and CHILD.encode() in words:
            found.add(int(entry.name))
    return found


@pytest.fixture
def children() -> Iterator[Callable[[], set[int]]]:
    with descendants() as alive:
        yield alive
