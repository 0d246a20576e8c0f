"""A whole reply and its stream fold to the same response: recorded streams, joined to the body that was not asked for.

The joining follows the vendors' documents, on JSON, and knows nothing of our decoders.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mcp_llm.wires.frames import Frames

Json = Any


def payloads(case: Any) -> list[Json]:
    frames = Frames(case.dialect.framing)
    pairs = [*frames.feed(case.body), *frames.close()]
    if frames.whole:
        return []
    return [json.loads(data) for _, data in pairs if data.strip() not in (b"", b"[DONE]")]


def anthropic_whole(events: list[Json]) -> Json:
    message: Json = None
    pieces: dict[int, str] = {}
    for event in events:
        match event.get("type"):
            case "message_start" if message is not None:
                return None  # a gateway spliced two answers into one stream
            case "message_start":
                message = {**event["message"], "content": []}
            case "content_block_start":
                message["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] = block.get("text", "") + delta["text"]
                    case "thinking_delta":
                        block["thinking"] = block.get("thinking", "") + delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
                    case "input_json_delta":
                        pieces[event["index"]] = pieces.get(event["index"], "") + delta["partial_json"]
                    case _:
                        return None
            case "message_delta":
                message |= event["delta"]
                message |= {key: event[key] for key in event if key == "context_management"}
                usage = {key: value for key, value in (event.get("usage") or {}).items() if value is not None}
                message["usage"] = {**(message.get("usage") or {}), **usage}
            case "content_block_stop" | "message_stop" | "ping":
                pass
            case _:
                return None
    for index, piece in pieces.items():
        try:
            message["content"][index]["input"] = json.loads(piece) if piece.strip() else {}
        except ValueError:
            return None  # cut off: a whole reply has no way to say it
    return message


def gemini_whole(chunks: list[Json]) -> Json:
    whole: Json = {}
    parts: list[Json] = []
    for chunk in chunks:
        if len(chunk.get("candidates") or ()) > 1 or "error" in chunk:
            return None
        for candidate in chunk.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                if parts and parts[-1].keys() == part.keys() and part.keys() <= {"text", "thought"}:
                    parts[-1] = {**part, "text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
            kept = whole.setdefault("candidates", [{}])[0]
            kept.update({key: value for key, value in candidate.items() if key != "content"})
        whole.update({key: value for key, value in chunk.items() if key != "candidates"})
    if any("partialArgs" in part.get("functionCall", {}) or part.get("functionCall") == {} for part in parts):
        return None  # only a stream writes arguments in pieces
    if parts:
        whole.setdefault("candidates", [{}])[0]["content"] = {"role": "model", "parts": parts}
    return whole


def ollama_whole(lines: list[Json]) -> Json:
    message: Json = {"role": "assistant", "content": ""}
    for line in lines:
        if "error" in line:
            return None
        said = line.get("message") or {}
        message["content"] += said.get("content") or ""
        if said.get("thinking"):
            message["thinking"] = message.get("thinking", "") + said["thinking"]
        if said.get("tool_calls"):
            message["tool_calls"] = [*message.get("tool_calls", ()), *said["tool_calls"]]
    return {**lines[-1], "message": message}


def responses_whole(events: list[Json]) -> Json:
    last = next((event for event in reversed(events) if "response" in event), None)
    terminal = {"response.completed", "response.incomplete", "response.failed"}
    if last is None or last["type"] not in terminal or not last["response"].get("output"):
        return None
    items = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    if len(items) != len(last["response"]["output"]):
        return None
    # The terminal object says the same once more, but encrypted anew.
    return {**last["response"], "output": [items[index] for index in sorted(items)]}


def chat_whole(chunks: list[Json]) -> Json:
    """Only what is joined by rule: strings of one choice, and calls that say their index."""
    whole: Json = {}
    message: Json = {"role": "assistant", "content": None}
    calls: dict[int, Json] = {}
    finish: str | None = None
    likely: Json = {}
    for chunk in chunks:
        choices = chunk.get("choices") or ()
        if len(choices) > 1 or any(choice.get("index") or "message" in choice for choice in choices):
            return None
        whole.update({key: value for key, value in chunk.items() if key != "choices" and value is not None})
        for choice in choices:
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta") or {}
            for key, value in (choice.get("logprobs") or {}).items():
                likely[key] = value if likely.get(key) is None else [*likely[key], *(value or ())]
            for key, value in delta.items():
                if key in {"content", "reasoning", "reasoning_content", "refusal"} and isinstance(value, str):
                    message[key] = (message.get(key) or "") + value
                elif key == "tool_calls" and all("index" in call for call in value or ()):
                    for call in value or ():
                        kept = calls.setdefault(call["index"], {"type": "function", "function": {"arguments": ""}})
                        kept["id"] = kept.get("id") or call.get("id")
                        said = call.get("function") or {}
                        kept["function"]["name"] = kept["function"].get("name") or said.get("name")
                        kept["function"]["arguments"] += said.get("arguments") or ""
                elif key != "role" and value:
                    return None
    if finish is None:
        return None
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {
        **whole,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": likely or None}],
    }


WHOLES = {
    "anthropic-messages": (anthropic_whole, 60),
    "google-gemini": (gemini_whole, 30),
    "ollama-chat": (ollama_whole, 8),
    "openai-chat": (chat_whole, 80),
    "openai-responses": (responses_whole, 60),
}


@pytest.mark.parametrize("wire", WHOLES)
def test_a_whole_reply_and_its_stream_are_the_same_answer(wire: str, corpus: Any, report: list[str]) -> None:
    join, at_least = WHOLES[wire]
    found: dict[str, str] = {}
    count = 0
    for case in corpus[wire]:
        events = payloads(case) if case.is_stream else []
        whole = join(events) if len(events) > 1 else None
        if not whole:
            continue
        count += 1
        stream, joined = plain(case.read()), plain(case.read(body=json.dumps(whole).encode()))
        if stream.told != joined.told:
            found[case.id] = difference(stream, joined)
    report.append(f"whole == stream: {count - len(found)}/{count} {wire}")
    assert count >= at_least
    assert not found, "\n" + "\n".join(f"{name}\n    {text}" for name, text in found.items())


def plain(outcome: Any) -> Any:
    """Arguments that came as an object had no white space to keep: compare them as JSON."""
    if outcome.response is None:
        return outcome
    message = outcome.response.message
    parts = [
        replace(part, arguments=spaced(part.arguments)) if part.type == "tool_call" else part for part in message.parts
    ]
    message = message.model_copy(update={"parts": tuple(parts)})
    return replace(outcome, response=outcome.response.model_copy(update={"message": message}))


def spaced(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments or "{}"))
    except ValueError:
        return arguments


def difference(stream: Any, whole: Any) -> str:
    if stream.response is None or whole.response is None:
        return f"stream {stream.error!r}, whole {whole.error!r}"
    a, b = stream.response.model_dump(), whole.response.model_dump()
    parts_a, parts_b = a.pop("message")["parts"], b.pop("message")["parts"]
    told = [f"{key}: stream {a[key]!r} whole {b[key]!r}" for key in a if a[key] != b[key]]
    if [part["type"] for part in parts_a] != [part["type"] for part in parts_b]:
        told.append(f"parts: {[part['type'] for part in parts_a]} whole {[part['type'] for part in parts_b]}")
    told += [
        f"{x['type']}.{key}: stream {str(x.get(key))[:200]!r} whole {str(y.get(key))[:200]!r}"
        for x, y in zip(parts_a, parts_b, strict=False)
        for key in x
        if x.get(key) != y.get(key)
    ]
    return "\n    ".join(text[:450] for text in told)
