"""What the tests of Responses replies build their events of, and how they read them and send them back."""

from __future__ import annotations

import json
from typing import Any

from wires.folding import folded

from mcp_llm.types.chat import ChatRequest, ChatResponse
from mcp_llm.types.message import Origin, user
from mcp_llm.wires.chat import responses

Item = dict[str, Any]

ME = Origin(provider="p", model="m", wire="responses")


def sse(*events: Item) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def whole(**fields: Any) -> bytes:
    return json.dumps({"id": "resp_1", "model": "gpt-x", "status": "completed", "output": [], **fields}).encode()


def read(body: bytes) -> ChatResponse:
    return folded(responses, body, origin=ME)


def sent_back(answer: ChatResponse) -> list[Item]:
    request = ChatRequest(messages=(user("hi"), answer.message))
    body = responses.encode(request, "m", responses.Quirks()).json
    assert body is not None
    return list(body["input"][1:])


def message(*texts: str, **fields: Any) -> Item:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **fields}


def function_call(**fields: Any) -> Item:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_a",
        "name": "look",
        "arguments": '{"at": "sea"}',
        "status": "completed",
        **fields,
    }


REASONING: Item = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
    "encrypted_content": "gAAA",
}


def delta(kind: str, text: str, index: int = 0, **fields: Any) -> Item:
    return {"type": f"response.{kind}.delta", "output_index": index, "item_id": "x", "delta": text, **fields}


def added(index: int, item: Item) -> Item:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Item) -> Item:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(*output: Item, **fields: Any) -> Item:
    response = {"id": "resp_1", "model": "gpt-x", "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}
