"""What a hundred callers at once, processes and trees of delegates spend beyond a budget; how far trees grow."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from agent import delegating
from goals.figure import Figure
from llm import spending

from mcp_llm.llm.ledger import Ledger, day
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 1000, 50
TREES = 20
"""One seed of so many is a tree of a hundred delegates."""
DAY_MS = 86_400_000
MOST_RUNS = 64


def measure(full: bool) -> Iterator[Figure]:
    """The ledger alone, four processes with one budget, then agents."""
    seeds = FULL if full else SHORT
    with tempfile.TemporaryDirectory() as folder:
        over, refused = anyio.run(crowds, Path(folder), seeds)
    note = f"{seeds} seeds of 100 callers, {refused:,} refused"
    yield Figure("seeds that spent more than the budget", over, "", 0, note=note)
    with tempfile.TemporaryDirectory() as folder:
        done = sum(spending.run_together(Path(folder) / "home" / "state.db", 4))
    yield Figure("cents of one dollar that four processes spent", done, "", 100, note="200 wishes of a cent")
    trees = seeds // TREES
    with tempfile.TemporaryDirectory() as folder:
        spent = [anyio.run(delegating.spent, made(folder, seed), seed) for seed in range(trees)]
        runs = anyio.run(delegating.grown, made(folder, -1))
    beyond = sum(used > budget for budget, used, _ in spent)
    note = f"{trees} trees of a hundred delegates, {sum(calls for *_, calls in spent):,} calls"
    yield Figure("trees that spent more than their root had", beyond, "", 0, note=note)
    yield Figure("runs of a tree in which everybody asks for a hundred others", runs, "", MOST_RUNS)


def made(folder: str, number: int) -> Path:
    """A home."""
    home = Path(folder) / f"home{number}"
    home.mkdir()
    return home


async def crowds(folder: Path, seeds: int) -> tuple[int, int]:
    """(seeds that spent too much, callers that were refused), each seed on a day of its own."""
    store = Store.open(folder / "home" / "state.db")
    now = [spending.NOW]
    ledger = Ledger(store, clock=lambda: now[0])
    over, refused = 0, 0
    for seed in range(seeds):
        now[0] = spending.NOW + seed * DAY_MS
        total, no = await spending.spent(ledger, seed, day(now[0]))
        over += total > Decimal(spending.BUDGET)
        refused += no
    store.close()
    return over, refused
