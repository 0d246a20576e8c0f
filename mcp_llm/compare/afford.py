"""What a comparison may use: decided once for all its calls, and held before the first of them is made.

A comparison of half of its models is worth nothing. So what it needs of a budget that others share is set aside in one
step: of two that do not fit together one is made and the other is told, before anything is paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.answer import Job
from mcp_llm.llm.ledger import Scope

from . import cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.llm.ledger import Reservation
    from mcp_llm.llm.service import Service

    from .asked import Comparison
    from .cost import Line

LOOKS: Final = 3
"""How often what is left is looked at, while others take of it at the same moment."""
CENT: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Means:
    """Dollars for all calls (None: not limited), output tokens of each answer (None: as many as there are), budgets."""

    usd: Decimal | None
    longest: int | None
    scopes: tuple[Scope, ...]
    ahead: Reservation | None = None

    def release(self, service: Service) -> None:
        """Give back what was not needed."""
        if self.ahead is not None:
            service.purse.ledger.release(self.ahead)


async def afford(
    service: Service, ask: Comparison, run_id: str, lines: Sequence[Line], scopes: Sequence[Scope], *, again: bool
) -> Means:
    """Set aside what the calls may cost. Raises BudgetExceeded when answers of the usual length would not fit.

    A comparison that is gone on with (`again`) has paid a part of it already: its calls are held to their budget one
    by one.
    """
    own = _own(service, ask)
    if again:
        return _means(own, run_id, lines, scopes)
    looks = 0
    while True:
        looks += 1
        job = Job(run_id, operation="compare", principal=ask.principal, scopes=tuple(scopes))
        left = await service.purse.left(job)
        shared = left is not None and (own is None or left < own)
        means = _means(left if shared else own, run_id, lines, scopes, shared=shared)
        job.scopes = means.scopes
        needed = Decimal(cost.together(lines, means.longest)).quantize(CENT, ROUND_CEILING)
        try:
            ahead = await service.purse.ahead(job, needed)
        except BudgetExceeded:
            if looks == LOOKS:
                raise
            continue
        return Means(means.usd, means.longest, means.scopes, ahead)


def _means(
    usd: Decimal | None, run_id: str, lines: Sequence[Line], scopes: Sequence[Scope], *, shared: bool = False
) -> Means:
    if usd is None:
        return Means(None, None, tuple(scopes))
    whose = "what is left of a budget that it shares with other calls is" if shared else "the budget is"
    longest = cost.longest_answer(lines, float(usd), whose=whose)
    return Means(usd, longest, (*scopes, Scope("run", run_id, usd=usd)))


def _own(service: Service, ask: Comparison) -> Decimal | None:
    """The caller's budget, or the settings' cap of one call, whichever is less."""
    caps = [service.config.settings.budget.call_usd]
    caps.append(None if ask.budget_usd is None else Decimal(str(ask.budget_usd)))
    return min((cap for cap in caps if cap is not None), default=None)
