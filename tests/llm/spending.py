"""Crowds of callers with one budget between them: what they spend, for tests and for the goal G13."""

from __future__ import annotations

import random
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.ledger import Entry, Ledger, Reservation, Scope, Used

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_132_800_000  # 2026-11-20T00:00:00Z
TODAY = "2026-11-20"
BUDGET = Decimal("0.30")


async def spent(ledger: Ledger, seed: int, key: str = TODAY) -> tuple[Decimal, int]:
    """(what a hundred callers at once spent of BUDGET, how many were refused); luck says what each needs and uses.

    The ledger has to come to the same sum, and hold nothing.
    """
    chance = random.Random(seed)
    scope = Scope("day", key, usd=BUDGET, calls=60)
    paid: list[Decimal] = []
    refused = 0

    async def one(worst: Decimal, share: Decimal, kind: int) -> None:
        nonlocal refused
        try:
            reservation: Reservation = await ledger.reserve([scope], usd=worst, tokens=1)
        except BudgetExceeded:
            refused += 1
            return
        await anyio.lowlevel.checkpoint()
        if kind == 0:
            ledger.release(reservation)
        else:
            usd = worst * share if kind > 1 else None
            ledger.commit(reservation, Entry(NOW, "acme", "m", usd=usd))
            paid.append(worst if usd is None else usd)

    async with anyio.create_task_group() as group:
        for _ in range(100):
            worst = Decimal(chance.randint(1, 20)) / 1000
            group.start_soon(one, worst, Decimal(chance.randint(0, 10)) / 10, chance.randint(0, 4))
    total = sum(paid, Decimal(0))
    assert await ledger.used("day", key) == Used(total, len(paid), len(paid), Decimal(0), 0, 0)
    return total, refused


RESERVE = """
import sys, anyio
from decimal import Decimal
from pathlib import Path
from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.ledger import Entry, Ledger, Scope
from mcp_llm.store.sqlite import Store

async def main():
    store = Store.open(Path(sys.argv[1]))
    ledger = Ledger(store)
    done = []
    async def one():
        try:
            held = await ledger.reserve([Scope("day", "2026-11-20", usd=Decimal(1))], usd=Decimal("0.01"), tokens=1)
        except BudgetExceeded:
            return
        ledger.commit(held, Entry(1795132800000, "acme", "m", usd=Decimal("0.01")))
        done.append(1)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(one)
    store.close()
    print(len(done))
anyio.run(main)
"""


def run_together(path: Path, processes: int) -> list[int]:
    children = [
        subprocess.Popen([sys.executable, "-c", RESERVE, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return [int(child.communicate(timeout=60)[0]) for child in children]
