"""Events of a workflow's run as what a waiting person wants to read: one short line at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.types.events import Approval, Resumed, TaskEnd, TaskStart

if TYPE_CHECKING:
    from mcp_llm.llm.progress import Progress
    from mcp_llm.types.events import Event

SHOWN: int = 160
"""Characters of a result or an error."""


class Lines:
    """A sink that keeps a call's progress up to date: how many tasks have ended, and what goes on."""

    def __init__(self, progress: Progress, name: str, total: int) -> None:
        self._progress = progress
        self._total = total
        self._ended = 0
        progress.who = name

    def emit(self, event: Event) -> None:
        """What the run is doing now."""
        self._ended += isinstance(event, TaskEnd) and event.item is None
        if (words := line(event)) is not None:
            self._progress.tell(f"{self._ended} of {self._total} tasks · {words}")


def line(event: Event) -> str | None:
    """The event in a line; None for one that nobody needs to see."""
    if isinstance(event, TaskStart):
        again = f", attempt {event.attempt}: {_short(event.why)}" if event.attempt > 1 else ""
        return f"{_name(event)}: {event.method}{again}"
    if isinstance(event, TaskEnd):
        took = "" if event.latency_ms is None else f" in {event.latency_ms / 1000:.1f} s"
        said = event.error
        if said is None and isinstance(event.result, dict):
            said = event.result.get("response")
        return f"{_name(event)} {event.status}{took}" + (f": {_short(said)}" if said else "")
    if isinstance(event, Approval):
        by = f" by the {event.by}" if event.by else ""
        return f"may {event.tool} be called?" if event.state == "asked" else f"{event.tool} {event.state}{by}"
    return f"goes on after event {event.after}" if isinstance(event, Resumed) else None


def _name(event: TaskStart | TaskEnd) -> str:
    return f"{event.task} {event.item}" if event.item else event.task


def _short(value: object) -> str:
    words = " ".join(str(value).split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
