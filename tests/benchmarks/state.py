"""What a durable event costs: from asking for it to having it on disk, in our journal and in bare SQLite (FULL)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from table import Row, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
P50_MS, P99_MS = 0.5, 2.0


def rows(rounds: int) -> Iterator[Row]:
    """Medians over the rounds of both percentiles; the two are written in turn, to the same file system."""
    told: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, HERE / "drivers" / "durable.py"], capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout))
    for name, goal in (("p50", P50_MS), ("p99", P99_MS)):
        ours, least, most = spread([one[f"ours {name}"] for one in told])
        floor = statistics.median(one[f"floor {name}"] for one in told)
        yield Row(f"durable event, {name}", "ms", ours, floor, ours, goal, spread=(least, most))
