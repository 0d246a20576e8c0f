"""Google's `:countTokens`, of the request as `generateContent` would get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.wires import base
from mcp_llm.wires.body import merge
from mcp_llm.wires.chat import gemini

if TYPE_CHECKING:
    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.message import Json


class Quirks(gemini.Quirks):
    """The chat wire's, and where the request goes in the body."""

    nested: bool = True
    """Put it into `generateContentRequest` (Gemini API); Vertex takes its fields beside `contents`."""


def encode(request: ChatRequest, model: str, quirks: gemini.Quirks) -> base.HttpRequest:
    """Counts input tokens; takes the chat wire's quirks as well as its own."""
    warnings: list[str] = []
    body = merge(gemini.request_body(request, quirks, warnings), request.options)
    if getattr(quirks, "nested", True):
        body = {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **body}}
    else:
        fields = ("contents", "systemInstruction", "tools", "generationConfig")
        body = {key: body[key] for key in fields if key in body}
    return base.HttpRequest(
        method="POST", path=gemini.request_path(model, "countTokens", quirks), json=body, warnings=warnings
    )


def decode(body: Json) -> int:
    """Tokens of the input."""
    total = body["totalTokens"]
    if not isinstance(total, int):
        raise TypeError("totalTokens")
    return total
