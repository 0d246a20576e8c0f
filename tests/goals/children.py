"""What every way to misbehave of an MCP server costs us: opened, listed, called twice and closed by a real toolset.

python tests/goals/children.py stdio endless     one of them, in a process of its own, as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import anyio

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toolsets import hostile

START_S = CALL_S = 3.0
"""Shorter than the settings', since a child that is silent is waited for."""


@dataclass(frozen=True)
class Child:
    """`stall` in ms of the event loop, `growth` in MiB of resident memory, both at their worst."""

    name: str
    stall: float
    growth: float


@cache
def children(full: bool) -> tuple[Child, ...]:
    """All of them, once a process; `full` gives each a process of its own, so that none hides behind another's peak."""
    ways: tuple[hostile.Way, ...] = ("stdio", "http")
    every = [(way, mode) for way in ways for mode in hostile.modes(way)]
    if full:
        return tuple(_apart(way, mode) for way, mode in every)
    anyio.run(_cost, "stdio", "ok")  # what is imported and allocated once is no peer's doing
    return tuple(anyio.run(_cost, way, mode) for way, mode in every)


async def _cost(way: hostile.Way, mode: str) -> Child:
    cost = await hostile.play(way, mode, start_s=START_S, call_s=CALL_S)
    return Child(f"{way} {mode}", cost.stall * 1000, cost.growth / hostile.MIB)


def _apart(way: hostile.Way, mode: str) -> Child:
    command = [sys.executable, __file__, way, mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Child(**json.loads(done.stdout))


async def _alone(way: hostile.Way, mode: str) -> None:
    await _cost("stdio", "ok")
    found = await _cost(way, mode)
    print(json.dumps({"name": found.name, "stall": found.stall, "growth": found.growth}))


if __name__ == "__main__":
    anyio.run(_alone, cast("hostile.Way", sys.argv[1]), sys.argv[2])
