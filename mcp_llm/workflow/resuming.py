"""Who goes on with workflows whose process is gone: what has ended stays, the rest is done again or asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_llm.errors import InvalidInput
from mcp_llm.types.events import TaskEnd, TaskStart

from .operation import HERE, drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo

    from .method import Host

MOST: int = 5
"""Times that one attempt of a task is begun before a person has to say that it should be begun again."""


@dataclass(slots=True)
class Workflows:
    """A Resumer; `host` makes what a run needs of this process, given whether it is to be kept when that ends."""

    host: Callable[[Callable[[], bool]], Host]
    automatic: bool = True

    async def check(self, info: RunInfo, again: bool) -> None:
        """Raise InvalidInput where its paths mean something else, or where it keeps dying at the same place."""
        host = self.host(lambda: True)
        folder = info.request.get("folder")
        if info.kind == HERE and folder != str(host.service.config.working_folder):
            raise InvalidInput(
                f"run {info.id} began in another folder, where its relative paths are: go there and call "
                f"`mcp-llm runs resume {info.id}`"
            )
        counts: dict[tuple[str, str | None, int], int] = {}
        for event in await host.runs.events(info.id):
            if isinstance(event, TaskStart):
                key = (event.task, event.item, event.attempt)
                counts[key] = counts.get(key, 0) + 1
            elif isinstance(event, TaskEnd):
                counts = {key: count for key, count in counts.items() if key[:2] != (event.task, event.item)}
        stuck = [key[0] for key, count in counts.items() if count >= MOST]
        if stuck and not again:
            raise InvalidInput(
                f"run {info.id} was cut off {MOST} times in the task {stuck[0]}; it may be paid each time. "
                f'To go on all the same: runs(action="resume", run_id="{info.id}", again=true)'
            )

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Go on with it."""
        host = self.host(lambda: not journal.cancel_requested)
        result = await drive(host, journal, begun=False)
        return result.model_dump(mode="json", exclude_none=True)
