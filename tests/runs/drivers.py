"""Processes that drive a run until they are killed (driver.py): started quickly, read and signalled from here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Driver:
    """One process that drives, or tries to; `lines` are what it has written so far, each a word and its values."""

    pid: int
    log: Path

    def lines(self, word: str) -> list[list[str]]:
        text = self.log.read_bytes().rpartition(b"\n")[0].decode() if self.log.exists() else ""
        return [line.split()[1:] for line in text.split("\n") if line.split()[:1] == [word]]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)


@dataclass
class Drivers:
    """Starts drivers of one run."""

    process: subprocess.Popen[str]
    folder: Path
    started: list[Driver] = field(default_factory=list)

    def start(self, path: Path, run_id: str, ttl_s: float) -> Driver:
        log = self.folder / f"driver-{len(self.started)}.log"
        request = {"path": str(path), "run": run_id, "ttl": ttl_s, "log": str(log), "folder": str(self.folder)}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        driver = Driver(int(self.process.stdout.readline()), log)
        self.started.append(driver)
        return driver


@contextmanager
def forked(folder: Path) -> Iterator[Drivers]:
    """Drivers whose logs and effects are in the folder; all have ended at the end."""
    script = Path(__file__).with_name("driver.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Drivers(process, folder)
        assert process.stdin is not None
        process.stdin.close()


async def soon(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What `look` gives as soon as it is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await anyio.sleep(0.002)
    return found
