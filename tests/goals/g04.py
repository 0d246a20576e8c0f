"""Writes that are accepted of a process which was stopped, and overtaken meanwhile: SIGSTOP, takeover, SIGCONT."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from goals.figure import Figure
from runs import killing
from runs.drivers import forked

from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 100, 10


def measure(full: bool) -> Iterator[Figure]:
    """One run, each driver stopped between two writes and woken when another has its run."""
    rounds = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(stopped, Path(folder), rounds)
    yield Figure("stale writes accepted", found.stale, "", 0, note=f"{rounds} times, {found.acknowledged:,} events")
    yield Figure("acknowledged events lost, or numbers missing", found.lost + found.gaps, "", 0)
    yield Figure("completed steps and side effects repeated", found.repeated + found.effects, "", 0)


async def stopped(folder: Path, rounds: int) -> killing.History:
    """So many drivers."""
    store = Store.open(folder / "home" / "state.db")
    try:
        with forked(folder) as drivers:
            return await killing.stopped(store, folder / "home" / "state.db", drivers, rounds)
    finally:
        store.close()
