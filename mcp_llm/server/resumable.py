"""The kinds of runs that can be gone on with, each by who is loaded when there is one. A new kind is one row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.app import App
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.resume import Resumer
    from mcp_llm.runs.store import RunInfo


def register(app: App) -> None:
    """Tell the app who goes on with which kind, and whether unasked."""
    for kind, automatic, load in (
        ("generate", False, _answers),
        ("compare_models", False, _comparisons),
        ("batch", True, _orders),
        ("video", True, _films),
        ("agent", True, _agents),
        ("delegate", False, _agents),
        ("workflow", True, _workflows),
        ("workflow.here", False, _workflows),
    ):
        app.resumers.register(kind, Late(app, load, automatic))
    app.resumers.call_off.update(batch=partial(_order_off, app), video=partial(_film_off, app))


@dataclass(slots=True)
class Late:
    """A Resumer that is made when there is something to go on with."""

    app: App
    load: Callable[[App], Resumer]
    automatic: bool

    async def check(self, info: RunInfo, again: bool) -> None:
        """As the one it stands for has it."""
        await self.load(self.app).check(info, again)

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """As the one it stands for has it."""
        return await self.load(self.app).drive(journal)


def _answers(app: App) -> Resumer:
    from .lasting import Again
    from .tools.generate import read

    return Again(app, read)


def _comparisons(app: App) -> Resumer:
    from .comparing import Onward
    from .tools.compare_models import read

    return Onward(app, read)


def _orders(app: App) -> Resumer:
    from mcp_llm.batch.orders import Orders

    return Orders(app, app.journals)


def _films(app: App) -> Resumer:
    from mcp_llm.video import Films

    return Films(app, app.journals)


def _agents(app: App) -> Resumer:
    from mcp_llm.agent.resuming import Agents

    return Agents(app, app.journals)


def _workflows(app: App) -> Resumer:
    from mcp_llm import steps
    from mcp_llm.workflow.resuming import Workflows

    return Workflows(lambda keep: steps.host(app, keep=keep))


async def _order_off(app: App, info: RunInfo) -> str | None:
    from mcp_llm.batch.calling_off import call_off
    from mcp_llm.batch.orders import Orders

    return await call_off(Orders(app, app.journals), info)


async def _film_off(app: App, info: RunInfo) -> str | None:
    from mcp_llm.video import Films

    return await Films(app, app.journals).call_off(info)
