"""May this tool be called? The user's policy decides, a person where it says so, and no where nobody answers in time.

A question is a row in the store before anybody waits for it, so that it can be answered from anywhere and outlives the
process. It never waits without a deadline.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mcp_llm.toolsets import text
from mcp_llm.types.events import Approval

from . import wait

if TYPE_CHECKING:
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Tool
    from mcp_llm.types.events import Event
    from mcp_llm.types.message import ToolCall

YES: Final = frozenset({"yes", "y", "true", "allow", "allowed", "approve", "approved", "ok"})
ALWAYS: Final = frozenset({"always", "allow always"})

Approver: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
"""Asks a person now: the question as `question` makes it -> their answer, None where nobody can be asked this way."""

Ask: TypeAlias = "Callable[[Tool, dict[str, Any], ToolCall, str, dict[str, Any]], Awaitable[tuple[Any, str]]]"


@dataclass(slots=True)
class Approvals:
    """One run's. `append` writes an event of the run."""

    runs: RunStore
    journal: Journal
    seconds: float
    append: Callable[[Event], Awaitable[Any]]
    approver: Approver | None = None
    upward: Ask | None = None
    """Asks in the run above: whoever waits for a delegate waits for the root, and looks for questions there."""
    _always: set[str] = field(default_factory=set)
    _open: int = 0

    async def refusal(self, tool: Tool, args: dict[str, Any], call: ToolCall, key: str) -> str | None:
        """None: it may be called. Else what to tell the model."""
        if tool.policy == "allow" or tool.fingerprint in self._always:
            return None
        if tool.policy == "deny":
            await self._told(tool, args, call, "denied", "policy")
            return f"{tool.name} was not called: the user's settings forbid it. Do without it."
        asked = question(tool, args)
        answer, by = await self.ask(tool, args, call, key, asked)
        if verdict(answer):
            if isinstance(answer, str) and answer.strip().lower() in ALWAYS and tool.fingerprint:
                self._always.add(tool.fingerprint)
            return None
        why = "nobody answered in time, and that means no" if by == "deadline" else "the user said no"
        more = f" ({text.line(answer, 500)})" if isinstance(answer, str) and answer.strip().lower() != "no" else ""
        return f"{tool.name} was not called: {why}{more}. Do without it, or say what you would need it for."

    async def ask(
        self, tool: Tool, args: dict[str, Any], call: ToolCall, key: str, asked: dict[str, Any]
    ) -> tuple[Any, str]:
        """(the answer, who gave it: `user` or `deadline`); None is no answer."""
        await self.journal.settled()  # a person may take their time
        if self.upward is not None:
            answer, by = await self.upward(tool, args, call, f"{self.journal.run_id[:8]}-{key}", asked)
            await self._told(tool, args, call, "allowed" if verdict(answer) else "denied", by)
            return answer, by
        if self.approver is not None and (answer := await self.approver(asked)) is not None:
            await self._told(tool, args, call, "allowed" if verdict(answer) else "denied", "user")
            return answer, "user"
        deadline = time.time_ns() // 1_000_000 + int(self.seconds * 1000)
        event = Approval(
            tool=tool.name, args=args, call_id=call.id, state="asked", deadline=deadline, message=asked["message"]
        )
        self._open += 1
        try:
            await self.journal.ask(event, key, asked, deadline)
            found = await wait.answered(self.runs, self.journal.run_id, key, self.seconds)
        finally:
            self._open -= 1
        answer, by = (found.answer, "user") if found is not None else (None, "deadline")
        state: Literal["allowed", "denied"] = "allowed" if verdict(answer) else "denied"
        told = Approval(tool=tool.name, args=args, call_id=call.id, state=state, by=by)
        # The others' questions may still be open.
        await self.journal.mark(told, status="waiting" if self._open else "running")
        return answer, by

    async def _told(self, tool: Tool, args: dict[str, Any], call: ToolCall, state: Any, by: str) -> None:
        await self.append(Approval(tool=tool.name, args=args, call_id=call.id, state=state, by=by))


def verdict(answer: Any) -> bool:
    """Whether an answer is a yes; whatever is not clearly one is a no."""
    if isinstance(answer, dict):
        answer = next((answer[name] for name in ("approve", "allow", "answer") if name in answer), None)
    if isinstance(answer, str):
        return answer.strip().lower() in YES | ALWAYS
    return answer is True


def question(tool: Tool, args: dict[str, Any]) -> dict[str, Any]:
    """What a person is shown: the tool, where it comes from, what it says of itself, and every argument in full."""
    said = text.visible(json.dumps(args, ensure_ascii=False, indent=1))
    where = f"of the server {tool.server!r} " if tool.server else ""
    return {
        "ask": "approve_tool",
        "message": f"May {tool.name} {where}be called? Answer true, false, or always (for this run).",
        "tool": tool.name,
        "server": tool.server,
        "args": json.loads(said),
        "description": text.clean(tool.spec.description),
        "destructive": tool.destructive,
    }
