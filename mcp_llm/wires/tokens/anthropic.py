"""Anthropic's `count_tokens`, of the request as `/v1/messages` would get it; free, with a rate limit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat import anthropic

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.message import Json

_UNCOUNTED: Final = frozenset(
    {
        "max_tokens",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "service_tier",
        "inference_geo",
        "container",
        "diagnostics",
    }
)
"""What `/v1/messages` takes and counting does not."""
_PATH: Final = "/v1/messages/count_tokens"


class Quirks(anthropic.Quirks):
    """The chat wire's, and where counting is."""

    count_path: str = _PATH
    """Path under the base URL. Vertex: `/publishers/anthropic/models/count-tokens:rawPredict`."""


def encode(request: ChatRequest, model: str, quirks: anthropic.Quirks) -> base.HttpRequest:
    """Counts input tokens; takes the chat wire's quirks as well as its own."""
    warnings: list[str] = []
    body = {"model": model, **anthropic.request_body(request, quirks, warnings)}  # Vertex wants the model here, too
    body = {key: value for key, value in merge(body, request.options).items() if key not in _UNCOUNTED}
    headers = anthropic.stamp(body, quirks)
    return base.HttpRequest(
        method="POST", path=getattr(quirks, "count_path", _PATH), json=body, headers=headers, warnings=warnings
    )


def decode(body: Json) -> int:
    """Tokens of the input."""
    total = body["input_tokens"]
    if not isinstance(total, int):
        raise TypeError("input_tokens")
    return total
