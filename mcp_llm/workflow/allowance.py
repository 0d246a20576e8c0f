"""What a workflow may spend: one scope in the ledger that every call of its run reserves in, delegates included."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_llm.llm.ledger import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.service import Service


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
        """The least that was said, else what the settings say."""
        settings = service.config.settings
        caps = [Decimal(str(usd)) for usd in said if usd is not None]
        usd = min(caps, default=settings.workflows.usd)
        return cls(run_id, usd, bool(caps), settings.workflows.unpriced_tokens)

    def scopes(self, service: Service, targets: Iterable[Target]) -> tuple[Scope, ...]:
        """What a call of these targets is held to."""
        known = all(service.purse.worst(target, 1, 1) is not None for target in targets)
        if self.said or known or service.config.settings.budget.unknown_usd is not None:
            return (Scope("run", self.run_id, usd=self.usd),)
        return (Scope("run", self.run_id, tokens=self.unpriced_tokens),)

    async def left(self, service: Service) -> Decimal:
        """Dollars that are neither spent nor held."""
        used = await service.purse.ledger.used("run", self.run_id)
        return max(Decimal(0), self.usd - used.usd - used.held_usd)
