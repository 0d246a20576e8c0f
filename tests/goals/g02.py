"""What a kill -9 makes happen twice: completed steps, the step in flight, side effects."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from goals.figure import Figure
from goals.g01 import FULL, OF_AGENTS, SHORT, killed, killed_agents

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(full: bool) -> Iterator[Figure]:
    """Of one run with many drivers, and of agents with delegates. A completed step done again would end the agents'."""
    kills = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(killed, Path(folder), kills)
    yield Figure("completed steps repeated", found.repeated, "", 0, note=f"{found.kills:,} kills")
    yield Figure("in-flight steps repeated, a kill", found.in_flight / found.kills, "", 1)
    yield Figure("side effects repeated", found.effects, "", 0, note=f"{found.once:,} side effects")
    with tempfile.TemporaryDirectory() as folder:
        made = anyio.run(killed_agents, Path(folder), kills // OF_AGENTS)
    yield Figure("agents' in-flight steps repeated, a kill", made.in_flight / made.kills, "", 1)
    note = f"{made.effects:,} side effects, {made.unsure} left unsure and told so, in {made.kills:,} kills"
    yield Figure("agents' side effects repeated, or not made and not told", made.twice + made.missing, "", 0, note=note)
