"""A call that is a run from the start: waited for while the host bears it, and asked about where it has to ask.

A call that nobody has detached ends with its client; one that has handed back its run id goes on, also after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from mcp.types import ElicitResult
from pydantic import ValidationError

from mcp_llm.agent.bench import TRACE
from mcp_llm.agent.lines import Lines
from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import AgentResult, Task, Trace
from mcp_llm.errors import Denied, InvalidInput, ToolFailed
from mcp_llm.runs import wait
from mcp_llm.runs.detach import Finished, Running, run_detachable

from . import result as results
from . import tasks
from .asking import ROUNDS, Asking, State, approvals, approved, hand_back, way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.types import CallToolResult, InputRequiredResult

    from .run import Run

T = TypeVar("T")

ALIAS: Final = "mcp_llm/trace"
ENDING: Final = 2.0
"""Seconds for asking a run to end."""


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

    with run.beating():
        given = await run_detachable(run.life.tasks, begin, deadline_s=run.inline(wait_s), detach=detach, hurry=hurry)
    return given.value if isinstance(given, Finished) else given


async def unfinished(run: Run, done: Running, state: State | None) -> CallToolResult | InputRequiredResult:
    """The reply of a call whose run goes on: what it asks, in the way that the host bears, else its run id."""
    asked = [one for one in await run.service.journals.questions(done.run_id) if one.open]
    if not asked:
        return results.running(done)
    rounds = state.rounds + 1 if state is not None else 1
    if tasks.declared(run.context.session):  # the task asks
        return results.waiting(done.run_id, done.partial, {one.id: one.question for one in asked})
    if way(run.context) == "return" and rounds <= ROUNDS:
        return hand_back(approvals(asked), State(run=done.run_id, rounds=rounds))
    return results.waiting(done.run_id, done.partial, {one.id: one.question for one in asked})


async def collect(run: Run, run_id: str, wait_s: float | None, read: Callable[[Any], T]) -> T | Running:
    """What a run came to, or that it goes on: the call that began it has come again, with answers to its questions.

    `read` makes a result of what the run has stored. Raises InvalidInput for a run that is not the caller's,
    ToolFailed with what ended it.
    """
    runs = run.service.journals
    for question in await runs.questions(run_id):
        answer = (run.context.input_responses or {}).get(question.id)
        if question.open and isinstance(answer, ElicitResult):
            try:
                await runs.answer(run_id, run.principal, approved(answer), question.id)
            except InvalidInput:  # answered elsewhere, or its deadline passed, this moment
                continue
    if (journal := runs.driven(run_id)) is not None:
        journal.listen(Lines(run.progress))
    try:
        with run.beating():
            run.progress.who = f"run {run_id[:8]}"
            info = await wait.ended(runs, run_id, run.principal, run.inline(wait_s))
    except anyio.get_cancelled_exc_class():
        # Nobody was given the run's id: whoever gives up this call gives up the run.
        with anyio.CancelScope(shield=True), anyio.move_on_after(ENDING):
            await runs.request_cancel(run_id, run.principal)
        raise
    if info.status == "finished" or "tasks" in info.result:  # a workflow that failed has a result too
        return read(info.result)
    if info.status in {"failed", "cancelled"}:
        raise ToolFailed(f"run {run_id} {info.status}: {info.result.get('error', 'no reason is known')}")
    return Running(run_id, await runs.partial(run_id))


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
