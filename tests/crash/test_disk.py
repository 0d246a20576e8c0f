"""A disk that is full, or may not be written: commands and servers say so, go on where they can, and lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_llm.store.sqlite import Store

from . import places
from .failing import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024


@dataclass
class Disk:
    """A small file system of its own."""

    folder: Path

    def options(self, words: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{words}", str(self.folder)], check=True)

    def leave(self, free: int) -> None:
        """Take all but so many bytes of it away."""
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self.options(f"size={used + free}")

    def fill(self) -> None:
        """Let a file take what is left."""
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65536))

    def free(self) -> None:
        (self.folder / "filler").unlink()


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Disk]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts disks, on Linux")
    with mounted(tmp_path / "disk", 16 * MIB) as found:
        yield found


@pytest.mark.parametrize("name", ["ask", "workflow", "install"])
def test_whatever_is_left_of_a_disk_nothing_breaks_on_it(home: Path, disk: Disk, name: str) -> None:
    place = places.make(disk.folder / "place")
    wrong: dict[int, list[str]] = {}
    codes: set[int] = set()
    for free in (0, 4096, 45_056, 151_552):
        disk.options(f"size={16 * MIB}")
        place.again(new=free > 50_000)
        disk.leave(free)
        done = place.run(places.COMMANDS[name])
        disk.options(f"size={16 * MIB}")
        codes.add(done.code)
        wrong[free] = list(places.complaints(place, name, Fault("write", "ENOSPC", 1), done))
    assert place.run(["runs", "list"]).code == 0
    assert {free: words for free, words in wrong.items() if words} == {}
    # An answer is given without a disk. A workflow whose journal fails stops before its next call, which may cost.
    assert codes <= {"ask": {0}, "install": {0, 2}, "workflow": {0, 1}}[name]


def test_an_answer_that_cannot_be_written_is_an_error_in_words(home: Path) -> None:
    command = [sys.executable, "-m", "mcp_llm"]
    environment = {**os.environ, "MCP_LLM_DISCOVER": "0"}
    for words in (["ask", "-m", "demo", "hello"], ["models"], ["ask", "-m", "demo", "--json", "hello"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*command, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
            )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "mcp-llm: the answer cannot be written to stdout: No space left on device"
        )


def server(home: Path, log: Path) -> StdioServerParameters:
    environment = {**os.environ, "MCP_LLM_HOME": str(home), "MCP_LLM_DISCOVER": "0"}
    command = f"exec {sys.executable} -m mcp_llm 2>{log}"
    return StdioServerParameters(command="sh", args=["-c", command], env=environment)


async def ask(client: Client, tool: str, **arguments: Any) -> tuple[bool, str, dict[str, Any]]:
    """Whether it failed, the text, the data."""
    found = await client.call_tool(tool, arguments)
    return (
        bool(found.is_error),
        "\n".join(getattr(one, "text", "") for one in found.content),
        (found.structured_content or {}),
    )


def text(path: Path) -> str:
    return path.read_text()


@pytest.mark.anyio
async def test_a_server_whose_disk_fills_up_says_so_keeps_what_it_has_and_goes_on_when_there_is_room(
    home: Path, disk: Disk, tmp_path: Path
) -> None:
    state, log = disk.folder / "home", tmp_path / "log"
    long = "a word and " * 30_000
    with anyio.fail_after(120):
        async with Client(server(state, log)) as client:
            kept = [(await ask(client, "run_agent", prompt="go", model="demo"))[2]["run_id"] for _ in range(3)]
            disk.leave(MIB)
            disk.fill()
            failed, said, _ = await ask(client, "run_agent", prompt=long, model="demo")
            assert (failed, "free some space" in said) == (True, True)
            failed, said, _ = await ask(client, "generate", prompt="hello there", model="demo")
            assert (failed, "hello there" in said) == (False, True)
            failed, said, listed = await ask(client, "runs", action="list")
            assert {one["run_id"] for one in listed["runs"]} >= {*kept}
            assert any("full" in words for words in listed["problems"])
            assert "problem: The disk that holds the state" in said
            assert any("full" in words for words in (await ask(client, "list_models"))[2]["problems"])
            disk.options(f"size={16 * MIB}")
            failed, said, done = await ask(client, "run_agent", prompt=long, model="demo")
            assert not failed, said
    assert "mcp-llm: The disk that holds the state" in text(log)
    assert "Traceback" not in text(log)
    store = Store.open(state / "state.db")
    assert await store.query("PRAGMA integrity_check") == [("ok",)]
    rows = await store.query("SELECT id FROM runs WHERE status = 'finished'")
    assert {run_id for (run_id,) in rows} >= {*kept, done["run_id"]}
    assert await store.query("SELECT count(*) FROM ledger") == [
        (5,)
    ]  # what could not be written was, when there was room
    store.close()


def test_a_home_that_may_not_be_written_still_answers_and_says_what_is_missing(home: Path, disk: Disk) -> None:
    place = places.make(disk.folder / "place")
    disk.options("ro")
    done = {name: place.run(places.COMMANDS[name]) for name in ("ask", "token", "approve", "install", "image")}
    doctor, listed = place.run(["doctor"]), place.run(["runs", "list"])
    disk.options("rw")
    assert {name: one.code for name, one in done.items()} == {
        "ask": 0,
        "token": 1,
        "approve": 1,
        "install": 2,
        "image": 1,
    }
    memory = (
        "make the folder and file writable, or set MCP_LLM_HOME to another folder. Until then state is kept in memory"
    )
    for one in (done["ask"], listed):
        assert memory in one.stderr
    assert memory in " ".join(doctor.stdout.split())
    assert "no token can be kept" in done["token"].stderr
    assert "nothing can be agreed to" in done["approve"].stderr
    assert "cannot be written: Read-only file system" in done["install"].stderr
    assert "Read-only file system" in done["image"].stderr
    assert [
        one for one in [*done.values(), doctor, listed] if "Traceback" in one.stderr or "unexpected" in one.stderr
    ] == []
