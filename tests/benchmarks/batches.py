"""A batch of thousands of lines into a results file, beside a bare client that writes what it gets into one."""

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
GOAL = 1.2


def rows(base: str, rounds: int, share: float) -> Iterator[Row]:
    """CPU and wall time of a line, 16 in flight."""
    plan = json.dumps({"base": f"{base}/n20/g0/v1", "lines": max(400, round(10_000 * share / 2))})
    told: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, HERE / "drivers" / "batch.py", plan], capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout.strip().splitlines()[-1]))
    for unit, words, goal in (("cpu", "batch, a line", GOAL), ("wall", "  in wall time", None)):
        ours, floor = ([figures[f"{who} {unit}"] for figures in told] for who in ("ours", "floor"))
        yield compared(words, "us", ours, floor, goal)
