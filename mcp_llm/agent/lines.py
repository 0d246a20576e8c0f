"""Events of a run as what a waiting person wants to read: one short line at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_llm.types.events import (
    AgentEnd,
    AgentStart,
    Approval,
    Budget,
    Compacted,
    Fallback,
    JobEvent,
    ModelStart,
    Resumed,
    TextEvent,
    ThinkingEvent,
    ToolEnd,
    ToolStart,
)

if TYPE_CHECKING:
    from mcp_llm.llm.progress import Progress
    from mcp_llm.types.events import Event

SHOWN: int = 120
"""Characters of arguments and results in a line."""


class Lines:
    """A sink that keeps a call's progress up to date."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def emit(self, event: Event) -> None:
        """What the run is doing now."""
        progress = self._progress
        if isinstance(event, ModelStart):
            progress.who = f"{event.provider}:{event.model}"
            progress.tell(f"turn {event.step + 1}")
        elif isinstance(event, TextEvent | ThinkingEvent):
            progress.characters += len(event.text if isinstance(event, TextEvent) else event.summary)
            progress.thinking = isinstance(event, ThinkingEvent)
            progress.tell("")
        elif (words := line(event)) is not None:
            progress.tell(words)


def line(event: Event) -> str | None:
    """The event in a line; None for one that nobody needs to see."""
    if isinstance(event, ToolStart):
        return f"{event.tool}({_short(event.args)})"
    if isinstance(event, ToolEnd):
        return f"{event.tool} {'failed' if event.is_error else 'said'}: {_short(event.result)}"
    if isinstance(event, Approval):
        by = f" by the {event.by}" if event.by else ""
        return f"may {event.tool} be called?" if event.state == "asked" else f"{event.tool} {event.state}{by}"
    if isinstance(event, AgentStart):
        return f"asks {event.agent}: {_short(event.prompt)}"
    if isinstance(event, AgentEnd):
        return f"{event.agent} {event.status}: {_short(event.result)}"
    if isinstance(event, Fallback):
        return f"{event.provider}:{event.model} failed ({event.error}), asking {event.backup_provider}"
    if isinstance(event, JobEvent):
        how_far = f" {event.done}/{event.total}" if event.done is not None and event.total else ""
        return f"{event.provider}:{event.model} {event.state}{how_far}"
    if isinstance(event, Compacted):
        return f"history made shorter: {event.reason}"
    if isinstance(event, Budget):
        return f"limit {event.limit}: {event.message}"
    return f"goes on after event {event.after}" if isinstance(event, Resumed) else None


def _short(value: Any) -> str:
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if value is not None else ""
    words = " ".join(words.split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
