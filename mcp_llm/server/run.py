"""What a tool is given besides its arguments: the service, who calls, the run's id, and a way to show progress."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio

from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.mcpserver import Context

    from mcp_llm.llm.service import Service

BEAT: Final = 5.0
"""Seconds between heartbeats; hosts give up after 60 s of silence at the earliest, and 10 s is what we promise."""
FIRST: Final = 1.0


@dataclass(slots=True)
class Run:
    """One tool call."""

    service: Service
    context: Context[Any]
    principal: str = "local"
    run_id: str = field(default_factory=lambda: uuid4().hex)
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, context: Context[Any]) -> Run:
        """The run of a call that just came in."""
        return cls(context.request_context.lifespan_context, context)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Tell the client every few seconds how far it is, while the body runs; nothing is sent where nobody asked.

        Progress strictly increases: it counts the beats, because nobody knows how long an answer will be.
        """
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _only(group) from None

    async def _beat(self) -> None:
        count, pause = 0, FIRST
        while True:
            await anyio.sleep(pause)
            count, pause = count + 1, BEAT
            await self.context.report_progress(count, message=self.progress.line())


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group of one, however deep: callers know errors, not groups."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner
