"""The tool `generate`: one prompt to one model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp.types import InputRequiredResult, ToolAnnotations
from pydantic import Field, ValidationError

from mcp_llm.errors import InvalidInput, UnknownModel
from mcp_llm.runs.detach import Running
from mcp_llm.server import asking
from mcp_llm.server import result as results
from mcp_llm.server.arguments import Arguments, Name
from mcp_llm.types.chat import Effort, ToolSpec

from .published import publish

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from mcp_llm.llm.generate import Ask
    from mcp_llm.server.run import Run


class GenerateArguments(Arguments):
    """One line each: every word is read by the calling model in every conversation."""

    prompt: Annotated[str | list[dict[str, Any]], Field(description="text, or parts [{type:text|image|file, ...}]")]
    model: Annotated[
        Name | None, Field(description="provider:model, id, alias, pro|balanced|lite, auto (see list_models)")
    ] = None
    system: str | None = None
    """The system's words."""
    messages: Annotated[list[dict[str, Any]] | None, Field(description="earlier turns [{role, content}]")] = None
    context: Annotated[str | None, Field(description="routing context, e.g. notes.title")] = None
    files: Annotated[list[str] | None, Field(description="paths, URLs or data URIs: text, image, PDF, audio")] = None
    json_schema: Annotated[dict[str, Any] | None, Field(description="answer as `parsed` JSON of this schema")] = None
    temperature: float | None = None
    """As the vendor defines it; sent only where it is given."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """The longest the answer may be, in tokens."""
    effort: Annotated[Effort | None, Field(description="reasoning effort")] = None
    thinking_budget: Annotated[int | None, Field(ge=-1, description="reasoning tokens; 0 off, -1 model decides")] = None
    stop: list[str] | None = None
    """Texts before which the answer ends."""
    tools: Annotated[
        list[dict[str, Any]] | None,
        Field(description="functions {name, description, parameters}: returned as tool_calls, not run"),
    ] = None
    thread: Annotated[Name | None, Field(description='"new", or a thread id to go on with')] = None
    budget_usd: Annotated[float | None, Field(ge=0, description="most this call may cost")] = None
    timeout_s: Annotated[float | None, Field(gt=0)] = None
    """Seconds for the whole call."""
    wait_s: Annotated[float | None, Field(description="then hand back a run id")] = None
    options: Annotated[dict[str, Any] | None, Field(description="added to the provider's request body as is")] = None
    dry_run: Annotated[bool, Field(description="only quote tokens and price")] = False


OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "response": {"type": "string"},
        "status": {"type": "string"},
        "run_id": {"type": "string"},
        "thread": {"type": "string"},
        "model_used": {"type": "string"},
        "finish_reason": {"type": "string"},
        "tool_calls": {"type": "array"},
        "usage": {"type": "object"},
        "cost": {"type": "object"},
        "warnings": {"type": "array"},
    },
}
"""The rest - `parsed`, `thinking`, `fallbacks` and so on - is in the answer where there is any."""


async def run_generate(given: GenerateArguments, run: Run) -> CallToolResult | InputRequiredResult:
    """Ask, with a heartbeat, as long as the host waits; the same text and structured answer."""
    from mcp_llm.server.lasting import ask_lasting

    ask = asked(given, run.principal)
    if given.dry_run:
        from mcp_llm.llm.generate import estimate

        quote = await estimate(run.service, ask)
        usd = "unknown" if quote["usd_at_most"] is None else f"${quote['usd_at_most']:.6g}"
        text = f"{quote['provider']}:{quote['model']} · ~{quote['input_tokens']:,} tokens in · at most {usd}"
        return results.plain(text, {"response": text, "quote": json.loads(json.dumps(quote, default=str))})
    arguments = given.model_dump(mode="json", exclude_defaults=True, exclude={"wait_s"})
    try:
        answer = await ask_lasting(run, ask, arguments, given.wait_s)
    except UnknownModel as unknown:
        options = [name for name in unknown.options if _askable(run, name)]
        if len(options) < 2:  # there is nothing to choose
            raise
        picked = await asking.choose(run, "model", f"Which model is meant by {(given.model or '')[:80]!r}?", options)
        if isinstance(picked, InputRequiredResult):
            return picked
        if picked is None:
            raise
        given = given.model_copy(update={"model": picked})
        answer = await ask_lasting(run, asked(given, run.principal), {**arguments, "model": picked}, given.wait_s)
    return results.running(answer) if isinstance(answer, Running) else results.generated(answer, run.host.result_chars)


def _askable(run: Run, model: str) -> bool:
    provider_id = model.partition(":")[0]
    return run.service.access.reachable(provider_id, run.service.catalog.provider(provider_id))


def read(arguments: dict[str, Any], principal: str) -> Ask:
    """What a stored call asked."""
    return asked(GenerateArguments.model_validate(arguments), principal)


def asked(given: GenerateArguments, principal: str) -> Ask:
    """The arguments as what is asked."""
    from mcp_llm.llm.conversation import messages, parts
    from mcp_llm.llm.generate import Ask

    return Ask(
        prompt=given.prompt if isinstance(given.prompt, str) else parts(given.prompt),
        model=given.model,
        system=given.system,
        messages=messages(given.messages or []),
        context=given.context,
        files=given.files or (),
        json_schema=given.json_schema,
        temperature=given.temperature,
        max_tokens=given.max_tokens,
        effort=given.effort,
        thinking_budget=given.thinking_budget,
        stop=given.stop or (),
        tools=[tool(one, f"tools[{index}]") for index, one in enumerate(given.tools or ())],
        thread=given.thread,
        budget_usd=given.budget_usd,
        timeout_s=given.timeout_s,
        options=given.options or {},
        principal=principal,
    )


def tool(value: dict[str, Any], place: str = "tool") -> ToolSpec:
    """A function definition as people write it: flat, or OpenAI's `{type, function: {...}}`."""
    inner = value.get("function") if isinstance(value.get("function"), dict) else value
    known: dict[str, Literal["name", "description", "parameters", "strict"]] = {
        "name": "name",
        "description": "description",
        "parameters": "parameters",
        "input_schema": "parameters",
        "inputSchema": "parameters",
        "strict": "strict",
    }
    try:
        return ToolSpec.model_validate({known[key]: item for key, item in (inner or {}).items() if key in known})
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join([place, *map(str, first["loc"])])
        raise InvalidInput(
            f"{where}: {first['msg']}; a tool needs a `name` and its `parameters` as JSON Schema"
        ) from None


GENERATE = publish(
    run_generate,
    GenerateArguments,
    name="generate",
    title="Ask a model",
    description="Ask one LLM of any provider. The answer comes with model, tokens, cost and a run id.",
    output=OUTPUT,
    annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False),
)
