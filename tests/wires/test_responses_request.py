"""The Responses dialect: what a request is spelled as, and counting its tokens."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_llm.errors import Garbled, Unsupported
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Opaque, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.wires.base import HttpRequest
from mcp_llm.wires.chat import responses
from mcp_llm.wires.schema import instruction
from mcp_llm.wires.tokens import responses as tokens

Quirks = responses.Quirks
HI: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
BARE = Quirks(store=None, include_encrypted=False)


def body(quirks: Quirks = BARE, **fields: Any) -> dict[str, Any]:
    """The body without what every one of these requests has."""
    request = ChatRequest(**{"messages": (user("hi"),), "stream": False, **fields})
    sent = responses.encode(request, "m", quirks).json or {}
    return {key: value for key, value in sent.items() if (key, value) not in (("model", "m"), ("input", [HI]))}


def warnings(quirks: Quirks = BARE, **fields: Any) -> list[str]:
    return responses.encode(ChatRequest(messages=(user("hi"),), **fields), "m", quirks).warnings


def test_a_plain_request_is_stateless_and_sends_nothing_that_was_not_set() -> None:
    assert responses.encode(ChatRequest(messages=(user("hi"),)), "m", Quirks()) == HttpRequest(
        method="POST",
        path="/responses",
        json={
            "model": "m",
            "input": [HI],
            "stream": True,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        },
        stream=True,
    )
    assert body() == {}


def test_a_full_request_is_spelled_as_the_vendor_has_it() -> None:
    request = ChatRequest(
        messages=(user("hi"),),
        system="Be brief.",
        tools=(ToolSpec(name="look", description="Looks."),),
        tool_choice="look",
        parallel_tool_calls=False,
        max_tokens=100,
        temperature=0.0,
        top_p=0.5,
        effort="high",
        stream=False,
        options={"text": {"verbosity": "low"}, "service_tier": "flex"},
        json_output=True,
    )
    sent = responses.encode(request, "m", Quirks(summary="auto"))
    assert sent.warnings == []
    assert sent.json == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"type": "message", "role": "system", "content": instruction(None)}, HI],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "max_output_tokens": 100,
        "temperature": 0.0,
        "top_p": 0.5,
        "tools": [
            {
                "type": "function",
                "name": "look",
                "description": "Looks.",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "service_tier": "flex",
    }


def test_media_are_images_and_files_as_data_or_by_address() -> None:
    message = user(
        Media("image/png", data="AA"),
        Media("image/png", url="https://a.example/i.png"),
        Media("application/pdf", data="AA"),
        Media("text/plain", data="AA", name="a.txt"),
        Media("application/pdf", url="https://a.example/d.pdf"),
    )
    assert body(messages=(message,))["input"][0]["content"] == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"},
        {"type": "input_image", "detail": "auto", "image_url": "https://a.example/i.png"},
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,AA"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,AA"},
        {"type": "input_file", "file_url": "https://a.example/d.pdf"},
    ]


@pytest.mark.parametrize(
    "part", [Media("audio/wav", data="AA"), Media("video/mp4", url="https://a.example/v"), Media("image/png")]
)
def test_what_the_dialect_cannot_hear_or_see_is_unsupported(part: Media) -> None:
    with pytest.raises(Unsupported):
        body(messages=(user(part),))


def test_a_history_made_by_hand_is_sent_in_the_short_form() -> None:
    history = (
        assistant(Thinking("hm"), "a", "b", ToolCall("c1", "f"), ToolCall("c2", "f", '{"x":1}'), "c"),
        user(
            "so",
            ToolResult("c1", "f", (Text("r"), Media("image/png", data="AA"))),
            ToolResult("c2", "f", (Text("1"), Text("2"))),
        ),
    )
    assert body(messages=history)["input"] == [
        {"type": "message", "role": "assistant", "content": "ab"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": '{"x":1}'},
        {"type": "message", "role": "assistant", "content": "c"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "r"},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"},
            ],
        },
        {"type": "function_call_output", "call_id": "c2", "output": "12"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "so"}]},
    ]


def test_media_of_results_can_follow_in_words_of_the_user() -> None:
    history = (
        assistant(ToolCall("c1", "f")),
        user(ToolResult("c1", "f", (Text("r"), Media("image/png", data="AA")))),
    )
    assert body(Quirks(media_results=False), messages=history)["input"][1:] == [
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What the tool f returned:"},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA"},
            ],
        },
    ]


def test_what_only_other_apis_understand_is_left_out_and_told() -> None:
    history = (assistant("a", Media("image/png", data="AA"), Opaque({"block": {}})),)
    sent = responses.encode(ChatRequest(messages=history), "m", BARE)
    assert (sent.json or {})["input"] == [{"type": "message", "role": "assistant", "content": "a"}]
    assert len(sent.warnings) == 2


@pytest.mark.parametrize(
    ("fields", "quirks", "want", "told"),
    [
        ({"effort": "max"}, {}, {"reasoning": {"effort": "max"}}, 0),
        ({"effort": "max"}, {"efforts": {"max": "xhigh"}}, {"reasoning": {"effort": "xhigh"}}, 0),
        ({"effort": "low"}, {"effort": "none"}, {}, 1),
        ({"effort": "none"}, {"summary": "auto"}, {"reasoning": {"effort": "none"}}, 0),
        ({}, {"summary": "concise"}, {"reasoning": {"summary": "concise"}}, 0),
        ({"thinking_budget": 0}, {}, {"reasoning": {"effort": "none"}}, 0),
        ({"thinking_budget": 0}, {"effort": "none"}, {}, 0),
        ({"thinking_budget": -1}, {}, {}, 0),
        ({"thinking_budget": 500, "effort": "low"}, {}, {"reasoning": {"effort": "low"}}, 1),
        ({"thinking_budget": 500, "effort": "low"}, {"budget": True}, {"reasoning": {"max_tokens": 500}}, 0),
        ({"max_tokens": 1}, {}, {"max_output_tokens": 16}, 1),
        ({"max_tokens": 1}, {"min_output_tokens": 0}, {"max_output_tokens": 1}, 0),
        ({"stop": ("x",), "seed": 0, "top_k": 5}, {}, {}, 3),
        ({"stop": ("x",), "seed": 0}, {"extra": ("stop", "seed")}, {"stop": ["x"], "seed": 0}, 0),
        ({"system": "s"}, {}, {"instructions": "s"}, 0),
        (
            {"system": "s"},
            {"system": "developer"},
            {"input": [{"type": "message", "role": "developer", "content": "s"}, HI]},
            0,
        ),
        ({"tool_choice": "required", "parallel_tool_calls": True}, {}, {}, 0),
        ({"stream": True}, {"store": True}, {"stream": True, "store": True}, 0),
    ],
)
def test_parameters_follow_the_quirks(
    fields: dict[str, Any], quirks: dict[str, Any], want: dict[str, Any], told: int
) -> None:
    bent = Quirks(**{"store": None, "include_encrypted": False, **quirks})
    assert body(bent, **fields) == want
    assert len(warnings(bent, **fields)) == told


PET = {
    "type": "object",
    "title": "A pet",
    "properties": {"name": {"$ref": "#/$defs/N"}},
    "$defs": {"N": {"type": "string"}},
}
OPEN = {"type": "object"}


@pytest.mark.parametrize(
    ("quirk", "schema", "want", "in_words"),
    [
        (
            "strict",
            PET,
            {
                "type": "json_schema",
                "name": "A_pet",
                "strict": True,
                "schema": {
                    "type": "object",
                    "title": "A pet",
                    "properties": {"name": {"type": ["string", "null"]}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            },
            False,
        ),
        ("strict", OPEN, {"type": "json_object"}, True),
        ("plain", OPEN, {"type": "json_schema", "name": "answer", "schema": OPEN}, False),
        ("json_object", PET, {"type": "json_object"}, True),
        ("none", PET, None, True),
    ],
)
def test_a_schema_is_enforced_as_far_as_possible_and_else_told_in_words(
    quirk: Any, schema: dict[str, Any], want: dict[str, Any] | None, in_words: bool
) -> None:
    sent = body(Quirks(store=None, include_encrypted=False, json_schema=quirk), json_schema=schema)
    words = [{"type": "message", "role": "system", "content": instruction(schema)}, HI]
    assert sent == ({"text": {"format": want}} if want else {}) | ({"input": words} if in_words else {})


NEEDS = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
MAY = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("quirk", "asked", "parameters", "strict", "told"),
    [
        ("auto", None, NEEDS, True, 0),
        ("auto", None, MAY, False, 0),
        ("auto", True, MAY, True, 0),
        ("auto", True, OPEN, False, 1),
        ("auto", False, NEEDS, False, 0),
        ("off", True, NEEDS, False, 0),
        ("omit", None, NEEDS, None, 0),
    ],
)
def test_a_tool_is_strict_where_nothing_is_lost_by_it(
    quirk: Any, asked: bool | None, parameters: dict[str, Any], strict: bool | None, told: int
) -> None:
    bent = Quirks(store=None, include_encrypted=False, strict=quirk)
    tools = (ToolSpec(name="f", parameters=parameters, strict=asked),)
    (tool,) = body(bent, tools=tools)["tools"]
    assert tool.get("strict") is strict
    assert ("additionalProperties" in tool["parameters"]) is bool(strict)
    assert len(warnings(bent, tools=tools)) == told


def test_tokens_are_counted_for_what_is_input() -> None:
    request = ChatRequest(messages=(user("hi"),), system="s", max_tokens=100, temperature=0.5, effort="low")
    assert tokens.encode(request, "m", Quirks()) == HttpRequest(
        method="POST",
        path="/responses/input_tokens",
        json={"model": "m", "input": [HI], "instructions": "s", "reasoning": {"effort": "low"}},
    )
    assert tokens.decode({"object": "response.input_tokens", "input_tokens": 12}) == 12


@pytest.mark.parametrize("reply", [None, {}, {"input_tokens": None}, {"input_tokens": True}, []])
def test_a_count_that_is_none_is_garbled(reply: object) -> None:
    with pytest.raises(Garbled):
        tokens.decode(reply)
