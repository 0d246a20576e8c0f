"""The tool `run_workflow`: one of the user's own workflows, by name. Callers never pass YAML or a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.errors import Denied
from mcp_llm.runs.detach import Running
from mcp_llm.server import result as results
from mcp_llm.server import working
from mcp_llm.server.arguments import Arguments
from mcp_llm.server.worked import shown

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.server.asking import Asking
    from mcp_llm.server.run import Run
    from mcp_llm.workflow.schema import WorkflowResult


class RunWorkflowArguments(Arguments):
    """One line each: every word is read by the calling model in every conversation."""

    name: Annotated[str | None, Field(description="leave out to list the workflows and their inputs")] = None
    inputs: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Values for the inputs that the workflow declares."""
    dry_run: Annotated[bool, Field(description="only its tasks and their price")] = False
    budget_usd: Annotated[float | None, Field(ge=0)] = None
    """The most the whole may cost, in dollars."""
    wait_s: Annotated[float | None, Field(ge=0, description="then hand back the run id")] = None


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "response": {"type": "string"},
        "status": {"type": "string"},
        "outputs": {"type": "object"},
        "tasks": {"type": "array"},
        "cost": {"type": "object"},
        "run_id": {"type": "string"},
        "error": {"type": "string"},
    },
}


async def run_run_workflow(given: RunWorkflowArguments, run: Run) -> CallToolResult:
    """Do it, as long as the host waits; what goes on then is a run."""
    if given.name is None:
        return _listed(run)
    if given.dry_run:
        return await _quoted(given.name, given, run)
    done = await _run(given.name, given, run)
    if isinstance(done, Running):
        return await working.unfinished(run, done)
    return shown(done, run.host.result_chars)


async def _run(name: str, given: RunWorkflowArguments, run: Run) -> WorkflowResult | Running:
    from mcp_llm import steps
    from mcp_llm.workflow import folder
    from mcp_llm.workflow.lines import Lines
    from mcp_llm.workflow.operation import KIND, check, run_workflow

    app = run.service
    node = folder.named(app.config.folder / "workflows", name)
    total = len(check(steps.host(app), node).steps)
    trace = working.trace(run)
    depth = app.config.settings.agents.depth
    if trace is not None and trace.depth > depth:
        raise Denied(f"this run would stand {trace.depth} levels deep; {depth} are allowed here")
    caps = [given.budget_usd, None if trace is None else trace.budget.usd]
    budget = min((cap for cap in caps if cap is not None), default=None)

    async def work(asked: Asking) -> WorkflowResult:
        host = steps.host(app, approver=asked.approve, tell=run.progress.tell, keep=lambda: asked.detached)
        return await run_workflow(
            host,
            node,
            given.inputs,
            run_id=run.run_id,
            kind=KIND,
            principal=run.principal,
            budget_usd=budget,
            trace=None if trace is None else trace.model_dump(mode="json", exclude_none=True),
            sinks=(Lines(run.progress, name, total), asked),
        )

    return await working.driven(run, work, given.wait_s)


async def _quoted(name: str, given: RunWorkflowArguments, run: Run) -> CallToolResult:
    from mcp_llm import steps
    from mcp_llm.workflow import folder
    from mcp_llm.workflow.operation import check
    from mcp_llm.workflow.quote import quote

    app = run.service
    plan = check(steps.host(app), folder.named(app.config.folder / "workflows", name))
    quoted = await quote(app, plan, given.inputs, given.budget_usd)
    return results.plain(quoted.response, quoted.model_dump(mode="json", exclude_none=True))


def _listed(run: Run) -> CallToolResult:
    from mcp_llm.workflow import folder
    from mcp_llm.workflow.inputs import signature

    found = folder.listed(run.service.config.folder / "workflows")
    lines = [
        f"{name}: is broken, `mcp-llm workflow check {name}` says how"
        if one is None
        else signature(one, name) + (f"  {one.description}" if one.description else "")
        for name, one in found
    ]
    text = "\n".join(lines) or "there are no workflows; `mcp-llm workflow init NAME` begins one"
    rows = [{"name": name, "description": one.description} for name, one in found if one is not None]
    return results.plain(text, {"response": text, "workflows": rows})


RUN_WORKFLOW = publish(
    run_run_workflow,
    RunWorkflowArguments,
    name="run_workflow",
    title="Run a workflow",
    description="Run one of the user's workflows: tasks that use one another's results.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True),
)
