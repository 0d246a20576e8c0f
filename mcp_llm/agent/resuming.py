"""Who goes on with agents' runs: when the user says so, and unasked when the process that drove one was killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.runs.recover import standing

from .operation import Host, drive
from .prepare import prepare
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo, RunStore
    from mcp_llm.toolsets.base import Toolset

MOST: Final = 5
"""Times that one model call is begun before a person has to say that it should be begun again."""


@dataclass(slots=True)
class Agents:
    """A Resumer for the kinds of `task.py`; `toolsets` for runs that had tools of their own process."""

    service: Service
    runs: RunStore
    automatic: bool = True
    toolsets: Sequence[Toolset] = ()

    async def check(self, info: RunInfo, again: bool) -> None:
        """Raise InvalidInput for a run that keeps dying at the same place, unless the user insists."""
        stood = standing(await self.runs.events(info.id))
        if stood.asked >= MOST and not again:
            raise InvalidInput(
                f"run {info.id} was cut off {stood.asked} times while a model answered; it may be paid each time. "
                f'To go on all the same: runs(action="resume", run_id="{info.id}", again=true)'
            )

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Go on with it; completed steps stay as they are."""
        task = Task.model_validate(journal.request)
        prepared = await prepare(self.service, self.runs, task, journal.run_id)
        # Whoever drives us ends the run when it is cancelled, and otherwise leaves it to be gone on with.
        host = Host(self.service, self.runs, self.toolsets, keep=lambda: not journal.cancel_requested)
        result = await drive(host, journal, prepared)
        return result.model_dump(mode="json", exclude_none=True)
