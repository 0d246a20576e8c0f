"""A call that is a run from the start: waited for while the host bears it, and asked about where it has to ask.

A call that nobody has detached ends with its client; one that has handed back its run id goes on, also after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from mcp_llm.agent.lines import Lines
from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import TRACE, Task, Trace
from mcp_llm.errors import Denied
from mcp_llm.runs.detach import Finished, Running, run_detachable

from . import result as results
from .asking import Asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.types import CallToolResult

    from mcp_llm.agent.task import AgentResult

    from .run import Run

T = TypeVar("T")

ALIAS: Final = "mcp_llm/trace"


async def work_lasting(run: Run, task: Task, wait_s: float | None) -> AgentResult | Running:
    """The agent's result, or the run that goes on. Raises what ended it."""

    async def work(asking: Asking) -> AgentResult:
        return await run_agent(
            run.service,
            run.service.journals,
            task,
            run_id=run.run_id,
            approver=asking.approve,
            sinks=(Lines(run.progress), asking),
            tell=run.progress.tell,
            keep=lambda: asking.detached,
        )

    return await driven(run, work, wait_s)


async def driven(run: Run, work: Callable[[Asking], Awaitable[T]], wait_s: float | None) -> T | Running:
    """What the work gives, or the run that it is and that goes on; the work tells its events to what it is given."""
    runs = run.service.journals
    asking = Asking(run)

    async def begin() -> T:
        try:
            return await work(asking)
        finally:
            asking.begun.set()

    async def detach(_: Callable[[], None]) -> Running | None:
        await asking.begun.wait()
        if (journal := runs.driven(run.run_id)) is None:  # it is over already
            return None
        asking.close()
        return Running(run.run_id, journal.partial)

    def hurry(leave: Callable[[], None]) -> None:
        asking.leave = leave
        run.desk.hurried(leave)

    with run.beating():
        given = await run_detachable(run.life.tasks, begin, deadline_s=run.inline(wait_s), detach=detach, hurry=hurry)
    return given.value if isinstance(given, Finished) else given


async def unfinished(run: Run, done: Running) -> CallToolResult:
    """The reply of a call whose run goes on: what it asks, else its run id."""
    asked = [one for one in await run.service.journals.questions(done.run_id) if one.open]
    if asked:
        return results.waiting(done.run_id, done.partial, {one.id: one.question for one in asked})
    return results.running(done)


def trace(run: Run) -> Trace | None:
    """Where in somebody's tree this call stands, as another server of ours says it. Raises Denied for nonsense."""
    meta = run.context.request_context.meta
    said = (meta or {}).get(TRACE, (meta or {}).get(ALIAS))
    if said is None:
        return None
    try:
        if isinstance(said, dict) and isinstance(depth := said.get("depth"), int) and not isinstance(depth, bool):
            said = {"root": run.run_id, "run_id": run.run_id, **said, "depth": max(0, depth)}
        return Trace.model_validate(said)
    except ValidationError:
        raise Denied(
            f"`_meta` holds a {TRACE} that is none: leave it out, or give root, run_id, depth, budget"
        ) from None
