"""How calls side by side share one budget without getting in each other's way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .ledger import Ledger


@dataclass(slots=True)
class Allowance:
    """What is left of the budget for calls that want to start: one that does not fit waits until another has ended.

    The ledger holds the budget; this only keeps parallel calls from cutting each other's answers short. `usd` None:
    nothing is limited and nobody waits.
    """

    usd: Decimal | None
    ledger: Ledger
    run_id: str
    _held: dict[int, Decimal] = field(default_factory=dict)
    _spent: Decimal = Decimal(0)
    _ended: anyio.Event = field(default_factory=anyio.Event)
    _count: int = 0

    @asynccontextmanager
    async def take(self, worst: float | None) -> AsyncIterator[None]:
        """Hold the worst that a call can cost while it runs. Alone it starts in any case: then the ledger decides."""
        if self.usd is None or worst is None:
            yield
            return
        amount = Decimal(str(worst))
        while self._held and amount + sum(self._held.values()) + self._spent > self.usd:
            await self._ended.wait()
        self._count += 1
        number = self._count
        self._held[number] = amount
        try:
            yield
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    self._spent = (await self.ledger.used("run", self.run_id)).usd
            finally:  # also where the disk fails: the others wait for it
                del self._held[number]
                self._ended.set()
                self._ended = anyio.Event()
