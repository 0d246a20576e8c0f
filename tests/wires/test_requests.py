"""Every request body our wires write is one that the vendor's own SDK could have written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.errors import Unsupported
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Message, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.wires import chat, tokens

if TYPE_CHECKING:
    from pathlib import Path

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
PDF = "JVBERi0xLjQKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
ASK = (user("How warm is it?"),)
IMAGE = Media("image/png", data=PNG)
CLOSED: dict[str, Any] = {
    "type": "object",
    "title": "Weather",
    "properties": {
        "city": {"type": "string", "description": "Where", "minLength": 1},
        "unit": {"enum": ["C", "F"], "default": "C"},
        "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "maxItems": 7},
    },
    "required": ["city"],
    "$defs": {"day": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}},
}
OPEN: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "number"}}
WEATHER = ToolSpec(name="get_weather", description="The weather.", parameters=CLOSED)
NOTHING = ToolSpec(name="now")
CALLS = assistant("Let me see.", ToolCall("call_1", "get_weather", '{"city": "Zürich"}'), ToolCall("call_2", "now", ""))
RESULTS = user(
    ToolResult("call_1", "get_weather", (Text("21"),)),
    ToolResult("call_2", "now", (Text("no clock"),), is_error=True),
)
TOOLS = (WEATHER, NOTHING)


def ask(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=messages or ASK, **fields)


REQUESTS: dict[str, ChatRequest] = {
    "plain": ask(),
    "whole": ask(stream=False),
    "system": ask(system="Be brief."),
    "several turns": ask(*ASK, assistant("Where?"), user("Here.", "Now.")),
    "two users": ask(user("a"), user("b")),
    "unicode": ask(user("\U0001f600 \u2028 \x00 é"), system="\n"),
    "max tokens": ask(max_tokens=5000),
    "sampling": ask(temperature=0.5, top_p=0.9),
    "more sampling": ask(top_k=4, seed=7, presence_penalty=0.1, frequency_penalty=0.2),
    "stop": ask(stop=("END", "STOP")),
    "tools": ask(tools=TOOLS),
    "tools strict": ask(tools=(WEATHER.model_copy(update={"strict": True}),)),
    "tools open schema": ask(tools=(ToolSpec(name="f", parameters=OPEN, strict=True),)),
    "tools auto": ask(tools=TOOLS, tool_choice="auto"),
    "tools none": ask(tools=TOOLS, tool_choice="none"),
    "tools required": ask(tools=TOOLS, tool_choice="required", parallel_tool_calls=False),
    "tools named": ask(tools=TOOLS, tool_choice="now", parallel_tool_calls=True),
    "parallel results": ask(*ASK, CALLS, RESULTS, tools=TOOLS),
    "results and words": ask(*ASK, CALLS, user(*RESULTS.parts, "Go on."), tools=TOOLS),
    "results without tools": ask(*ASK, CALLS, RESULTS),
    "only calls": ask(*ASK, assistant(*CALLS.tool_calls), RESULTS, tools=TOOLS),
    "call cut off": ask(*ASK, assistant(ToolCall("c1", "now", '{"a": ')), user(ToolResult("c1", "now")), tools=TOOLS),
    "image in result": ask(
        *ASK, assistant(ToolCall("c1", "now")), user(ToolResult("c1", "now", (Text("see"), IMAGE))), tools=TOOLS
    ),
    "thinking in history": ask(*ASK, assistant(Thinking("Hm."), "Where?"), user("Here.")),
    "image": ask(user("What is it?", IMAGE)),
    "image only": ask(user(IMAGE)),
    "image url": ask(user("What is it?", Media("image/png", url="https://example.com/a.png"))),
    "pdf": ask(user("Sum up.", Media("application/pdf", data=PDF, name="a.pdf"))),
    "pdf url": ask(user("Sum up.", Media("application/pdf", url="https://example.com/a.pdf"))),
    "audio": ask(user("Write down.", Media("audio/wav", data=WAV))),
    "schema": ask(json_schema=CLOSED),
    "open schema": ask(json_schema=OPEN),
    "schema and tools": ask(json_schema=CLOSED, tools=TOOLS, system="Be brief."),
    "json": ask(json_output=True),
    "no thinking": ask(thinking_budget=0),
    "own budget": ask(thinking_budget=-1),
    "budget": ask(thinking_budget=2048, max_tokens=4000),
    **{f"effort {word}": ask(effort=word) for word in ("none", "minimal", "low", "medium", "high", "xhigh", "max")},
    "all at once": ask(
        *(user("Look.", IMAGE), CALLS, RESULTS),
        system="Be brief.",
        tools=TOOLS,
        tool_choice="auto",
        max_tokens=9000,
        temperature=1.0,
        effort="high",
        json_schema=CLOSED,
        stop=("END",),
    ),
}

CANNOT: dict[str, set[str]] = {
    "anthropic": {"audio"},
    "gemini": set(),
    "ollama": {"audio", "image url", "pdf", "pdf url"},
    "openai": {"pdf url"},
    "responses": {"audio"},
}
"""What a dialect cannot say at all: `Unsupported`, before anything is sent."""

DIALECTS = [(wire, name) for wire in chat.WIRES for name in REQUESTS]


def encode(wire: str, name: str, **changes: Any) -> Any:
    dialect = chat.wire(wire)
    return dialect.encode(REQUESTS[name].model_copy(update=changes), "model-1", dialect.Quirks())


@pytest.mark.parametrize(("wire", "name"), DIALECTS)
def test_bodies_are_of_the_vendors_types(wire: str, name: str, sdk: Any) -> None:
    if name in CANNOT[wire]:
        with pytest.raises(Unsupported) as caught:
            encode(wire, name)
        assert len(str(caught.value)) > 20
        return
    request = encode(wire, name)
    told = sdk.check(wire, request.json)
    assert not told, told
    assert json.loads(json.dumps(request.json)) == request.json
    assert request.method == "POST"
    assert request.stream is REQUESTS[name].stream
    assert re.fullmatch(r"/[A-Za-z0-9/:._%-]+", request.path)


LEAST = {
    "anthropic": {"model", "messages", "max_tokens", "stream", "thinking"},  # asks only that summaries be shown
    "gemini": {"contents"},
    "ollama": {"model", "messages", "stream"},
    "openai": {"model", "messages", "stream", "stream_options"},
    "responses": {"model", "input", "stream", "store", "include"},
}


@pytest.mark.parametrize("wire", chat.WIRES)
def test_what_was_not_set_is_not_sent(wire: str) -> None:
    body = encode(wire, "plain").json
    assert set(body) <= LEAST[wire]
    assert "null" not in json.dumps(body)


@pytest.mark.parametrize("wire", chat.WIRES)
def test_options_are_merged_last_and_deeply(wire: str) -> None:
    body = encode(wire, "system", options={"extra": {"a": 1}, "generationConfig": {"b": 2}}).json
    assert body["extra"] == {"a": 1}
    assert body["generationConfig"]["b"] == 2


@pytest.mark.parametrize("wire", chat.WIRES)
@pytest.mark.parametrize("model", ["a/b:c", "../../x", "a?b#c", "a\r\nHost: evil", "é\u2028", "models/x", "a%2fb", " "])
def test_no_model_name_breaks_out_of_the_path(wire: str, model: str) -> None:
    dialect = chat.wire(wire)
    try:
        request = dialect.encode(REQUESTS["plain"], model, dialect.Quirks())
    except Unsupported:
        return
    assert re.fullmatch(r"/[A-Za-z0-9/:._%@~-]+", request.path)
    assert "/../" not in request.path


@pytest.mark.parametrize("wire", tokens.WIRES)
def test_token_counts_are_asked_with_the_same_body(wire: str, sdk: Any) -> None:
    found = []
    for name, request in REQUESTS.items():
        if name in CANNOT[wire]:
            continue
        body = tokens.wire(wire).encode(request, "model-1", chat.wire(wire).Quirks()).json or {}
        if wire == "gemini":
            assert set(body) == {"generateContentRequest"}
            inner = dict(body["generateContentRequest"])
            assert inner.pop("model") == "models/model-1"
            told = sdk.check("gemini", inner)
        else:
            told = sdk.check(f"{wire} tokens", body)
        found += [f"{name}: {line}" for line in told]
    assert found == []


# Anthropic's SDK 2 dropped the sampling parameters that older models still take; wires send them only by quirk.
CHAT_PATH = {
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent",
    "ollama": "/api/chat",
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
}
STUB = """
class _types:
    from typing import Any as ChatRequest, Any as GenerateRequest, Any as EmbedRequest
"""


def test_bodies_keep_the_rules_no_type_can_say(tapes: Path, tmp_path: Path) -> None:
    """The checker that lies beside the recorded traffic: pairs of calls and results, strict schemas, budgets."""
    tool = tapes / "tools" / "check_payload.py"
    if not tool.is_file():
        pytest.skip("the checker is not beside the recorded traffic")
    log = tmp_path / "requests.jsonl"
    with log.open("w", encoding="utf-8") as lines:
        for wire, name in DIALECTS:
            if name in CANNOT[wire] or name == "call cut off":
                continue
            record = {
                "method": "POST",
                "path": CHAT_PATH[wire],
                "query": [["alt", "sse"]],
                "headers": [["authorization", "Bearer x"], ["x-goog-api-key", "x"], ["anthropic-version", "1"]],
                "json": encode(wire, name).json,
                "case": f"{name}--{({'gemini': 'google', 'responses': 'openai'}).get(wire, wire)}",
            }
            lines.write(json.dumps(record) + "\n")
    (tmp_path / "ollama.py").write_text(STUB, encoding="utf-8")  # its SDK is not needed; its bodies are checked above
    done = subprocess.run(
        [sys.executable, str(tool), str(log)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
