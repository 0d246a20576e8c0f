"""Acknowledged events that a kill -9 loses, gaps and torn events that it leaves; system calls that fail.

A run is driven by one process after another, agents with delegates too, each killed at a random moment. Then every
kind of system call of every command fails once, or its process is killed there: one after another in the long form.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from agent import killing as agents
from crash import failing, places
from goals.figure import Figure
from runs import killing
from runs.drivers import forked

from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 1000, 30
OF_AGENTS = 10
"""One kill of so many is of an agent."""
FAULTS = 2
"""System calls for each command in the short form."""


def measure(full: bool) -> Iterator[Figure]:
    """Kills, then system calls."""
    kills = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(killed, Path(folder), kills)
    note = f"{found.acknowledged:,} acknowledged in {found.kills:,} kills"
    yield Figure("acknowledged events lost", found.lost, "", 0, note=note)
    yield Figure("numbers missing between events", found.gaps, "", 0)
    yield Figure("torn events", found.torn, "", 0)
    with tempfile.TemporaryDirectory() as folder:
        made = anyio.run(killed_agents, Path(folder), kills // OF_AGENTS)
    note = f"{made.acknowledged:,} acknowledged in {made.kills:,} kills of {made.finished} agents; all finished"
    yield Figure("acknowledged events of agents lost", made.lost, "", 0, note=note)
    if not failing.traceable():
        yield Figure("system calls that fail", None, "", 0, note=failing.MISSING)
        return
    with tempfile.TemporaryDirectory() as folder:
        place, luck = places.make(Path(folder) / "place"), random.Random(1)
        for name in places.COMMANDS:
            tried, wrong = 0, list[str]()
            for fault, words in whole(place, name) if full else places.some(place, name, luck, FAULTS):
                tried += 1
                wrong += [f"{fault}: {' '.join(words)}"] if words else []
            note = "; ".join([f"{tried} runs", *wrong[:3]])
            yield Figure(
                f"`{name}`: failing system calls after which something does not hold", len(wrong), "", 0, note=note
            )


def whole(place: places.Place, name: str) -> Iterator[tuple[failing.Fault, list[str]]]:
    """Every call of every kind."""
    for call, how in places.KINDS:
        yield from places.every(place, name, call, how)


async def killed(folder: Path, kills: int) -> killing.History:
    """One run, and whoever drives it killed so many times."""
    store = Store.open(folder / "home" / "state.db")
    try:
        with forked(folder) as drivers:
            return await killing.killed(store, folder / "home" / "state.db", drivers, kills, random.Random(1))
    finally:
        store.close()


async def killed_agents(folder: Path, kills: int) -> agents.Agents:
    """Agents with a delegate, killed so many times."""
    nursery = agents.Nursery()
    try:
        return await agents.killed(folder, nursery, kills, random.Random(1))
    finally:
        nursery.close()
