"""The spans of agents: `invoke_agent` around a run, `execute_tool` around a call; what is begun inside stands below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm import telemetry
from mcp_llm.llm.spans import provider

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mcp_llm.redactor import Redactor
    from mcp_llm.runs.journal import Journal
    from mcp_llm.settings import Telemetry
    from mcp_llm.telemetry import Span
    from mcp_llm.toolsets.base import Tool
    from mcp_llm.types.message import ToolCall, ToolResult

    from .prepare import Prepared
    from .task import AgentResult


def invoke_agent(journal: Journal, prepared: Prepared, *, wanted: Telemetry) -> AbstractContextManager[Span | None]:
    """A run, from where this process takes it up to its end."""
    found = telemetry.tracer(wanted)
    if found is None:
        return telemetry.NOTHING
    name, target = prepared.persona, prepared.plan.targets[0]
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": provider(target),
        "gen_ai.request.model": target.model_id,
        "gen_ai.agent.name": name,
        "gen_ai.agent.description": prepared.agent.front.description or None if prepared.agent else None,
        "gen_ai.conversation.id": journal.run_id,
        "mcp_llm.run_id": journal.run_id,
        "mcp_llm.parent_run": journal.parent,
        "mcp_llm.attempt": journal.attempts,
    }
    title = f"invoke_agent {name}" if name else "invoke_agent"
    return telemetry.begin(found, title, attributes, current=True, wanted=wanted, redactor=journal.redactor)


def ran(span: Span, prepared: Prepared, result: AgentResult) -> None:
    """What the run came to."""
    span.set(
        {
            "gen_ai.response.model": result.model_used,
            "gen_ai.response.finish_reasons": [result.finish_reason],
            "mcp_llm.stop_reason": result.stop_reason,
            "mcp_llm.turns": result.turns,
            "mcp_llm.tool_calls": result.calls,
            "mcp_llm.cost.usd": result.cost.usd,
            **telemetry.usage(result.usage),
        }
    )
    span.say("gen_ai.system_instructions", prepared.instruction and [_text(prepared.instruction)])
    span.say("gen_ai.input.messages", telemetry.messages(prepared.first))
    span.say("gen_ai.output.messages", [{"role": "assistant", "parts": [_text(result.response)]}])


def execute_tool(
    tool: Tool, call: ToolCall, *, wanted: Telemetry, redactor: Redactor
) -> AbstractContextManager[Span | None]:
    """One call of a tool, without the wait for a yes or for its turn."""
    found = telemetry.tracer(wanted)
    if found is None:
        return telemetry.NOTHING
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.call.id": call.id,
        "gen_ai.tool.type": "function" if tool.server is None else "extension",
        "mcp_llm.server": tool.server,
    }
    title = f"execute_tool {tool.name}"
    return telemetry.begin(found, title, attributes, current=True, wanted=wanted, redactor=redactor)


def executed(span: Span, args: dict[str, Any], result: ToolResult) -> None:
    """What it came to."""
    if result.is_error:
        span.fail("tool_error", result.text)
    span.say("gen_ai.tool.call.arguments", args)
    span.say("gen_ai.tool.call.result", result.text)


def _text(words: str) -> dict[str, Any]:
    return {"type": "text", "content": words}
