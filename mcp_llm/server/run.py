"""What a tool is given besides its arguments: what lives with the server, who calls, the run's id, its progress."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.hosts.known import host
from mcp_llm.llm.progress import Progress
from mcp_llm.runs.store import new_id

from . import declared
from .desk import Desk
from .principal import LOCAL, current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.server.mcpserver import Context
    from mcp.server.session import ServerSession

    from mcp_llm.app import App
    from mcp_llm.hosts.known import Host

    from .life import Life

TASK_AFTER_S: Final = 3.0
"""Seconds after which a call becomes a task: a client that knows tasks would rather poll than hold a stream open."""


@dataclass(slots=True)
class Run:
    """One tool call."""

    life: Life
    context: Context[Any]
    session: ServerSession
    """The context's, which takes microseconds to give it each time."""
    principal: str = LOCAL
    run_id: str = field(default_factory=new_id)
    progress: Progress = field(default_factory=Progress)
    desk: Desk = field(default_factory=Desk)
    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    _host: Host | None = None

    @classmethod
    def of(cls, context: Context[Any]) -> Run:
        """The run of a call that just came in."""
        request = context.request_context
        return cls(request.lifespan_context, context, request.session, current())

    @property
    def service(self) -> App:
        """What asking needs."""
        return self.life.service

    @property
    def host(self) -> Host:
        """What is known of the program that calls."""
        if self._host is None:
            params = self.session.client_params
            self._host = host(params.client_info.name if params is not None else None)
        return self._host

    def patience(self, wait_s: float | None) -> float:
        """Seconds from now on that the call may still take: the caller's word, else the setting's, else the host's."""
        seconds = wait_s
        if seconds is None:
            seconds = self.service.config.settings.soft_deadline or self.host.soft_deadline
        return max(0.0, seconds - (time.monotonic() - self.progress.started))

    def inline(self, wait_s: float | None) -> float:
        """`patience` for a call that can be handed out as a task: a host that takes tasks gets one soon."""
        return self.patience(TASK_AFTER_S if wait_s is None and declared.tasks(self.session) else wait_s)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Tell the client every few seconds how far it is, while the body runs; nothing is sent where nobody asked."""
        number = self.life.heart.start(self.context, self.progress, self.host.progress_chars)
        try:
            yield
        finally:
            self.life.heart.stop(number)
