"""Ollama's native dialect: requests, replies, and everything recorded."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from wires.folding import folded

from mcp_llm.errors import Disconnected, Garbled, NotFound, Overloaded, ProviderError, Unsupported
from mcp_llm.types.chat import ChatRequest, ChatResponse, ToolSpec
from mcp_llm.types.message import Media, Message, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.types.usage import Usage
from mcp_llm.wires import failures
from mcp_llm.wires.chat import ollama
from mcp_llm.wires.reply import Reply

if TYPE_CHECKING:
    from pathlib import Path

PNG = Media("image/png", data="aGk=")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"day": {"$ref": "#/$defs/day"}},
    "required": ["day"],
    "$defs": {"day": {"type": "string"}},
}
INLINED: dict[str, Any] = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
TOOL = ToolSpec(name="weather", description="Tells it.", parameters=SCHEMA)


decoded = partial(folded, ollama)


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def said(**message: Any) -> dict[str, Any]:
    return {"model": "qwen3", "message": {"role": "assistant", **message}, "done": False}


def done(reason: str | None = "stop", **rest: Any) -> dict[str, Any]:
    return {"model": "qwen3", "message": {"content": ""}, "done": True, "done_reason": reason, **rest}


def body(quirks: dict[str, Any] | None = None, *messages: Message, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(messages=messages or (user("hi"),), **fields)
    sent = ollama.encode(request, "qwen3", ollama.Quirks(**(quirks or {}))).json
    assert sent is not None
    return sent


def warned(quirks: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    request = ChatRequest(messages=(user("hi"),), **fields)
    return ollama.encode(request, "qwen3", ollama.Quirks(**(quirks or {}))).warnings


def test_a_stream_becomes_thinking_words_and_calls() -> None:
    stream = lines(
        said(thinking="h"),
        said(thinking="m"),
        said(content="Hel"),
        said(content="lo"),
        said(tool_calls=[{"function": {"name": "f", "arguments": {"a": "ü"}}}]),
        said(tool_calls=[{"id": "c9", "function": {"index": 1, "name": "g", "arguments": {}}}]),
        done(prompt_eval_count=5, eval_count=7),
    )
    assert decoded(stream) == ChatResponse(
        message=assistant(Thinking("hm"), "Hello", ToolCall("call_0", "f", '{"a":"ü"}'), ToolCall("c9", "g", "{}")),
        stop="tool_calls",
        stop_raw="stop",
        usage=Usage(input=5, output=7),
        model="qwen3",
    )


def test_a_whole_reply_is_a_stream_of_one() -> None:
    whole = done("length", eval_count=2) | {"message": {"role": "assistant", "content": "Hello"}}
    assert decoded(json.dumps(whole).encode()) == ChatResponse(
        message=assistant("Hello"), stop="length", stop_raw="length", usage=Usage(output=2), model="qwen3"
    )


@pytest.mark.parametrize(
    ("reason", "stop"), [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other"), (None, "stop")]
)
def test_every_done_reason_has_a_word(reason: str | None, stop: str) -> None:
    response = decoded(lines(said(content="a"), done(reason)))
    assert (response.stop, response.stop_raw, response.usage) == (stop, reason, Usage())


def test_an_error_line_after_words_is_raised() -> None:
    reply = Reply(ollama, ollama.Quirks())
    assert len(reply.feed(lines(said(content="a")))) == 1
    with pytest.raises(ProviderError, match="runner has stopped"):
        reply.feed(lines({"error": "model runner has stopped"}))


def test_an_error_reply_says_what_is_missing() -> None:
    error = failures.failure(404, {}, b'{"error":"model \'x\' not found"}')
    assert isinstance(error, NotFound)
    assert error.message == "model 'x' not found"
    assert isinstance(failures.failure(503, {}, b'{"error":"server busy"}'), Overloaded)


def test_a_stream_without_its_last_line_was_cut() -> None:
    with pytest.raises(Disconnected):
        decoded(lines(said(content="a")))


@pytest.mark.parametrize(
    "item",
    [
        [],
        5,
        "words",
        {"message": "words", "done": True},
        {"message": {"content": 5}, "done": True},
        {"message": {"tool_calls": [{}]}, "done": True},
        {"message": {"tool_calls": [{"function": {"name": None}}]}, "done": True},
    ],
)
def test_a_line_of_another_shape_is_garbled(item: Any) -> None:
    with pytest.raises(Garbled):
        decoded(lines(said(content="a"), item))


def test_a_bare_request_says_nothing_that_was_not_set() -> None:
    sent = ollama.encode(ChatRequest(messages=(user("hi"),)), "qwen3:4b", ollama.Quirks())
    assert (sent.method, sent.path, sent.query, sent.stream, sent.warnings) == ("POST", "/api/chat", {}, True, [])
    assert sent.json == {"model": "qwen3:4b", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def test_sampling_goes_under_options_and_the_callers_options_win() -> None:
    sent = body(
        {"num_ctx": 8192, "keep_alive": "5m"},
        temperature=0.0,
        top_p=0.9,
        top_k=5,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        max_tokens=9,
        stop=("a",),
        stream=False,
        options={"options": {"num_ctx": 4096}},
    )
    assert sent["options"] == {
        "temperature": 0.0,
        "top_p": 0.9,
        "top_k": 5,
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "num_predict": 9,
        "stop": ["a"],
        "num_ctx": 4096,
    }
    assert (sent["keep_alive"], sent["stream"]) == ("5m", False)


def test_a_history_is_spelt_with_results_by_name_in_order() -> None:
    history = (
        user("look", PNG),
        assistant(Thinking("h"), Thinking("m"), "a", ToolCall("x", "weather", '{"day":"mon"}'), ToolCall("y", "now")),
        user(ToolResult("x", "weather", (Text("sun"), PNG)), ToolResult("y", "now", (Text("bad"),), True), "go", "on"),
    )
    assert body(None, *history, system="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "look", "images": ["aGk="]},
        {
            "role": "assistant",
            "content": "a",
            "thinking": "hm",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"day": "mon"}}},
                {"function": {"name": "now", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "sun", "tool_name": "weather", "images": ["aGk="]},
        {"role": "tool", "content": "Error: bad", "tool_name": "now"},
        {"role": "user", "content": "go\n\non"},
    ]


def test_cut_off_arguments_go_back_as_words() -> None:
    turn = body(None, user("hi"), assistant(ToolCall("a", "now", '{"x": "unfin')))["messages"][1]
    assert turn["tool_calls"] == [{"function": {"name": "now", "arguments": {"arguments": '{"x": "unfin'}}}]


@pytest.mark.parametrize(
    ("quirks", "media"),
    [
        ({}, Media("application/pdf", data="aGk=")),
        ({}, Media("audio/wav", data="aGk=")),
        ({}, Media("image/png", url="https://example.com/a.png")),
        ({"images": False}, PNG),
    ],
)
def test_media_that_it_cannot_carry_are_refused(quirks: dict[str, Any], media: Media) -> None:
    with pytest.raises(Unsupported):
        body(quirks, user("see", media))


@pytest.mark.parametrize(
    ("quirks", "fields", "think", "warnings"),
    [
        ({}, {"effort": "none"}, False, 0),
        ({}, {"effort": "medium"}, True, 0),
        ({}, {"effort": "high"}, True, 1),
        ({}, {"thinking_budget": 0}, False, 0),
        ({}, {"thinking_budget": -1}, True, 0),
        ({}, {"thinking_budget": 500}, True, 1),
        ({"think": "levels"}, {"effort": "high"}, "high", 0),
        ({"think": "levels"}, {"effort": "none"}, "low", 1),
        ({"think": "levels"}, {"effort": "max"}, "high", 1),
        ({"think": "levels", "levels": ["low", "medium", "high", "max"]}, {"effort": "max"}, "max", 0),
        ({"think": "levels"}, {"thinking_budget": -1}, "medium", 0),
    ],
)
def test_reasoning_is_spelt_as_the_model_takes_it(
    quirks: dict[str, Any], fields: dict[str, Any], think: bool | str, warnings: int
) -> None:
    assert body(quirks, **fields)["think"] == think
    assert len(warned(quirks, **fields)) == warnings


def test_a_model_that_does_not_think_is_not_told_to() -> None:
    assert "think" not in body({"think": "none"}, effort="high")
    assert len(warned({"think": "none"}, effort="high")) == 1
    assert warned({"think": "none"}, effort="none") == []


def test_structured_output_is_a_format_or_words() -> None:
    assert body(None, json_schema=SCHEMA)["format"] == INLINED
    asked = body({"json_mode": "json"}, json_schema=SCHEMA)
    assert asked["format"] == "json"
    assert '"day"' in asked["messages"][0]["content"]
    assert body(None, json_output=True)["format"] == "json"
    assert "format" not in body({"json_mode": "none"}, json_output=True)


def test_tools_are_offered_with_references_written_out() -> None:
    assert body(None, tools=(TOOL,))["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": INLINED}}
    ]


def test_a_tool_choice_is_narrowed_down_as_far_as_it_goes() -> None:
    tools = (TOOL, ToolSpec(name="now"))
    assert "tools" not in body(None, tools=tools, tool_choice="none")
    assert [tool["function"]["name"] for tool in body(None, tools=tools, tool_choice="now")["tools"]] == ["now"]
    assert len(body(None, tools=tools, tool_choice="required")["tools"]) == 2
    assert len(warned(tools=tools, tool_choice="required", parallel_tool_calls=False)) == 2
    assert warned(tools=tools, tool_choice="auto") == []


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_every_recorded_reply_reads_as_the_vendors_sdk_reads_it(tapes: Path, report: list[str]) -> None:
    expected = {record["id"]: record for record in _records(tapes / "ollama-chat.expected.jsonl")}
    cases = [case for case in _records(tapes / "ollama-chat.jsonl") if case["response"]["status"] == 200]
    for number, case in enumerate(cases):
        want, data = expected[case["id"]], case["response"]["body"].encode()
        response = decoded(data)
        calls = [(item.name, json.loads(item.arguments or "{}")) for item in response.message.tool_calls]
        assert (response.text, response.message.thinking, response.stop_raw, response.model) == (
            want["text"],
            want["reasoning"],
            want["finish_reason"],
            want["model"],
        )
        assert calls == [(item["name"], item["arguments"]) for item in want.get("tool_calls", ())]
        assert (response.usage.input, response.usage.output) == (want["usage"]["input"], want["usage"]["output"])
        assert decoded(data, 1 + number % 64) == response
    report.append(f"ollama: {len(cases)} replies")


def test_a_prompt_beyond_the_usual_window_gets_a_larger_one_and_is_not_cut_in_silence() -> None:
    def asked(letters: int, **fields: Any) -> tuple[int, list[str]]:
        request = ChatRequest(messages=(user("x" * letters),), **fields)
        sent = ollama.encode(request, "qwen3", ollama.Quirks(num_ctx=16_384))
        assert sent.json is not None
        return sent.json["options"]["num_ctx"], sent.warnings

    assert asked(40_000) == (16_384, [])
    assert asked(90_000) == (
        32_768,
        ["Ollama was asked for a window of 32,768 tokens instead of 16,384; the prompt is long."],
    )
    assert asked(90_000, max_tokens=4_000)[0] == 65_536
    assert asked(90_000, options={"options": {"num_ctx": 4096}})[0] == 4096


def test_log_probabilities_are_told_at_the_end() -> None:
    likely = [[{"token": "Hi", "logprob": -0.5}], [{"token": "!", "logprob": -1}]]
    events = [said(content="Hi") | {"logprobs": likely[0]}, said(content="!") | {"logprobs": likely[1]}, done()]
    assert decoded(lines(*events)).extras == {"logprobs": [*likely[0], *likely[1]]}
