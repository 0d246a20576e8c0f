"""What the tests of Chat Completions replies build their bodies with, and how they read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wires.folding import folded

from mcp_llm.errors import ProviderError
from mcp_llm.types.chat import ChatRequest, ChatResponse, Fold
from mcp_llm.types.message import Message, Text, ToolResult, user
from mcp_llm.wires.chat import openai
from mcp_llm.wires.reply import Reply

DONE = "[DONE]"


def sse(*events: Any) -> bytes:
    """A stream of these payloads; a list stands for one choice's delta and finish reason."""
    lines = []
    for event in events:
        if isinstance(event, list):
            event = chunk(*event)
        lines.append(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n")
    return "".join(lines).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "c1", "model": "m1", "choices": [choice], **more}).encode()


def read(body: bytes, size: int | None = None, **quirks: Any) -> ChatResponse:
    return folded(openai, body, size, quirks=openai.Quirks(**quirks))


def said_before(body: bytes) -> tuple[str, ProviderError]:
    """The words before the error, and the error."""
    fold, reply = Fold(), Reply(openai, openai.Quirks())
    for part in reply.feed(body):
        fold.add(part)
    with pytest.raises(ProviderError) as caught:
        reply.close()
    return fold.text(), caught.value


def answer(*parts: Any, **fields: Any) -> ChatResponse:
    message = Message(role="assistant", parts=parts)
    return ChatResponse(message=message, **{"stop": "stop", "stop_raw": "stop", "model": "m1", "id": "c1", **fields})


def sent(response: ChatResponse, **quirks: Any) -> list[dict[str, Any]]:
    """The history that this answer becomes, without the results of its calls."""
    results = [ToolResult(call.id, call.name, (Text("ok"),)) for call in response.message.tool_calls]
    request = ChatRequest(messages=(user("hi"), response.message, user(*results, "and?")))
    body = openai.encode(request, "m1", openai.Quirks(**quirks)).json
    assert body is not None
    return [message for message in body["messages"] if message["role"] == "assistant"]
