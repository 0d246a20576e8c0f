"""The loop: ask the model, make the calls it asks for, ask again, until it has an answer or a limit says no.

All it knows is folded from the run's events, and every event is on disk before it is acted on: going on after a crash
is the same loop over the same events.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

from mcp_llm.errors import BudgetExceeded, ContextTooLong, ProviderError, Refused
from mcp_llm.llm import bound
from mcp_llm.llm.answer import Job
from mcp_llm.llm.money import UNKNOWN_OUTPUT
from mcp_llm.types.events import Fallback, ModelEnd, ModelStart
from mcp_llm.types.message import Message, ToolCall
from mcp_llm.types.result import Tried

from .limits import SMALLEST, receipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from decimal import Decimal

    from mcp_llm.llm.answer import Answer
    from mcp_llm.llm.routing import Plan
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.history import History
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.recorder import Recorder
    from mcp_llm.runs.store import RunStore
    from mcp_llm.types.chat import ChatRequest, ChatResponse
    from mcp_llm.types.events import Event

    from .calls import Calls
    from .limits import Meter

Before: TypeAlias = "Callable[[Loop, tuple[Message, ...]], Awaitable[tuple[Message, ...]]]"
Shorten: TypeAlias = "Callable[[Loop], Awaitable[bool]]"

GOOD: Final = 8000
"""Output tokens that are enough for a reply that does not say how many it needs."""
WAIT: Final = 0.05
LONGEST_WAIT: Final = 1.0
"""Seconds between looks at a budget that other calls in flight hold."""


@dataclass(slots=True)
class Loop:
    """One run's. `settings` is the request without messages, `first` what is said before the first reply."""

    service: Service
    runs: RunStore
    journal: Journal
    recorder: Recorder
    plan: Plan
    settings: ChatRequest
    first: tuple[Message, ...]
    meter: Meter
    history: History
    before: Before
    """What is done before each reply is asked for; gives what is left of what is about to be said."""
    shorten: Shorten
    """What is done where the provider says that history is too long; whether it could be made shorter."""
    context: str | None = None
    tell: Callable[[str], None] | None = None
    calls: Calls = field(init=False)
    reply: ChatResponse | None = None
    fallbacks: list[Tried] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def replay(self, events: Iterable[Event]) -> None:
        """Stand where the run stood."""
        events = list(events)
        self.meter.replay(events)
        for event in events:
            self.history.take(event)
            if isinstance(event, ModelEnd):
                self.reply = event.response
                for call in event.response.message.tool_calls:
                    self.calls.repeats.take(call)

    async def append(self, event: Event) -> None:
        """Write the event; what it changes here, changes once it is on disk."""
        await self.journal.append(event)
        self.history.take(event)
        self.meter.take(event)

    def add(self, event: Event) -> None:
        """The same for an event that nobody acts on before the next one that is awaited, or `journal.settled`."""
        self.journal.add(event)
        self.history.take(event)
        self.meter.take(event)

    async def converse(self) -> ChatResponse:
        """The last reply. Raises BudgetExceeded, Stuck, and what else ends the run."""
        while True:
            reply = self.reply if self.history.asking is None else None
            if reply is not None:
                waiting = [call for call in self.history.calls if call.id not in self.history.results]
                if waiting:
                    await self.calls.make(self.history.replies - 1, waiting, reply.stop == "length")
                elif not reply.message.tool_calls and reply.stop != "pause":
                    return reply
            self.meter.check()
            said = () if self.history.replies or self.history.messages else self.first
            said = await self.before(self, said)
            self.reply = await self.ask(said)

    async def ask(self, said: tuple[Message, ...] = (), **changes: Any) -> ChatResponse:
        """One reply, stored. `said` are further messages of ours, `changes` what is asked differently this time."""
        settings = self.settings.model_copy(update=changes) if changes else self.settings
        if self.history.asking is None:
            self._begin(said, settings)
        try:
            answer = await self._stream()
        except ContextTooLong:
            if not await self.shorten(self):
                raise
            self._begin((), settings)
            answer = await self._stream()
        self.plan = _staying(self.plan, answer)
        await self._fell_back(answer)
        response = _distinct(answer.response())
        target = answer.target
        # A lowered limit is worth a word where it was felt; it changes with every reply.
        felt = [words for words in answer.warnings if response.stop == "length" or "`max_tokens` was set" not in words]
        self.warnings += [words for words in felt if words not in self.warnings]
        usage, cost = receipt(answer)
        event = ModelEnd(
            step=self.history.replies,
            response=response,
            provider=target.provider_id,
            model=response.model or target.model_id,
            usage=usage,
            cost=cost,
            latency_ms=round(((answer.finished or answer.first_chunk) - answer.asked) * 1000),
            first_token_ms=round((answer.first_chunk - answer.asked) * 1000),
        )
        self.add(event)  # on disk before the first of its calls is made, in one commit with that call's start
        if response.stop == "content_filter":
            raise Refused(
                response.note or "a content filter stopped the reply",
                provider=target.provider_id,
                partial=response.text,
            )
        if response.stop == "error":
            raise ProviderError(
                response.note or "the model's reply ended in an error",
                provider=target.provider_id,
                partial=response.text,
            )
        return response

    def _begin(self, said: tuple[Message, ...], settings: ChatRequest) -> None:
        target, known = self.plan.targets[0], self.history.settings
        self.add(
            ModelStart(
                step=self.history.replies,
                model=target.model_id,
                provider=target.provider_id,
                messages=said,
                settings=None if settings is known or settings == known else settings,
            )
        )

    async def _stream(self) -> Answer:
        ledger, pause = self.service.purse.ledger, WAIT
        while True:
            request = await self._held_to_tokens(self.history.request())
            job = self.job()
            left, gone = await self.meter.dollars_left(ledger) if request.max_tokens is None else (None, None)
            if left is not None and gone is not None and self._modest(request, left):
                job.scopes = self.meter.capped(gone + left / 2)
            try:
                self.journal.push()  # its commit is that of the reservation
                return await self._streamed(request, job)
            except BudgetExceeded:
                # What calls in flight hold is the worst they can cost: most of it comes back when they end.
                if not await self.meter.held(ledger):
                    raise
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_WAIT)

    async def _streamed(self, request: ChatRequest, job: Job) -> Answer:
        """The reply. What one that breaks off had cost by then was spent as well."""
        answer: Answer | None = None
        try:
            async with self.service.llm.stream(request, self.plan, job) as answer:
                async for batch in answer.batches():
                    await self.recorder.take(batch)
        except BaseException:
            if answer is not None:
                self.meter.spent(*receipt(answer))
            raise
        return answer

    def _modest(self, request: ChatRequest, left: Decimal) -> bool:
        """Whether half of what is left is enough for a good reply.

        Then it asks for no more: others may need the rest, and what a killed process holds is spent at its worst case.
        """
        target = self.plan.targets[0]
        tokens, kinds = bound.tokens(request, target.facts), bound.kinds(request, target.facts.extra)
        worst = self.service.purse.worst(target, tokens, GOOD, kinds)
        return worst is not None and worst <= left / 2

    async def _held_to_tokens(self, request: ChatRequest) -> ChatRequest:
        room = await self.meter.room(self.service.purse.ledger)
        if room is None:
            return request
        most = room - bound.tokens(request, self.plan.targets[0].facts)
        if most < SMALLEST:
            if await self.meter.held(self.service.purse.ledger):
                return request  # the reservation refuses it, and it is tried again when the others are done
            raise BudgetExceeded("the run has used the tokens it may: raise the limit to go on", limit="tokens")
        longest = request.max_tokens or self.plan.targets[0].facts.output or UNKNOWN_OUTPUT
        return request.model_copy(update={"max_tokens": min(longest, most)})

    def job(self, operation: str = "agent") -> Job:
        """What a call of this run is part of."""
        return Job(
            self.journal.run_id,
            self.context,
            parent_run=self.journal.parent,
            operation=operation,
            principal=self.journal.principal,
            tell=self.tell,
            scopes=self.meter.scopes(),
            conversation=self.journal.run_id,
            before=self.journal.settled,
        )

    async def _fell_back(self, answer: Answer) -> None:
        """An event for each target that was given up."""
        target = answer.target
        given_up = {(one.provider, one.model): one for one in answer.tried}
        given_up.pop((target.provider_id, target.model_id), None)
        for one in given_up.values():
            self.fallbacks.append(
                Tried(provider=one.provider, model=one.model, error=one.kind, message=one.message, status=one.status)
            )
            await self.append(
                Fallback(
                    provider=one.provider,
                    model=one.model,
                    error=one.kind,
                    message=one.message,
                    status=one.status,
                    backup_provider=target.provider_id,
                    backup_model=target.model_id,
                    reason="preflight" if one.kind == "resting" else "on_failure",
                )
            )

    def words(self) -> str:
        """The answer as far as there is one: the reply that is coming, else the last words of the model."""
        said = [message.text for message in self.history.messages if message.role == "assistant"]
        own = said[-self.history.replies :] if self.history.replies else []
        coming = self.journal.partial if self.history.asking is not None else ""
        return coming or next((text for text in reversed(own) if text.strip()), "")


def _staying(plan: Plan, answer: Answer) -> Plan:
    """The target that answered is asked first from now on: a conversation that changes hands twice loses twice."""
    name = (answer.target.provider_id, answer.target.model_id)
    if not plan.warnings and (plan.targets[0].provider_id, plan.targets[0].model_id) == name:
        return plan
    rest = [one for one in plan.targets if (one.provider_id, one.model_id) != name]
    first = [one for one in plan.targets if (one.provider_id, one.model_id) == name]
    return replace(plan, targets=[*first, *rest], warnings=[]) if first else plan


def _distinct(response: ChatResponse) -> ChatResponse:
    """The response with an id of its own for each call; a model that gives one twice would get one result for both."""
    calls = response.message.tool_calls
    if len({call.id for call in calls}) == len(calls) and all(call.id for call in calls):
        return response
    taken: set[str] = set()
    parts = []
    for part in response.message.parts:
        if isinstance(part, ToolCall):
            name, number = part.id or "call", 1
            while name in taken:
                number += 1
                name = f"{part.id or 'call'}_{number}"
            taken.add(name)
            part = replace(part, id=name)
        parts.append(part)
    return response.model_copy(update={"message": response.message.model_copy(update={"parts": tuple(parts)})})
