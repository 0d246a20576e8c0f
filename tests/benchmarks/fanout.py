"""Comparing eight models that take 300 ms each: wall time against one bare call, which is the slowest model's time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from table import compared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from table import Row

HERE = Path(__file__).resolve().parent
WAIT_MS = 300
GOAL = 1.05


def rows(base: str, rounds: int, share: float) -> Iterator[Row]:
    """Warm, and the first of a process, which imports and connects."""
    plan = json.dumps({"base": f"{base}/w{WAIT_MS}/v1", "calls": max(3, round(20 * share))})
    told: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, HERE / "drivers" / "fan.py", plan], capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout.strip().splitlines()[-1]))
    one = [figures["floor"] for figures in told]
    yield compared("compare 8 models of 300 ms", "ms", [figures["ours"] for figures in told], one, GOAL)
    yield compared("  8 bare calls at once", "ms", [figures["floor, eight"] for figures in told], one)
    yield compared("  ours, the first of a process", "ms", [figures["ours, first"] for figures in told], one)
