"""Valid replies of the five chat wires, as plain as they come: one text, a stop reason, three tokens in, two out."""

from __future__ import annotations

import json
import zlib
from typing import Any

from faults.server import Reply

SSE = {"content-type": "text/event-stream"}
MIB = 1024 * 1024


def ok(wire: str, *, text: str = "Hello there", stream: bool = False, model: str = "test-model") -> Reply:
    """A 200 reply of `openai`, `anthropic`, `gemini`, `responses` or `ollama`; a stream has one event for each word."""
    make = {
        "openai": _openai,
        "anthropic": _anthropic,
        "gemini": _gemini,
        "responses": _responses,
        "ollama": _ollama,
    }[wire]
    whole, events = make(text, model)
    if not stream:
        return Reply(body=_dump(whole))
    if wire == "ollama":
        body = b"".join(_dump(event) + b"\n" for event in events)
        return Reply(headers={"content-type": "application/x-ndjson"}, body=body, framing="chunked")
    return Reply(headers=SSE, body=sse(events, done=wire == "openai"), framing="chunked")


def sse(events: list[dict[str, Any]], *, done: bool = False) -> bytes:
    """Server-sent events; those with a `type` are named by it."""
    parts = [
        (f"event: {event['type']}\n".encode() if "type" in event else b"") + b"data: " + _dump(event) + b"\n\n"
        for event in events
    ]
    return b"".join(parts) + (b"data: [DONE]\n\n" if done else b"")


def words(text: str) -> list[str]:
    """The text in pieces that join to it again."""
    parts = text.split(" ")
    return [*(f"{part} " for part in parts[:-1]), parts[-1]]


def bomb(mib: int, wbits: int = 31) -> bytes:
    """So many MiB of blanks, packed; 31 is gzip, 15 deflate."""
    packer = zlib.compressobj(9, wbits=wbits)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(mib)), packer.flush()])


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _openai(text: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words(text))]
    events: list[dict[str, Any]] = [
        *({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas),
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**base, "choices": [], "usage": usage},
    ]
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**base, "object": "chat.completion", "choices": [choice], "usage": usage}, events


def _anthropic(text: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    start = {**message, "content": [], "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in words(text)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    whole = {
        **message,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    return whole, events


def _gemini(text: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}

    def part(words: str, **more: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": [{"text": words}]}, "index": 0, **more}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}

    pieces = words(text)
    return part(text, finishReason="STOP"), [
        *(part(piece) for piece in pieces[:-1]),
        part(pieces[-1], finishReason="STOP"),
    ]


def _responses(text: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    content = {"type": "output_text", "text": text, "annotations": []}
    item: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    usage = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "error": None}
    whole = {
        **base,
        "status": "completed",
        "incomplete_details": None,
        "output": [{**item, "content": [content]}],
        "usage": usage,
    }
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**content, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word} for word in words(text)),
        {"type": "response.output_text.done", **place, "text": text},
        {"type": "response.content_part.done", **place, "part": content},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": [content]}},
        {"type": "response.completed", "response": whole},
    ]
    return whole, [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _ollama(text: str, model: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    base = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    return {**base, "message": {"role": "assistant", "content": text}, **end}, [
        *({**base, "message": {"role": "assistant", "content": word}, "done": False} for word in words(text)),
        {**base, "message": {"role": "assistant", "content": ""}, **end},
    ]
