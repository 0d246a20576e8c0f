"""What a tool is given besides its arguments: what lives with the server, who calls, the run's id, its progress."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mcp_llm.llm.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.server.mcpserver import Context

    from mcp_llm.llm.service import Service

    from .life import Life


@dataclass(slots=True)
class Run:
    """One tool call."""

    life: Life
    context: Context[Any]
    principal: str = "local"
    run_id: str = field(default_factory=lambda: uuid4().hex)
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, context: Context[Any]) -> Run:
        """The run of a call that just came in."""
        return cls(context.request_context.lifespan_context, context)

    @property
    def service(self) -> Service:
        """What asking needs."""
        return self.life.service

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Tell the client every few seconds how far it is, while the body runs; nothing is sent where nobody asked."""
        number = self.life.heart.start(self.context, self.progress)
        try:
            yield
        finally:
            self.life.heart.stop(number)
