"""From the turns of a call to its result: the answer, what it used and cost, who was tried, what was left out. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from mcp_llm.types.result import Call, Cost, Generated, Tokens, Tried
from mcp_llm.types.text import name

from .structured import strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_llm.catalog.price import Cost as Price
    from mcp_llm.types.chat import ChatResponse
    from mcp_llm.types.usage import Usage

    from .answer import Answer


NAME_SHOWN: Final = 300
"""Characters of a name or id of the provider's choosing that are told on."""


def result(
    turns: list[Answer],
    response: ChatResponse,
    asked: str,
    run_id: str,
    thread: str | None,
    parsed: Any,
    warnings: list[str],
) -> Generated:
    """The result of a call of one turn, or of two where the first answer was repaired; sums what they used and cost."""
    last = turns[-1]
    usage = turns[0].usage
    for turn in turns[1:]:
        usage += turn.usage
    finished = last.finished or time.monotonic()
    said = [words for turn in turns for words in turn.warnings] + warnings
    extras = response.extras or {}
    return Generated(
        response=response.text,
        model=asked,
        model_used=name(response.model or last.target.model_id, NAME_SHOWN),
        provider=last.target.provider_id,
        finish_reason=response.stop,
        finish_reason_raw=response.stop_raw and name(response.stop_raw, NAME_SHOWN),
        thinking=response.message.thinking or None,
        tool_calls=wanted(response),
        parsed=parsed,
        usage=counted(usage),
        cost=priced([turn.cost for turn in turns]),
        latency_ms=round((finished - turns[0].started) * 1000),
        first_token_ms=round((turns[0].first_chunk - turns[0].started) * 1000),
        request_id=response.id and name(response.id, NAME_SHOWN),
        run_id=run_id,
        thread=thread,
        fallbacks=tuple(
            Tried(provider=one.provider, model=one.model, error=one.kind, message=one.message, status=one.status)
            for turn in turns
            for one in turn.tried
        ),
        warnings=tuple(dict.fromkeys([*said, *_notes(response)])),
        citations=extras.get("citations"),
        search_results=extras.get("search_results"),
        logprobs=extras.get("logprobs"),
    )


def wanted(response: ChatResponse) -> tuple[Call, ...] | None:
    """The calls that a response asks for; None where it asks for none."""
    calls = response.message.tool_calls
    return tuple(Call(id=call.id, name=call.name, arguments=_arguments(call.arguments)) for call in calls) or None


def counted(usage: Usage) -> Tokens:
    """What was used, as results say it."""
    return Tokens(
        input=usage.input,
        output=usage.output,
        total=usage.total,
        cached=usage.cached,
        cache_write=usage.cache_write,
        reasoning=usage.reasoning,
        estimated=usage.estimated,
    )


def _notes(response: ChatResponse) -> list[str]:
    notes = []
    if response.note:
        notes.append(f"the provider says: {name(response.note, 500)}")
    if not response.text and not response.message.tool_calls:
        why = {
            "length": "the token limit was used up before the first word (reasoning counts): raise `max_tokens`",
            "content_filter": "a content filter stopped it",
        }.get(response.stop, "the model gave no text")
        notes.append(f"the answer is empty: {why}")
    return notes


def priced(costs: Sequence[Price | None]) -> Cost:
    """The sum; unknown where one is."""
    known = [cost for cost in costs if cost is not None]
    if not known or any(cost.usd is None for cost in known):
        return Cost(usd=None, source=known[0].source if known else None)
    total = sum(cost.usd for cost in known if cost.usd is not None)
    priced = known[-1].priced_at
    return Cost(usd=float(total), source=known[-1].source, priced_at=priced.isoformat() if priced else None)


def _arguments(raw: str) -> Any:
    """The value where it is one that can be told on; else the text as the model wrote it."""
    try:
        return strict(raw) if raw.strip() else {}
    except ValueError:
        return raw
