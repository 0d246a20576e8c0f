"""The tools that the suite looks up for the tasks extension, on our own runs: its names and texts are its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK evaluates annotations
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ElicitResult, InputRequiredResult

from mcp_llm.errors import ToolFailed
from mcp_llm.runs import wait
from mcp_llm.runs.detach import Running
from mcp_llm.runs.recorder import Recorder
from mcp_llm.server import asking, declared, tasks
from mcp_llm.server import result as results
from mcp_llm.server.lasting import lasting
from mcp_llm.server.run import Run
from mcp_llm.types.events import Approval, Finish, Start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server import MCPServer

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def add(server: MCPServer[Any]) -> None:
    """Register everything of this file."""
    tools: dict[str, Callable[..., Any]] = {
        "greet": greet,
        "slow_compute": slow_compute,
        "failing_job": failing_job,
        "protocol_error_job": protocol_error_job,
        "confirm_delete": confirm_delete,
        "multi_input": multi_input,
        "test_tool_with_task": test_tool_with_task,
    }
    for name, tool in tools.items():
        server.add_tool(tool, name=name, description=tool.__doc__, structured_output=False)


async def _task(ctx: Context[Any], work: Callable[[Run, Recorder], Awaitable[str]]) -> CallToolResult:
    """The work as a task from the beginning, where the client takes tasks."""
    run, recorder = Run.of(ctx), Recorder()
    given = await lasting(
        run,
        lambda: work(run, recorder),
        start=Start(prompt="conformance", kind="conformance"),
        request={},
        finish=lambda words: Finish(result=words),
        recorder=recorder,
        wait_s=0 if declared.tasks(ctx.session) else None,
    )
    return results.running(given) if isinstance(given, Running) else results.plain(given, {"response": given})


async def greet(name: str) -> str:
    """Says hello at once."""
    return f"Hello, {name}!"


async def slow_compute(ctx: Context[Any], seconds: float, label: str = "") -> CallToolResult:
    """Takes its time."""

    async def work(run: Run, recorder: Recorder) -> str:
        await anyio.sleep(seconds)
        return f"{label} took {seconds} s"

    return await _task(ctx, work)


async def failing_job(ctx: Context[Any]) -> CallToolResult:
    """Fails, as a tool may; only as a task."""
    if not declared.tasks(ctx.session):
        raise tasks.missing()

    async def work(run: Run, recorder: Recorder) -> str:
        await anyio.sleep(0.5)
        raise ToolFailed("this always fails")

    return await _task(ctx, work)


async def protocol_error_job(ctx: Context[Any]) -> CallToolResult:
    """Breaks."""

    async def work(run: Run, recorder: Recorder) -> str:
        await anyio.sleep(0.2)
        raise RuntimeError("broken")

    return await _task(ctx, work)


async def _ask(run: Run, recorder: Recorder, *keys: str) -> str:
    """Ask all at once, and wait for every answer."""
    while recorder.journal is None:  # noqa: ASYNC110 - nothing tells
        await anyio.sleep(0.01)
    journal = recorder.journal
    for key in keys:
        question = {"message": f"{key}: may it go on?"}
        await journal.ask(Approval(tool="t", args={}, call_id=key, state="asked"), key, question)
    for key in keys:
        if await wait.answered(run.service.journals, run.run_id, key, 30) is None:
            raise ToolError("nobody answered")
    return "answered"


async def confirm_delete(ctx: Context[Any], filename: str) -> CallToolResult:
    """Asks one thing."""
    return await _task(ctx, lambda run, recorder: _ask(run, recorder, "confirm"))


async def multi_input(ctx: Context[Any]) -> CallToolResult:
    """Asks two things at once."""
    return await _task(ctx, lambda run, recorder: _ask(run, recorder, "first", "second"))


async def test_tool_with_task(ctx: Context[Any]) -> CallToolResult | InputRequiredResult:
    """Asks before it becomes a task."""
    answer = (ctx.input_responses or {}).get("user_name")
    if not isinstance(answer, ElicitResult):
        return asking.hand_back({"user_name": asking.form("Who are you?", NAME)}, asking.State())
    name = str((answer.content or {}).get("name"))

    async def work(run: Run, recorder: Recorder) -> str:
        await anyio.sleep(0.2)
        return f"Hello, {name}!"

    return await _task(ctx, work)
