"""Writes a run's events in the order they are put, together with whatever else was put while the disk was busy.

The end of one task and the beginning of the next so reach the disk at once, and eight that end together in one commit.
Whoever awaits `append` knows that its event, and all that were put before, are on disk.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from mcp_llm.errors import Error
from mcp_llm.types.events import TaskEnd

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from mcp_llm.runs.journal import Journal
    from mcp_llm.types.events import Event

TURNS = 2
"""Turns of the loop in which what follows from an event may join it: a task that can begin now, say."""


@dataclass(slots=True)
class Pen:
    """One run's. Where the journal fails, the task group it writes in fails with it, and so ends all that waits."""

    journal: Journal
    tasks: TaskGroup
    _pending: list[Event] = field(default_factory=list)
    _written: anyio.Event = field(default_factory=anyio.Event)
    _busy: bool = False

    def put(self, event: Event) -> anyio.Event:
        """Write it soon; what this gives is set once it is on disk."""
        self._pending.append(event)
        if not self._busy:
            self._busy = True
            self.tasks.start_soon(self._write)
        return self._written

    async def append(self, event: Event) -> None:
        """Write it, and what was put before."""
        await self.put(event).wait()

    async def _write(self) -> None:
        while self._pending:
            for _ in range(TURNS):
                await anyio.lowlevel.checkpoint()
            events, self._pending = self._pending, []
            written, self._written = self._written, anyio.Event()
            with anyio.CancelScope(shield=True):  # what was taken is written, whoever gives up meanwhile
                await self.journal.append(*events)
            written.set()
        self._busy = False

    async def close(self) -> None:
        """Write what has ended and was still to be written when the work was cut off; what had not begun has not."""
        ends, self._pending = [event for event in self._pending if isinstance(event, TaskEnd)], []
        if ends:
            with anyio.CancelScope(shield=True), suppress(Error):  # a journal that fails fails at the next event too
                await self.journal.append(*ends)
