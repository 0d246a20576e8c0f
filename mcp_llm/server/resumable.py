"""The kinds of runs that can be gone on with; a new one is one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.agent.resuming import Agents
from mcp_llm.agent.task import DELEGATE, KIND
from mcp_llm.batch import orders

from . import comparing, lasting
from .tools import compare_models, generate

if TYPE_CHECKING:
    from mcp_llm.app import App


def register(app: App) -> None:
    """Tell the app who goes on with which kind."""
    app.resumers.register(lasting.KIND, lasting.Again(app, generate.read))
    app.resumers.register(comparing.KIND, comparing.Onward(app, compare_models.read))
    app.resumers.register(orders.KIND, orders.Orders(app, app.journals))
    app.resumers.register(KIND, Agents(app, app.journals))
    app.resumers.register(DELEGATE, Agents(app, app.journals, automatic=False))
