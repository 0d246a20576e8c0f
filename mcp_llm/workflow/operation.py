"""Runs a workflow from file to result: checks it, makes the run, puts it to work, writes its end exactly once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio

from mcp_llm.errors import Error
from mcp_llm.runs import ending
from mcp_llm.runs.approval import Approvals
from mcp_llm.runs.store import new_id
from mcp_llm.types.events import Finish, Resumed, Start
from mcp_llm.types.result import cost_in_all, tokens_in_all
from mcp_llm.types.sinks import Callback

from . import load
from .allowance import Allowance
from .attempts import Work
from .inputs import given
from .methods import Offer, offered
from .plan import Plan, plan
from .run import Graph
from .schema import WorkflowResult
from .template import Filling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcp_llm.runs.journal import Journal
    from mcp_llm.types.sinks import EventSink

    from .load import Node
    from .method import Host

KIND: Final = "workflow"
HERE: Final = "workflow.here"
"""The kind of a run that began in somebody's shell or program: only there its relative paths mean what they meant."""
BOUND: Final = "workflow.bound"
"""The kind of a run that needs objects which only its own process has."""


def check(host: Host, node: Node) -> Plan:
    """The plan of a file, as far as it can be checked without starting a server. Raises WorkflowError."""
    return plan(node, Offer(host.service, host.methods).find)


async def run_workflow(
    host: Host,
    node: Node,
    inputs: Mapping[str, Any],
    *,
    run_id: str | None = None,
    kind: str = HERE,
    principal: str = "local",
    budget_usd: float | None = None,
    trace: dict[str, Any] | None = None,
    on_event: Callable[[dict[str, Any]], Any] | None = None,
    sinks: Sequence[EventSink] = (),
) -> WorkflowResult:
    """Run it. A task that fails is part of the result; raises WorkflowError, InvalidInput before anything has run."""
    checked = check(host, node)
    values = given(checked.workflow, inputs)
    if any(step.method.bound for step in checked.steps.values()):
        kind = BOUND
    raw = node.plain()
    named = {"prompt": checked.workflow.name}  # what lists of runs show
    request = {**named, "workflow": raw, "inputs": values, "folder": str(host.service.config.working_folder)}
    request |= {name: value for name, value in (("budget_usd", budget_usd), ("trace", trace)) if value is not None}
    journal = await host.runs.create(kind, request, principal, run_id=run_id or new_id())
    for sink in [*([Callback(on_event)] if on_event is not None else []), *sinks]:
        journal.listen(sink)
    return await ending.guarded(journal, lambda: drive(host, journal, begun=True), host.keep)


async def drive(host: Host, journal: Journal, *, begun: bool) -> WorkflowResult:
    """From where the run stands (`begun`: it has just begun) to its last event. Raises what ended it."""
    request, started = journal.request, time.monotonic()
    node = load.of(request["workflow"])
    checked = check(host, node)
    async with offered(host, {step.task.call.method for step in checked.steps.values()}) as offer:
        checked = plan(node, offer.find)  # again: now the tools of its servers are known
        graph = await _graph(host, journal, checked, begun=begun)
        limits = host.service.config.settings.workflows
        seconds = min(checked.workflow.timeout or limits.seconds, limits.seconds)
        before = 0.0 if begun else await _driven(host, journal.run_id)
        with anyio.move_on_after(max(0.0, seconds - before)) as scope:
            await graph.go()
        late = f"the workflow's {seconds:g} s were over" if scope.cancelled_caught else None
        if late is not None:
            await graph.close(late)
        result = _result(graph, late, round((before + time.monotonic() - started) * 1000))
        # Inside: a server that does not want to end must not keep the answer from anybody.
        data = result.model_dump(mode="json", exclude_none=True)
        event = Finish(result=result.response, usage=result.usage, cost=result.cost, stop_reason=result.stop_reason)
        status = "finished" if result.status == "completed" else "failed"
        await journal.finish(event, status=status, result=data)
    return result


async def _graph(host: Host, journal: Journal, checked: Plan, *, begun: bool) -> Graph:
    request, settings = journal.request, host.service.config.settings
    workflow = checked.workflow
    approvals = Approvals(host.runs, journal, settings.agents.approval_s, journal.append, host.approver)
    allowance = Allowance.of(host.service, journal.run_id, workflow.budget_usd, request.get("budget_usd"))
    work = Work(host, journal.run_id, journal.principal, allowance, approvals, request.get("trace"))
    parallel = workflow.max_parallel_tasks or settings.workflows.parallel
    graph = Graph(checked, request["inputs"], work, journal, parallel)
    if begun:
        await journal.append(Start(prompt=workflow.description or workflow.name, persona=workflow.name, kind=KIND))
        return graph
    events = await host.runs.events(journal.run_id)
    graph.replay(events)
    unsure = [
        start.task
        for (task, item), start in graph.begun.items()
        if not start.repeatable and (task not in graph.ended if item is None else (task, item) not in graph.items)
    ]
    await journal.append(Resumed(after=journal.seq, attempt=journal.attempts, may_have_run=tuple(unsure)))
    return graph


async def _driven(host: Host, run_id: str) -> float:
    """Seconds that the run was driven by processes that are gone; the time between them is not counted."""
    total, last = 0.0, None
    for event in await host.runs.events(run_id):
        if last is not None and not isinstance(event, Resumed):
            total += max(0, event.ts - last) / 1000
        last = event.ts
    return total


def _result(graph: Graph, late: str | None, latency_ms: int) -> WorkflowResult:
    workflow, tasks = graph.plan.workflow, graph.results()
    ends = [*graph.ended.values(), *graph.items.values()]
    failed = [one for one in tasks if one.status in {"failed", "cancelled"}]
    error = "; ".join(f"{one.task_id}: {one.error}" for one in failed[:5])
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    outputs, warnings = _outputs(graph)
    kinds = {end.kind for end in ends}
    reason: Literal["stop", "budget", "timeout", "failed"] = "stop"
    if late is not None:
        reason = "timeout"
    elif failed:
        reason = "budget" if "budget" in kinds else "failed"
    if late is not None and not failed:
        error = late
    return WorkflowResult(
        response=_response(graph, outputs),
        workflow=workflow.name,
        status="failed" if failed or late is not None else "completed",
        error=f"{error}{more}" or None,
        outputs=outputs,
        tasks=tasks,
        stop_reason=reason,
        usage=tokens_in_all(end.usage for end in ends if end.usage is not None),
        cost=cost_in_all(end.cost for end in ends if end.cost is not None),
        latency_ms=latency_ms,
        run_id=graph.journal.run_id,
        warnings=tuple(warnings),
    )


def _outputs(graph: Graph) -> tuple[dict[str, Any], list[str]]:
    """Each output, null where what it is made of is not there, or where all together would be too large."""
    found: dict[str, Any] = {}
    warnings, filling = [], Filling(graph.value)
    for name, value in graph.plan.workflow.outputs.items():
        try:
            found[name] = filling.fill(value)
        except Error as exc:
            found[name] = None
            warnings.append(f"the output `{name}` is null: {exc}")
    return found, warnings


def _response(graph: Graph, outputs: Mapping[str, Any]) -> str:
    """The result in words: the only one as it is, several with their names."""
    if not outputs:
        last = [step.task.id for step in graph.plan.steps.values() if not step.followers]
        outputs = {
            name: end.result.get("response", end.result.get("result", end.result))
            for name in last
            if (end := graph.ended.get(name)) is not None and isinstance(end.result, dict)
        }
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in outputs.items()
    }
    return (
        next(iter(texts.values()))
        if len(texts) == 1
        else "\n\n".join(f"{name}: {text}" for name, text in texts.items())
    )
