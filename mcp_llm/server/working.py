"""A `run_agent` call: a run from the start, waited for while the host bears it, and asked about where it has to ask.

A call that nobody has detached ends with its client; one that has handed back its run id goes on, also after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
from pydantic import BaseModel, Field, ValidationError

from mcp_llm.agent.bench import TRACE
from mcp_llm.agent.lines import Lines
from mcp_llm.agent.operation import run_agent
from mcp_llm.agent.task import Task, Trace
from mcp_llm.errors import Denied
from mcp_llm.runs.detach import Finished, Running, run_detachable
from mcp_llm.types.events import Approval

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_llm.agent.task import AgentResult
    from mcp_llm.types.events import Event

    from .run import Run

ALIAS: Final = "mcp_llm/trace"


class Answer(BaseModel):
    """What a host's form asks for."""

    approve: bool = Field(description="May it be called?")


@dataclass(slots=True)
class Asking:
    """Asks through the host, as long as the call that it belongs to is open; and says when the run asks otherwise."""

    run: Run
    leave: Callable[[], None] = lambda: None
    """Ends the call's patience."""
    detached: bool = False
    begun: anyio.Event = field(default_factory=anyio.Event)
    """Set once there is a run, or there will be none."""
    _open: list[anyio.CancelScope] = field(default_factory=list)

    async def approve(self, question: dict[str, Any]) -> Any:
        """The person's answer, or None where the host cannot ask."""
        params = self.run.context.session.client_params
        if self._over() or params is None or params.capabilities.elicitation is None:
            return None
        seconds = self.run.service.config.settings.agents.approval_s
        with anyio.move_on_after(seconds) as scope:
            self._open.append(scope)
            try:
                found = await self.run.context.elicit(_words(question), Answer)
            except Exception:  # the host says that it can ask, and cannot: the question stays with the run
                return None
            finally:
                self._open.remove(scope)
            return found.action == "accept" and found.data.approve
        return None if self._over() else False

    def _over(self) -> bool:
        return self.detached

    def emit(self, event: Event) -> None:
        """There is a run; or it has a question, of which the caller has to know, who can answer it."""
        self.begun.set()
        if isinstance(event, Approval) and event.state == "asked":
            self.leave()

    def close(self) -> None:
        """The call is over; what it was asking is asked otherwise."""
        self.detached = True
        for scope in self._open:
            scope.cancel()


async def work_lasting(run: Run, task: Task, wait_s: float | None) -> AgentResult | Running:
    """The result, or the run that goes on. Raises what ended it."""
    runs = run.service.journals
    asking = Asking(run)
    approver = asking.approve

    async def work() -> AgentResult:
        try:
            return await run_agent(
                run.service,
                runs,
                task,
                run_id=run.run_id,
                approver=approver,
                sinks=(Lines(run.progress), asking),
                tell=run.progress.tell,
                keep=lambda: asking.detached,
            )
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
        given = await run_detachable(run.life.tasks, work, deadline_s=run.patience(wait_s), detach=detach, hurry=hurry)
    return given.value if isinstance(given, Finished) else given


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


def _words(question: dict[str, Any]) -> str:
    import json

    args = json.dumps(question["args"], ensure_ascii=False, indent=1)
    said = f"\nIt says of itself: {question['description']}" if question.get("description") else ""
    server = f" of the server {question['server']!r}" if question.get("server") else ""
    return f"An agent wants to call {question['tool']}{server} with\n{args}{said}"
