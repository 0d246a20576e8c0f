"""The purse: the worst case is reserved before a call, the real figure committed after it, one ledger row each time.

A call without any dollar, token or call limit reserves nothing. With a limit the reservation is on disk before the call
and stands until the real figure is, so that parallel calls and several processes cannot overshoot. An unknown price is
never free.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.catalog import price
from mcp_llm.catalog.tariff import KINDS
from mcp_llm.errors import BudgetExceeded, ConfigError, Denied, Error, InvalidInput, StoreError
from mcp_llm.types.result import dollars
from mcp_llm.types.usage import Usage

from . import billing, bound, parameters, standing
from . import reservation as rules
from .answer import Hold
from .ledger import Entry, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from sqlite3 import Connection

    from mcp_llm.catalog.find import Target
    from mcp_llm.catalog.price import Cost
    from mcp_llm.catalog.schema import Rates
    from mcp_llm.settings import Settings
    from mcp_llm.types.chat import ChatRequest

    from .answer import Answer, Begun, Job
    from .ledger import Ledger, Reservation

SMALLEST: Final = 16
"""Fewer output tokens than this are not worth asking for when a budget cuts the answer short."""
UNKNOWN_OUTPUT: Final = 32_000
"""Output tokens assumed at most where neither the caller nor the catalog knows a limit."""


@dataclass(slots=True)
class Purse:
    """Prices, budgets and the ledger of one process."""

    settings: Settings
    ledger: Ledger
    overrides: Mapping[str, Rates] = field(default_factory=dict)

    async def reserve(
        self, request: ChatRequest, target: Target, job: Job
    ) -> tuple[ChatRequest, Hold | None, list[str]]:
        """Set the worst case aside; lowers `max_tokens` where that is what fits. Raises BudgetExceeded."""
        scopes = self._scopes(job)
        if not scopes:
            return request, None, []
        billing.countable(request.options, target)
        words: list[str] = []
        ceiling = await self._left(scopes, job.ahead)
        tokens_in = bound.tokens(request, target.facts)
        worst: Decimal | None = None
        if ceiling is not None:
            request, worst, words = self._fit(request, target, tokens_in, ceiling)
        tokens = tokens_in + (request.max_tokens or target.facts.output or UNKNOWN_OUTPUT)
        return request, await self._hold(scopes, worst, tokens, target, job), words

    async def set_aside(self, worst: Usage | None, options: Mapping[str, Any], target: Target, job: Job) -> Hold | None:
        """The same for an operation whose cost cannot be lowered. Raises BudgetExceeded; `worst` None is not known."""
        scopes = self._scopes(job)
        if not scopes:
            return None
        billing.countable(options, target)
        usd: Decimal | None = None
        if (ceiling := await self._left(scopes, job.ahead)) is not None:
            now = datetime.now(UTC)
            usd = None if worst is None else price.most(target, worst, now, overrides=self.overrides)
            usd = self._unknown(target, ceiling) if usd is None else usd
            if usd > ceiling:
                raise BudgetExceeded(
                    f"this may cost {dollars(usd)} on {target.name}, the budget has ${_plain(ceiling)} left. Ask for "
                    "less, raise the budget, or ask a cheaper model.",
                    limit="usd",
                )
        return await self._hold(scopes, usd, (worst.total or 0) if worst else 0, target, job)

    async def _hold(self, scopes: list[Scope], usd: Decimal | None, tokens: int, target: Target, job: Job) -> Hold:
        entry = self._entry(target, job, target.name, "unknown", time.monotonic())
        reservation = await self.ledger.reserve(scopes, usd=usd, tokens=tokens, entry=entry, out_of=job.ahead)
        try:
            self._lasting(scopes)
        except StoreError:
            self.ledger.release(reservation)
            raise
        return Hold(reservation, usd, tokens)

    def _unknown(self, target: Target, ceiling: Decimal) -> Decimal:
        """What a call of unknown price is taken to cost. Raises BudgetExceeded where nobody has said."""
        if (unknown := self.settings.budget.unknown_usd) is None:
            raise BudgetExceeded(
                f"the price of {target.name} is not known, so it cannot be held to ${_plain(ceiling)}. Set its "
                "price under [prices], or [budget] unknown_usd to what such a call may cost, or drop the budget.",
                limit="usd",
            )
        return unknown

    async def left(self, job: Job) -> Decimal | None:
        """Dollars that a call of the job could use; None where no budget that binds it is one of dollars."""
        return await self._left(self._scopes(job))

    async def ahead(self, job: Job, usd: Decimal) -> Reservation | None:
        """Hold dollars for the job's calls to come in every budget that binds it; None where nobody else shares one.

        Release what is left of them. Raises BudgetExceeded.
        """
        scopes = [scope for scope in self._scopes(job) if scope.usd is not None]
        if all((scope.kind, scope.key) == ("run", job.run_id) for scope in scopes):
            return None
        return await self.ledger.reserve(scopes, usd=usd, tokens=0, calls=0, ahead=True)

    def order(
        self, job: Job, target: Target, worst: Decimal | None, tokens: int, calls: int
    ) -> Callable[[Connection], None] | None:
        """What sets an order of so many calls aside, in the transaction that begins it; it may raise BudgetExceeded.

        It stands until `ordered` says what came of it. None where nothing is counted. `worst` None is not known.
        """
        limited = self._scopes(job)
        if not limited and not self.settings.ledger:
            return None
        caps = [scope.usd for scope in limited if scope.usd is not None]
        if caps and worst is None:
            worst = self._unknown(target, min(caps)) * calls
        known = {scope.kind for scope in limited}
        day = rules.day(self.ledger.now())
        days = [Scope("day", day), Scope(rules.PRINCIPAL, f"{job.principal} on {day}")]
        scopes = [*limited, *(scope for scope in days if scope.kind not in known)]
        entry = self._entry(target, job, target.name, "unknown", time.monotonic())

        def begin(connection: Connection) -> None:
            self._lasting(limited)
            standing.hold(connection, job.run_id, scopes, entry, usd=worst, tokens=tokens, calls=calls)

        return begin

    def ordered(
        self, run_id: str, entries: Sequence[Entry], billed: Collection[str] = ()
    ) -> Callable[[Connection], None]:
        """What puts the calls of an order in the place of what it held, in the transaction that ends it: none frees it.

        `billed` are the outcomes of calls that were paid for, whether or not it is known what.
        """

        def end(connection: Connection) -> None:
            now = self.ledger.now()
            if not standing.settle(connection, run_id, entries, billed=billed, now=now) and self.settings.ledger:
                self.ledger.insert(connection, entries)

        return end

    def attempted(self, job: Job, target: Target, outcome: str) -> Entry:
        """The row of an order of which nobody knows whether it was made."""
        return self._entry(target, job, target.name, outcome, time.monotonic())

    def _lasting(self, scopes: Sequence[Scope]) -> None:
        """Refuse a budget for the day where there is no database to hold it."""
        if not self.ledger.durable and any(scope.kind in rules.DAILY for scope in scopes):
            raise StoreError(
                "the state database cannot be used, so a budget for the day cannot be held over calls and processes. "
                "`mcp-llm doctor` says why; mend it, or take the day's budget out of the settings."
            )

    async def _left(self, scopes: list[Scope], ahead: Reservation | None = None) -> Decimal | None:
        """Dollars that the tightest scope still has, calls in flight counted; None where none is limited in dollars."""
        left: list[Decimal] = []
        for scope in scopes:
            if scope.usd is not None:
                used = await (self.ledger.seen if scope.kind == "run" else self.ledger.used)(scope.kind, scope.key)
                ours = ahead.usd if ahead is not None and (scope.kind, scope.key) in ahead.scopes else None
                left.append(max(Decimal(0), scope.usd - used.usd - used.held_usd + (ours or 0)))
        return min(left, default=None)

    def _fit(
        self, request: ChatRequest, target: Target, tokens_in: int, ceiling: Decimal
    ) -> tuple[ChatRequest, Decimal, list[str]]:
        now = datetime.now(UTC)
        kinds = bound.kinds(request, target.facts.extra)

        def worst(output: int | None) -> Decimal | None:
            return price.worst_case(target, tokens_in, output, now, kinds=kinds, overrides=self.overrides)

        asked = request.max_tokens
        most = worst(asked)
        if most is None and asked is None:
            most = worst(target.facts.output or UNKNOWN_OUTPUT)
        if most is None:
            return request, self._unknown(target, ceiling), []
        if most <= ceiling:
            return request, most, []
        base = worst(0) or Decimal(0)
        longest = asked or target.facts.output or UNKNOWN_OUTPUT
        per_token = (most - base) / longest
        affordable = int((ceiling - base) / per_token) if per_token > 0 else 0
        if affordable < SMALLEST:
            raise BudgetExceeded(
                f"this prompt and a few words of answer may cost {dollars(worst(SMALLEST) or base)} on {target.name}, "
                f"the budget has ${_plain(ceiling)} left. "
                "Shorten it, raise the budget, or ask a cheaper model.",
                limit="usd",
            )
        words = [f"`max_tokens` was set to {affordable} so that the answer cannot cost more than ${_plain(ceiling)}"]
        lowered = request.model_copy(update={"max_tokens": affordable})
        return lowered, worst(affordable) or ceiling, words

    def _scopes(self, job: Job) -> list[Scope]:
        budget = self.settings.budget
        scopes = list(job.scopes)
        caps = [Decimal(str(job.budget_usd))] if job.budget_usd is not None else []
        if budget.call_usd is not None:
            caps.append(budget.call_usd)
        if caps and not any((scope.kind, scope.key) == ("run", job.run_id) for scope in scopes):
            scopes.append(Scope("run", job.run_id, usd=min(caps)))  # a scope of its own is held to them already
        day = rules.day(self.ledger.now())
        principals = self.settings.principals
        mine = principals.get(job.principal) or principals.get("*")
        for kind, key, limits in (("day", day, budget), (rules.PRINCIPAL, f"{job.principal} on {day}", mine)):
            if limits is not None:
                scope = Scope(kind, key, usd=limits.day_usd, tokens=limits.day_tokens, calls=limits.day_calls)
                scopes += [scope] if scope.limited else []
        return scopes

    def failed(
        self,
        hold: Hold | None,
        target: Target,
        job: Job,
        asked_for: str,
        error: BaseException,
        asked: float,
        *,
        sent: bool,
    ) -> None:
        """A request that gave no answer: its row, and the money back; what may have been billed all the same stays.

        What failed on this side (no key, nothing `sent`) was no request: it has no row.
        """
        if not sent or isinstance(error, ConfigError | Denied) or type(error) is InvalidInput:
            if hold is not None:
                self.ledger.release(hold.reservation)
            return
        kind = error.kind if isinstance(error, Error) else "cancelled"
        entry = self._entry(target, job, asked_for, kind, asked)
        entry.request_id = getattr(error, "request_id", None)
        if hold is None:
            self._post(entry)
        elif billing.possible(error):
            self.ledger.commit(hold.reservation, entry)
        else:
            self.ledger.commit(hold.reservation, entry, usd=Decimal(0), tokens=0)

    def settle(self, answer: Answer, job: Job, error: BaseException | None) -> tuple[Usage, Cost]:
        """The row of a request that gave an answer, whole or broken off; what it used and cost."""
        usage, cost = self.count(answer)
        kind = "ok" if error is None else error.kind if isinstance(error, Error) else "cancelled"
        entry = self._entry(answer.target, job, answer.asked_for, kind, answer.asked)
        end = answer.fold.end
        entry.first_token_ms = round((answer.first_chunk - answer.asked) * 1000)
        entry.total_ms = round(((answer.finished or time.monotonic()) - answer.asked) * 1000)
        names = (end.model if end else None, end.id if end else None)
        charged = (
            self._uncounted(answer, answer.hold) if answer.hold and usage.estimated and usage.usd is None else None
        )
        self._enter(entry, usage, cost, names, answer.hold, charged)
        return usage, cost

    def _uncounted(self, answer: Answer, hold: Hold) -> tuple[Decimal | None, int]:
        """(dollars, tokens) that budgets count for an answer which the provider did not count, or which broke off.

        As much as it can have been, by what was sent and what came. What a model thought in secret nobody knows.
        """
        target = answer.target
        if "reasoning" in (target.facts.can or ()):
            return hold.usd, hold.tokens
        read = bound.tokens(answer.request, target.facts)
        written = answer.fold.written() * bound.CHARACTER
        kinds = bound.kinds(answer.request, target.facts.extra)
        usd, tokens = self.worst(target, read, written, kinds), min(hold.tokens, read + written)
        return (hold.usd if usd is None or hold.usd is None else min(usd, hold.usd)), tokens

    def paid(
        self,
        begun: Begun[Any, Any],
        usage: Usage,
        names: tuple[str | None, str | None],
        job: Job,
        asked_for: str,
        outcome: str = "ok",
    ) -> Cost:
        """The row of an operation that came, whole if it is "ok"; `names` are the vendor's for the model and the reply.

        What one that broke off used beyond `usage` nobody knows: budgets count its worst case.
        """
        cost = price.quote(begun.target, usage, at=datetime.now(UTC), overrides=self.overrides)
        entry = self._entry(begun.target, job, asked_for, outcome, begun.asked)
        entry.total_ms = round((begun.answered - begun.asked) * 1000)
        held = (begun.hold.usd, begun.hold.tokens) if begun.hold and outcome != "ok" else None
        self._enter(entry, usage, cost, names, begun.hold, held)
        return cost

    def _enter(
        self,
        entry: Entry,
        usage: Usage,
        cost: Cost,
        names: tuple[str | None, str | None],
        hold: Hold | None,
        charged: tuple[Decimal | None, int | None] | None = None,
    ) -> None:
        entry.model_used = names[0] or entry.model_used
        entry.request_id = names[1]
        entry.input, entry.output, entry.cached = usage.input, usage.output, usage.cached
        entry.cache_write, entry.reasoning = usage.cache_write, usage.reasoning
        entry.usd, entry.cost_source = cost.usd, cost.source
        if hold is None:
            self._post(entry)
        else:
            usd, tokens = charged or (None, None)
            self.ledger.commit(hold.reservation, entry, usd=usd, tokens=tokens)

    def count(self, answer: Answer) -> tuple[Usage, Cost]:
        """What an answer used and cost; counted here, and marked so, where the provider did not say."""
        end = answer.fold.end
        usage = end.usage if end else None
        if usage is None or (usage.input is None and usage.output is None):
            written = answer.fold.written()
            counted = Usage(
                input=parameters.estimate_tokens(answer.request), output=max(1, written // 4) if written else 0
            )
            usage = counted.model_copy(update={"estimated": True, "usd": usage.usd if usage else None})
        return usage, price.quote(answer.target, usage, at=datetime.now(UTC), overrides=self.overrides)

    def quote(self, request: ChatRequest, target: Target) -> dict[str, Any]:
        """What a call would cost: input tokens as guessed, dollars for the input alone and at most.

        At least is by the guess; at most by what a budget has to have for it.
        """
        now = datetime.now(UTC)
        tokens = parameters.estimate_tokens(request)
        kinds = bound.kinds(request, target.facts.extra)
        least = price.worst_case(target, tokens, 0, now, kinds=kinds, overrides=self.overrides)
        held = bound.tokens(request, target.facts)
        most = price.worst_case(target, held, request.max_tokens, now, kinds=kinds, overrides=self.overrides)
        return {
            "model": target.model_id,
            "provider": target.provider_id,
            "input_tokens": tokens,
            "max_output_tokens": request.max_tokens or target.facts.output,
            "usd_at_least": None if least is None else float(least),
            "usd_at_most": None if most is None else float(most),
        }

    def worst(self, target: Target, tokens_in: int, output: int, kinds: Collection[str] = KINDS) -> Decimal | None:
        """The most that a call of so many tokens can cost, with these `kinds`; None where the price is not known."""
        now = datetime.now(UTC)
        return price.worst_case(target, tokens_in, output, now, kinds=kinds, overrides=self.overrides)

    def at_most(self, request: ChatRequest, target: Target) -> tuple[Decimal | None, int]:
        """(dollars, tokens) that a request can cost and use; dollars None where the price is not known."""
        tokens_in = bound.tokens(request, target.facts)
        longest = request.max_tokens or target.facts.output or UNKNOWN_OUTPUT
        worst = self.worst(target, tokens_in, longest, bound.kinds(request, target.facts.extra))
        return worst, tokens_in + longest

    def _post(self, entry: Entry) -> None:
        if self.settings.ledger:
            self.ledger.add(entry)

    def _entry(self, target: Target, job: Job, asked_for: str, outcome: str, asked: float) -> Entry:
        lasted = round((time.monotonic() - asked) * 1000)
        return Entry(
            ts=self.ledger.now() - lasted,
            run_id=job.run_id,
            parent_run=job.parent_run,
            context=job.context,
            provider=target.provider_id,
            model=asked_for,
            model_used=target.model_id,
            operation=job.operation,
            principal=job.principal,
            total_ms=lasted,
            outcome=outcome,
        )


def _plain(usd: Decimal) -> str:
    """Without exponent and trailing zeros."""
    return f"{usd.normalize():f}"
