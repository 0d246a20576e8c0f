"""Runs on a real SQLite file; processes that can be killed are forked from one that has everything imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import pytest

from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path)
    yield opened
    opened.close()


@pytest.fixture
def runs(store: Store) -> RunStore:
    return RunStore(store)


class Soon(Protocol):
    """`await soon(look)`: what `look` gives as soon as it is true; fails after `seconds`."""

    async def __call__(self, look: Callable[[], Any], seconds: float = 20) -> Any: ...


@pytest.fixture
def soon() -> Soon:
    async def until(look: Callable[[], Any], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen in time"
            await anyio.sleep(0.002)
        return found

    return until


@dataclass
class Driver:
    """One process that drives, or tries to; `lines` are what it has written so far, each a word and its values."""

    pid: int
    log: Path
    _seen: int = field(default=0)

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


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[Drivers]:
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    script = Path(__file__).with_name("driver.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Drivers(process, tmp_path)
        assert process.stdin is not None
        process.stdin.close()
