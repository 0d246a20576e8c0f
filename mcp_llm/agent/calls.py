"""The calls of one reply: checked, approved, made side by side, each written down before it is made and when it ends.

What goes wrong with a call is its result, so that the model can mend it; only a lost run or a failing disk is raised.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import ToolFailed
from mcp_llm.redactor import Redactor
from mcp_llm.runs.ending import first
from mcp_llm.settings import Telemetry
from mcp_llm.toolsets import check
from mcp_llm.toolsets import text as words
from mcp_llm.toolsets.base import failed
from mcp_llm.types.events import Lent, ToolEnd, ToolStart
from mcp_llm.types.message import Media, Text
from mcp_llm.types.nearest import nearest

from . import spans
from .task import dollars

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from mcp_llm.llm.ledger import Ledger
    from mcp_llm.runs.approval import Approvals
    from mcp_llm.settings import Agents
    from mcp_llm.toolsets.base import Tool, Toolset
    from mcp_llm.types.events import Event
    from mcp_llm.types.message import ToolCall, ToolResult

    from .limits import Meter
    from .task import Limits

TOLD: Final = 3
STOPPED: Final = 5
"""So often in a row the same call may be made before the model is told, and before the run is stopped."""
OURS: Final = frozenset({"run_agent", "generate", "compare_models", "run_workflow"})
"""Tools of another server of ours: they are told where in the tree they stand and what they may use."""
_COST: Final = re.compile(r'"cost": ?\{"usd": ?([0-9]{1,9}(?:\.[0-9]{1,20})?(?:e-[0-9]{1,2})?)[,}]')
_USED: Final = re.compile(r'"usage": ?\{[^{}]{0,500}"total": ?([0-9]{1,15})[,}]')


class Stuck(Exception):
    """The model makes the same call again and again."""


@dataclass(slots=True)
class Repeats:
    """Counts how often in a row the same call is asked for."""

    last: tuple[str, str] = ("", "")
    count: int = 0

    def take(self, call: ToolCall) -> int:
        """How often it has been asked for now, this time included."""
        this = (call.name, _canonical(call.arguments))
        self.count = self.count + 1 if this == self.last else 1
        self.last = this
        return self.count


@dataclass(slots=True)
class Calls:
    """Makes the calls of one run. `trace` gives what another server of ours is told, within these limits."""

    tools: Mapping[str, Tool]
    toolset: Toolset
    settings: Agents
    meter: Meter
    ledger: Ledger
    approvals: Approvals
    append: Callable[[Event], Awaitable[Any]]
    add: Callable[[Event], None]
    note: Callable[[Event], None]
    trace: Callable[[Limits], dict[str, Any]]
    handles: dict[str, str] = field(default_factory=dict)
    """Call key -> handle of what was too long to show."""
    repeats: Repeats = field(default_factory=Repeats)
    tell: Callable[[str], None] | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)
    redactor: Redactor = field(default_factory=Redactor)
    _running: int = 0

    async def make(self, step: int, calls: Sequence[ToolCall], cut_off: bool) -> None:
        """Make them, or say why not. Raises Stuck once all have their results."""
        room = self.settings.calls_a_turn
        if self.meter.limits.calls is not None:
            room = min(room, self.meter.limits.calls - self.meter.calls)
        limiter = anyio.CapacityLimiter(self.settings.parallel) if len(calls) > 1 else contextlib.nullcontext()
        stuck = False
        self._running = len(calls)
        made = []
        for index, call in enumerate(calls):
            count = self.repeats.take(call)
            stuck = stuck or count >= STOPPED
            refused = None
            if cut_off:
                refused = "The reply was cut off in the middle, so none of its calls was made: write less at once."
            elif count >= STOPPED:
                refused = f"Not called: this was the same call {count} times in a row."
            elif index >= room:
                refused = f"Not called: only {max(room, 0)} calls are made of one reply. Ask for fewer at once."
            made.append((step, call, refused, count, limiter))
        if len(made) == 1:  # as mostly; a task of its own is 0.05 of the CPU of a turn
            await self._one(*made[0])
        else:
            try:
                async with anyio.create_task_group() as tasks:
                    for one in made:
                        tasks.start_soon(self._one, *one)
            except BaseExceptionGroup as group:
                raise first(group) from None
        if stuck:
            raise Stuck

    async def _one(
        self, step: int, call: ToolCall, refused: str | None, count: int, limiter: AbstractAsyncContextManager[Any]
    ) -> None:
        key = f"{step}-{call.id}"
        tool = self.tools.get(call.name)
        args: Any = None
        if refused is None and tool is None:
            refused = self._unknown(call.name)
        if refused is None and tool is not None:
            try:
                args = await check.arguments(call.arguments, tool)
            except ToolFailed as wrong:
                refused = str(wrong)
        if refused is None and tool is not None:
            refused = await self.approvals.refusal(tool, args, call, key)
        if refused is not None or tool is None:
            # It was not made: what stands in the journal may be done again without harm.
            self.note(ToolStart(tool=call.name, args=args or call.arguments[:4096], call_id=call.id, read_only=True))
            result = failed(call.id, call.name, refused or "")
            await self._end(call, args, result, key, None)
            return
        async with limiter:
            lent = left = None
            if tool.server is not None and tool.name.rpartition("__")[2] in OURS:
                left, lent = await self._lend(call.id)
            # What is not ours to repeat is marked so before it is begun.
            await self.append(
                ToolStart(
                    tool=call.name,
                    args=args,
                    call_id=call.id,
                    read_only=tool.read_only,
                    idempotent=tool.idempotent,
                    lent=lent,
                )
            )
            started = time.monotonic()
            with spans.execute_tool(tool, call, wanted=self.telemetry, redactor=self.redactor) as span:
                result = await self._call(tool, args, key, left)
                if span is not None:
                    spans.executed(span, args, result)
            took = round((time.monotonic() - started) * 1000)
        if count >= TOLD:
            result = type(result)(result.id, result.name, (*result.parts, repeated(count)), result.is_error)
        await self._end(call, args, result, key, took, None if lent is None else _spent(result.text))

    async def _call(self, tool: Tool, args: dict[str, Any], key: str, left: Limits | None) -> ToolResult:
        if left is None:
            return await self.toolset.call(tool.name, args, call_id=key, progress=self.tell)
        return await self.toolset.call(tool.name, args, call_id=key, meta=self.trace(left), progress=self.tell)

    async def _lend(self, call_id: str) -> tuple[Limits, Lent]:
        """Half of what is left, for a server that is asked: others may be asked beside it."""
        before, tokens_before = self.meter.elsewhere, self.meter.tokens_elsewhere
        left = await self.meter.left(self.ledger)
        # While it was looked up, a call beside this one may have been lent a part of it.
        usd, tokens = dollars(left.usd), left.tokens
        if usd is not None:
            usd = max(Decimal(0), usd - (self.meter.elsewhere - before)) / 2
        if tokens is not None:
            tokens = max(1, (tokens - (self.meter.tokens_elsewhere - tokens_before)) // 2)
        lent = Lent(usd=None if usd is None else float(usd), tokens=tokens)
        self.meter.lend(call_id, lent)
        return left.model_copy(update={"usd": lent.usd, "tokens": tokens}), lent

    async def _end(
        self, call: ToolCall, args: Any, result: ToolResult, key: str, took: int | None, spent: Lent | None = None
    ) -> None:
        media = any(isinstance(part, Media) for part in result.parts)
        event = ToolEnd(
            tool=call.name,
            args=args,
            result=result.text,
            call_id=call.id,
            is_error=result.is_error,
            parts=result.parts if media else None,
            rest=self.handles.get(key),
            latency_ms=took,
            spent=spent,
        )
        self._running -= 1
        if self._running:
            await self.append(event)  # the others may take long
        else:
            self.add(event)  # the next request is written at once, and is not sent before this is on disk

    def _unknown(self, name: str) -> str:
        close = nearest(name, self.tools, most=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(self.tools) or 'none'}."
        return f"There is no tool {words.line(name, 100)!r} here. {hint[:2000]}"


def repeated(count: int) -> Text:
    """What is added to the result of a call that was made before."""
    return Text(f"\n[this was the same call {count} times in a row: do something else, or say what is missing]")


def _spent(said: str) -> Lent:
    """What a server says that a call cost and used; what it does not say is None, and taken to be all it was lent."""
    cost, used = _COST.findall(said), _USED.findall(said)
    return Lent(usd=float(cost[-1]) if cost else None, tokens=int(used[-1]) if used else None)


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
