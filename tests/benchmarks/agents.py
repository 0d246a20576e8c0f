"""Agents of twenty turns against a loop by hand: CPU of a turn with a function as tool and with one of an MCP server.

Our loop has every event on disk before it acts on it and reserves money before each call; the floor does neither. What
the disk is of that shows in the rows whose state is in memory.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from peers import PEERS
from table import Row, compared

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
TOOLS = {"function": ("agent turn, a function", 1.1), "mcp": ("agent turn, MCP over stdio", 1.15)}
Who = tuple[Path, str, dict[str, str]]
"""A Python, the driver it runs, and what the driver finds in its environment."""


def _drive(who: Who, base: str, share: float) -> dict[str, float]:
    python, driver, more = who
    plan = json.dumps({"base": base, "tools": list(TOOLS), "share": share})
    done = subprocess.run(
        [python, HERE / "drivers" / f"{driver}.py", plan],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ADDER_PYTHON": sys.executable, **more},
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(f"{driver} failed: {done.stderr.strip()[-600:]}")
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def rows(base: str, rounds: int, share: float, pythons: dict[str, Path]) -> Iterator[Row]:
    """Everybody once a round, in rotated order."""
    here = Path(sys.executable)
    everybody: dict[str, Who] = {
        "floor": (here, "work_floor", {}),
        "floor, streamed": (here, "work_floor", {"STREAMED": "1"}),
        "ours": (here, "work_ours", {}),
        "ours, in memory": (here, "work_ours", {"IN_MEMORY": "1"}),
    }
    everybody |= {name: (python, agent, {}) for name, python in pythons.items() if (agent := PEERS[name].agent)}
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    names = list(everybody)
    for number in range(rounds):
        print(f"agents, round {number + 1} of {rounds}", file=sys.stderr)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(_drive(everybody[name], base, share))

    def figures(who: str, what: str) -> list[float]:
        return [one[what] for one in found[who]]

    for tools, (words, goal) in TOOLS.items():
        floor = figures("floor", tools)
        peers = {name: (figures(name, tools), floor) for name in pythons if name in found}
        yield compared(words, "us", figures("ours", tools), floor, goal, peers)
        yield compared(
            "  floor streams as we do", "us", figures("ours", tools), figures("floor, streamed", tools), goal
        )
        yield compared("  our state in memory", "us", figures("ours, in memory", tools), floor, goal)
    for who in ("ours", "ours, in memory"):
        many = statistics.median(figures(who, "function events"))
        yield Row(f"agent events a second, {who.partition(', ')[2] or 'on disk'}", "", many, None, many, form="{:.0f}")
