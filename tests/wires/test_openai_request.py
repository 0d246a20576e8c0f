"""Requests of the Chat Completions dialect: what each quirk changes."""

from __future__ import annotations

from typing import Any

import pytest
from wires.requested import OPEN, OTHER, PLAIN, PNG, RESULTS, SCHEMA, TOOL, TURN, body, request, said, warned

from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Opaque, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.wires import base
from mcp_llm.wires.chat import openai
from mcp_llm.wires.schema import instruction


def test_a_plain_request_holds_nothing_that_was_not_asked_for() -> None:
    assert request() == base.HttpRequest(
        method="POST",
        path="/chat/completions",
        json={
            "model": "m1",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        stream=True,
    )


def test_stream_options_can_be_left_out() -> None:
    assert body(stream=True, quirks={"stream_options": False}) == {"stream": True}


def test_the_model_in_a_path_cannot_leave_it() -> None:
    asked = ChatRequest(messages=(user("hi"),))
    sent = openai.encode(asked, "../a b\r\n?c", openai.Quirks(path="/deployments/{model}/chat"))
    assert sent.path == "/deployments/..%2Fa%20b%0D%0A%3Fc/chat"


def test_sampling_values_go_by_the_vendors_names() -> None:
    fields: dict[str, Any] = {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ("a", "b"),
        "seed": 7,
        "top_k": 4,
    }
    common = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.2, "stop": ["a", "b"]}
    assert body(**fields) == common | {"max_completion_tokens": 9, "seed": 7}
    names = {"max_tokens_field": "max_tokens", "seed_field": "random_seed", "top_k": True}
    assert body(**fields, quirks=names) == common | {"max_tokens": 9, "random_seed": 7, "top_k": 4}
    assert len(warned({"seed_field": None}, seed=1, top_k=2)) == 2
    assert warned(names, seed=1, top_k=2) == []


def test_options_have_the_last_word() -> None:
    sent = body(temperature=1.0, effort="low", options={"temperature": 0, "reasoning_effort": None, "x": {"y": 1}})
    assert sent == {"temperature": 0, "reasoning_effort": None, "x": {"y": 1}}


# Messages


def test_the_system_speaks_first_in_the_role_it_has() -> None:
    hi = {"role": "user", "content": "hi"}
    assert said(system="Be.") == [{"role": "system", "content": "Be."}, hi]
    assert said(system="Be.", quirks={"system_role": "developer"}) == [{"role": "developer", "content": "Be."}, hi]
    assert said(system="Be.", quirks={"system_role": "user"}) == [{"role": "user", "content": "Be.\n\nhi"}]
    assert said(user(PNG), system="Be.", quirks={"system_role": "user"})[0]["content"][0] == {
        "type": "text",
        "text": "Be.",
    }


def test_results_come_right_after_their_calls_and_words_after_them() -> None:
    assert said(*TURN, user("Also:", *RESULTS, "go on"), tools=(TOOL, OTHER)) == [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "23"},
        {"role": "user", "content": "Also:\n\ngo on"},
    ]


def test_a_result_and_a_user_can_be_kept_apart() -> None:
    roles = [turn["role"] for turn in said(*TURN, user(*RESULTS, "go on"), user("now"), quirks={"bridge": True})]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user", "user"]


def test_media_of_a_result_follow_in_a_users_message() -> None:
    turns = said(user("go"), assistant(ToolCall("a", "f")), user(ToolResult("a", "f", (Text("see"), PNG))))
    assert turns[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "see"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the tool f returned:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
    ]


def test_turns_of_one_role_can_be_joined() -> None:
    history = (user("a"), user("b", PNG), assistant("c"), assistant("d"), assistant("e", ToolCall("a", "f")))
    joined = said(*history, quirks={"alternate": True})
    assert [(turn["role"], turn["content"]) for turn in joined] == [
        (
            "user",
            [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        ),
        ("assistant", "c\n\nd"),
        ("assistant", "e"),
    ]
    assert len(said(*history)) == 5


def test_a_turn_of_calls_alone_has_null_or_empty_content() -> None:
    history = (user("go"), assistant(ToolCall("a", "f")), user(RESULTS[0]))
    assert said(*history)[1]["content"] is None
    assert said(*history, quirks={"null_content": False})[1]["content"] == ""


@pytest.mark.parametrize("arguments", ['{"x": ', "[1]", "nonsense", "3"])
def test_arguments_that_are_no_object_are_quoted(arguments: str) -> None:
    turns = said(user("go"), assistant(ToolCall("a", "f", arguments)), user(RESULTS[0]))
    quoted = '{"arguments": "' + arguments.replace('"', '\\"') + '"}'
    assert turns[1]["tool_calls"][0]["function"]["arguments"] == quoted


def test_a_turn_with_nothing_to_say_is_left_out() -> None:
    assert said(user("a"), assistant(Thinking("Hm.")), assistant(Opaque({"x": 1})), assistant(), user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_media_that_a_model_made_are_left_out_with_a_warning() -> None:
    sent = request(user("a"), assistant("b", PNG), user("c"))
    assert sent.json is not None
    assert sent.json["messages"][1] == {"role": "assistant", "content": "b"}
    assert len(sent.warnings) == 1


@pytest.mark.parametrize(
    ("field", "turn"),
    [
        (None, {"content": "b"}),
        ("reasoning_content", {"content": "b", "reasoning_content": "Hm."}),
        ("reasoning", {"content": "b", "reasoning": "Hm."}),
        ("reasoning_details", {"content": "b", "reasoning": "Hm."}),
        (
            "content",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "b"},
                ]
            },
        ),
    ],
)
def test_thoughts_go_back_where_the_vendor_wants_them(field: str | None, turn: dict[str, Any]) -> None:
    history = (user("a"), assistant(Thinking("Hm."), "b"), user("c"))
    assert said(*history, quirks={"reasoning_field": field})[1] == {"role": "assistant", **turn}


def test_a_turn_with_calls_can_be_made_to_hold_thoughts() -> None:
    quirks = {"reasoning_field": "reasoning_content", "reasoning_required": True}
    turns = said(*TURN, user(*RESULTS), assistant("done"), user("ok"), quirks=quirks)
    assert [turn.get("reasoning_content") for turn in turns if turn["role"] == "assistant"] == ["", None]


# Tools


def test_tools_are_functions_with_their_references_written_out() -> None:
    tool = ToolSpec(name="f", parameters=SCHEMA)
    assert body(tools=(tool, TOOL, OTHER), quirks={"strict": "omit"})["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": PLAIN}},
        {"type": "function", "function": {"name": "f", "description": "Does it.", "parameters": TOOL.parameters}},
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_strict_is_said_only_where_nothing_is_lost_by_it() -> None:
    tool = ToolSpec(name="f", parameters=SCHEMA)
    loose = tool.model_copy(update={"strict": False})
    told = [spec["function"].get("strict") for spec in body(tools=(tool, loose, TOOL))["tools"]]
    assert told == [True, None, None]
    assert len(warned(tools=(TOOL.model_copy(update={"strict": True}),))) == 1


@pytest.mark.parametrize(
    ("choice", "quirks", "sent", "tools"),
    [
        (None, {}, None, ["f", "g"]),
        ("auto", {}, "auto", ["f", "g"]),
        ("required", {}, "required", ["f", "g"]),
        ("required", {"required_word": "any"}, "any", ["f", "g"]),
        ("g", {}, {"type": "function", "function": {"name": "g"}}, ["f", "g"]),
        ("g", {"tool_choice": "words"}, "required", ["g"]),
        ("none", {"tool_choice": "words"}, "none", ["f", "g"]),
        ("auto", {"tool_choice": "none"}, None, ["f", "g"]),
        ("g", {"tool_choice": "none"}, None, ["f", "g"]),
        ("none", {"tool_choice": "none"}, None, []),
    ],
)
def test_the_choice_of_a_tool_is_said_as_far_as_it_can_be(
    choice: str | None, quirks: dict[str, Any], sent: Any, tools: list[str]
) -> None:
    made = body(tools=(TOOL, OTHER), tool_choice=choice, quirks=quirks)
    assert made.get("tool_choice") == sent
    assert [tool["function"]["name"] for tool in made.get("tools", ())] == tools


def test_a_choice_without_tools_is_not_sent() -> None:
    assert body(tool_choice="required", parallel_tool_calls=False) == {}


def test_one_call_at_a_time_is_asked_for_where_that_is_known() -> None:
    assert body(tools=(OTHER,), parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in body(
        tools=(OTHER,), parallel_tool_calls=False, quirks={"parallel_tool_calls": False}
    )
    assert len(warned({"parallel_tool_calls": False}, tools=(OTHER,), parallel_tool_calls=False)) == 1
    assert warned({"parallel_tool_calls": False}, tools=(OTHER,), parallel_tool_calls=True) == []


# Structured output


@pytest.mark.parametrize(
    ("schema", "quirks", "answer", "told"),
    [
        (
            SCHEMA,
            {},
            {"type": "json_schema", "json_schema": {"name": "The_answer", "schema": PLAIN, "strict": True}},
            False,
        ),
        (OPEN, {}, {"type": "json_object"}, True),
        (
            OPEN,
            {"json_schema": "plain"},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": OPEN}},
            False,
        ),
        (SCHEMA, {"json_schema": "json_object"}, {"type": "json_object"}, True),
        (SCHEMA, {"json_schema": "none"}, None, True),
        (OPEN, {"json_object": False}, None, True),
        (None, {}, {"type": "json_object"}, True),
    ],
)
def test_a_schema_is_enforced_or_asked_for_in_words(
    schema: dict[str, Any] | None, quirks: dict[str, Any], answer: Any, told: bool
) -> None:
    made = body(user("hi"), system="Be.", json_schema=schema, json_output=True, quirks=quirks)
    assert made.get("response_format") == answer
    system = f"Be.\n\n{instruction(schema)}" if told else "Be."
    assert made["messages"][0] == {"role": "system", "content": system}


# Reasoning

SWITCH = {"thinking_on": {"thinking": {"type": "enabled"}}, "thinking_off": {"thinking": {"type": "disabled"}}}
ROUTER = {
    "effort_field": "reasoning.effort",
    "budget_field": "reasoning.max_tokens",
    "thinking_off": {"reasoning": {"enabled": False}},
}
TEMPLATE = {
    "effort_field": None,
    "budget_field": "thinking_budget",
    "thinking_on": {"enable_thinking": True},
    "thinking_off": {"enable_thinking": False},
}


@pytest.mark.parametrize(
    ("quirks", "effort", "budget", "sent", "warnings"),
    [
        ({}, "high", None, {"reasoning_effort": "high"}, 0),
        ({}, "none", None, {"reasoning_effort": "none"}, 0),
        ({}, None, 0, {"reasoning_effort": "none"}, 0),
        ({}, None, -1, {}, 0),
        ({}, None, 2048, {}, 1),
        ({}, "low", 2048, {"reasoning_effort": "low"}, 1),
        ({"levels": ("low", "high")}, "max", None, {"reasoning_effort": "high"}, 1),
        ({"efforts": {"high": "default"}}, "high", None, {"reasoning_effort": "default"}, 0),
        ({"effort_field": None}, "high", None, {}, 1),
        (ROUTER, "low", None, {"reasoning": {"effort": "low"}}, 0),
        (ROUTER, "low", 2048, {"reasoning": {"max_tokens": 2048}}, 0),
        (ROUTER, "none", None, {"reasoning": {"enabled": False}}, 0),
        (SWITCH, "high", None, {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, 0),
        (SWITCH, "none", 2048, {"thinking": {"type": "disabled"}}, 0),
        (SWITCH, None, -1, {"thinking": {"type": "enabled"}}, 0),
        ({**SWITCH, "effort_field": None}, "high", None, {"thinking": {"type": "enabled"}}, 1),
        (TEMPLATE, None, 2048, {"enable_thinking": True, "thinking_budget": 2048}, 0),
        (TEMPLATE, None, 0, {"enable_thinking": False}, 0),
    ],
)
def test_reasoning_is_steered_by_word_number_or_switch(
    quirks: dict[str, Any], effort: Any, budget: int | None, sent: dict[str, Any], warnings: int
) -> None:
    assert body(effort=effort, thinking_budget=budget, quirks=quirks) == sent
    assert len(warned(quirks, effort=effort, thinking_budget=budget)) == warnings
