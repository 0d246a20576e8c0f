"""Asks a plan's targets in order until one answers. The only retry loop of the project, and the only fallback.

Retries and fallbacks end with the first piece that was shown: what was shown is never asked for again. Every upstream
request, failed ones too, becomes one row of the ledger. What is asked, and how, is a `Way`: chat's streams, the other
operations' come whole.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import random
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from mcp_llm.errors import Attempt, ConfigError, Error, InvalidInput, Overloaded, ProviderError, RateLimited
from mcp_llm.http.deadlines import Deadlines

from . import learning, retry
from .answer import Begun
from .exchange import blame
from .health import Breakers
from .limits import Calls, Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from mcp_llm.catalog.find import Target
    from mcp_llm.http.transport import Transport
    from mcp_llm.settings import Settings

    from .access import Access
    from .answer import Hold, Job
    from .backends import Backends
    from .learned import Learned
    from .money import Purse
    from .routing import Plan

Q = TypeVar("Q")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


class Way(Protocol[Q, A_co]):
    """How one operation is asked of a target: `Q` is what is asked, `A` what the answer begins with, or all of it."""

    @property
    def shown(self) -> bool:
        """Whether a piece of the answer has been shown to somebody already: then nobody is asked again."""
        ...

    def fit(self, request: Q, target: Target, learned: Collection[str]) -> tuple[Q, Target, list[str]]:
        """The request as this target takes it, and a sentence for every change."""
        ...

    async def reserve(self, request: Q, target: Target, job: Job) -> tuple[Q, Hold | None, list[str]]:
        """Set aside the worst that it can cost."""
        ...

    def tokens(self, request: Q) -> int:
        """An estimate of the input, for the provider's limits."""
        ...

    async def send(self, own: AsyncExitStack, request: Q, target: Target, deadline: float) -> tuple[A_co, list[str]]:
        """Send it; what has to stay open is entered into `own`. `deadline` is a `time.monotonic()`."""
        ...

    def culprit(self, error: Error, request: Q) -> str | None:
        """The field that this error refuses, where it can be left out."""
        ...

    def without(self, request: Q, target: Target, field_: str) -> tuple[Q, Target, list[str]]:
        """The request less that field, and what to tell of it."""
        ...


@dataclass(slots=True)
class Attempts:
    """The loops, and what they need. Opened once a process."""

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

    async def first(self, stack: AsyncExitStack, way: Way[Q, A], request: Q, plan: Plan, job: Job) -> Begun[Q, A]:
        """The answer of the first target that gives one. Raises the last error when none does."""
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
            let = time.monotonic()
            try:
                begun = await self._ask(stack, way, request, target, plan, job, tried, started, deadline)
                self.breakers.begun(target.provider_id)
                return begun
            except BaseException as exc:
                self.breakers.release(target.provider_id, let)  # a probe that was never sent is not the last one
                if not isinstance(exc, Error):
                    raise
                last = exc
                floating = (
                    index == 0 and rest and isinstance(exc, ConfigError | InvalidInput) and plan.because != "asked for"
                )
                if way.shown or not (floating or (rest and retry.may_fall_back(exc))):
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
        way: Way[Q, A],
        request: Q,
        target: Target,
        plan: Plan,
        job: Job,
        tried: list[Attempt],
        started: float,
        deadline: float,
    ) -> Begun[Q, A]:
        """One target, as often as it is worth; the answer's context is moved to `stack`."""
        key = (target.provider_id, target.model_id)
        learned = await self.learned.of(*key)
        request, target, warnings = way.fit(request, target, learned)
        warnings = [*plan.warnings, *warnings]
        attempt, dropped = 0, set[str]()
        while True:
            attempt += 1
            asked, sent = time.monotonic(), False
            request, hold, words = await way.reserve(request, target, job)
            warnings += words
            try:
                if job.before is not None:
                    await job.before()
                async with AsyncExitStack() as own:
                    if not (gate := self._gate(target)).free:
                        await _enter(own, gate, way.tokens(request), deadline)
                    sent = True
                    opening, more = await way.send(own, request, target, deadline)
                    stack.push_async_exit(own.pop_all().__aexit__)
            except BaseException as exc:
                error = blame(exc, target) if isinstance(exc, ProviderError) else exc
                kind = error.kind if isinstance(error, Error) else "cancelled"
                if sent:  # what our own limits or budgets refuse says nothing about the provider
                    self.breakers.record(target.provider_id, kind, asked)
                self.purse.failed(hold, target, job, plan.asked, error, asked, sent=sent)
                if not isinstance(error, Error):
                    raise
                if isinstance(error, ProviderError):
                    tried.append(Attempt(*key, error.kind, str(error.message)[:300], error.status))
                if way.shown:
                    raise
                field_ = way.culprit(error, request)
                if field_ is not None and field_ not in dropped:
                    dropped.add(field_)
                    if learning.lasts(error, field_):
                        self.learned.add(*key, field_)
                    request, target, words = way.without(request, target, field_)
                    warnings += words
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
            return Begun(
                target=target,
                request=request,
                opening=opening,
                warnings=warnings + more,
                tried=tried,
                started=started,
                asked=asked,
                answered=time.monotonic(),
                hold=hold,
            )

    def deadlines(self, target: Target, left: float) -> Deadlines:
        """Those of the settings, and the target's own; `left` seconds in all."""
        ours, theirs = self.settings.timeouts, target.provider.timeouts
        return Deadlines(
            connect=theirs.connect or ours.connect,
            first_byte=theirs.first_byte or ours.first_byte,
            idle=theirs.idle or ours.idle,
            data=theirs.data or ours.data,
            total=max(0.001, left),
        )

    def _gate(self, target: Target) -> Gate:
        gate = self._gates.get(target.provider_id)
        if gate is None:
            gate = self._gates[target.provider_id] = Gate(target.provider.limits)
        return gate


async def _enter(own: AsyncExitStack, gate: Gate, tokens: int, deadline: float) -> None:
    """Hold a slot of the provider's own limits; waiting for one counts against the call's time."""
    with anyio.move_on_after(max(0.0, deadline - time.monotonic())) as scope:
        await own.enter_async_context(gate.enter(tokens))
    if scope.cancelled_caught:
        raise RateLimited("the limits set for it ([limits] of the provider) had no room before the call's deadline")


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
