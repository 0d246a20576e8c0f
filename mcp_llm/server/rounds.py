"""The rounds of a call that needs something of its host (2026-07-28): handed back with questions, and made again.

Between two rounds the work is a run like any other: it goes on, nothing is done twice, and whoever never comes back
finds it under `runs`. Approvals are rows of the store; what is asked of the host's model lives with the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.types import CallToolResult, ElicitResult, InputRequiredResult

from mcp_llm.agent.lines import Lines
from mcp_llm.errors import InvalidInput, ToolFailed
from mcp_llm.runs import wait
from mcp_llm.runs.resume import GRACE

from . import asking, declared, kept

if TYPE_CHECKING:
    from .run import Run

MOST: Final = 8
"""Times that one call is handed back; clients of the SDK give up after 10."""
LIVE: Final = frozenset({"running", "waiting"})
ENDING: Final = 2.0
"""Seconds for asking a run to end."""


async def handed(
    run: Run, given: CallToolResult | InputRequiredResult, state: asking.State | None = None
) -> CallToolResult | InputRequiredResult:
    """The result, or where it says that the run goes on and the run wants something, that it is wanted."""
    data: Any = given.structured_content if isinstance(given, CallToolResult) else None
    if data is None or data.get("status") not in LIVE:
        return given
    run_id, rounds = str(data.get("run_id")), state.rounds + 1 if state is not None else 1
    if run_id == run.run_id:
        run.life.keep(run_id, run.desk)
    if rounds > MOST or declared.tasks(run.session) or not (requests := await wanted(run, run_id)):
        return given
    known = state.known if state is not None else run_id != run.run_id
    return asking.hand_back(requests, asking.State(run=run_id, rounds=rounds, known=known))


async def wanted(run: Run, run_id: str) -> dict[str, Any]:
    """What a run wants of this host, as requests by key."""
    desk, capabilities = run.life.desks.get(run_id), run.session.client_capabilities
    found: dict[str, Any] = {}
    if desk is not None and capabilities is not None and capabilities.sampling is not None:
        found |= {key: one.request for key, one in desk.open.items()}
    if asking.way(run.context) == "return":
        questions = [one for one in await run.service.journals.questions(run_id) if one.open]
        found |= asking.approvals(questions)
    return found


async def again(run: Run, state: asking.State, wait_s: float | None) -> CallToolResult | InputRequiredResult:
    """The call has come again: bring its answers to the run, and wait for what comes of it.

    Raises InvalidInput for a run that is not the caller's, ToolFailed with what ended it.
    """
    app, run_id = run.service, state.run or ""
    runs = app.journals
    kind = (await runs.get(run_id, run.principal)).kind
    answers = run.context.input_responses or {}
    for question in await runs.questions(run_id):
        if question.open and isinstance(answer := answers.get(question.id), ElicitResult):
            try:
                await runs.answer(run_id, run.principal, asking.approved(answer), question.id)
            except InvalidInput:  # answered elsewhere, or its deadline passed, this moment
                continue
    desk = run.life.desks.get(run_id)
    if (journal := runs.driven(run_id)) is not None:
        journal.listen(Lines(run.progress))
    run.progress.who = f"run {run_id[:8]}"
    try:
        with run.beating(), anyio.CancelScope() as patience:
            if desk is not None:
                desk.bring(answers)
                desk.hurried(patience.cancel)
            grace = GRACE if app.resumers.automatic(kind) else 0
            await wait.ended(runs, run_id, run.principal, run.inline(wait_s), grace_s=grace)
    except anyio.get_cancelled_exc_class():
        if not state.known:  # nobody has its id: whoever gives up this call gives up the run
            with anyio.CancelScope(shield=True), anyio.move_on_after(ENDING):
                await app.resumers.cancel(runs, run_id, run.principal)
        raise
    info = await runs.get(run_id, run.principal)
    if kept.answered(info):
        return await kept.finished(app, info, run.host.result_chars)
    if info.status in {"failed", "cancelled"}:
        raise ToolFailed(f"run {run_id} {info.status}: {info.result.get('error', 'no reason is known')}")
    return await handed(run, await kept.shown(app, info, run.host.result_chars), state)
