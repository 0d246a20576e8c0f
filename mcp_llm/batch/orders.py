"""Batches that a vendor works off in its own time, at half price: ordered, asked for, collected - each order a run.

What is on disk before the order leaves says that it may have left; nothing is ordered twice by itself. Whoever looks
first when it is done collects it, whichever process that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from pydantic import BaseModel

from mcp_llm.errors import (
    BudgetExceeded,
    Conflict,
    Error,
    InvalidInput,
    ProviderError,
    StoreError,
    TooLarge,
    Unsupported,
)
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.llm import billing, parameters
from mcp_llm.llm.answer import Job
from mcp_llm.llm.exchange import encode, whole
from mcp_llm.llm.generate import request_of
from mcp_llm.llm.ledger import Scope
from mcp_llm.runs import outside
from mcp_llm.runs.ending import cancel, fail
from mcp_llm.runs.store import new_id
from mcp_llm.types.events import Finish, JobEvent, Resumed, Start
from mcp_llm.wires import batch as wires
from mcp_llm.wires.base import HttpRequest
from mcp_llm.wires.batch.contract import Entry
from mcp_llm.wires.whole import decoded

from .collect import BILLED, collected
from .operation import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo, RunStore
    from mcp_llm.wires.base import HttpReply
    from mcp_llm.wires.batch.contract import BatchWire, Result, State

    from .items import Item

KIND: Final = "batch"
SOON: Final = 5.0
LONGEST: Final = 60.0
"""Seconds between looks: at first, and after a while."""
CAP: Final = 1024 * 1024 * 1024
"""Bytes of results that are read."""
PATIENCE: Final = Deadlines(first_byte=120, idle=60, total=1800)


class Order(BaseModel):
    """What a run of this kind keeps of the order: the keys are `i0`, `i1`, ... in the order of `ids`."""

    model: str
    ids: list[str]
    json_schema: dict[str, Any] | None = None
    context: str | None = None


@dataclass(slots=True)
class Orders:
    """Makes orders and sees them through; a Resumer for their runs, so that any process can."""

    service: Service
    runs: RunStore
    automatic: bool = True
    wait: bool = True
    """Whether `drive` waits for the end; if not, it looks once and leaves the run as it stands."""

    async def submit(
        self,
        items: Sequence[Item],
        defaults: dict[str, Any],
        *,
        budget_usd: Decimal | None = None,
        principal: str = "local",
    ) -> tuple[str, State]:
        """(run, how it stands). Raises Unsupported for a provider without batches, InvalidInput, BudgetExceeded."""
        target, wire, quirks = await self._target(defaults.get("model"), defaults.get("context"))
        entries, worst, tokens = await self._entries(items, defaults, target, quirks, principal)
        run_id = new_id()
        context = defaults.get("context")
        scopes = (Scope("run", run_id, usd=budget_usd),)
        job = Job(run_id, operation=KIND, principal=principal, context=context, scopes=scopes)
        self._allow(worst, budget_usd)
        purse = self.service.purse
        order = Order(
            model=target.name,
            ids=[item.id for item in items],
            json_schema=defaults.get("json_schema"),
            context=context,
        )
        journal = await self.runs.create(
            KIND,
            order.model_dump(mode="json"),
            principal,
            run_id=run_id,
            model=target.name,
            also=purse.order(job, target, worst, tokens, len(items)),
        )
        provider, name = target.provider_id, target.model_id
        left = False
        state: State | None = None

        def leaves() -> None:
            nonlocal left
            left = True

        try:
            await journal.append(Start(prompt=f"{len(items)} requests", kind=KIND, provider=provider, model=name))
            await journal.append(JobEvent(state="submitting", total=len(items), provider=provider, model=name))
            state = await self._conversation(target, wire.submit(entries, target.model_id, quirks), leaves)
            sent = JobEvent(state="submitted", job_id=state.id, total=len(items), provider=provider, model=name)
            await journal.leave(sent)
        except Exception as exc:
            if state is not None:
                raise StoreError(
                    f"{provider} took the batch as {state.id[:200]!r}, but that could not be written to run {run_id} "
                    f"({exc}). Do not order it again: it is written as soon as the disk takes it, while this process "
                    f"lives; after that only {provider} itself shows it, under this id"
                ) from exc
            kind = exc.kind if isinstance(exc, Error) else "error"
            made = [purse.attempted(job, target, kind)] if left and billing.possible(exc) else []
            await fail(journal, exc, purse.ordered(run_id, made, billed={kind}))
            raise
        finally:  # also of a caller who goes meanwhile: the order may have left, and `check` says so
            with anyio.CancelScope(shield=True):
                if not left:
                    await cancel(journal, purse.ordered(run_id, []))
                await journal.release()
        return journal.run_id, state

    async def cancel(self, run_id: str, principal: str = "local") -> State:
        """Ask the vendor to stop, or hear that it has; what was answered by then can still be collected."""
        info = await self.runs.get(run_id, principal)
        target, wire, quirks = await self._of(info.request)
        job = await self._job(run_id)
        refusal: ProviderError | None = None
        try:
            await self._call(target, wire.cancel(job, quirks))
        except ProviderError as error:
            if not outside.refused(error):
                raise
            refusal = error
        state = await self._state(target, wire, quirks, job)
        if refusal is not None and state.status == "running":
            raise refusal
        return state

    async def check(self, info: RunInfo, again: bool) -> None:
        """Raise InvalidInput for an order of which nobody knows whether it has left.

        So for one that could not be looked at a moment ago, unless `again`: a key that is missing here, a model that
        is not known any more, a reply that nobody can read. What the vendor has is there for weeks.
        """
        stood = await self._stood(info.id)
        if not again:
            outside.refuse_resting(info.id, stood)

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """See it through: wait for the vendor, collect, finish the run. Its result; {} where it is not done yet.

        Only what the vendor says ends an order. What keeps us from asking, or from reading what it has, leaves it open.
        """
        known = await outside.known(self.runs, journal.run_id)
        try:
            return await self._through(journal)
        except (Conflict, StoreError):  # another process has it, or the disk fails
            raise
        except Exception as error:
            if known and not journal.ended:
                await outside.rest(journal, known[-1], error)
            raise

    async def _through(self, journal: Journal) -> dict[str, Any]:
        order = Order.model_validate(journal.request)
        target, wire, quirks = await self._of(journal.request)
        job = await self._job(journal.run_id)
        await journal.append(Resumed(after=journal.seq, attempt=journal.attempts))
        pause, seen = SOON, -1
        results: dict[str, Result] = {}
        while True:
            try:
                state = await self._state(target, wire, quirks, job)
                if state.status not in {"running", "failed"}:
                    results = await self._results(target, wire, state, quirks)
            except ProviderError as error:
                if not error.retryable or not self.wait:
                    raise
            else:
                if state.status != "running":
                    break
                if state.done is not None and state.done != seen:
                    seen = state.done
                    await journal.append(self._event(target, state))
            if not self.wait:
                return {}
            await self.service.llm.sleep(pause)
            pause = min(pause * 1.5, LONGEST)
        await journal.append(self._event(target, state))
        purse = self.service.purse
        if state.status == "failed":
            failed = ProviderError(state.message or "the batch failed", provider=target.provider_id, retry=False)
            await fail(journal, failed, purse.ordered(journal.run_id, []))
            raise failed
        result, cost, rows = await collected(
            self.service, order.ids, order.json_schema, results, target, Decimal(str(quirks.price)), journal
        )
        await journal.finish(
            Finish(result=result, cost=cost),
            status="cancelled" if state.status == "cancelled" else None,
            also=purse.ordered(journal.run_id, rows, BILLED),
        )
        return result

    async def _results(self, target: Target, wire: BatchWire, state: State, quirks: Any) -> dict[str, Result]:
        """All that can be read. Raises what is wrong with a part of it where no answer is in the others."""
        found: dict[str, Result] = {}
        faults: list[ProviderError] = []
        for request in wire.reading(state, quirks):
            try:
                reply = await self._call(target, request)
                read = await anyio.to_thread.run_sync(decoded, lambda: list(wire.results(reply)))  # noqa: B023
            except ProviderError as error:
                if error.retryable:
                    raise
                faults.append(error)
            else:
                found |= {one.key: one for one in read}
        if faults and not any(one.status is not None and one.status < 400 for one in found.values()):
            raise faults[0]
        return found

    async def _job(self, run_id: str) -> str:
        """What the vendor calls it."""
        return str((await self._stood(run_id))[-1].job_id)

    async def _stood(self, run_id: str) -> list[JobEvent]:
        if not (stood := await outside.known(self.runs, run_id)):
            raise InvalidInput(
                f"run {run_id} was cut off while its batch was submitted: it may be there or not. Look at the "
                "provider's own list of batches; to order it (again), submit it anew"
            )
        return stood

    async def _of(self, request: dict[str, Any]) -> tuple[Target, BatchWire, Any]:
        order = Order.model_validate(request)
        return await self._target(order.model, order.context)

    async def _target(self, model: str | None, context: str | None) -> tuple[Target, BatchWire, Any]:
        service = self.service
        target = (await service.plan(model, context)).targets[0]
        name = target.provider.wires.get(KIND)
        if name is None:
            able = [one for one, provider in service.catalog.providers.items() if KIND in provider.wires]
            raise Unsupported(
                f"{target.provider_id} has no batches; {', '.join(able)} have. `batch run` asks any model"
            )
        return target, wires.wire(name), service.catalog.quirks(target.provider_id, KIND)

    async def _entries(
        self, items: Sequence[Item], defaults: dict[str, Any], target: Target, quirks: Any, principal: str
    ) -> tuple[list[Entry], Decimal | None, int]:
        """The requests as they go into the batch, and the most that they cost and use; dollars None: not known."""
        if len(items) > quirks.max_items:
            raise TooLarge(
                f"a batch of {target.provider_id} holds {quirks.max_items:,} requests, these are {len(items):,}: "
                "split them"
            )
        learned = await self.service.llm.learned.of(target.provider_id, target.model_id)
        share, purse, most = (
            Decimal(str(quirks.price)),
            self.service.purse,
            self.service.config.settings.budget.call_usd,
        )
        entries: list[Entry] = []
        worst: Decimal | None = Decimal(0)
        tokens = size = 0
        for index, item in enumerate(items):
            if item.arguments.get("model") not in {None, defaults.get("model")}:
                raise InvalidInput(f"item {item.number} names a model of its own; a batch has one (-m)")
            request, _ = await request_of(self.service, asked({**defaults, **item.arguments}, principal), [])
            request, _ = parameters.fit(request.model_copy(update={"stream": False}), target, learned)
            http = encode(request, target)
            size += len(str(http.json))
            if size > quirks.max_bytes:
                raise TooLarge(
                    f"a batch of {target.provider_id} holds {quirks.max_bytes:,} bytes, these are more: split them"
                )
            entries.append(Entry(f"i{index}", http))
            one, used = purse.at_most(request, target)
            one = None if one is None else one * share
            if one is not None and most is not None and one > most:
                raise BudgetExceeded(
                    f"item {item.number} may cost ${one:.4f}, a call ${most:.4f}: set max_tokens, or raise "
                    "[budget] call_usd",
                    limit="usd",
                )
            worst = None if worst is None or one is None else worst + one
            tokens += used
        return entries, worst, tokens

    def _allow(self, worst: Decimal | None, budget: Decimal | None) -> None:
        """Raise BudgetExceeded, in the words of an order, where it may cost more than it was given."""
        if budget is not None and worst is not None and worst > budget:
            raise BudgetExceeded(
                f"the batch may cost ${worst:.4f}, the budget is ${budget:.4f}: set max_tokens, raise it, or order "
                "less",
                limit="usd",
            )

    def _event(self, target: Target, state: State) -> JobEvent:
        return JobEvent(
            state=state.status,
            provider=target.provider_id,
            model=target.model_id,
            job_id=state.id,
            done=state.done,
            total=state.total,
            message=state.message,
        )

    async def _state(self, target: Target, wire: BatchWire, quirks: Any, job: str) -> State:
        reply = await self._call(target, wire.poll(job, quirks))
        return decoded(lambda: wire.state(reply))

    async def _conversation(
        self, target: Target, steps: Generator[HttpRequest, HttpReply, State], leaves: Callable[[], None]
    ) -> State:
        """The answers to each request; `leaves` is told before the one that makes the order."""
        found: HttpRequest | State = next(steps)
        while isinstance(found, HttpRequest):
            if found.once:
                leaves()
            reply = await self._call(target, found)
            found = decoded(lambda: _after(steps, reply))  # noqa: B023 - called at once
        return found

    async def _call(self, target: Target, request: HttpRequest) -> HttpReply:
        service = self.service
        try:
            return await whole(
                request,
                target,
                service.access,
                service.llm.transport(),
                PATIENCE,
                cap=CAP,
                decode=lambda reply: reply,
            )
        except Error as error:
            if isinstance(error, ProviderError):
                error.provider = error.provider or target.provider_id
            raise


def _after(steps: Generator[HttpRequest, HttpReply, State], reply: HttpReply) -> HttpRequest | State:
    """What is asked for next, or what came of it all."""
    try:
        return steps.send(reply)
    except StopIteration as end:
        state: State = end.value
        return state
