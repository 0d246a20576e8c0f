"""Who goes on with which kind of run: known by name before any of them is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.agent import task
from mcp_llm.agent.resuming import Agents
from mcp_llm.app import open_app
from mcp_llm.batch import orders
from mcp_llm.server import comparing, lasting, resumable
from mcp_llm.server.pages import view
from mcp_llm.video import KIND as VIDEO
from mcp_llm.video import Films
from mcp_llm.workflow import operation
from mcp_llm.workflow.resuming import Workflows

if TYPE_CHECKING:
    from mcp_llm.config import Config


@pytest.mark.anyio
async def test_every_kind_has_who_goes_on_with_it_and_only_safe_ones_are_taken_up_unasked(config: Config) -> None:
    async with open_app(config) as app:
        resumable.register(app)
        late: dict[str, Any] = dict(app.resumers._by_kind)
        assert {kind: (type(one.load(app)), one.automatic) for kind, one in late.items()} == {
            lasting.KIND: (lasting.Again, False),
            comparing.KIND: (comparing.Onward, False),
            orders.KIND: (orders.Orders, True),
            VIDEO: (Films, True),
            task.KIND: (Agents, True),
            task.DELEGATE: (Agents, False),
            operation.KIND: (Workflows, True),
            "workflow.here": (Workflows, False),
        }


def test_the_kinds_that_are_agents_are_those_of_agents() -> None:
    assert view.AGENTS == (task.KIND, task.DELEGATE, task.BOUND)
