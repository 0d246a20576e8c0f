"""One prompt to one model, as every surface offers it: files, threads, structured output, budget, receipt.

`generate` is the whole story of a call: it turns what a caller wrote into a request, has it asked, checks the answer
against the schema with one repair turn, keeps the thread and the run, and hands back the result with its receipt.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from pydantic import ValidationError

from mcp_llm.errors import InvalidInput, StoreError, TooLarge
from mcp_llm.types.chat import ChatRequest
from mcp_llm.types.message import Media, Text, ToolResult, user
from mcp_llm.types.text import unbroken

from . import counting, parameters, receipt
from .answer import Job
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp_llm.types.chat import ChatResponse, Chunk, Effort, ToolSpec
    from mcp_llm.types.message import Message, Part
    from mcp_llm.types.result import Generated

    from .answer import Answer
    from .counting import TokenCount
    from .routing import Plan
    from .service import Service

MAX_PROMPT: Final = 4 * 1024 * 1024
"""Characters of prompt, system text and history together."""
MAX_TOKENS: Final = 2**31 - 1
"""The most tokens that can be asked for: vendors read 32 bits, and nobody writes so many."""
NOT_SENT: Final = frozenset({"api_key", "apiKey", "api_base", "base_url", "extra_headers", "default_headers"})
"""What other libraries take with a call; here it would be put into the request body, a key too."""


@dataclass(slots=True)
class Ask:
    """What a caller wants; None is: not said. Names are those of the `generate` tool."""

    prompt: str | Sequence[str | Part] = ""
    model: str | None = None
    system: str | None = None
    messages: Sequence[Message] = ()
    context: str | None = None
    files: Sequence[Any] = ()
    json_schema: dict[str, Any] | None = None
    json_output: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Effort | None = None
    thinking_budget: int | None = None
    stop: Sequence[str] = ()
    tools: Sequence[ToolSpec] = ()
    tool_choice: str | None = None
    thread: str | None = None
    budget_usd: float | None = None
    timeout_s: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    """`top_p`, `top_k`, `seed` and the penalties, for callers that have them."""
    principal: str = "local"


async def generate(
    service: Service,
    ask: Ask,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    on_chunks: Callable[[list[Chunk]], Awaitable[None]] | None = None,
    plan: Plan | None = None,
    part_of: Job | None = None,
) -> Generated:
    """Ask once. Raises the errors of `mcp_llm.errors`; a provider's carries what had arrived in `partial`.

    `plan` says who is asked where that is decided already. As `part_of` a job the call is its child: its row names the
    job's run and operation, and the job's scopes bind it too.
    """
    progress = progress or Progress()
    run_id = run_id or uuid4().hex
    started = time.time_ns() // 1_000_000
    _check_words(ask)
    thread, history = await service.threads.open(ask.thread, ask.principal)
    request, warnings = await request_of(service, ask, history)
    plan = plan or await service.plan(ask.model, ask.context, _needs(request))
    job = Job(
        run_id,
        ask.context,
        principal=ask.principal,
        budget_usd=ask.budget_usd,
        timeout_s=ask.timeout_s,
        tell=progress.tell,
        conversation=thread,
    )
    if part_of is not None:
        job.parent_run, job.operation = part_of.run_id, part_of.operation
        job.scopes, job.ahead = part_of.scopes, part_of.ahead
    turns: list[Answer] = []
    try:
        response = await _once(service, request, plan, job, turns, progress, on_chunks)
        parsed: Any = None
        if (request.json_schema is not None or request.json_output) and response.stop != "tool_calls":
            same = replace(plan, targets=[turns[0].target], warnings=[])

            async def again(repair: ChatRequest) -> ChatResponse:
                progress.tell("the answer does not fit the schema, asking for a repair")
                return await _once(service, repair, same, job, turns, progress, None)

            from .shaping import shaped

            response, parsed, words = await shaped(request, response, again)
            warnings += words
    except BaseException as exc:
        partial = (turns[-1].partial or "") if turns else ""
        service.runs.failed(run_id, "generate", ask.principal, started, plan.asked, exc, partial, job.parent_run)
        raise
    if thread is not None:
        try:
            await service.threads.append(thread, ask.principal, [*request.messages[len(history) :], response.message])
        except StoreError as exc:  # the answer is paid for: it is given all the same
            thread = None
            warnings.append(f"this turn is not in the thread, which stays as it was: {exc}")
    given = receipt.result(turns, response, plan.asked, run_id, thread, parsed, warnings)
    service.runs.finished("generate", ask.principal, started, given, job.parent_run)
    return given


async def estimate(service: Service, ask: Ask) -> dict[str, Any]:
    """What the call would do and cost, without making it: `{model, provider, input_tokens, usd, usd_at_most, ...}`."""
    _check_words(ask)
    _, history = await service.threads.open(None if ask.thread == "new" else ask.thread, ask.principal)
    request, warnings = await request_of(service, ask, history)
    plan = await service.plan(ask.model, ask.context, _needs(request))
    target = plan.targets[0]
    fitted, words = parameters.fit(request, target)
    return service.purse.quote(fitted, target) | {
        "fallbacks": [f"{one.provider_id}:{one.model_id}" for one in plan.targets[1:]],
        "because": plan.because,
        "warnings": [*plan.warnings, *warnings, *words],
    }


async def count_tokens(service: Service, ask: Ask) -> TokenCount:
    """The input tokens of the call, counted by the provider where it can, without making it."""
    _check_words(ask)
    _, history = await service.threads.open(None if ask.thread == "new" else ask.thread, ask.principal)
    request, _ = await request_of(service, ask, history)
    plan = await service.plan(ask.model, ask.context, _needs(request))
    return await counting.count(service.models, request, plan.targets[0])


async def request_of(service: Service, ask: Ask, history: Sequence[Message]) -> tuple[ChatRequest, list[str]]:
    """What a caller wrote as a request, and sentences about files that were skipped. Raises InvalidInput, TooLarge."""
    parts, warnings = await service.attachments(ask.files, principal=ask.principal)
    prompt = [ask.prompt] if isinstance(ask.prompt, str) else list(ask.prompt)
    said: list[Part] = [Text(unbroken(piece)) if isinstance(piece, str) else piece for piece in prompt if piece != ""]
    written = "".join(part.text for part in said if isinstance(part, Text))
    pictured = any(not isinstance(part, Text) for part in said)
    if not written.strip() and not pictured and not (ask.messages and not ask.prompt):
        raise InvalidInput("`prompt` is empty: say what the model should do")
    messages = [*history, *ask.messages]
    if said or parts:
        messages.append(user(*said, *parts))
    size = len(ask.system or "") + sum(_length(part) for message in messages for part in message.parts)
    if size > MAX_PROMPT:
        raise TooLarge(f"the prompt has {size:,} characters, the cap is {MAX_PROMPT:,}; shorten it or pass a file")
    if ask.json_schema is not None:
        from .structured import check_schema

        check_schema(ask.json_schema)
    _check_numbers(ask)
    check_options(ask.options)
    try:
        made = ChatRequest(
            messages=tuple(messages),
            system=unbroken(ask.system) if ask.system else None,
            tools=tuple(ask.tools),
            tool_choice=ask.tool_choice,
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
            stop=tuple(ask.stop),
            effort=ask.effort,
            thinking_budget=ask.thinking_budget,
            json_output=ask.json_output,
            json_schema=ask.json_schema,
            options=ask.options,
            **ask.sampling,
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"`{'.'.join(str(item) for item in first['loc'])}`: {first['msg']}") from None
    return made, warnings


def _check_words(ask: Ask) -> None:
    """Python's callers may write anything; the tool's arguments have been checked before."""
    for name in ("model", "system", "context", "thread"):
        value = getattr(ask, name)
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"`{name}` is a {type(value).__name__}; it has to be text")


def _check_numbers(ask: Ask) -> None:
    positive("max_tokens", ask.max_tokens, low=1, most=MAX_TOKENS)
    positive("timeout_s", ask.timeout_s)
    positive("budget_usd", ask.budget_usd)


def positive(name: str, value: float | None, *, low: float = 0, most: float | None = None) -> None:
    """Raise InvalidInput for what is no number from `low` to `most`; a time limit of 0 is none either."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and low <= value < float("inf") and (most is None or value <= most)):
        upto = "" if most is None else f" and at most {most:,}"
        raise InvalidInput(f"`{name}` is {f'{value}'[:60]}; it has to be a number of at least {low}{upto}")
    if value == 0 and name == "timeout_s":
        raise InvalidInput("`timeout_s` is 0; give it at least a second or leave it out")


def check_options(options: dict[str, Any]) -> None:
    """Raise InvalidInput for options that would set what has an argument of its own, or what is never sent."""
    if taken := sorted({"model", "stream"} & options.keys()):
        raise InvalidInput(f"`options` may not set {', '.join(taken)}: prices and budgets go by the `model` argument")
    if taken := sorted(NOT_SENT & options.keys()):
        raise InvalidInput(
            f"{', '.join(taken)} cannot be given with a call and was not sent: keys come from the environment or .env, "
            "addresses and headers from a provider file in the config folder"
        )


async def _once(
    service: Service,
    request: ChatRequest,
    plan: Plan,
    job: Job,
    turns: list[Answer],
    progress: Progress,
    on_chunks: Callable[[list[Chunk]], Awaitable[None]] | None,
) -> ChatResponse:
    async with service.llm.stream(request, plan, job) as answer:
        turns.append(answer)
        progress.who = f"{answer.target.provider_id}:{answer.target.model_id}"
        async for batch in answer.batches():
            progress.take(batch)
            if on_chunks is not None:
                await on_chunks(batch)
        return answer.response()


def _length(part: Part) -> int:
    """Characters that a part adds to the prompt; files have caps of their own."""
    if isinstance(part, ToolResult):
        return sum(_length(piece) for piece in part.parts)
    return len(getattr(part, "text", "")) + len(getattr(part, "arguments", ""))


def _needs(request: ChatRequest) -> frozenset[str]:
    """What the answering model has to be able to do."""
    needs = {"tools"} if request.tools else set[str]()
    for message in request.messages:
        for part in message.parts:
            pieces = part.parts if isinstance(part, ToolResult) else (part,)
            needs |= {piece.modality for piece in pieces if isinstance(piece, Media)}
    return frozenset(needs)
