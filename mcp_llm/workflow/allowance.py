"""What a workflow may spend: one scope in the ledger that every call of its run reserves in, delegates included."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.ledger import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.service import Service

T = TypeVar("T")

GOOD: Final = 8000
"""Output tokens that are enough for an answer that does not say how many it needs."""
WAIT: Final = 0.05
LONGEST_WAIT: Final = 1.0
"""Seconds between looks at what other calls in flight hold."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`usd` holds for the whole run. Where nobody said it (`said` False) it is the settings', and for a model whose
    price is not known `unpriced_tokens` stand in for it: a default must not refuse what nobody asked it about.
    """

    run_id: str
    usd: Decimal
    said: bool
    unpriced_tokens: int

    @classmethod
    def of(cls, service: Service, run_id: str, *said: float | None) -> Allowance:
        """The least that was said, by the settings for every call too, else what they say for workflows."""
        settings = service.config.settings
        caps = [Decimal(str(usd)) for usd in said if usd is not None]
        if settings.budget.call_usd is not None:
            caps.append(settings.budget.call_usd)
        usd = min(caps, default=settings.workflows.usd)
        return cls(run_id, usd, bool(caps), settings.workflows.unpriced_tokens)

    def scopes(self, service: Service, targets: Iterable[Target]) -> tuple[Scope, ...]:
        """What calls of these targets are held to."""
        if self._priced(service, targets):
            return (Scope("run", self.run_id, usd=self.usd),)
        return (Scope("run", self.run_id, tokens=self.unpriced_tokens),)

    def _priced(self, service: Service, targets: Iterable[Target]) -> bool:
        known = all(service.purse.worst(target, 1, 1) is not None for target in targets)
        return self.said or known or service.config.settings.budget.unknown_usd is not None

    async def left(self, service: Service) -> Decimal:
        """Dollars that are neither spent nor held."""
        used = await service.purse.ledger.used("run", self.run_id)
        return max(Decimal(0), self.usd - used.usd - used.held_usd)

    async def within(
        self,
        service: Service,
        targets: Sequence[Target],
        tokens: int,
        *,
        open_ended: bool,
        work: Callable[[tuple[Scope, ...]], Awaitable[T]],
    ) -> T:
        """Do the work, a call of about so many input tokens, within what is left of the allowance.

        A call that does not say how long its answer may be (`open_ended`) leaves half to others where half is enough.
        What calls in flight hold is the worst they can cost, and mostly comes back: that is waited for. Raises
        BudgetExceeded when nothing is held any more and it still does not fit.
        """
        pause, spent = WAIT, None
        while True:
            scopes = self.scopes(service, targets)
            if open_ended and scopes[0].usd is not None:
                left = await self.left(service)
                worst = service.purse.worst(targets[0], tokens, GOOD)
                if worst is not None and worst <= left / 2:
                    scopes = (Scope("run", self.run_id, usd=self.usd - left / 2),)
            try:
                return await work(scopes)
            except BudgetExceeded:
                used = await service.purse.ledger.used("run", self.run_id)
                if not used.held_usd and not used.held_tokens:
                    if spent == (used.usd, used.tokens):
                        raise
                    spent = (used.usd, used.tokens)  # what was held may have come back since: once more
                    continue
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_WAIT)
