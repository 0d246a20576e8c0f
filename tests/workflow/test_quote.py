"""What a workflow would cost, in the words of its dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from workflow.work import Counted, opened

from mcp_llm import steps
from mcp_llm.workflow import load
from mcp_llm.workflow.operation import check
from mcp_llm.workflow.quote import quote

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("call_usd", "cap"), [(None, 0.5), ("0.05", 0.05)])
async def test_the_budget_in_it_is_the_one_that_a_run_is_held_to(home: Path, call_usd: str | None, cap: float) -> None:
    async with opened(home, {}, budget={"call_usd": call_usd} if call_usd else {}) as app:
        host = steps.host(app)
        host.methods = Counted(echo=lambda _: "x").methods()
        plan = check(host, load.read("name: x\nbudget_usd: 0.5\ntasks:\n- {id: a, method: test/echo}\n"))
        assert (await quote(app, plan, {}, 1.0)).budget_usd == cap
