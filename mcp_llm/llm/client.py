"""LLM: what asking is made of, opened once a process. `stream` asks a chat model; `call` any other operation.

The loops are those of `attempts.py`; here is only what chat does with them: the answer is open while it is read, and
settled once it is closed.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from mcp_llm.errors import Error, Garbled
from mcp_llm.types import text
from mcp_llm.types.chat import End

from . import learning, parameters, spans
from .answer import Answer
from .attempts import Attempts
from .exchange import encode, over_backend, over_http
from .operation import Called, Q, R, Whole, filled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection

    from mcp_llm.catalog.find import Target
    from mcp_llm.types.chat import ChatRequest, Chunk

    from .access import Access
    from .answer import Hold, Job
    from .operation import Operation, Taker
    from .routing import Plan


@dataclass(slots=True)
class LLM(Attempts):
    """Asks. Everything it needs is handed to it."""

    @asynccontextmanager
    async def stream(self, request: ChatRequest, plan: Plan, job: Job) -> AsyncIterator[Answer]:
        """Open the answer of the first target that gives one. Raises the last error when none does."""
        with self.calls, spans.chat(request, plan, job, self.access, wanted=self.settings.telemetry) as span:
            answer: Answer | None = None
            try:
                async with AsyncExitStack() as stack:
                    begun = await self.first(stack, _Chat(self), request, plan, job)
                    source, first = begun.opening
                    answer = Answer(
                        target=begun.target,
                        request=begun.request,
                        asked_for=plan.asked,
                        warnings=begun.warnings,
                        tried=begun.tried,
                        started=begun.started,
                        asked=begun.asked,
                        first_chunk=begun.answered,
                        hold=begun.hold,
                        _source=source,
                        _first=first,
                    )
                    try:
                        yield answer
                    except BaseException as exc:
                        answer.error = answer.error or exc
                        raise
            finally:
                # Only now: the socket is closed first, however long the disk takes.
                if answer is not None:
                    self._settle(answer, job)
                    if span is not None:
                        spans.answered(span, answer)

    async def call(
        self,
        operation: Operation[Q, R],
        request: Q,
        plan: Plan,
        job: Job,
        *,
        on_data: Callable[[], Taker] | None = None,
    ) -> Called[Q, R]:
        """One operation, answered whole by the first target that does. Raises as `stream` does.

        What `on_data` gives for an attempt gets the reply's bytes as they come; once it says that it has shown some,
        nobody is asked again.
        """
        with self.calls, spans.call(operation.name, plan, job, self.access, wanted=self.settings.telemetry) as span:
            async with AsyncExitStack() as stack:
                begun = await self.first(stack, Whole(self, operation, on_data), request, plan, job)
            self.breakers.record(begun.target.provider_id, None)
            given = begun.opening
            usage = filled(given.usage, operation.counted(begun.request))
            names = (_redacted(self.access, given.model), _redacted(self.access, given.id))
            cost = self.purse.paid(begun, usage, names, job, plan.asked)
            if span is not None:
                spans.called(span, begun.target, begun.tried, usage, cost)
            return Called(begun, usage, cost)

    def _settle(self, answer: Answer, job: Job) -> None:
        error = answer.error
        if error is None and answer.fold.end is None:
            error = anyio.get_cancelled_exc_class()()
        self.breakers.record(
            answer.target.provider_id,
            None if error is None else error.kind if isinstance(error, Error) else "cancelled",
            answer.asked,
        )
        answer.usage, answer.cost = self.purse.settle(answer, job, error)


@dataclass(frozen=True, slots=True)
class _Chat:
    """Chat's way: a stream of chunks, of which the first are here before another target is out of the question."""

    llm: LLM
    shown: bool = False

    def fit(
        self, request: ChatRequest, target: Target, learned: Collection[str]
    ) -> tuple[ChatRequest, Target, list[str]]:
        request, warnings = parameters.fit(request, target, learned)
        if not {"stream", "stream_options"}.isdisjoint(learned):
            request, target = _quieter(request, target, learned)
        return request, target, warnings

    async def reserve(
        self, request: ChatRequest, target: Target, job: Job
    ) -> tuple[ChatRequest, Hold | None, list[str]]:
        return await self.llm.purse.reserve(request, target, job)

    def tokens(self, request: ChatRequest) -> int:
        return parameters.estimate_tokens(request)

    async def send(
        self, own: AsyncExitStack, request: ChatRequest, target: Target, deadline: float
    ) -> tuple[tuple[AsyncGenerator[list[Chunk]], list[Chunk]], list[str]]:
        llm = self.llm
        warnings: list[str] = []
        if target.wire in {"demo", "code"} and (backend := llm.backends.get(target.provider_id)) is not None:
            source = await own.enter_async_context(over_backend(request, target, backend, deadline - time.monotonic()))
        else:
            http = encode(request, target)
            warnings = http.warnings
            deadlines = llm.deadlines(target, deadline - time.monotonic())
            source = await own.enter_async_context(over_http(http, target, llm.access, llm.transport(), deadlines))
        return (source, await _first_batch(source)), warnings

    def culprit(self, error: Error, request: ChatRequest) -> str | None:
        return learning.culprit(error, request)

    def without(self, request: ChatRequest, target: Target, field_: str) -> tuple[ChatRequest, Target, list[str]]:
        if field_ in {"stream", "stream_options"}:
            return *_quieter(request, target, {field_}), []
        words = f"`{field_}` was refused by {target.name}; asked again without it"
        return parameters.without(request, field_), target, [words]


def _redacted(access: Access, name: str | None) -> str | None:
    return name and text.name(access.redacted(name))


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


def _quieter(request: ChatRequest, target: Target, learned: Collection[str]) -> tuple[ChatRequest, Target]:
    if "stream" in learned:
        request = request.model_copy(update={"stream": False})
    if "stream_options" in learned and hasattr(target.quirks, "stream_options"):
        target = replace(target, quirks=target.quirks.model_copy(update={"stream_options": False}))
    return request, target
