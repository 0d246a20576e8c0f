"""A run made again from one of its steps on, live: what came before is taken from the record and not paid again.

The new run is a run of its own, with a journal that holds the taken steps as its own; nothing that the old one did is
done again unless the model that is asked now asks for it.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import InvalidInput
from mcp_llm.runs.recover import standing
from mcp_llm.runs.replay import steps
from mcp_llm.runs.store import new_id
from mcp_llm.types.events import Compacted, Event, ModelEnd, ModelStart, ToolEnd, ToolStart
from mcp_llm.types.result import Cost, Tokens
from mcp_llm.types.sinks import Callback

from .going_on import UNKNOWN
from .operation import Host, begin
from .prepare import conversation
from .replaying import check, task_of
from .task import BOUND, KIND, Limits, Rerun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.runs.approval import Approver
    from mcp_llm.runs.recording import Recording
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Toolset
    from mcp_llm.types.sinks import EventSink

    from .task import AgentResult, Task

UNPAID: Final = Cost(usd=0.0, source="recorded")
_TAKEN: Final = (ModelStart, ModelEnd, ToolStart, ToolEnd, Compacted)
"""Who said yes then says nothing of now, and what delegates did is in the results of the calls."""


async def rerun(
    service: Service,
    runs: RunStore,
    recording: Recording,
    *,
    step: int = 0,
    model: str | None = None,
    budget: Limits | None = None,
    principal: str = "local",
    run_id: str | None = None,
    approver: Approver | None = None,
    toolsets: Sequence[Toolset] = (),
    on_event: Callable[[dict[str, Any]], Any] | None = None,
    sinks: Sequence[EventSink] = (),
    tell: Callable[[str], None] | None = None,
) -> AgentResult:
    """Go on from step `step` (0: from the beginning) with `model` (None: as before). Raises InvalidInput.

    It gets the recorded task, and of its budget no more than the settings give to a run, unless `budget` says so.
    """
    check(recording)
    taken = tuple(before(recording, step))
    task = asked(recording, step, model, budget or Limits(), service.config.settings.agents, principal)
    await _goes_on(runs, recording, task)
    host = Host(service, runs, toolsets, approver, tell=tell)
    tools = Offered()
    listeners = [*([Callback(on_event)] if on_event is not None else []), *sinks, tools]
    result = await begin(host, task, run_id or new_id(), BOUND if toolsets else KIND, listeners, taken=taken)
    if warnings := [*_warnings(recording, step, tools)]:
        return result.model_copy(update={"warnings": (*result.warnings, *warnings)})
    return result


async def _goes_on(runs: RunStore, recording: Recording, task: Task) -> None:
    """A record that went on with a conversation names it by run id, and a stranger's may name one of the reader's.

    It would put that conversation into a prompt that the stranger wrote, so it has to be the one in the record.
    """
    if task.continue_from is None:
        return
    said = steps(recording.events)[0].request.messages[:-1]
    if tuple(await conversation(runs, task.continue_from, task.principal)) != tuple(said):
        raise InvalidInput(
            f"run {recording.id} went on with a conversation that is not what run {task.continue_from} has here; "
            "give what matters of it as `extra_context` of a new run"
        )


class Offered:
    """A sink that knows which tools were offered last."""

    def __init__(self) -> None:
        self.names: set[str] | None = None

    def emit(self, event: Event) -> None:
        """An event of the new run."""
        if isinstance(event, ModelStart) and event.settings is not None:
            self.names = {tool.name for tool in event.settings.tools}


def _warnings(recording: Recording, step: int, tools: Offered) -> Iterator[str]:
    """What makes the two runs hard to compare."""
    found = steps(recording.events)
    had = {tool.name for tool in found[step].request.tools} if found else set()
    had.discard("read_more")  # ours: it comes and goes with the others
    if tools.names is not None and (missing := sorted(had - tools.names)):
        yield f"the recorded run had tools that are not offered here: {', '.join(missing[:20])}"
    if recording.header.redacted:
        yield f"{recording.header.redacted} strings of the recording had secrets, which are *** here"


def asked(recording: Recording, step: int, model: str | None, budget: Limits, settings: Any, principal: str) -> Task:
    """The recorded task as a task of the reader's."""
    task = task_of(recording)
    usual = Limits().filled(settings)
    recorded = task.budget.model_dump(exclude_none=True)
    limits = {name: min(value, getattr(usual, name) or value) for name, value in recorded.items()}
    said = {**limits, **budget.model_dump(exclude_none=True)}
    return task.model_copy(
        update={
            "model": model or task.model,
            "principal": principal,
            "budget": Limits(**said),
            "rerun": Rerun(run_id=recording.id, step=step),
            "trace": None,
            "shared": (),
        }
    )


def before(recording: Recording, step: int) -> Iterator[Event]:
    """The events of the steps before this one, as those of another run: without numbers, times and cost.

    Raises InvalidInput for a step that the run does not have.
    """
    found = steps(recording.events)
    if not 0 <= step < max(1, len(found)):
        there = f"its steps are 0 to {len(found) - 1}" if len(found) > 1 else "its only step is 0"
        raise InvalidInput(f"run {recording.id} has no step {step}: {there}")
    if step == 0:
        return
    number = found[step].asked.step
    earlier = [
        event
        for event in takewhile(lambda one: not (isinstance(one, ModelStart) and one.step == number), recording.events)
        if isinstance(event, _TAKEN)
    ]
    for event in earlier:
        fresh: dict[str, Any] = {"ts": 0, "seq": 0, "run_id": ""}
        if isinstance(event, ModelEnd):
            fresh |= {"usage": Tokens(), "cost": UNPAID}
        yield event.model_copy(update=fresh)
    for call in standing(earlier).may_have_run:
        yield ToolEnd(tool=call.tool, args=call.args, result=UNKNOWN, call_id=call.call_id, is_error=True)
