"""The tool `compare_models`: the same prompts to several models at once, side by side, checked and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BeforeValidator, Field

from mcp_llm.runs.detach import Running
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments, Name
from mcp_llm.server.compared import shown

from .published import publish

if TYPE_CHECKING:
    from mcp_llm.compare.asked import Comparison
    from mcp_llm.server.run import Run


def _true(judge: Any) -> Any:
    """Some hosts spell what may be anything as text; no model is called so."""
    return {"true": True, "false": False}.get(judge.strip().lower(), judge) if isinstance(judge, str) else judge


class CompareArguments(Arguments):
    """One line each, as few as will do."""

    models: Annotated[list[Name], Field(description="2 to 16, as in generate")]
    prompt: str | None = None
    """One prompt for all; or `prompts`."""
    prompts: Annotated[list[str] | None, Field(description="several, for evidence")] = None
    system: str | None = None
    """The system's words."""
    files: list[str] | None = None
    """As in generate; attached to every prompt."""
    json_schema: dict[str, Any] | None = None
    """Each answer as `parsed` JSON of this schema."""
    samples: int = 1
    """Answers of each model to each prompt, 1 to 50."""
    expect: Annotated[
        Any, Field(description="text, number or {equals, contains, regex, json_schema, number, tolerance}, or a list")
    ] = None
    judge: Annotated[Any, BeforeValidator(_true), Field(description="true, or the judging models")] = None
    rubric: str | None = None
    """What judges look for."""
    budget_usd: float | None = None
    """The most all of it may cost, judges included, in dollars."""
    context: str | None = None
    """Routing context."""
    temperature: float | None = None
    """As the vendor defines it; sent only where it is given."""
    max_tokens: int | None = None
    """The longest one answer may be, in tokens."""
    effort: str | None = None
    """Reasoning effort, as in generate."""
    timeout_s: float | None = None
    """Seconds for each call."""
    wait_s: float | None = None
    """Seconds after which the run id is handed back."""
    options: dict[str, Any] | None = None
    """Added to every provider's request body as is."""
    dry_run: bool = False
    """Only quote what it will cost."""


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "response": {"type": "string"},
        "results": {"type": "array"},
    },
}


async def run_compare(given: CompareArguments, run: Run) -> CallToolResult:
    """Compare, with a heartbeat, as long as the host waits."""
    from mcp_llm.server.comparing import compare_lasting

    ask = asked(given, run.principal)
    arguments = given.model_dump(mode="json", exclude_defaults=True, exclude={"wait_s"})
    compared = await compare_lasting(run, ask, arguments, given.wait_s)
    return results.running(compared) if isinstance(compared, Running) else shown(compared, run.host.result_chars)


def read(arguments: dict[str, Any], principal: str) -> Comparison:
    """What a stored call asked."""
    return asked(CompareArguments.model_validate(arguments), principal)


def asked(given: CompareArguments, principal: str) -> Comparison:
    """The arguments as what is compared."""
    from mcp_llm.compare.asked import Comparison

    return Comparison(
        prompt=given.prompt,
        models=given.models,
        prompts=given.prompts or (),
        system=given.system,
        files=given.files or (),
        json_schema=given.json_schema,
        samples=given.samples,
        expect=given.expect,
        judge=given.judge or False,
        rubric=given.rubric,
        budget_usd=given.budget_usd,
        context=given.context,
        temperature=given.temperature,
        max_tokens=given.max_tokens,
        effort=given.effort,  # type: ignore[arg-type]  # `compare` checks it
        timeout_s=given.timeout_s,
        options=given.options or {},
        dry_run=given.dry_run,
        principal=principal,
    )


COMPARE_MODELS = publish(
    run_compare,
    CompareArguments,
    name="compare_models",
    title="Compare models",
    description="Ask several models the same at once: answers side by side, checks, judges, a tested verdict.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
