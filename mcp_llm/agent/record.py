"""The world of a recorded run: its tools with the results they gave, what people answered, which limit ended it.

Limits in dollars and seconds, a person's yes, a summary of old history: what came from outside comes from the record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mcp_llm.errors import BudgetExceeded
from mcp_llm.runs.approval import Approvals
from mcp_llm.runs.history import result
from mcp_llm.runs.replay import Departed, Difference, RecordEnds, shown
from mcp_llm.toolsets.base import Tool, Tools
from mcp_llm.types.events import AgentEnd, AgentStart, Approval, Compacted
from mcp_llm.types.message import ToolCall

from .calls import STOPPED, TOLD, repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp_llm.runs.replay import Step
    from mcp_llm.types.events import ToolEnd
    from mcp_llm.types.message import Message, ToolResult

    from .loop import Loop


@dataclass(slots=True)
class Record:
    """The recorded tools: each call gets the result that it had then."""

    steps: Sequence[Step]
    append: Callable[[Any], Any] = lambda _: None
    handles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step in self.steps:
            self.handles |= {f"{step.index}-{end.call_id}": end.rest for end in step.tools if end.rest is not None}

    async def before(self, loop: Loop, said: tuple[Message, ...]) -> tuple[Message, ...]:
        """What happened then before this reply was asked for: a limit, a shorter history, other tools."""
        number = loop.history.replies
        if number and number <= len(self.steps) and (limit := self.steps[number - 1].stopped) is not None:
            raise BudgetExceeded(limit.message or "a limit ended the recorded run here", limit=limit.limit)
        if number >= len(self.steps):
            return said
        step = self.steps[number]
        if step.asked.settings is not None:
            loop.settings = step.asked.settings
        loop.calls.tools = {spec.name: Tool(spec) for spec in loop.settings.tools}
        if step.compacted is None:
            return said
        await loop.append(Compacted(messages=step.compacted.messages, reason=step.compacted.reason))
        return ()

    async def list(self) -> Tools:
        """Not asked for: the loop has the recorded ones."""
        return []

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        call_id: str = "",
        meta: dict[str, Any] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """The recorded result. Raises RecordEnds or BudgetExceeded where the run ended under the call."""
        step, _, call = call_id.partition("-")
        recorded = self.steps[int(step)]
        for event in recorded.after:
            if isinstance(event, AgentStart | AgentEnd) and event.call_id == call:
                await self.append(event)
        end = self.end(call_id)
        if end is not None:
            return _unmarked(result(end, ToolCall(call, name)))
        if recorded.stopped is not None:
            raise BudgetExceeded(recorded.stopped.message or "a limit ended the run", limit=recorded.stopped.limit)
        if recorded is self.steps[-1]:
            raise RecordEnds(f"the recorded run ended while {name} was called")
        raise Departed(Difference(step=recorded.index, where=f"call of {name}", recorded="not made", found="made"))

    def end(self, key: str) -> ToolEnd | None:
        """What a call came to, by `<step>-<call id>`."""
        step, _, call = key.partition("-")
        return next((end for end in self.steps[int(step)].tools if end.call_id == call), None)


@dataclass(slots=True)
class Answered(Approvals):
    """What the person, or the policy, said then; a call that was not made then is not made now."""

    record: Record = field(default_factory=lambda: Record(()))

    async def refusal(self, tool: Tool, args: dict[str, Any], call: ToolCall, key: str) -> str | None:
        """As recorded."""
        for event in self.record.steps[int(key.partition("-")[0])].after:
            if isinstance(event, Approval) and event.call_id == call.id:
                await self.append(event)
        end = self.record.end(key)
        if end is None or end.latency_ms is not None:
            return None
        return end.result if isinstance(end.result, str) else shown(end.result)


def _unmarked(given: ToolResult) -> ToolResult:
    """The result without the note that the loop adds to a call made again and again; it adds it again."""
    for count in range(TOLD, STOPPED):
        note = repeated(count)
        if given.parts and given.parts[-1] == note:
            return replace(given, parts=given.parts[:-1])
        if len(given.parts) == 1 and given.text.endswith(note.text):
            return replace(given, parts=(replace(note, text=given.text.removesuffix(note.text)),))
    return given
