"""What a run has used and what it may still use; folded from its events, so that it is the same after a restart.

Dollars and tokens are kept by the ledger, reserved before each call in the scope of every run above as well: so a tree
of delegates cannot overshoot, in however many processes it runs. Raises BudgetExceeded; the loop ends the run with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import BudgetExceeded
from mcp_llm.llm.ledger import Scope
from mcp_llm.types.events import AgentEnd, AgentStart, Compacted, Lent, ModelEnd, Resumed, ToolEnd, ToolStart
from mcp_llm.types.result import Cost, Tokens

from .task import Ancestor, Limits, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_llm.llm.answer import Answer
    from mcp_llm.llm.ledger import Ledger
    from mcp_llm.types.events import Event

SMALLEST: Final = 16
"""Output tokens below which a reply is not worth asking for."""
_USAGE: Final = ("input", "output", "cached", "cache_write", "reasoning")
_COUNTS: Final = (*_USAGE, "total")


@dataclass(slots=True)
class Tree:
    """What all runs of one tree in this process share: how many more there may be."""

    left: int


@dataclass(slots=True)
class Meter:
    """One run's. `limits` are complete (`Limits.filled`), `shared` the runs above, the root first.

    `unpriced`: a token limit stands in for the dollars that nobody asked for, as the model's price is not known.
    """

    run_id: str
    limits: Limits
    shared: tuple[Ancestor, ...] = ()
    unpriced: int | None = None
    turns: int = 0
    calls: int = 0
    children: int = 0
    usage: Tokens = field(default_factory=Tokens)
    cost: Cost = field(default_factory=Cost)
    before: float = 0.0
    """Seconds it was driven by processes that are gone."""
    started: float = field(default_factory=time.monotonic)
    elsewhere: Decimal = Decimal(0)
    tokens_elsewhere: int = 0
    """With `elsewhere`: dollars and tokens spent, or lent, where our ledger does not see them: another server's."""
    _lent: dict[str, Lent] = field(default_factory=dict)
    _priced: bool = False
    _ended: set[str | None] = field(default_factory=set)

    def replay(self, events: Iterable[Event]) -> None:
        """Take the events of a run that is gone on with; the time between its processes is not counted."""
        last: int | None = None
        begun: set[str | None] = set()  # one that was gone on with stands there twice
        for event in events:
            if last is not None and not isinstance(event, Resumed):
                self.before += max(0, event.ts - last) / 1000
            last = event.ts
            if isinstance(event, AgentStart):
                begun.add(event.child_run or event.call_id)
            if isinstance(event, ToolStart) and event.lent is not None:
                self.lend(event.call_id, event.lent)
            if isinstance(event, Compacted) and event.usage is not None and event.cost is not None:
                self.spent(event.usage, event.cost)
            self.take(event)
        self.children += len(begun)

    def take(self, event: Event) -> None:
        """The next event of the run."""
        if isinstance(event, ModelEnd):
            self.turns += 1
            self.spent(event.usage, event.cost)
        elif isinstance(event, ToolEnd):
            self.calls += event.latency_ms is not None  # others were refused, and never made
            if (lent := self._lent.pop(event.call_id, None)) is not None:
                self._returned(lent, event.spent or Lent())
        elif isinstance(event, AgentEnd) and event.child_run not in self._ended:
            self._ended.add(event.child_run)
            self.spent(event.usage, event.cost)

    def lend(self, call_id: str, lent: Lent) -> None:
        """Let another server use so much. It is spent, unless the call ends and says less."""
        self._lent[call_id] = lent
        self.elsewhere += Decimal(str(lent.usd or 0))
        self.tokens_elsewhere += lent.tokens or 0

    def _returned(self, lent: Lent, spent: Lent) -> None:
        if lent.usd is not None and spent.usd is not None:
            self.elsewhere -= Decimal(str(lent.usd)) - min(Decimal(str(lent.usd)), Decimal(str(spent.usd)))
        if lent.tokens is not None and spent.tokens is not None:
            self.tokens_elsewhere -= lent.tokens - min(lent.tokens, spent.tokens)

    def spent(self, usage: Tokens, cost: Cost) -> None:
        """Add to what the run used."""
        mine = self.usage
        sums = {name: _sum(getattr(mine, name), getattr(usage, name)) for name in _COUNTS}
        self.usage = Tokens(**sums, estimated=mine.estimated or usage.estimated)
        if not self._priced:
            self._priced, self.cost = True, cost
            return
        known = self.cost.usd is not None and cost.usd is not None
        usd = float(Decimal(str(self.cost.usd)) + Decimal(str(cost.usd))) if known else None
        self.cost = Cost(usd=usd, source=cost.source or self.cost.source, priced_at=cost.priced_at)

    @property
    def seconds_left(self) -> float:
        """Of the wall clock."""
        assert self.limits.seconds is not None
        return max(0.0, self.limits.seconds - self.before - (time.monotonic() - self.started))

    def check(self) -> None:
        """Raise BudgetExceeded if no further reply may be asked for."""
        for limit, used in (("turns", self.turns), ("calls", self.calls)):
            cap = getattr(self.limits, limit)
            if cap is not None and used >= cap:
                raise exceeded(limit, cap)
        if self.seconds_left <= 0:
            raise exceeded("seconds", self.limits.seconds)

    def scopes(self) -> tuple[Scope, ...]:
        """The budgets that a call of this run is held to: those of the runs above, and its own."""
        if self.unpriced is not None:
            above = [Scope("run", one.run_id, tokens=_least(one.tokens, self.unpriced)) for one in self.shared]
            return (*above, Scope("run", self.run_id, tokens=self._here(_least(self.limits.tokens, self.unpriced))))
        above = [Scope("run", one.run_id, usd=dollars(one.usd), tokens=one.tokens) for one in self.shared]
        usd = dollars(self.limits.usd)
        own = None if usd is None else max(Decimal(0), usd - self.elsewhere)
        return (*above, Scope("run", self.run_id, usd=own, tokens=self._here(self.limits.tokens)))

    def _here(self, tokens: int | None) -> int | None:
        """What other servers have left of a token limit."""
        return None if tokens is None else max(0, tokens - self.tokens_elsewhere)

    def below(self, *, said: bool) -> tuple[Ancestor, ...]:
        """What a delegate is to share: what other servers were lent is not there any more for it.

        `said`: the dollars were asked for.
        """
        usd = dollars(self.limits.usd)
        left = None if usd is None else float(max(Decimal(0), usd - self.elsewhere))
        own = Ancestor(run_id=self.run_id, usd=left, tokens=self._here(self.limits.tokens), assumed=not said)
        return (*self.shared, own)

    async def room(self, ledger: Ledger) -> int | None:
        """Tokens that are left in the tightest scope, None where none is limited."""
        left = [
            scope.tokens - used.tokens - used.held_tokens
            for scope in self.scopes()
            if scope.tokens is not None
            for used in [await ledger.seen(scope.kind, scope.key)]
        ]
        return min(left, default=None)

    async def held(self, ledger: Ledger) -> bool:
        """Whether calls in flight hold some of what is missing: it may come back."""
        found = [await ledger.used(scope.kind, scope.key) for scope in self.scopes() if scope.limited]
        return any(used.held_usd or used.held_tokens for used in found)

    async def dollars_left(self, ledger: Ledger) -> tuple[Decimal | None, Decimal]:
        """(in the tightest scope, None where none is limited; what our own scope has spent and holds)."""
        left: list[Decimal] = []
        gone = Decimal(0)
        for scope in self.scopes():  # our own is the last
            if scope.usd is not None:
                used = await ledger.seen(scope.kind, scope.key)
                gone = used.usd + used.held_usd
                left.append(max(Decimal(0), scope.usd - gone))
        return min(left, default=None), gone

    def capped(self, usd: Decimal) -> tuple[Scope, ...]:
        """`scopes` with our own held to so many dollars in all."""
        *above, own = self.scopes()
        return (*above, replace(own, usd=usd))

    async def left(self, ledger: Ledger) -> Limits:
        """What may still be used by whoever works for this run elsewhere."""
        usd, _ = await self.dollars_left(ledger)
        room = await self.room(ledger)
        depth = self.limits.depth
        return Limits(
            usd=None if usd is None else float(usd),
            tokens=None if room is None else max(1, room),
            seconds=max(1.0, self.seconds_left),
            depth=None if depth is None else max(0, depth - 1),
            children=self.limits.children,
        )

    def delegate(self, tree: Tree, agent: str) -> None:
        """Count one more delegate. Raises BudgetExceeded where there may be none."""
        if self.limits.depth is not None and self.limits.depth < 1:
            raise BudgetExceeded(
                f"{agent} was not asked: delegates may not stand deeper. Do it yourself.", limit="depth"
            )
        if self.limits.children is not None and self.children >= self.limits.children:
            raise BudgetExceeded(
                f"{agent} was not asked: this run has had its {self.limits.children} delegates. Do the rest yourself.",
                limit="children",
            )
        if tree.left < 1:
            raise BudgetExceeded(
                f"{agent} was not asked: the whole task has had as many runs as it may. Do the rest yourself.",
                limit="children",
            )
        tree.left -= 1
        self.children += 1


def receipt(answer: Answer) -> tuple[Tokens, Cost]:
    """What a reply used and cost, as results show it."""
    usage, cost = answer.usage, answer.cost
    used = Tokens(total=usage.total, estimated=usage.estimated, **{name: getattr(usage, name) for name in _USAGE})
    if cost is None or cost.usd is None:
        return used, Cost(source=cost.source if cost else None)
    priced = cost.priced_at.isoformat() if cost.priced_at else None
    return used, Cost(usd=float(cost.usd), source=cost.source, priced_at=priced)


def exceeded(limit: str, cap: float | None) -> BudgetExceeded:
    """The error for a limit that is reached."""
    words = {"turns": "replies of the model", "calls": "tool calls", "seconds": "seconds"}.get(limit, limit)
    return BudgetExceeded(f"the run has used the {cap:g} {words} it may: raise the limit to go on", limit=limit)


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


def _least(a: int | None, b: int) -> int:
    return b if a is None else min(a, b)
