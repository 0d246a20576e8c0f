"""Answers in a wanted shape: parsed, validated, and repaired once by the model that wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.errors import SchemaMismatch
from mcp_llm.types.message import assistant, user
from mcp_llm.wires.schema import without_nulls

from .structured import check, parse, repair_prompt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp_llm.types.chat import ChatRequest, ChatResponse


async def shaped(
    request: ChatRequest,
    response: ChatResponse,
    again: Callable[[ChatRequest], Awaitable[ChatResponse]],
) -> tuple[ChatResponse, Any, list[str]]:
    """(the answer that fits, its value, warnings). `again` asks the same model once more.

    Raises SchemaMismatch, with the raw text kept, when the repaired answer does not fit either.
    """
    parsed, faults, warnings = await fitting(response.text, request.json_schema)
    if not faults:
        return response, parsed, warnings
    if response.stop == "length":
        raise SchemaMismatch(
            f"the answer was cut off before its JSON was complete: raise `max_tokens`. It began: {response.text[:500]}",
            text=response.text,
        )
    # History only grows: the model's own turn goes back as it came, signatures and all.
    first = response.message if response.message.parts else assistant("(nothing)")
    repair = user(repair_prompt(faults, request.json_schema or {"type": "object"}))
    second = await again(request.model_copy(update={"messages": (*request.messages, first, repair)}))
    parsed, left, warnings = await fitting(second.text, request.json_schema)
    if left:
        raise SchemaMismatch(
            "the answer does not satisfy the schema, also after one repair: "
            f"{'; '.join(left[:5])[:1000]}. The answer was: {second.text[:2000]}",
            text=second.text,
        )
    return (
        second,
        parsed,
        [*warnings, f"the first answer did not fit the schema and was repaired: {'; '.join(faults[:3])[:300]}"],
    )


async def fitting(text: str, schema: dict[str, Any] | None) -> tuple[Any, list[str], list[str]]:
    """(value, faults, warnings) of an answer that should have this shape; without a schema, be an object."""
    try:
        value = parse(text)
    except SchemaMismatch as exc:
        return None, [str(exc)], []
    if schema is None:
        return value, [] if isinstance(value, dict) else ["the answer is not a JSON object"], []
    value = without_nulls(value, schema)  # strict wires make the model write null for what it leaves out
    checked = await check(value, schema)
    return value, checked.errors, checked.warnings
