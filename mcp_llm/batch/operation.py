"""The calls of a batch, so many at a time: taken from the items as room comes, handed out as they end.

One item's failure is that item's result. What would fail all that follow - a budget that is used up, a provider that
only fails - ends the batch, and what was not asked stays unasked, for the next time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio

from mcp_llm.errors import BudgetExceeded, Error, StoreError
from mcp_llm.llm.allowance import Allowance
from mcp_llm.llm.answer import Job
from mcp_llm.llm.conversation import messages, parts
from mcp_llm.llm.generate import Ask, generate
from mcp_llm.llm.ledger import Scope
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Text, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mcp_llm.llm.service import Service
    from mcp_llm.types.result import Generated

    from .items import Item

AT_ONCE: Final = 8
FAILURES: Final = 20
"""Items in a row that may fail; then the trouble is not theirs."""
SAMPLING: Final = ("top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one item: an answer, or the error in its place. `seconds` from its start to its end."""

    item: Item
    run_id: str
    seconds: float
    answer: Generated | None = None
    error: Error | None = None

    def record(self) -> dict[str, Any]:
        """`{id, status: "ok", response, ...receipt}` or `{id, status: "error", error: {kind, message}}`, as JSON."""
        known = {"id": self.item.id, "status": "ok" if self.answer else "error", "duration_s": round(self.seconds, 3)}
        if self.answer is not None:
            return known | self.answer.model_dump(mode="json", exclude_none=True)
        error = {"kind": self.error.kind, "message": str(self.error)[:2000]} if self.error else {}
        return known | {"run_id": self.run_id, "error": error}


@dataclass(slots=True)
class Batch:
    """A batch under way. `defaults` are the arguments of every item that does not say otherwise.

    `stopped` is the error that ended it early; `failed` counts items, `cost` sums what is known of their cost, and
    `unpriced` counts the answers whose cost nobody knows.
    """

    service: Service
    defaults: dict[str, Any] = field(default_factory=dict)
    at_once: int = AT_ONCE
    budget_usd: Decimal | None = None
    run_id: str = field(default_factory=lambda: uuid4().hex)
    principal: str = "local"
    answered: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    stopped: Error | None = None
    _in_a_row: int = 0

    async def run(self, items: Iterable[Item], on_done: Callable[[Outcome], None]) -> None:
        """Ask them all; `on_done` gets each as it ends, and what it raises ends the batch."""
        rest = iter(items)
        scopes = () if self.budget_usd is None else (Scope("run", self.run_id, usd=self.budget_usd),)
        allowance = Allowance(self.budget_usd, self.service.purse.ledger, self.run_id)
        async with anyio.create_task_group() as tasks:
            for _ in range(self.at_once):
                tasks.start_soon(self._work, rest, on_done, scopes, allowance)

    async def _work(
        self,
        rest: Iterator[Item],
        on_done: Callable[[Outcome], None],
        scopes: tuple[Scope, ...],
        allowance: Allowance,
    ) -> None:
        for item in rest:
            if self._ended():
                return
            outcome = await self._one(item, scopes, allowance)
            if self._ended() and outcome.answer is None:
                return  # it is as if it had not been asked
            self._count(outcome)
            on_done(outcome)

    def _ended(self) -> bool:
        return self.stopped is not None

    async def _one(self, item: Item, scopes: tuple[Scope, ...], allowance: Allowance) -> Outcome:
        run_id, started = uuid4().hex, time.monotonic()
        try:
            ask = asked({**self.defaults, **item.arguments}, self.principal)
            async with allowance.take(await self._worst(ask)):
                started = time.monotonic()
                part_of = Job(self.run_id, operation="batch", scopes=scopes)
                answer = await generate(self.service, ask, run_id=run_id, part_of=part_of)
        except Error as error:
            own = isinstance(error, BudgetExceeded) and item.arguments.get("budget_usd") is not None
            if isinstance(error, BudgetExceeded | StoreError) and not own:
                self.stopped = self.stopped or error
            return Outcome(item, run_id, time.monotonic() - started, error=error)
        return Outcome(item, run_id, time.monotonic() - started, answer)

    async def _worst(self, ask: Ask) -> float | None:
        """Dollars that the call can cost at most; None where nothing holds it to a budget, or no price is known."""
        if self.budget_usd is None:
            return None
        plan = await self.service.plan(ask.model, ask.context)
        target = plan.targets[0]
        said = [Text(ask.prompt)] if isinstance(ask.prompt, str) else [p for p in ask.prompt if not isinstance(p, str)]
        request = ChatRequest(messages=(*ask.messages, user(*said)), system=ask.system, max_tokens=ask.max_tokens)
        worst, _ = self.service.purse.at_most(request, target)
        return None if worst is None else float(worst)

    def _count(self, outcome: Outcome) -> None:
        if outcome.answer is None:
            self.failed += 1
            self._in_a_row += 1
            if self._in_a_row >= max(FAILURES, 2 * self.at_once) and self.stopped is None:
                self.stopped = outcome.error
            return
        self.answered += 1
        self._in_a_row = 0
        usd = outcome.answer.cost.usd
        self.unpriced += usd is None
        self.cost += Decimal(str(usd or 0))


def asked(given: dict[str, Any], principal: str = "local") -> Ask:
    """The arguments of `generate`, as a line has them, as what is asked. Raises InvalidInput."""
    prompt = given.get("prompt", "")
    return Ask(
        prompt=prompt if isinstance(prompt, str) else parts(prompt),
        messages=messages(given.get("messages") or ()),
        sampling={name: given[name] for name in SAMPLING if name in given},
        principal=principal,
        **{name: given[name] for name in _PLAIN if given.get(name) is not None},
    )


_PLAIN: Final = (
    *("model", "system", "context", "files", "json_schema", "temperature", "max_tokens", "effort"),
    *("thinking_budget", "stop", "timeout_s", "budget_usd", "options"),
)
