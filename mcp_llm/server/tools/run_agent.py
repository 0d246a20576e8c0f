"""The tool `run_agent`: a task for an agent that uses other servers' tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.runs.detach import Running
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments, Name

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.agent.task import Task
    from mcp_llm.server.run import Run


class RunAgentArguments(Arguments):
    """One line each: every word is read by the calling model in every conversation."""

    prompt: Annotated[str, Field(description="the task")]
    agent: Annotated[str | None, Field(description="an agent's name, e.g. reviewer")] = None
    model: Name | None = None
    """As in generate; else what the agent's file or the settings say."""
    servers: Annotated[list[str] | None, Field(description="names of configured MCP servers; default all")] = None
    tools: Annotated[list[str] | None, Field(description="only these tools: globs of server__tool")] = None
    instruction: Annotated[str | None, Field(description="system text")] = None
    extra_context: str | None = None
    """Texts and facts it should know; sent before the task."""
    continue_from: Annotated[Name | None, Field(description="run id of an ended run to go on with")] = None
    json_schema: Annotated[dict[str, Any] | None, Field(description="answer as `parsed` JSON of this schema")] = None
    budget_usd: Annotated[float | None, Field(ge=0)] = None
    """The most the run may cost, delegates included, in dollars."""
    max_turns: Annotated[int | None, Field(ge=1)] = None
    """Replies of the model."""
    wait_s: Annotated[float | None, Field(ge=0, description="then hand back the run id")] = None


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "response": {"type": "string"},
        "status": {"type": "string"},
        "stop_reason": {"type": "string"},
        "cost": {"type": "object"},
        "run_id": {"type": "string"},
        "warnings": {"type": "array"},
    },
    "required": ["run_id"],
}


async def run_run_agent(given: RunAgentArguments, run: Run) -> CallToolResult:
    """Do it, as long as the host waits; what goes on then is a run."""
    from mcp_llm.server import working

    done = await working.work_lasting(run, task(given, run), given.wait_s)
    if isinstance(done, Running):
        return await working.unfinished(run, done)
    return results.generated(done, run.host.result_chars)


def task(given: RunAgentArguments, run: Run) -> Task:
    """The arguments as what the agent is to do."""
    from mcp_llm.agent.task import Limits, Task
    from mcp_llm.server import working

    return Task(
        prompt=given.prompt,
        agent=given.agent,
        model=given.model,
        servers=None if given.servers is None else tuple(given.servers),
        tools=None if given.tools is None else tuple(given.tools),
        instruction=given.instruction,
        extra_context=given.extra_context,
        continue_from=given.continue_from,
        json_schema=given.json_schema,
        budget=Limits(usd=given.budget_usd, turns=given.max_turns),
        principal=run.principal,
        trace=working.trace(run),
    )


RUN_AGENT = publish(
    run_run_agent,
    RunAgentArguments,
    name="run_agent",
    title="Run an agent",
    description="Hand a task to an agent that uses the tools of MCP servers until it is done.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True),
)
