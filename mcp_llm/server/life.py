"""What lives as long as the server: the service, a task group for work that outlives its call, one heart for all."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio

from mcp_llm.errors import Error

from . import clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup
    from mcp.server.mcpserver import Context
    from mcp.server.session import ServerSession

    from mcp_llm.app import App
    from mcp_llm.llm.progress import Progress

    from .desk import Desk
    from .seal import Seal

logger = logging.getLogger(__name__)

FIRST: Final = 1.0
BEAT: Final = 5.0
"""Seconds between heartbeats; hosts give up after 60 s of silence at the earliest, and 10 s is what we promise."""


@dataclass(slots=True)
class _Beating:
    context: Context[Any]
    progress: Progress
    due: float
    most: int
    count: int = 0


@dataclass(slots=True)
class Heart:
    """One task that tells every waiting client how far its call is; asleep while there is none.

    Progress strictly increases: it counts the beats, because nobody knows how long an answer will be.
    """

    first: float = FIRST
    beat: float = BEAT
    _calls: dict[int, _Beating] = field(default_factory=dict)
    _wake: anyio.Event = field(default_factory=anyio.Event)

    def start(self, context: Context[Any], progress: Progress, most: int) -> int:
        """Beat for this call from now on, in lines of at most `most` characters; the number is for `stop`."""
        call = _Beating(context, progress, anyio.current_time() + self.first, most)
        self._calls[id(call)] = call
        self._wake.set()
        return id(call)

    def stop(self, number: int) -> None:
        """The call has ended."""
        self._calls.pop(number, None)

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            if not self._calls:
                self._wake = anyio.Event()
                await self._wake.wait()
            await anyio.sleep(min(self.first, self.beat))
            now = anyio.current_time()
            # All at once: clients that do not read may not hold up the others' hearts.
            async with anyio.create_task_group() as tasks:
                for number, call in list(self._calls.items()):
                    if call.due <= now:
                        call.count, call.due = call.count + 1, now + self.beat
                        tasks.start_soon(self._tell, number, call)

    async def _tell(self, number: int, call: _Beating) -> None:
        with anyio.move_on_after(1.0):
            try:
                await call.context.report_progress(call.count, message=call.progress.line()[: call.most])
            except Exception as exc:  # whatever it is, it is this call's and not the others'
                logger.debug("progress could not be told: %s", exc)
                self.stop(number)


@dataclass(slots=True)
class Life:
    """Handed to every call. The service is opened by the first that needs it."""

    _open: Callable[[], App]
    tasks: TaskGroup
    heart: Heart
    seal: Seal
    _service: App | None = None
    desks: dict[str, Desk] = field(default_factory=dict)
    """Run that goes on without its call -> what it wants of its host now."""
    _greeted: set[str] = field(default_factory=set)

    @property
    def service(self) -> App:
        """The service, the same for all. Raises Error where it cannot be opened; the next call tries again."""
        if self._service is None:
            try:
                self._service = self._open()
            except Error:
                raise
            except Exception as exc:  # its words may hold what is no caller's business
                logger.exception("what calls need could not be opened")
                raise Error(
                    f"mcp-llm itself failed ({type(exc).__name__}) as it opened its state; its log on stderr says "
                    "where. `mcp-llm doctor` looks at what there is."
                ) from None
        return self._service

    async def aclose(self) -> None:
        """Close the service, if it was opened."""
        if self._service is not None:
            await self._service.aclose()

    def keep(self, run_id: str, desk: Desk) -> None:
        """Know what a run wants; what those that have ended wanted is forgotten."""
        for ended in [one for one in self.desks if self.service.journals.driven(one) is None]:
            del self.desks[ended]
        self.desks[run_id] = desk

    def greet(self, context: Context[Any], session: ServerSession) -> None:
        """Remember a host at its first call; of very many names, as one may make them up, no more than a few."""
        params = session.client_params
        name = params.client_info.name[: clients.MOST] if params is not None else ""
        if name and name not in self._greeted and len(self._greeted) < clients.KEPT:
            self._greeted.add(name)
            clients.remember(self.service, context)
