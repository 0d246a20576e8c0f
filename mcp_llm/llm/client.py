"""LLM: asks a plan's targets in order until one answers. The only retry loop of the project, and the only fallback.

Retries and fallbacks end with the first chunk: what was shown is never asked for again. Every upstream request, failed
ones too, becomes one row of the ledger.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import random
from typing import TYPE_CHECKING

import anyio

from mcp_llm.errors import Attempt, ConfigError, Error, Garbled, InvalidInput, Overloaded, ProviderError, RateLimited
from mcp_llm.http.deadlines import Deadlines
from mcp_llm.types.chat import End

from . import learning, parameters, retry
from .answer import Answer
from .exchange import blame, encode, over_backend, over_http
from .health import Breakers
from .limits import Calls, Gate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from mcp_llm.catalog.find import Target
    from mcp_llm.http.transport import Transport
    from mcp_llm.settings import Settings
    from mcp_llm.types.chat import ChatRequest, Chunk

    from .access import Access
    from .answer import Job
    from .backends import Backends
    from .learned import Learned
    from .money import Purse
    from .routing import Plan


@dataclass(slots=True)
class LLM:
    """Asks. Opened once a process; everything it needs is handed to it."""

    settings: Settings
    access: Access
    backends: Backends
    purse: Purse
    learned: Learned
    transport: Callable[[], Transport]
    """Gives the process's transport, building it on the first call."""
    breakers: Breakers = field(default_factory=lambda: Breakers(time.monotonic))
    random: Callable[[], float] = random
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _gates: dict[str, Gate] = field(default_factory=dict)
    calls: Calls = field(init=False)

    def __post_init__(self) -> None:
        self.calls = Calls(self.settings.max_calls)

    @asynccontextmanager
    async def stream(self, request: ChatRequest, plan: Plan, job: Job) -> AsyncIterator[Answer]:
        """Open the answer of the first target that gives one. Raises the last error when none does."""
        with self.calls:
            answer: Answer | None = None
            try:
                async with AsyncExitStack() as stack:
                    answer = await self._open(stack, request, plan, job)
                    try:
                        yield answer
                    except BaseException as exc:
                        answer.error = answer.error or exc
                        raise
            finally:
                # Only now: the socket is closed first, however long the disk takes.
                if answer is not None:
                    await self._settle(answer, job)

    async def _open(self, stack: AsyncExitStack, request: ChatRequest, plan: Plan, job: Job) -> Answer:
        started = time.monotonic()
        total = min(job.timeout_s or self.settings.timeouts.total, self.settings.timeouts.total)
        deadline = started + total
        tried: list[Attempt] = []
        last: Error | None = None
        for index, target in enumerate(plan.targets):
            rest = len(plan.targets) - index - 1
            if not self.breakers.allows(target.provider_id):
                seconds = self.breakers.seconds_left(target.provider_id)
                last = last or Overloaded(
                    f"it failed repeatedly and is not asked for another {seconds:.0f} s", provider=target.provider_id
                )
                tried.append(Attempt(target.provider_id, target.model_id, "resting", f"not asked for {seconds:.0f} s"))
                continue
            try:
                return await self._ask(stack, request, target, plan, job, tried, started, deadline)
            except BaseException as exc:
                self.breakers.release(target.provider_id)  # a probe that was never sent is not the last one
                if not isinstance(exc, Error):
                    raise
                last = exc
                floating = (
                    index == 0 and rest and isinstance(exc, ConfigError | InvalidInput) and plan.because != "asked for"
                )
                if not floating and not (rest and retry.may_fall_back(exc)):
                    break
                if not isinstance(exc, ProviderError):
                    tried.append(Attempt(target.provider_id, target.model_id, exc.kind, str(exc)[:300]))
                if job.tell:
                    following = plan.targets[index + 1]
                    job.tell(f"{target.provider_id} failed ({exc.kind}), asking {following.provider_id}")
        if last is None:
            raise ConfigError("nothing to ask: the plan has no target")
        raise _told(last, tried)

    async def _ask(
        self,
        stack: AsyncExitStack,
        request: ChatRequest,
        target: Target,
        plan: Plan,
        job: Job,
        tried: list[Attempt],
        started: float,
        deadline: float,
    ) -> Answer:
        """One target, as often as it is worth; the answer's context is moved to `stack`."""
        key = (target.provider_id, target.model_id)
        learned = await self.learned.of(*key)
        request, warnings = parameters.fit(request, target, learned)
        warnings = [*plan.warnings, *warnings]
        if learned & {"stream", "stream_options"}:
            request, target = _quieter(request, target, learned)
        attempt, dropped = 0, set[str]()
        while True:
            attempt += 1
            asked, sent = time.monotonic(), False
            request, hold, words = await self.purse.reserve(request, target, job)
            warnings += words
            try:
                async with AsyncExitStack() as own:
                    if not (gate := self._gate(target)).free:
                        await _enter(own, gate, parameters.estimate_tokens(request), deadline)
                    sent = True
                    source, more = await self._send(own, request, target, deadline)
                    first = await _first_batch(source)
                    stack.push_async_exit(own.pop_all().__aexit__)
            except BaseException as exc:
                error = blame(exc, target) if isinstance(exc, ProviderError) else exc
                kind = error.kind if isinstance(error, Error) else "cancelled"
                self.breakers.record(target.provider_id, kind)
                with anyio.CancelScope(shield=True):
                    await self.purse.failed(hold, target, job, plan.asked, error, asked, sent=sent)
                if not isinstance(error, Error):
                    raise
                if isinstance(error, ProviderError):
                    tried.append(Attempt(*key, error.kind, str(error.message)[:300], error.status))
                field_ = learning.culprit(error, request)
                if field_ is not None and field_ not in dropped:
                    dropped.add(field_)
                    if learning.lasts(error, field_):
                        self.learned.add(*key, field_)
                    if field_ in {"stream", "stream_options"}:
                        request, target = _quieter(request, target, {field_})
                    else:
                        request = parameters.without(request, field_)
                        warnings.append(f"`{field_}` was refused by {key[0]}:{key[1]}; asked again without it")
                    attempt -= 1
                    continue
                delay = retry.wait(
                    error,
                    attempt,
                    attempts=self.settings.retries.attempts,
                    max_wait=self.settings.retries.max_wait,
                    random=self.random,
                )
                if delay is None or time.monotonic() + delay >= deadline or not self.breakers.allows(key[0]):
                    raise
                if job.tell:
                    job.tell(f"{key[0]}: {error.kind}, waiting {delay:.0f} s")
                await self.sleep(delay)
                continue
            return Answer(
                target=target,
                request=request,
                asked_for=plan.asked,
                warnings=warnings + more,
                tried=tried,
                started=started,
                asked=asked,
                first_chunk=time.monotonic(),
                hold=hold,
                _source=source,
                _first=first,
            )

    async def _send(
        self, own: AsyncExitStack, request: ChatRequest, target: Target, deadline: float
    ) -> tuple[AsyncGenerator[list[Chunk]], list[str]]:
        backend = self.backends.get(target.provider_id) if target.wire in {"demo", "code"} else None
        if backend is not None:
            return await own.enter_async_context(over_backend(request, target, backend)), []
        http = encode(request, target)
        deadlines = self._deadlines(target, deadline - time.monotonic())
        source = await own.enter_async_context(over_http(http, target, self.access, self.transport(), deadlines))
        return source, http.warnings

    def _deadlines(self, target: Target, left: float) -> Deadlines:
        ours, theirs = self.settings.timeouts, target.provider.timeouts
        return Deadlines(
            connect=theirs.connect or ours.connect,
            first_byte=theirs.first_byte or ours.first_byte,
            idle=theirs.idle or ours.idle,
            total=max(0.001, left),
        )

    def _gate(self, target: Target) -> Gate:
        gate = self._gates.get(target.provider_id)
        if gate is None:
            gate = self._gates[target.provider_id] = Gate(target.provider.limits)
        return gate

    async def _settle(self, answer: Answer, job: Job) -> None:
        error = answer.error
        if error is None and answer.fold.end is None:
            error = anyio.get_cancelled_exc_class()()
        self.breakers.record(
            answer.target.provider_id,
            None if error is None else error.kind if isinstance(error, Error) else "cancelled",
        )
        with anyio.CancelScope(shield=True):
            answer.usage, answer.cost = await self.purse.settle(answer, job, error)


async def _enter(own: AsyncExitStack, gate: Gate, tokens: int, deadline: float) -> None:
    """Hold a slot of the provider's own limits; waiting for one counts against the call's time."""
    with anyio.move_on_after(max(0.0, deadline - time.monotonic())) as scope:
        await own.enter_async_context(gate.enter(tokens))
    if scope.cancelled_caught:
        raise RateLimited("the limits set for it ([limits] of the provider) had no room before the call's deadline")


async def _first_batch(source: AsyncGenerator[list[Chunk]]) -> list[Chunk]:
    """The first chunks that hold anything; until they are here, another target may still be asked."""
    try:
        while not (batch := await anext(source)):
            pass
    except StopAsyncIteration:
        raise Garbled("the provider gave no answer") from None
    if len(batch) == 1 and isinstance(end := batch[0], End) and end.stop == "other" and not end.stop_raw:
        raise Garbled("the reply holds no answer")
    return batch


def _quieter(request: ChatRequest, target: Target, learned: set[str]) -> tuple[ChatRequest, Target]:
    if "stream" in learned:
        request = request.model_copy(update={"stream": False})
    if "stream_options" in learned and hasattr(target.quirks, "stream_options"):
        target = replace(target, quirks=target.quirks.model_copy(update={"stream_options": False}))
    return request, target


def _told(error: Error, tried: list[Attempt]) -> Error:
    """The last error, with the others told in its text when there were several."""
    if not isinstance(error, ProviderError):
        return error
    error.attempts = list(tried)
    names: dict[str, int] = {}
    for one in tried:
        words = f"{one.provider}:{one.model} {one.kind}" + (f" {one.status}" if one.status else "")
        names[words] = names.get(words, 0) + 1
    if sum(names.values()) > 1:
        listed = ", ".join(words + (f" x{count}" if count > 1 else "") for words, count in names.items())
        error.message = f"{_cut(error.message, 1000)} (tried: {_cut(listed, 500)})"
    return error


def _cut(text: str, most: int) -> str:
    """The text in at most so many bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
