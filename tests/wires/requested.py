"""What the tests of Chat Completions requests are about, and how they look at a body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Message, Text, ToolCall, ToolResult, assistant, user
from mcp_llm.wires.chat import openai

if TYPE_CHECKING:
    from mcp_llm.wires import base

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "The answer",
    "properties": {"day": {"$ref": "#/$defs/day"}},
    "required": ["day"],
    "additionalProperties": False,
    "$defs": {"day": {"type": "string"}},
}
PLAIN = {key: value for key, value in SCHEMA.items() if key != "$defs"} | {"properties": {"day": {"type": "string"}}}
OPEN: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "number"}}
TOOL = ToolSpec(name="f", description="Does it.", parameters={**OPEN, "properties": {}})
OTHER = ToolSpec(name="g")
TURN = (user("go"), assistant("Let me see.", ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g")))
RESULTS = (ToolResult("a", "f", (Text("1"),)), ToolResult("b", "g", (Text("2"), Text("3"))))
PNG = Media("image/png", data="aGk=")


def request(*messages: Message, quirks: dict[str, Any] | None = None, **fields: Any) -> base.HttpRequest:
    asked = ChatRequest(messages=messages or (user("hi"),), **fields)
    return openai.encode(asked, "m1", openai.Quirks(**(quirks or {})))


def body(*messages: Message, quirks: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body without what every one has."""
    sent = request(*messages, quirks=quirks, **{"stream": False, **fields}).json
    assert sent is not None
    assert sent.pop("model") == "m1"
    if not messages:
        sent.pop("messages")
    return sent


def said(*messages: Message, quirks: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    messages = messages or (user("hi"),)
    return list(body(*messages, quirks=quirks, **fields)["messages"])


def warned(quirks: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    return request(quirks=quirks, **fields).warnings
