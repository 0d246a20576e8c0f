"""A conversation in both directions at once: sound and words in and out, tools called meanwhile, interrupted at will.

The socket is read by a task of the session's own, whatever the caller does; what nobody fetches makes the vendor wait.
Every turn of the model is a row of the ledger, and the next one is only asked for while the budget allows it.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from mcp_llm.errors import Error, InvalidInput, ProviderError, Timeout, Unsupported
from mcp_llm.types.realtime import Dropped, Ready, SoundOut, TurnEnd, Used, Wanted, Words
from mcp_llm.types.usage import Usage
from mcp_llm.wires import realtime as wires
from mcp_llm.wires.whole import decoded

from .answer import Begun
from .exchange import blame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from mcp_llm.catalog.find import Target
    from mcp_llm.types.message import Json, ToolCall, ToolResult
    from mcp_llm.types.realtime import RealtimeEvent, RealtimeRequest
    from mcp_llm.wires.realtime.contract import RealtimeDecoder, RealtimeWire

    from .answer import Hold, Job
    from .routing import Plan
    from .service import Service

KIND: Final = "realtime"
UNREAD: Final = 256
"""Events that wait for the caller; then the socket is not read on."""
LONGEST_TURN: Final = Usage(input=32_000, output=4_096, input_audio=32_000, output_audio=4_096)
"""The most that one turn is taken to use, for budgets: the window and the longest answer of today's models."""
OPENING_S: Final = 20.0


@dataclass(slots=True)
class Turn:
    """One answer: what was said, its sound as samples (`rate` hertz; None where there was none), and what was heard."""

    text: str = ""
    heard: str = ""
    sound: bytes = b""
    rate: int | None = None
    stop: str = "stop"


@dataclass(slots=True)
class Session:
    """An open conversation; use it with `async with`, in one task. Iterate it for events, or ask `turn` for answers.

    `transcript` is who said what so far, (`user` | `assistant`, words); `usage` and `usd` sum the turns, `usd` is None
    once the price of one was not known. `call` calls a tool; without it wanted calls are only told. `warnings` is what
    was noticed on the way; `service`, `plan`, `job` and `request` are what it was opened with.
    """

    service: Service
    plan: Plan
    job: Job
    request: RealtimeRequest
    call: Callable[[ToolCall], Awaitable[ToolResult]] | None = None
    transcript: list[tuple[str, str]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    usd: float | None = 0.0
    warnings: list[str] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _tasks: TaskGroup = field(init=False)
    _link: Any = None
    _outgoing: MemoryObjectSendStream[RealtimeEvent] = field(init=False)
    _events: MemoryObjectReceiveStream[RealtimeEvent] = field(init=False)
    _decoder: RealtimeDecoder = field(init=False)
    _calls: dict[str, anyio.CancelScope] = field(default_factory=dict)
    _error: Error | None = None
    _hold: Hold | None = None
    _asked: float = field(default_factory=time.monotonic)
    _said: bool = False
    _used: Usage | None = None
    _sounding: bool = False
    _ended: bool = False

    @property
    def target(self) -> Target:
        """Who is at the other end."""
        return self.plan.targets[0]

    @property
    def rate_in(self) -> int:
        """Hertz of the samples that `hear` takes."""
        return int(self._quirks.rate_in)

    @property
    def _quirks(self) -> Any:
        return self._wire.Quirks() if self.target.wire == "demo" else self.target.quirks

    @property
    def _wire(self) -> RealtimeWire:
        if self.target.wire == "demo":
            from .backends.demo_talk import wire

            return wire
        return wires.wire(self.target.wire)

    async def __aenter__(self) -> Self:
        """Connect and say how it begins. Raises the errors of `mcp_llm.errors`."""
        async with AsyncExitStack() as stack:
            await self._reserve()
            stack.callback(self._leave)
            try:
                self._link = await stack.enter_async_context(self._connected())
            except Error as error:
                raise self._blamed(error) from None
            self._outgoing, self._events = anyio.create_memory_object_stream(UNREAD)
            stack.callback(self._events.close)
            stack.callback(self._outgoing.close)
            self._decoder = self._wire.Decoder(self._quirks)
            for frame in self._wire.opening(self.request, self.target.model_id, self._quirks):
                await self._send(frame)
            try:
                with anyio.fail_after(OPENING_S):
                    while not any(isinstance(event, Ready) for event in await self._next()):
                        pass
            except TimeoutError:
                raise Timeout(f"{self.target.name} did not begin the session within {OPENING_S:g} s") from None
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._tasks.start_soon(self._read)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._ended = True
        self._tasks.cancel_scope.cancel()
        # What the caller's own code raised is the caller's, and not the task group's to wrap.
        if isinstance(error, anyio.get_cancelled_exc_class()):
            await self._stack.__aexit__(kind, error, trace)
        else:
            await self._stack.aclose()

    async def say(self, words: str) -> None:
        """A turn of the user's in `words`; the model answers. Raises InvalidInput for none."""
        if not words.strip():
            raise InvalidInput("there is nothing to say: the words are empty")
        self.transcript.append(("user", words))
        await self._all(self._wire.text(words, self._quirks))

    async def hear(self, samples: bytes) -> None:
        """Sound of the user's: `samples` of 16 bits, one channel, `rate_in` hertz, in pieces of any length.

        Raises InvalidInput for half a sample.
        """
        if len(samples) % 2:
            raise InvalidInput("samples have 16 bits each: an odd number of bytes is none of them")
        first, self._sounding = not self._sounding, True
        await self._all(self._wire.sound(samples, self.request, self._quirks, first=first))

    async def over(self) -> None:
        """The user's turn in sound is over; the model answers."""
        self._sounding = False
        await self._all(self._wire.over(self.request, self._quirks))

    async def interrupt(self) -> None:
        """Stop the answer that is coming."""
        await self._all(self._wire.interrupt(self._quirks))

    def __aiter__(self) -> AsyncIterator[RealtimeEvent]:
        return self

    async def __anext__(self) -> RealtimeEvent:
        try:
            event: RealtimeEvent = await self._events.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None
        return event

    async def turn(self) -> Turn:
        """The rest of the model's turn, with the tools it calls and what follows. Raises what ended the session."""
        found, sound = Turn(), bytearray()
        async for event in self:
            if isinstance(event, SoundOut):
                sound += event.data
                found.rate = event.rate
            elif isinstance(event, Words):
                if event.heard:
                    found.heard += event.text
                else:
                    found.text += event.text
            elif isinstance(event, TurnEnd) and (event.stop != "tool_calls" or self.call is None):
                found.stop = event.stop
                break
        found.sound = bytes(sound)
        return found

    def _connected(self) -> Any:
        target = self.target
        if target.wire == "demo":
            from .backends.demo_talk import connected

            return connected()
        from mcp_llm.http.websocket import connect

        service = self.service
        url = service.access.target_url(target).rstrip("/") + self._wire.path(target.model_id, self._quirks)
        headers = service.access.headers(target.provider_id, target.provider)
        deadlines = service.llm.deadlines(target, OPENING_S)
        return connect(service.llm.transport(), url, headers, deadlines, most=self._quirks.max_frame)

    async def _send(self, frame: Json) -> None:
        try:
            await self._link.send(frame)
        except Error as error:
            raise self._blamed(error) from None

    async def _all(self, frames: Sequence[Json]) -> None:
        if self._error is not None:
            raise self._error
        self._said = True
        for frame in frames:
            await self._send(frame)

    async def _next(self) -> list[RealtimeEvent]:
        try:
            frame = await self._link.receive()
            return decoded(lambda: list(self._decoder.feed(frame)))
        except Error as error:
            raise self._blamed(error) from None

    def _blamed(self, error: Error) -> Error:
        if not isinstance(error, ProviderError):
            return error
        self.service.access.blamed(error, self.target.provider_id, self.target.provider)
        return blame(error, self.target)

    async def _read(self) -> None:
        try:
            with anyio.move_on_after(self.job.timeout_s) as scope:
                while True:
                    for event in await self._next():
                        await self._take(event)
            if scope.cancelled_caught:
                self._error = Timeout(f"the session was to last {self.job.timeout_s:g} s at most", retry=False)
        except Error as error:
            if not self._ended:
                self._error = error
        finally:
            self._outgoing.close()

    async def _take(self, event: RealtimeEvent) -> None:
        if isinstance(event, Words):
            self._note("user" if event.heard else "assistant", event.text)
        elif isinstance(event, Used):
            self._used = event.usage
            return
        elif isinstance(event, Wanted):
            if self.call is not None:
                self._tasks.start_soon(self._answer, event.calls)
        elif isinstance(event, Dropped):
            for name in event.ids:
                if (scope := self._calls.get(name)) is not None:
                    scope.cancel()
        elif isinstance(event, TurnEnd):
            self._pay(event)
        await self._outgoing.send(event)
        if isinstance(event, TurnEnd):
            await self._reserve()  # the money for the next: without it the session ends

    def _note(self, who: str, words: str) -> None:
        if self.transcript and self.transcript[-1][0] == who == "assistant":
            words = self.transcript.pop()[1] + words
        self.transcript.append((who, words))

    async def _answer(self, calls: Sequence[ToolCall]) -> None:
        """Call the tools side by side; what is dropped meanwhile is not answered."""
        results: dict[str, ToolResult] = {}

        async def one(call: ToolCall) -> None:
            assert self.call is not None
            with anyio.CancelScope() as scope:
                self._calls[call.id] = scope
                results[call.id] = await self.call(call)
            self._calls.pop(call.id, None)

        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(one, call)
        given = [results[call.id] for call in calls if call.id in results]
        try:
            if given:
                await self._all(self._wire.results(given, self._quirks))
        except Error as error:  # the socket is gone: whoever reads it says so
            self._error = self._error or error

    async def _reserve(self) -> None:
        self._hold = await self.service.purse.set_aside(LONGEST_TURN, self.request.options, self.target, self.job)
        self._asked = time.monotonic()

    def _pay(self, event: TurnEnd) -> None:
        """The row of a turn."""
        usage, self._used = event.usage or self._used or Usage(), None
        self._row(usage, event.id, "ok")

    def _row(self, usage: Usage, id: str | None, outcome: str) -> None:
        begun: Begun[Any, Any] = Begun(
            target=self.target,
            request=self.request,
            opening=None,
            warnings=[],
            tried=[],
            started=self._asked,
            asked=self._asked,
            answered=time.monotonic(),
            hold=self._hold,
        )
        self._hold, self._said = None, False
        cost = self.service.purse.paid(begun, usage, (None, id), self.job, self.plan.asked, outcome)
        self.usage += usage
        self.usd = None if self.usd is None or cost.usd is None else self.usd + float(cost.usd)

    def _leave(self) -> None:
        """What was set aside for a turn that did not come is given back; one that was cut off stays as it may cost."""
        error = self._error or anyio.get_cancelled_exc_class()()
        if (used := self._used) is not None:
            self._used = None
            self._row(used, None, error.kind if isinstance(error, Error) else "cancelled")
            return
        hold, self._hold = self._hold, None
        self.service.purse.failed(hold, self.target, self.job, self.plan.asked, error, self._asked, sent=self._said)


def able(target: Target) -> None:
    """Raise Unsupported for a target that speaks no dialect of conversations."""
    if target.wire != "demo" and target.wire not in wires.WIRES:
        raise Unsupported(f"{target.name} cannot be talked with; `{KIND}` is for models of that kind")
