"""A workflow of 1,000 idle tasks: what scheduling one costs beside a bare task group, and what it costs on disk."""

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
SHAPES = {"wide": "side by side", "row": "in a row", "layers": "in ten layers"}
GOAL = 5.0


def rows(rounds: int, share: float) -> Iterator[Row]:
    """CPU of a task in each shape; checked, scheduled and filled in, then with its journal too."""
    plan = json.dumps({"rounds": max(2, round(4 * share))})
    told: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, HERE / "drivers" / "graph.py", plan], capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout.strip().splitlines()[-1]))
    for shape, words in SHAPES.items():
        floor = [figures[f"{shape} floor cpu"] for figures in told]
        engine = [figures[f"{shape} engine cpu"] for figures in told]
        yield compared(f"workflow task, {words}", "us", engine, floor, GOAL)
        kept = [figures[f"{shape} run cpu"] for figures in told]
        yield compared("  as a run, each on disk", "us", kept, floor)
