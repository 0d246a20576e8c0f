"""A workflow whose process is gone, and another that goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from workflow.work import do

from mcp_llm import steps
from mcp_llm.runs.resume import Resumers, drive
from mcp_llm.workflow.operation import BOUND, HERE, KIND
from mcp_llm.workflow.resuming import Workflows
from mcp_llm.workflow.schema import WorkflowResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.app import App
    from mcp_llm.workflow.method import Host, Method

RUN = "d" * 32


async def cut_off(app: App, text: str, methods: dict[str, Method], begun: anyio.Event, **more: Any) -> None:
    """Run it until `begun`, then let its process be gone."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: do(app, text, more.pop("inputs", {"n": 1}), methods, run_id=RUN, keep=lambda: True, **more)
        )
        with anyio.fail_after(30):
            await begun.wait()
        tasks.cancel_scope.cancel()
    assert (await app.journals.get(RUN, "local")).status == "interrupted"


def resumers(app: App, methods: dict[str, Method]) -> Resumers:
    def host(keep: Callable[[], bool]) -> Host:
        made = steps.host(app, keep=keep)
        made.methods = {**made.methods, **methods}
        return made

    found = Resumers()
    for kind in (KIND, HERE, BOUND):
        found.register(kind, Workflows(host))
    return found


async def go_on(app: App, methods: dict[str, Method], **more: Any) -> WorkflowResult:
    journal, resumer = await resumers(app, methods).claim(app.journals, RUN, "local", **more)
    with anyio.fail_after(30):
        await drive(resumer, journal)
    return WorkflowResult.model_validate((await app.journals.get(RUN, "local")).result)
