"""Workflows from Python, and what their tasks can do beyond asking models: agents, which stand beside this layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import BeforeValidator, Field

from mcp_llm.errors import Denied
from mcp_llm.types.chat import Effort
from mcp_llm.types.message import Value
from mcp_llm.workflow.method import Done, Host, Method
from mcp_llm.workflow.parameters import Dollars, Words, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp_llm.app import App
    from mcp_llm.runs.approval import Approver
    from mcp_llm.workflow.load import Node
    from mcp_llm.workflow.method import Call
    from mcp_llm.workflow.schema import WorkflowResult


class Agent(Value):
    """What `agent/run` takes: the arguments of the tool `run_agent`."""

    prompt: Words
    agent: str | None = None
    model: str | None = None
    servers: Annotated[tuple[str, ...] | None, BeforeValidator(listed)] = None
    tools: Annotated[tuple[str, ...] | None, BeforeValidator(listed)] = None
    instruction: Words | None = None
    extra_context: Words | None = None
    json_schema: dict[str, Any] | None = None
    effort: Effort | None = None
    context: str | None = None
    budget_usd: Dollars | None = None
    max_turns: Annotated[int | None, Field(ge=1)] = None
    max_seconds: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None


GIVES: Final = frozenset(
    ("response", "model", "model_used", "provider", "parsed", "usage", "cost", "latency_ms", "run_id", "warnings")
) | frozenset(("stop_reason", "turns", "calls", "finish_reason", "fallbacks"))


async def run_agent(call: Call) -> Done:
    """The task's agent, as a run below the workflow's; the same run again where that was begun before."""
    from mcp_llm.agent.operation import Host as AgentHost
    from mcp_llm.agent.operation import child
    from mcp_llm.agent.task import Ancestor, Limits, Task, Trace

    given, allowance, service = call.parameters, call.allowance, call.host.service
    left = float(await allowance.left(service))
    above = Trace(root=call.run_id, run_id=call.run_id) if call.trace is None else Trace.model_validate(call.trace)
    if given.agent is not None and given.agent in above.path:
        raise Denied(f"the agent {given.agent!r} is waiting for this very answer: {' -> '.join(above.path)}")
    own = (given.agent,) if given.agent is not None else ()
    limits = Limits(
        usd=given.budget_usd if given.budget_usd is not None else left if allowance.said else None,
        turns=given.max_turns,
        seconds=given.max_seconds,
        depth=max(0, service.config.settings.agents.depth - above.depth),
    )
    said = ("prompt", "agent", "model", "servers", "tools", "instruction", "extra_context", "json_schema", "effort")
    task = Task(
        **{name: getattr(given, name) for name in (*said, "context")},
        budget=limits.within(above.budget),
        principal=call.principal,
        trace=above.model_copy(update={"path": (*above.path, *own)[-64:]}),
        shared=(Ancestor(run_id=call.run_id, usd=float(allowance.usd), assumed=not allowance.said),),
    )
    host = AgentHost(
        service, call.host.runs, approver=call.host.approver, upward=call.approvals.ask, tell=call.host.tell
    )
    host.keep = call.host.keep
    found = await child(host, task, call.child_id, call.run_id)
    result = found.model_dump(mode="json", exclude_none=True)
    metadata = {"model": found.model_used, "provider": found.provider, "run_id": found.run_id}
    return Done(result, found.usage, found.cost, metadata | {"stop_reason": found.stop_reason})


METHODS: Final = {"agent/run": Method(run_agent, Agent, GIVES, repeatable=True)}


def host(
    app: App,
    *,
    approver: Approver | None = None,
    tell: Callable[[str], None] = lambda _: None,
    keep: Callable[[], bool] = lambda: False,
) -> Host:
    """What a workflow needs of this process."""
    return Host(app, app.journals, app.boundaries, METHODS, approver, tell, keep)


async def run_workflow(
    workflow: str | Path | Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
    *,
    on_event: Callable[[dict[str, Any]], Any] | None = None,
    budget_usd: float | None = None,
    run_id: str | None = None,
) -> WorkflowResult:
    """Run a workflow: a file, the name of one in the config folder's `workflows`, YAML text, or a dict of the same.

    `workflow` is that, `inputs` the values it declares. A task that fails is part of the result (`status`, `error`,
    `tasks`). `on_event` gets every event as a dict, last `finish` or `error`; `budget_usd` are dollars for the whole;
    `run_id` is the run's id, if it is to have a certain one. Raises WorkflowError with every fault of the file,
    InvalidInput for inputs, before anything has run.
    """
    from mcp_llm.background import opened
    from mcp_llm.workflow import operation

    app = cast("App", await opened.get())
    node = _node(app, workflow)
    return await operation.run_workflow(
        host(app), node, inputs or {}, on_event=on_event, budget_usd=budget_usd, run_id=run_id
    )


def _node(app: App, workflow: str | Path | Mapping[str, Any]) -> Node:
    from mcp_llm.workflow import folder, load

    if isinstance(workflow, str) and "\n" in workflow:
        return load.read(workflow)
    if isinstance(workflow, str | Path):
        return folder.find(app.config.folder / "workflows", workflow)
    return load.of(dict(workflow))
