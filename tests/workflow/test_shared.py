"""What the tasks of a workflow share with others: its money while somebody holds it, and the place for Python code."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from workflow.work import MODEL, Scripted, do, opened, summary

from mcp_llm import steps
from mcp_llm.llm.ledger import Scope

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_comparison_waits_for_money_that_other_calls_hold_and_may_give_back(home: Path) -> None:
    run_id = "e" * 32
    text = f"""
name: x
budget_usd: 0.1
tasks:
- id: a
  method: llm/compare
  parameters: {{prompt: hi, models: ["{MODEL}", scripted:n], max_tokens: 100}}
"""
    looked = anyio.Event()
    prices = {name: {"input": 10.0, "output": 100.0} for name in (MODEL, "scripted:n")}
    async with opened(home, {"scripted": Scripted("x")}, prices=prices) as app:
        ledger = app.purse.ledger
        scope = Scope("run", run_id, usd=Decimal("0.1"))
        held = await ledger.reserve([scope], usd=Decimal("0.0999"), tokens=None)
        results = []

        async def work() -> None:
            results.append(await do(app, text, run_id=run_id))
            looked.set()

        used, times = ledger.used, []

        async def seen(kind: str, key: str) -> Any:
            times.append(key)
            if len(times) > 2:  # it was refused, and looks whether somebody still holds something
                looked.set()
            return await used(kind, key)

        ledger.used = seen  # type: ignore[method-assign]  # to know when it waits
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            with anyio.fail_after(30):
                await looked.wait()
            ledger.release(held)
    assert summary(results[0]) == {"a": "completed"}


async def test_where_python_code_may_run_is_found_once_for_the_process(home: Path) -> None:
    async with opened(home, {}) as app:
        assert steps.host(app).boundaries is steps.host(app).boundaries
