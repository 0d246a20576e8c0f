"""How soon another server goes on, unasked, with the runs of one that was killed; the lease is the one users have."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from goals.figure import Figure
from server.taking_over import RUNS, taken_over

from mcp_llm.runs.lease import TTL_S

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 20, 1


def measure(full: bool) -> Iterator[Figure]:
    """Two servers over stdio; one is killed with runs in flight. A round takes as long as the lease."""
    rounds = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        taken, requests = anyio.run(taken_over, home, Path(folder), rounds)
    note = f"{len(taken)} runs, half of them within {statistics.median(taken):.1f} s"
    yield Figure("from the kill to the other server's first event, at most", max(taken), "s", TTL_S + 1, note=note)
    yield Figure("requests of each run: the one that was cut off, and one more", requests / len(taken), "", 2)
    assert len(taken) == RUNS * rounds
