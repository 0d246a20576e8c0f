"""A workflow's result as a tool's result: its words, what failed, and its receipt; the run keeps the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import result as results

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.workflow.schema import WorkflowResult

SHOWN: Final = 4000
"""Characters of an output in structured content; the run keeps all of it."""


def shown(result: WorkflowResult, most: int) -> CallToolResult:
    """The result, its failures and its receipt; what is long is read from the run."""
    data = result.model_dump(mode="json", exclude_none=True, exclude={"tasks", "response", "outputs"})
    text = result.response
    if len(text) > most:
        call = f'runs(action="read", run_id="{result.run_id}", offset={most})'
        text = f"{text[:most]}\n\n[the first {most:,} of {len(result.response):,} characters; the rest: {call}]"
    kept = ("task_id", "status", "error", "duration_seconds")
    tasks = [{name: value for name in kept if (value := getattr(one, name)) is not None} for one in result.tasks]
    outputs = {name: _short(value) for name, value in result.outputs.items() if value != result.response}
    bad = [one for one in result.tasks if one.status in {"failed", "cancelled"}]
    failed = [f"{one.task_id} {one.status}: {one.error}" for one in bad]
    blocks = [text, *failed, f"[{result.receipt}]", *(f"[note: {words}]" for words in result.warnings)]
    return results.plain(
        "\n\n".join(block for block in blocks if block),
        {"response": text, **({"outputs": outputs} if outputs else {}), "tasks": tasks, **data},
        *([results.link(result.run_id, most, len(result.response))] if len(result.response) > most else []),
    )


def _short(value: Any) -> Any:
    text = str(value)
    return value if len(text) <= SHOWN else f"{text[:SHOWN]}..."
