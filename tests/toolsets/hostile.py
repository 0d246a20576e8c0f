"""Servers that misbehave, opened as the user's settings would have them, and what they cost us while they do.

`faults/child.py` is the server; `modes` reads from its files in how many ways it can be one.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
from canary import KEY

from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp_llm.toolsets.compose import Group

Way = Literal["stdio", "http"]
CHILD = Path(__file__).resolve().parents[1] / "faults" / "child.py"
SOURCES = [CHILD.with_name(name) for name in ("child_words.py", "child.py", "child_http.py")]
MIB = 1024 * 1024
NOWHERE = "http://127.0.0.1:9/x"


def stdio(mode: str, argument: str = "", **fields: Any) -> Server:
    """The child in this mode, over stdio."""
    return Server(command=sys.executable, args=("-S", "-E", str(CHILD), mode, argument), **fields)


@contextmanager
def web(mode: str, *arguments: str, **fields: Any) -> Iterator[Server]:
    """The child in this mode, over HTTP, for as long as the body runs."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", str(CHILD), "http", mode, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Server(url=f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", **fields)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@asynccontextmanager
async def opened(server: Server, **options: Any) -> AsyncIterator[Group]:
    """That one server under the name `s`, with a small environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "OPENAI_API_KEY": KEY, "LANG": "C.UTF-8"}
    async with open_servers(["s"], {"s": server}, environment.get, **options) as group:
        yield group


def modes(way: Way) -> list[str]:
    """Every mode that the child knows this way, in the order in which its source names them."""
    ours = {"stdio": {"Stdio", "tools"}, "http": {"Http"}}[way]
    found: dict[str, None] = {}
    for part in (one for source in SOURCES for one in ast.parse(source.read_text(encoding="utf-8")).body):
        if not isinstance(part, ast.ClassDef | ast.FunctionDef) or part.name not in ours:
            continue
        for node in ast.walk(part):
            if isinstance(node, ast.Compare) and _named(node.left) == "mode":
                texts = [one.value for one in ast.walk(node.comparators[0]) if isinstance(one, ast.Constant)]
                found |= dict.fromkeys(str(text) for text in texts)
    return list(found)


def _named(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@dataclass(slots=True)
class Cost:
    """What a stretch of time cost: seconds that the event loop was busy or blocked at most, bytes of memory's peak."""

    stall: float = 0.0
    growth: int = 0


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


async def play(way: Way, mode: str, *, start_s: float, call_s: float) -> Cost:
    """What it costs to open one, list it, call it twice and close it; whatever it does, that has to come to an end."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        argument = _argument(mode, Path(folder) / "said")
        times = {"start_timeout_s": start_s, "call_timeout_s": call_s}
        http = way == "http"
        server = stack.enter_context(web(mode, argument, **times)) if http else stdio(mode, argument, **times)
        async with measured() as cost, opened(server, overflow=_kept) as group:
            await group.list()
            for _ in range(2):
                await group.call("s__work", {})
            await group.list()
    return cost


async def _kept(call_id: str, text: str) -> str:
    return "more(1)"


def zombies() -> set[int]:
    """Children of this process that nobody has waited for."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.add(int(entry.name))
    return found


def _argument(mode: str, file: Path) -> str:
    if mode in {"rugpull", "crash-once", "hang-again", "waits"}:
        file.write_text("", encoding="utf-8")
        return str(file)
    return str(10 * MIB) if mode == "huge" else NOWHERE if mode in {"redirect", "schema-remoteref"} else ""
