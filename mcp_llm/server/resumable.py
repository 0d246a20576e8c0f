"""The kinds of runs that can be gone on with; a new one is one line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_llm import video
from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import DELEGATE, KIND
from mcp_llm.batch import orders

from . import comparing, lasting
from .tools import compare_models, generate

if TYPE_CHECKING:
    from mcp_llm.app import App
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.resume import Resumer
    from mcp_llm.runs.store import RunInfo


def register(app: App) -> None:
    """Tell the app who goes on with which kind."""
    app.resumers.register(lasting.KIND, lasting.Again(app, generate.read))
    app.resumers.register(comparing.KIND, comparing.Onward(app, compare_models.read))
    app.resumers.register(orders.KIND, orders.Orders(app, app.journals))
    app.resumers.register(video.KIND, video.Films(app, app.journals))
    app.resumers.register(KIND, Agents(app, app.journals))
    app.resumers.register("workflow", Late(app))
    app.resumers.register("workflow.here", Late(app, automatic=False))
    app.resumers.register(DELEGATE, Agents(app, app.journals, automatic=False))


@dataclass(slots=True)
class Late:
    """Goes on with workflows; what that takes is loaded when there is one."""

    app: App
    automatic: bool = True

    def _resumer(self) -> Resumer:
        from mcp_llm import steps
        from mcp_llm.workflow.resuming import Workflows

        return Workflows(lambda keep: steps.host(self.app, keep=keep), automatic=self.automatic)

    async def check(self, info: RunInfo, again: bool) -> None:
        """As `Workflows` has it."""
        await self._resumer().check(info, again)

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """As `Workflows` has it."""
        return await self._resumer().drive(journal)
