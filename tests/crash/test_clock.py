"""The time of day is set, forward and back, while processes drive runs: nobody loses a run, nobody waits for hours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

TTL = 1.5
"""Seconds: on a busy machine a driver may not come to its lease, or to the disk, for a good part of one."""
HOUR = 3600


@dataclass
class Clock:
    """What processes take for the time of day; the clock that only runs stays as it is."""

    library: Path
    file: Path

    def set(self, seconds: int) -> None:
        """So far from the real one; whole at once, as it is read at every look."""
        beside = self.file.with_name("new")
        beside.write_text(f"{seconds:+d}\n")
        beside.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that has this clock."""
        faked = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return {**os.environ, **faked, "LD_PRELOAD": str(self.library), "FAKETIME_TIMESTAMP_FILE": str(self.file)}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is not here to set a clock")
    made = Clock(found[0], tmp_path / "clock")
    made.set(0)
    return made


@dataclass
class Process:
    """One that was started, and what it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, word: str) -> list[str]:
        return [line for line in self.log.read_text().split("\n")[:-1] if line.startswith(word)]


@pytest.fixture
def start(clock: Clock, home: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*arguments: str) -> Process:
        log = tmp_path / f"log{len(started)}"
        script = Path(__file__).with_name("clocked.py")
        command = [sys.executable, str(script), str(home / "state.db"), str(TTL), *arguments]
        with log.open("wb") as file:
            started.append(Process(subprocess.Popen(command, stdout=file, env=clock.environment), log))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


async def until(look: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not look():
            await passes(0.02)


async def passes(seconds: float) -> None:
    """Time that the other processes have."""
    await anyio.sleep(seconds)


async def test_no_driver_that_lives_loses_its_run_and_one_that_is_gone_is_followed_at_once(
    home: Path, clock: Clock, start: Callable[..., Process], report: list[str]
) -> None:
    store = Store.open(home / "state.db")
    journal = await RunStore(store).create("agent", {}, "local", run_id="a" * 32)
    await journal.release()
    driving, waiting = start("a" * 32), start()
    await until(lambda: len(driving.said("ack")) > 3)
    await passes(1.5)  # so that the other has begun to look
    for seconds in (HOUR, 3 * HOUR, -2 * HOUR):
        clock.set(seconds)
        count = len(driving.said("ack"))
        await passes(2 * TTL)  # who takes the lease for over takes it within one
        assert (driving.said("refused"), waiting.said("claimed")) == ([], []), f"at {seconds:+d} s"
        await until(lambda: len(driving.said("ack")) > count)  # noqa: B023 - it is called here
    driving.process.kill()
    clock.set(-4 * HOUR)
    killed = time.monotonic()
    await until(lambda: waiting.said("ack"))
    took = time.monotonic() - killed
    waiting.process.kill()
    waiting.process.wait()
    report.append(f"killed as the clock was set back by two hours: followed after {took:.1f} s with a lease of {TTL} s")
    events = await RunStore(store).events("a" * 32)
    rows = await store.query("SELECT seq, fence FROM run_events ORDER BY seq")
    assert [event.seq for event in events] == [seq for seq, _ in rows] == list(range(len(rows)))
    assert all(one <= other for (_, one), (_, other) in pairwise(rows))
    acknowledged = {int(line.split()[1]) for one in (driving, waiting) for line in one.said("ack")}
    assert acknowledged <= {event.seq for event in events}
    assert {fence for _, fence in rows} == {2, 3}
    store.close()
