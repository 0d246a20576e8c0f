"""Counting input tokens with `/responses/input_tokens`: the chat request without what only shapes the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_llm.errors import Garbled
from mcp_llm.wires import base
from mcp_llm.wires.chat import responses

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.message import Json

_COUNTED: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "truncation",
        "conversation",
        "previous_response_id",
    }
)


def encode(request: ChatRequest, model: str, quirks: Any) -> base.HttpRequest:
    """The request; `quirks` are those of the chat wire, or anything else for its defaults."""
    known = quirks if isinstance(quirks, responses.Quirks) else responses.Quirks()
    whole = responses.encode(request, model, known)
    body = {key: value for key, value in (whole.json or {}).items() if key in _COUNTED}
    return base.HttpRequest(method="POST", path="/responses/input_tokens", json=body, warnings=whole.warnings)


def decode(body: Json) -> int:
    """The count; raises `Garbled` where there is none."""
    count = body.get("input_tokens") if isinstance(body, dict) else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise Garbled("the reply to a token count holds no number under input_tokens")
    return count
