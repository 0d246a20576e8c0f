"""Runs an agent from task to result: makes the run, puts it to work, writes its end exactly once.

Whatever ends it - an answer, a limit, an error, a cancel - the run's last event says so; a limit is no error, and what
there is by then is the result.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.errors import BudgetExceeded, Conflict
from mcp_llm.llm.shaping import shaped
from mcp_llm.runs import ending
from mcp_llm.runs.recorder import Recorder
from mcp_llm.runs.store import new_id
from mcp_llm.types.events import Budget, Finish, Start
from mcp_llm.types.sinks import Callback

from . import spans
from .agents import outcome
from .bench import bench
from .calls import STOPPED, Stuck
from .going_on import take_up
from .limits import Tree
from .prepare import prepare
from .task import BOUND, DELEGATE, KIND, AgentResult, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp_llm.llm.service import Service
    from mcp_llm.runs.approval import Approver, Ask
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunStore
    from mcp_llm.toolsets.base import Toolset
    from mcp_llm.types.chat import ChatRequest, ChatResponse
    from mcp_llm.types.events import Event
    from mcp_llm.types.sinks import EventSink

    from .loop import Loop
    from .prepare import Prepared


@dataclass(slots=True)
class Host:
    """What a run needs of the process that drives it; its delegates get the same.

    `toolsets` are tools that only this process has. `keep` says, when the run is cancelled from outside, whether it
    is to be gone on with later; otherwise it has ended.
    """

    service: Service
    runs: RunStore
    toolsets: Sequence[Toolset] = ()
    approver: Approver | None = None
    upward: Ask | None = None
    tell: Callable[[str], None] | None = None
    keep: Callable[[], bool] = lambda: False
    tree: Tree | None = None


async def run_agent(
    service: Service,
    runs: RunStore,
    task: Task,
    *,
    run_id: str | None = None,
    on_event: Callable[[dict[str, Any]], Any] | None = None,
    approver: Approver | None = None,
    toolsets: Sequence[Toolset] = (),
    sinks: Sequence[EventSink] = (),
    tell: Callable[[str], None] | None = None,
    keep: Callable[[], bool] = lambda: False,
    bound: bool = False,
) -> AgentResult:
    """Do the task. A limit that is reached ends it with what there is; raises the errors of `mcp_llm.errors`.

    `on_event` gets each event as a dict, `sinks` get it as a value; `approver` asks a person about a tool, and where it
    gives None (or is not there) the question stays with the run until its deadline. `keep`: see `Host`. With `toolsets`
    no other process can go on with it, and so it is with whatever else (`bound`) only this one has.
    """
    host = Host(service, runs, toolsets, approver, tell=tell, keep=keep)
    listeners = [*([Callback(on_event)] if on_event is not None else []), *sinks]
    return await begin(host, task, run_id or new_id(), BOUND if toolsets or bound else KIND, listeners)


async def begin(
    host: Host,
    task: Task,
    run_id: str,
    kind: str,
    sinks: Sequence[EventSink] = (),
    parent: str | None = None,
    taken: Sequence[Event] = (),
) -> AgentResult:
    """Make the run and drive it; `taken` are events of another run that it begins with."""
    prepared = await prepare(host.service, host.runs, task, run_id)
    journal = await host.runs.create(
        kind,
        task.model_dump(mode="json", exclude_defaults=True),
        task.principal,
        parent,
        run_id=run_id,
        model=task.model,
    )
    for sink in sinks:
        journal.listen(sink)
    target = prepared.plan.targets[0]
    start = Start(
        prompt=task.prompt,
        persona=prepared.persona,
        model=target.model_id,
        provider=target.provider_id,
        kind=KIND,
        parent_run=parent,
        continued=task.continue_from,
        rerun_of=task.rerun.run_id if task.rerun else None,
        rerun_step=task.rerun.step if task.rerun else None,
    )
    return await guarded(host, journal, prepared, (start, *taken))


async def guarded(host: Host, journal: Journal, prepared: Prepared, begun: Sequence[Event]) -> AgentResult:
    """Drive the run and see to it that it ends, or is left for others to go on with. `begun`: how it begins, if now."""

    async def work() -> AgentResult:
        if begun:
            await journal.append(*begun)
        return await drive(host, journal, prepared, begun=begun)

    return await ending.guarded(journal, work, host.keep)


async def drive(host: Host, journal: Journal, prepared: Prepared, *, begun: Sequence[Event] = ()) -> AgentResult:
    """From where the run stands (`begun`: it has just begun, so) to its last event. Raises what ended it."""
    wanted = host.service.config.settings.telemetry
    with spans.invoke_agent(journal, prepared, wanted=wanted) as span:
        result = await _drive(host, journal, prepared, begun)
        if span is not None:
            spans.ran(span, prepared, result)
    return result


async def _drive(host: Host, journal: Journal, prepared: Prepared, begun: Sequence[Event]) -> AgentResult:
    started = time.monotonic()
    recorder = Recorder(journal)
    children = Children(host, journal)
    async with bench(
        host.service,
        host.runs,
        journal,
        recorder,
        prepared,
        tree=children.tree,
        spawn=children.spawn,
        toolsets=host.toolsets,
        approver=host.approver,
        upward=host.upward,
        tell=host.tell,
    ) as loop:
        children.ask = loop.calls.approvals.ask
        if begun:
            loop.replay(begun)
        else:
            await take_up(loop, await host.runs.events(journal.run_id))
        result = await answered(loop, prepared.task.json_schema, started)
        # Inside: a server that does not want to end must not keep the answer from anybody.
        event = Finish(result=result.response, usage=result.usage, cost=result.cost, stop_reason=result.stop_reason)
        await journal.finish(event, result=result.model_dump(mode="json", exclude_none=True))
    return result


async def answered(loop: Loop, schema: dict[str, Any] | None, started: float) -> AgentResult:
    """The loop's answer, or what there is when a limit ends it. Raises what else ended it."""
    parsed: Any = None
    reply: ChatResponse | None = None
    reason = "stop"
    try:
        with anyio.move_on_after(loop.meter.seconds_left) as scope:
            reply = await loop.converse()
            reason = "length" if reply.stop == "length" else "stop"
            if schema is not None:
                wanted = loop.history.request().model_copy(update={"json_schema": schema})

                async def again(repair: ChatRequest) -> ChatResponse:
                    choice = {"tool_choice": "none"} if loop.settings.tools else {}
                    return await loop.ask((repair.messages[-1],), json_schema=schema, **choice)

                reply, parsed, words = await shaped(wanted, reply, again)
                loop.warnings += words
        if scope.cancelled_caught:
            loop.meter.check()
            raise BudgetExceeded("the run has used the seconds it may: raise the limit to go on", limit="seconds")
    except BudgetExceeded as exc:
        reason = "budget"
        limit = exc.limit.rpartition(".")[2]
        cap = getattr(loop.meter.limits, limit, None)
        await loop.append(Budget(limit=limit, cap=cap, stopped=True, message=str(exc)))
        loop.warnings.append(str(exc))
    except Stuck:
        reason = "repeat"
        loop.warnings.append(f"it was stopped: the model made the same call {STOPPED} times in a row")
    return _result(loop, reply if reason in {"stop", "length"} else None, reason, parsed, started)


def _result(loop: Loop, reply: ChatResponse | None, reason: str, parsed: Any, started: float) -> AgentResult:
    target = loop.plan.targets[0]
    last = reply or loop.reply
    words = reply.text if reply is not None else loop.words()
    warnings = [*loop.warnings]
    if last is not None and not words.strip():
        warnings.append("the answer is empty: the model gave no text")
    return AgentResult(
        response=words,
        model=loop.plan.asked,
        model_used=(last.model if last else None) or target.model_id,
        provider=target.provider_id,
        finish_reason=last.stop if last else "other",
        finish_reason_raw=last.stop_raw if last else None,
        parsed=parsed,
        usage=loop.meter.usage,
        cost=loop.meter.cost,
        latency_ms=round((time.monotonic() - started) * 1000),
        run_id=loop.journal.run_id,
        fallbacks=tuple(loop.fallbacks),
        warnings=tuple(dict.fromkeys(warnings)),
        stop_reason=reason,
        turns=loop.meter.turns,
        calls=loop.meter.calls,
    )


@dataclass(slots=True)
class Children:
    """The delegates of one run: begun, or gone on with where the run itself is."""

    host: Host
    journal: Journal
    ask: Ask | None = None
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        self.tree = self.host.tree or Tree(self.host.service.config.settings.agents.runs - 1)

    def _keep(self) -> bool:
        # Whoever goes on with this run goes on with them; if nobody will, nobody needs them.
        journal = self.journal
        return journal.lost or (self.host.keep() and not journal.cancel_requested)

    async def spawn(self, task: Task, run_id: str) -> AgentResult:
        """The delegate's result. Raises what ended it."""
        own = replace(self.host, upward=self.ask, keep=self._keep, tree=self.tree)
        return await child(own, task, run_id, self.journal.run_id)


async def child(host: Host, task: Task, run_id: str, parent: str) -> AgentResult:
    """The result of a run below another one; one that was begun before is gone on with. Raises what ended it."""
    while True:
        try:
            return await begin(host, task, run_id, DELEGATE, parent=parent)
        except Conflict:  # there is one: it was begun before, by a process now gone
            if (found := await outcome(host.runs, run_id, task.principal)) is not None:
                return found
        try:
            journal = await host.runs.claim(run_id, task.principal)
        except Conflict:
            continue
        task = Task.model_validate(journal.request)
        return await guarded(host, journal, await prepare(host.service, host.runs, task, run_id), ())
