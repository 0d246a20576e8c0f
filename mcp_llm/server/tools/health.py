"""The tool `health`: which providers answer right now; asking them for their model lists costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_llm.llm import checks
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.llm.health import ProviderHealth
    from mcp_llm.server.run import Run


class HealthArguments(Arguments):
    """Whom to ask."""

    providers: Annotated[list[str] | None, Field(description="ids; else all that can be asked")] = None


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"providers": {"type": "array", "items": {"type": "object"}}},
    "required": ["providers"],
}


async def run_health(given: HealthArguments, run: Run) -> CallToolResult:
    """One line a provider; one that fails is a line, never an error."""
    service = run.service
    with run.beating():
        ids = [service.catalog.id_of(name) for name in given.providers or ()] or await checks.configured(service)
        found = await checks.check(service, ids)
    lines = [_line(one) for one in found] or ["no provider is configured; list_models says what to set"]
    return results.plain("\n".join(lines), {"providers": [one.model_dump(mode="json") for one in found]})


def _line(one: ProviderHealth) -> str:
    if one.available is None:
        return f"{one.provider_id}: unknown · {one.detail}"
    if not one.available:
        return f"{one.provider_id}: fails · {one.detail}"
    return f"{one.provider_id}: answers in {one.latency_ms} ms · {one.models_available} models"


HEALTH = publish(
    run_health,
    HealthArguments,
    name="health",
    title="Provider health",
    description="Which providers answer right now, and why one does not. Free.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True),
)
