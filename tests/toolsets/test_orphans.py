"""No child is left behind: not when it ignores every request to go, not when we are killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from toolsets import hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

PARENT = """
import anyio, sys
from mcp_llm.settings import Server
from mcp_llm.toolsets.connect import open_servers

async def main():
    servers = {m: Server(command=sys.executable, args=("-S", "-E", sys.argv[1], m)) for m in sys.argv[2:]}
    async with open_servers(servers, servers, {"PATH": "/usr/bin"}.get) as group:
        assert not group.errors, group.errors
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def gone_within(seconds: float, alive: Callable[[], set[int]]) -> bool:
    deadline = time.monotonic() + seconds
    while alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive()


async def test_a_child_that_ignores_everything_is_killed_with_its_family(
    child: Callable[..., Any], opened: Callable[..., Any], children: Callable[[], set[int]]
) -> None:
    for mode in ("ok", "ignoreeof", "family"):
        async with opened(child(mode)) as group:
            assert group.errors == {}
            assert children()
            started = time.monotonic()
        assert time.monotonic() - started < 4
        assert gone_within(0.5, children)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_parent(number: signal.Signals, children: Callable[[], set[int]]) -> None:
    script = str(Path(__file__).resolve().parents[1] / "faults" / "child.py")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, script, "ok", "ignoreeof", "family"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == "ready\n"
        assert len(children() - {parent.pid}) >= 3
        os.kill(parent.pid, number)
        parent.wait()
    assert gone_within(1, children)


async def test_no_descriptor_is_left_open(child: Callable[..., Any], opened: Callable[..., Any]) -> None:
    async with opened(child("ok")):
        pass
    before = len(os.listdir("/proc/self/fd"))
    for mode in ("ok", "exit", "crash"):
        async with opened(child(mode)) as group:
            await group.call("s__work", {})
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def first_process() -> Iterator[None]:
    """Orphans become ours, as they do in a container that has no other first process."""
    subreaper, libc = 36, ctypes.CDLL(None)
    assert libc.prctl(subreaper, 1, 0, 0, 0) == 0
    yield
    libc.prctl(subreaper, 0, 0, 0, 0)


@pytest.mark.usefixtures("first_process")
@pytest.mark.parametrize("mode", ["ok", "family", "crash"])
async def test_as_the_first_process_of_a_container_we_are_left_no_zombie(
    mode: str, child: Callable[..., Any], opened: Callable[..., Any]
) -> None:
    before = hostile.zombies()
    async with opened(child(mode)) as group:
        await group.call("s__work", {})
    assert hostile.zombies() == before
