"""Requests of Google's dialect, checked against the vendor's own types."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from google.genai import types as vendor

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.types.chat import ChatRequest, Effort, ToolSpec
from mcp_llm.types.message import Media, Message, Opaque, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.wires.chat import gemini
from mcp_llm.wires.chat.gemini.openapi import to_openapi

PNG = Media("image/png", data="aGk=")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "next": {"$ref": "#/$defs/day"}},
    "required": ["city"],
    "$defs": {"day": {"type": ["string", "null"], "enum": ["mon", "tue", None]}},
}
TOOL = ToolSpec(name="weather", description="Tells it.", parameters=SCHEMA)
DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


def body(quirks: dict[str, Any] | None = None, *messages: Message, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(messages=messages or (user("hi"),), **fields)
    sent = gemini.encode(request, "gemini-4-carbon", gemini.Quirks(**(quirks or {}))).json
    assert sent is not None
    return sent


def config(quirks: dict[str, Any] | None = None, **fields: Any) -> Any:
    return body(quirks, **fields).get("generationConfig")


def warned(quirks: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    request = ChatRequest(messages=(user("hi"),), **fields)
    return gemini.encode(request, "m", gemini.Quirks(**(quirks or {}))).warnings


def test_a_bare_request_says_nothing_that_was_not_set() -> None:
    sent = gemini.encode(ChatRequest(messages=(user("hi"),)), "models/gemini-4-carbon", gemini.Quirks())
    assert (sent.method, sent.path) == ("POST", "/v1beta/models/gemini-4-carbon:streamGenerateContent")
    assert (sent.query, sent.stream, sent.headers, sent.warnings) == ({"alt": "sse"}, True, {}, [])
    assert sent.json == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_a_whole_reply_has_its_own_method_and_vertex_its_own_path() -> None:
    quirks = gemini.Quirks(path="/publishers/google/models/{model}:{method}")
    sent = gemini.encode(ChatRequest(messages=(user("hi"),), stream=False), "gemini-4-carbon", quirks)
    assert (sent.path, sent.query) == ("/publishers/google/models/gemini-4-carbon:generateContent", {})


def test_a_model_id_cannot_leave_its_place_in_the_path() -> None:
    sent = gemini.encode(ChatRequest(messages=(user("hi"),), stream=False), "../x?y#z\r\nA: b", gemini.Quirks())
    assert sent.path == "/v1beta/models/..%2Fx%3Fy%23z%0D%0AA%3A%20b:generateContent"


def test_every_sampling_value_has_its_name_here() -> None:
    assert config(
        temperature=0.0,
        top_p=0.9,
        top_k=5,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        max_tokens=9,
        stop=("a",),
    ) == {
        "temperature": 0.0,
        "topP": 0.9,
        "topK": 5,
        "seed": 1,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "maxOutputTokens": 9,
        "stopSequences": ["a"],
    }


def test_more_than_five_stop_sequences_are_told() -> None:
    assert config(stop=tuple("abcdef"))["stopSequences"] == list("abcde")
    assert warned(stop=tuple("abcdef")) == ["Only 5 stop sequences are possible here; the others were left out."]


def test_options_have_the_last_word() -> None:
    options = {"generationConfig": {"topK": 7}, "safetySettings": []}
    sent = body(None, temperature=1.0, top_k=1, options=options)
    assert sent["generationConfig"] == {"temperature": 1.0, "topK": 7}
    assert sent["safetySettings"] == []


@pytest.mark.parametrize(
    ("quirks", "fields", "thinking"),
    [
        ({}, {"effort": "low"}, {"thinkingLevel": "low"}),
        ({}, {"effort": "none"}, {"thinkingLevel": "minimal"}),
        ({}, {"effort": "max"}, {"thinkingLevel": "high"}),
        ({"levels": ["low", "medium", "high", "xhigh"]}, {"effort": "max"}, {"thinkingLevel": "xhigh"}),
        ({}, {"thinking_budget": 0}, {"thinkingLevel": "minimal"}),
        ({}, {"thinking_budget": 5000}, {"thinkingLevel": "medium"}),
        ({"include_thoughts": True}, {}, {"includeThoughts": True}),
        ({"include_thoughts": True}, {"thinking_budget": -1}, {"includeThoughts": True}),
        ({"thinking": "budget"}, {"effort": "none"}, {"thinkingBudget": 0}),
        ({"thinking": "budget", "include_thoughts": True}, {"effort": "none"}, {"thinkingBudget": 0}),
        ({"thinking": "budget", "budget_min": 128}, {"effort": "none"}, {"thinkingBudget": 128}),
        ({"thinking": "budget", "budget_min": 128}, {"thinking_budget": -1}, {"thinkingBudget": -1}),
        ({"thinking": "budget", "budget_max": 32768}, {"effort": "max"}, {"thinkingBudget": 32768}),
        ({"thinking": "budget"}, {"effort": "high", "thinking_budget": 7}, {"thinkingBudget": 7}),
        (
            {"thinking": "budget", "include_thoughts": True},
            {"effort": "medium"},
            {"thinkingBudget": 8192, "includeThoughts": True},
        ),
    ],
)
def test_reasoning_is_spelt_as_the_model_takes_it(
    quirks: dict[str, Any], fields: dict[str, Any], thinking: dict[str, Any]
) -> None:
    assert config(quirks, **fields) == {"thinkingConfig": thinking}


def test_moved_reasoning_is_told_and_exact_reasoning_is_not() -> None:
    assert warned(effort="low") == []
    assert warned(effort="none") == ["This model has no thinking level 'none'; 'minimal' was sent."]
    assert len(warned({"thinking": "budget", "budget_min": 128}, thinking_budget=0)) == 1
    assert warned({"thinking": "none"}, effort="high") == [
        "This model does not think; the reasoning effort was left out."
    ]
    assert config({"thinking": "none", "include_thoughts": True}, effort="high") is None


def test_structured_output_is_native_where_it_can_be() -> None:
    sent = config(None, json_schema=SCHEMA)
    assert sent["responseMimeType"] == "application/json"
    assert sent["responseJsonSchema"]["properties"]["next"] == SCHEMA["$defs"]["day"]
    assert config(None, json_output=True) == {"responseMimeType": "application/json"}
    assert config({"json_mode": "schema"}, json_schema=SCHEMA)["responseSchema"] == to_openapi(SCHEMA)


@pytest.mark.parametrize("quirks", [{"json_mode": "none"}, {"json_with_tools": False}])
def test_structured_output_is_asked_for_in_words_where_it_must_be(quirks: dict[str, Any]) -> None:
    sent = body(quirks, json_schema=SCHEMA, tools=(TOOL,), system="Be brief.")
    words = sent["systemInstruction"]["parts"][0]["text"]
    assert words.startswith("Be brief.\n\n")
    assert '"city"' in words
    assert "generationConfig" not in sent


def test_a_model_without_system_words_gets_them_in_the_first_turn() -> None:
    assert body({"system": False}, system="Be brief.")["contents"] == [
        {"role": "user", "parts": [{"text": "Be brief."}, {"text": "hi"}]}
    ]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("weather", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_a_tool_choice_is_a_calling_mode(choice: str, calling: dict[str, Any]) -> None:
    assert body(None, tools=(TOOL,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": calling}
    assert "toolConfig" not in body(None, tool_choice=choice)


def test_tools_are_declared_without_what_the_vendor_refuses() -> None:
    (declared,) = body(None, tools=(TOOL, ToolSpec(name="now")))["tools"]
    weather, now = declared["functionDeclarations"]
    assert weather["parametersJsonSchema"]["properties"]["city"] == {"type": "string"}
    assert now == {"name": "now"}
    (old,) = body({"tool_schema": "schema"}, tools=(TOOL,))["tools"]
    assert old["functionDeclarations"][0]["parameters"] == to_openapi(SCHEMA)


def test_parallel_calls_cannot_be_switched_off() -> None:
    assert len(warned(tools=(TOOL,), parallel_tool_calls=False)) == 1


def test_foreign_calls_get_the_placeholder_signature_on_the_first_of_them() -> None:
    history = (
        user("hi"),
        assistant(ToolCall("toolu_1", "weather", '{"city":"x"}'), ToolCall("toolu_2", "now")),
        user(
            ToolResult("toolu_1", "weather", (Text("sun"),)), ToolResult("toolu_2", "now", (Text("bad"),), True), "go"
        ),
    )
    assert body(None, *history)["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "toolu_1", "name": "weather", "args": {"city": "x"}},
                    "thoughtSignature": DUMMY,
                },
                {"functionCall": {"id": "toolu_2", "name": "now"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "toolu_1", "name": "weather", "response": {"output": "sun"}}},
                {"functionResponse": {"id": "toolu_2", "name": "now", "response": {"error": "bad"}}},
                {"text": "go"},
            ],
        },
    ]
    bare = body({"dummy_signature": False, "call_ids": False}, *history)["contents"]
    assert bare[1]["parts"][0] == {"functionCall": {"name": "weather", "args": {"city": "x"}}}
    assert bare[2]["parts"][1] == {"functionResponse": {"name": "now", "response": {"error": "bad"}}}


def test_own_parts_go_back_with_their_state_and_unsigned_calls_stay_unsigned() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    own = assistant(
        Thinking("hm"),
        Text("", {"thoughtSignature": "c2ln"}),
        Opaque(code),
        ToolCall("call_0", "now", "{}", {"id": None}),
    )
    turns = body(None, user("hi"), own, user(ToolResult("call_0", "now", (Text("1"),))))["contents"]
    assert turns[1]["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "", "thoughtSignature": "c2ln"},
        code,
        {"functionCall": {"name": "now", "args": {}}},
    ]
    assert turns[2]["parts"] == [{"functionResponse": {"name": "now", "response": {"output": "1"}}}]


def test_cut_off_arguments_go_back_as_words() -> None:
    turns = body(None, user("hi"), assistant(ToolCall("a", "now", '{"x": "unfin')))["contents"]
    assert turns[1]["parts"][0]["functionCall"]["args"] == {"arguments": '{"x": "unfin'}


def test_media_of_a_result_go_inside_it_or_after_it() -> None:
    history = user("hi"), assistant(ToolCall("a", "now")), user(ToolResult("a", "now", (Text("see"), PNG)))
    inline = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    assert body(None, *history)["contents"][2]["parts"][0]["functionResponse"]["parts"] == [inline]
    assert body({"result_media": False}, *history)["contents"][2]["parts"] == [
        {"functionResponse": {"id": "a", "name": "now", "response": {"output": "see"}}},
        inline,
    ]


def test_media_addresses_are_given_where_they_are_fetched() -> None:
    link = Media("image/png", url="https://example.com/a.png")
    assert body(None, user(link))["contents"][0]["parts"] == [
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}
    ]
    with pytest.raises(Unsupported, match="download"):
        body({"media_urls": False}, user(link))
    body({"media_urls": False}, user(Media("video/mp4", url="https://www.youtube.com/watch?v=x")))


def test_empty_turns_are_left_out_and_nothing_at_all_is_refused() -> None:
    assert len(body(None, user(""), assistant(""), user("hi"))["contents"]) == 1
    with pytest.raises(InvalidInput):
        body(None, user(""))


def test_the_openapi_subset_says_what_it_can() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": ["integer", "null"]},
            "b": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
            "c": {"enum": [1, 2]},
            "d": {"type": "array"},
            "e": {"type": ["string", "number"]},
            "f": {"type": "string", "enum": ["", "x"]},
            "g": {"$ref": "#"},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    assert to_openapi(schema) == {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "INTEGER", "nullable": True},
            "b": {"type": "STRING", "nullable": True},
            "c": {"type": "INTEGER", "description": "One of: 1, 2."},
            "d": {"type": "ARRAY", "items": {"type": "STRING"}},
            "e": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
            "f": {"type": "STRING"},
            "g": {"type": "OBJECT"},
        },
        "required": ["a", "b"],
    }
    vendor.Schema.model_validate(to_openapi(schema))


def test_whatever_is_asked_the_vendors_types_accept_it() -> None:
    history = (
        user("hi", PNG),
        assistant(Thinking("hm"), "a", ToolCall("x", "weather", '{"a":1}'), ToolCall("y", "now")),
        user(ToolResult("x", "weather", (Text("r"), PNG)), ToolResult("y", "now", (), True), "go"),
    )
    efforts: tuple[Effort | None, ...] = (None, "none", "low", "max")
    quirks = (
        {"stream_arguments": True, "include_thoughts": True},
        {"thinking": "budget", "json_mode": "schema", "tool_schema": "schema", "result_media": False, "system": False},
    )
    choices = (None, "auto", "none", "required", "now")
    for effort, choice, schema, quirk in itertools.product(efforts, choices, (None, SCHEMA), quirks):
        sent = body(
            quirk,
            *history,
            system="s",
            effort=effort,
            tool_choice=choice,
            json_schema=schema,
            tools=(TOOL, ToolSpec(name="now")),
            temperature=1,
            stop=("a",),
        )
        assert sent.keys() <= {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
        for turn in sent["contents"]:
            vendor.Content.model_validate(turn)
        vendor.Content.model_validate(sent.get("systemInstruction", {}))
        vendor.Tool.model_validate(sent["tools"][0])
        vendor.ToolConfig.model_validate(sent.get("toolConfig", {}))
        vendor.GenerationConfig.model_validate(sent["generationConfig"])
