"""The spans of model calls: who was asked what, who answered, how many tokens it took, which attempts failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcp_llm import telemetry
from mcp_llm.catalog.address import IN_CODE
from mcp_llm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from mcp_llm.catalog.find import Target
    from mcp_llm.errors import Attempt
    from mcp_llm.settings import Telemetry
    from mcp_llm.telemetry import Span
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.usage import Usage

    from .access import Access
    from .answer import Answer, Job
    from .routing import Plan

_NAMES: Final = {"embed": "embeddings", "image": "generate_content"}
"""Operations that the conventions have a word for."""


def chat(
    request: ChatRequest, plan: Plan, job: Job, access: Access, *, wanted: Telemetry
) -> AbstractContextManager[Span | None]:
    """The span `chat {model}` of one call, its retries and fallbacks included."""
    found = telemetry.tracer(wanted)
    if found is None:
        return telemetry.NOTHING
    attributes = {
        **_asked("chat", plan, job, access),
        "gen_ai.output.type": "json" if request.json_schema is not None or request.json_output else "text",
        "gen_ai.request.stream": request.stream,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.top_k": request.top_k,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.presence_penalty": request.presence_penalty,
        "gen_ai.request.frequency_penalty": request.frequency_penalty,
        "gen_ai.request.stop_sequences": request.stop or None if wanted.content else None,
    }
    title = f"chat {_model(plan)}"
    return telemetry.begin(found, title, attributes, client=True, wanted=wanted, redactor=access.config.redactor)


def call(
    operation: str, plan: Plan, job: Job, access: Access, *, wanted: Telemetry
) -> AbstractContextManager[Span | None]:
    """The span of another operation."""
    found = telemetry.tracer(wanted)
    if found is None:
        return telemetry.NOTHING
    name = _NAMES.get(operation, operation)
    title, attributes = f"{name} {_model(plan)}", _asked(name, plan, job, access)
    return telemetry.begin(found, title, attributes, client=True, wanted=wanted, redactor=access.config.redactor)


def answered(span: Span, answer: Answer) -> None:
    """What came of a chat call, whole or broken off."""
    end = answer.fold.end
    _told(span, answer.target, answer.tried, answer.usage, answer.cost)
    span.set(
        {
            "gen_ai.response.id": end.id if end else None,
            "gen_ai.response.model": end.model if end else None,
            "gen_ai.response.finish_reasons": [end.stop] if end else None,
            "gen_ai.response.time_to_first_chunk": answer.first_chunk - answer.asked,
        }
    )
    request = answer.request
    span.say("gen_ai.system_instructions", request.system and [{"type": "text", "content": request.system}])
    span.say("gen_ai.tool.definitions", telemetry.tools(request.tools))
    span.say("gen_ai.input.messages", telemetry.messages(request.messages))
    response = answer.response()
    span.say("gen_ai.output.messages", telemetry.messages([response.message], response.stop))


def called(span: Span, target: Target, tried: Iterable[Attempt], usage: Usage, cost: Any) -> None:
    """What came of another operation."""
    _told(span, target, tried, usage, cost)


def _asked(operation: str, plan: Plan, job: Job, access: Access) -> dict[str, Any]:
    target = plan.targets[0] if plan.targets else None
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider(target) if target else None,
        "gen_ai.request.model": target.model_id if target else plan.asked,
        "gen_ai.conversation.id": job.conversation,
        "mcp_llm.run_id": job.run_id,
        "mcp_llm.parent_run": job.parent_run,
        **(_place(target, access) if target else {}),
    }


def _told(span: Span, target: Target, tried: Iterable[Attempt], usage: Usage, cost: Any) -> None:
    for one in tried:
        what = {"gen_ai.provider.name": one.provider, "gen_ai.request.model": one.model, "error.type": one.kind}
        span.event("mcp_llm.attempt_failed", {**what, "http.response.status_code": one.status})
    span.set(
        {
            "gen_ai.provider.name": provider(target),
            "gen_ai.request.model": target.model_id,
            "mcp_llm.cost.usd": None if cost is None or cost.usd is None else float(cost.usd),
            **telemetry.usage(usage),
        }
    )


def provider(target: Target) -> str:
    """The conventions' word for a provider, its id where they have none."""
    return target.provider.telemetry or target.provider_id


def _model(plan: Plan) -> str:
    return plan.targets[0].model_id if plan.targets else plan.asked


def _place(target: Target, access: Access) -> dict[str, Any]:
    if target.provider.base_url.startswith(IN_CODE):
        return {}
    try:
        parts = urlsplit(access.target_url(target))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except (ConfigError, ValueError):  # the call itself will say so
        return {}
    return {"server.address": parts.hostname, "server.port": port}
