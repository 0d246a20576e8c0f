"""G7: gone after SIGTERM, SIGINT and the end of input with 100 calls under way, each told and written down."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from goals.figure import Figure
from load.ending import WAYS, end

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = 100
LIMIT = {"stdio": 2.0, "http": 5.0}


def measure(full: bool) -> Iterator[Figure]:
    """Seconds from the signal to the end of the process, the slowest of one way (`full`: of five of each)."""
    for transport, how in WAYS:
        slowest, undone = 0.0, 0
        for _ in range(5 if full else 1):
            with tempfile.TemporaryDirectory() as home:
                ended = end(transport, how, CALLS, Path(home))
            slowest = max(slowest, ended.seconds)
            undone += abs(ended.code) + (CALLS - ended.runs) + ended.left + ended.open + ended.untold
        yield Figure(f"{transport}, {how}: gone after", slowest, "s", LIMIT[transport])
        yield Figure(f"{transport}, {how}: calls untold, runs without an end, connections left", undone, "", 0)
