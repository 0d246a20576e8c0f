"""Requests in Anthropic's dialect: turns, tools, thinking and JSON as each family of models takes them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from mcp_llm.errors import InvalidInput, Unsupported
from mcp_llm.types.chat import ChatRequest, ToolSpec
from mcp_llm.types.message import Media, Message, Opaque, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.wires.base import HttpRequest
from mcp_llm.wires.chat import anthropic
from mcp_llm.wires.schema import instruction

Quirks = anthropic.Quirks
NEWEST = Quirks(thinking_off=None, forced_tools=False, thinking_default=True)
ADAPTIVE = Quirks(thinking_default=True)
BOTH = Quirks(thinking="both", display=None, sampling_version="2023-06-01")
BUDGET = Quirks(thinking="budget", display=None, effort=False, sampling_version="2023-06-01", max_output=32000)
OLD = Quirks(thinking="none", display=None, effort=False, json_mode="tool", strict_tools=False)
SHOWN = {"type": "adaptive", "display": "summarized"}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**SCHEMA, "additionalProperties": False}
FREE: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "number"}}
TOOL = ToolSpec(name="f", description="Does.", parameters=SCHEMA)
PNG = Media("image/png", data="aGk=")
PNG_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


def encode(*messages: Message, quirks: anthropic.Quirks | None = None, **fields: Any) -> HttpRequest:
    request = ChatRequest(messages=messages or (user("Hi"),), **fields)
    return anthropic.encode(request, "claude-x", quirks or Quirks())


def body(*messages: Message, quirks: anthropic.Quirks | None = None, **fields: Any) -> dict[str, Any]:
    return encode(*messages, quirks=quirks, **fields).json or {}


def turns(*messages: Message, quirks: anthropic.Quirks | None = None) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(turn["role"], turn["content"]) for turn in body(*messages, quirks=quirks)["messages"]]


def block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_a_plain_request_says_only_what_it_must() -> None:
    assert encode(system="Be brief.") == HttpRequest(
        method="POST",
        path="/v1/messages",
        json={
            "model": "claude-x",
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [block("Hi")]}],
            "max_tokens": 8192,
            "stream": True,
        },
        headers={"anthropic-version": "2026-10-21"},
        stream=True,
    )


def test_vertex_has_model_and_version_elsewhere() -> None:
    quirks = Quirks(
        path="/models/{model}:rawPredict",
        stream_path="/models/{model}:streamRawPredict",
        version_in_body=True,
        sampling_version="vertex-2023-10-16",
    )
    request = ChatRequest(messages=(user("Hi"),), stream=False, options={"betas": ["b1"]})
    found = anthropic.encode(request, "claude-x@2025/1", quirks)
    assert (found.path, found.headers) == ("/models/claude-x@2025%2F1:rawPredict", {})
    assert found.json == {
        "messages": [{"role": "user", "content": [block("Hi")]}],
        "max_tokens": 8192,
        "anthropic_version": "2026-10-21",
        "anthropic_beta": ["b1"],
    }
    warm = anthropic.encode(request.model_copy(update={"temperature": 0.1, "stream": True}), "m", quirks)
    assert (warm.path, (warm.json or {})["anthropic_version"]) == ("/models/m:streamRawPredict", "vertex-2023-10-16")


def test_betas_of_the_options_become_a_header() -> None:
    request = encode(options={"betas": ["b1", "b2"], "metadata": {"user_id": "u"}})
    assert request.headers == {"anthropic-version": "2026-10-21", "anthropic-beta": "b1,b2"}
    assert (request.json or {})["metadata"] == {"user_id": "u"}
    assert "betas" not in (request.json or {})
    assert encode(options={"betas": "b1"}, quirks=Quirks(version=None)).headers == {"anthropic-beta": "b1"}


@pytest.mark.parametrize("betas", [5, True, ["b1", 2], {"b1": 1}, [["b1"]]])
def test_betas_that_are_no_names_are_told_before_anything_is_sent(betas: object) -> None:
    with pytest.raises(InvalidInput, match="`betas` in the options has to be a name or a list of names"):
        encode(options={"betas": betas})


def test_sampling_goes_under_the_version_that_knows_it_or_not_at_all() -> None:
    refused = encode(temperature=0.5, top_p=0.9, top_k=3)
    assert {"temperature", "top_p", "top_k"} & set(refused.json or {}) == set()
    assert refused.headers == {"anthropic-version": "2026-10-21"}
    assert len(refused.warnings) == 3
    taken = encode(temperature=0.5, top_k=3, quirks=BUDGET)
    assert (taken.json or {})["temperature"] == 0.5
    assert (taken.headers, taken.warnings) == ({"anthropic-version": "2023-06-01"}, [])
    assert encode(quirks=BUDGET).headers == {"anthropic-version": "2026-10-21"}


def test_sampling_makes_way_for_thinking() -> None:
    request = encode(temperature=0.5, top_p=0.95, top_k=3, effort="low", quirks=BUDGET)
    assert {"temperature", "top_p", "top_k"} & set(request.json or {}) == {"top_p"}
    assert len(request.warnings) == 2
    assert encode(temperature=1.0, effort="low", quirks=BUDGET).warnings == []


def test_what_the_dialect_has_no_word_for_is_left_out_and_told() -> None:
    request = encode(seed=1, presence_penalty=0.1, frequency_penalty=0.1, stop=("END", "\n"))
    assert (request.json or {})["stop_sequences"] == ["END"]
    assert len(request.warnings) == 4


THINKING: list[tuple[anthropic.Quirks, dict[str, Any], dict[str, Any], int]] = [
    (Quirks(), {}, {}, 0),
    (ADAPTIVE, {}, {"thinking": SHOWN}, 0),
    (ADAPTIVE, {"effort": "max"}, {"thinking": SHOWN, "output_config": {"effort": "max"}}, 0),
    (ADAPTIVE, {"effort": "minimal"}, {"thinking": SHOWN, "output_config": {"effort": "low"}}, 1),
    (ADAPTIVE, {"thinking_budget": -1}, {"thinking": SHOWN}, 0),
    (ADAPTIVE, {"thinking_budget": 2000}, {"thinking": SHOWN, "output_config": {"effort": "low"}}, 1),
    (ADAPTIVE, {"thinking_budget": 9000}, {"thinking": SHOWN, "output_config": {"effort": "high"}}, 1),
    (ADAPTIVE, {"effort": "none"}, {"thinking": {"type": "disabled"}}, 0),
    (
        ADAPTIVE,
        {"thinking_budget": 0, "effort": "xhigh"},
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
        1,
    ),
    (Quirks(thinking_off="between_tools"), {"effort": "none"}, {"thinking": {"type": "between_tools"}}, 0),
    (NEWEST, {"effort": "none"}, {"thinking": SHOWN, "output_config": {"effort": "low"}}, 1),
    (
        Quirks(display=None),
        {"effort": "high"},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        0,
    ),
    (BOTH, {"effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, 0),
    (BOTH, {"thinking_budget": 2048}, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 10240}, 0),
    (BUDGET, {"effort": "medium"}, {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 16384}, 0),
    (BUDGET, {"effort": "max"}, {"thinking": {"type": "enabled", "budget_tokens": 30976}, "max_tokens": 32000}, 0),
    (BUDGET, {"thinking_budget": 100}, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 8292}, 1),
    (
        BUDGET,
        {"thinking_budget": 5000, "max_tokens": 3000},
        {"thinking": {"type": "enabled", "budget_tokens": 1976}, "max_tokens": 3000},
        1,
    ),
    (BUDGET, {"effort": "low", "max_tokens": 1024}, {"max_tokens": 1024}, 1),
    (BUDGET, {"effort": "none"}, {"thinking": {"type": "disabled"}}, 0),
    (OLD, {"effort": "none"}, {}, 0),
    (OLD, {"effort": "high"}, {}, 1),
    (OLD, {"thinking_budget": 2048}, {}, 1),
]


@pytest.mark.parametrize(("quirks", "fields", "want", "warnings"), THINKING)
def test_each_family_is_steered_in_its_own_words(
    quirks: anthropic.Quirks, fields: dict[str, Any], want: dict[str, Any], warnings: int
) -> None:
    request = encode(quirks=quirks, **fields)
    sent = {key: value for key, value in (request.json or {}).items() if key not in {"model", "messages", "stream"}}
    assert (sent, len(request.warnings)) == ({"max_tokens": 8192, **want}, warnings)


CHOICES: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({}, None),
    ({"tool_choice": "auto"}, {"type": "auto"}),
    ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ({"tool_choice": "required"}, {"type": "any"}),
    ({"tool_choice": "f"}, {"type": "tool", "name": "f"}),
    ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ({"parallel_tool_calls": True}, None),
    (
        {"tool_choice": "f", "parallel_tool_calls": False},
        {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    ),
]


@pytest.mark.parametrize(("fields", "want"), CHOICES)
def test_tool_choices_are_spelled(fields: dict[str, Any], want: dict[str, Any] | None) -> None:
    sent = body(tools=(TOOL,), **fields)
    assert sent["tools"] == [{"name": "f", "description": "Does.", "input_schema": SCHEMA}]
    assert sent.get("tool_choice") == want


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(tool_choice="required", parallel_tool_calls=False)


def test_a_forced_tool_is_asked_for_in_words_where_it_cannot_be_forced() -> None:
    request = encode(tools=(TOOL,), tool_choice="f", system="Be brief.", quirks=NEWEST)
    sent = request.json or {}
    assert (sent["tool_choice"], sent["system"]) == ({"type": "auto"}, "Be brief.\n\nAnswer by calling the tool `f`.")
    assert (sent["thinking"], len(request.warnings)) == (SHOWN, 1)


def test_a_forced_tool_turns_thinking_off() -> None:
    for fields, warnings in (({}, 0), ({"effort": "high"}, 1)):
        request = encode(tools=(TOOL,), tool_choice="required", quirks=ADAPTIVE, **fields)
        assert "thinking" not in (request.json or {})
        assert len(request.warnings) == warnings


def test_strict_tools_are_closed_or_told_to_be_loose() -> None:
    tool = TOOL.model_copy(update={"strict": True})
    assert body(tools=(tool,))["tools"] == [
        {"name": "f", "description": "Does.", "input_schema": CLOSED, "strict": True}
    ]
    free = encode(tools=(ToolSpec(name="g", parameters=FREE, strict=True),))
    assert ((free.json or {})["tools"], len(free.warnings)) == ([{"name": "g", "input_schema": FREE}], 1)
    assert "strict" not in body(tools=(tool,), quirks=OLD)["tools"][0]
    many = encode(tools=tuple(tool.model_copy(update={"name": f"f{n}"}) for n in range(22)))
    assert ["strict" in item for item in (many.json or {})["tools"]] == [True] * 20 + [False] * 2
    assert len(many.warnings) == 1


def test_the_root_of_a_tools_schema_is_an_object_that_says_so() -> None:
    referring = ToolSpec(name="g", parameters={"$ref": "#/$defs/a", "$defs": {"a": SCHEMA}})
    assert [item["input_schema"] for item in body(tools=(ToolSpec(name="f", parameters={}), referring))["tools"]] == [
        {"type": "object"},
        SCHEMA,
    ]


def test_json_is_asked_for_as_natively_as_can_be() -> None:
    assert body(json_schema=SCHEMA)["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    assert body(json_output=True)["system"] == instruction(None)
    free = encode(json_schema=FREE, system="Be brief.")
    assert ((free.json or {})["system"], len(free.warnings)) == (f"Be brief.\n\n{instruction(FREE)}", 1)
    assert body(json_schema=SCHEMA, quirks=Quirks(json_mode="none"))["system"] == instruction(SCHEMA)


def test_old_models_answer_in_json_by_a_forced_tool() -> None:
    sent = body(json_schema=SCHEMA, quirks=OLD)
    assert sent["tools"] == [
        {"name": "json_answer", "description": "Gives the answer as JSON.", "input_schema": SCHEMA}
    ]
    assert sent["tool_choice"] == {"type": "tool", "name": "json_answer"}
    with_tools = body(json_schema=SCHEMA, tools=(TOOL,), quirks=OLD)
    assert (len(with_tools["tools"]), with_tools["system"]) == (1, instruction(SCHEMA))


def test_results_come_first_and_in_one_turn() -> None:
    call = ToolCall("a", "f", '{"x": 1}')
    found = turns(
        user("Go."),
        assistant(call, ToolCall("b", "f")),
        user("Also:", ToolResult("a", "f", (Text("one"), Text(" "), PNG))),
        user(ToolResult("b", "f", is_error=True), "and this."),
    )
    assert found == [
        ("user", [block("Go.")]),
        (
            "assistant",
            [
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ],
        ),
        (
            "user",
            [
                {"type": "tool_result", "tool_use_id": "a", "content": [block("one"), PNG_BLOCK]},
                {"type": "tool_result", "tool_use_id": "b", "is_error": True},
                block("Also:"),
                block("and this."),
            ],
        ),
    ]


def test_blank_texts_are_left_out_except_where_signatures_are_bound_to_them() -> None:
    assert turns(user("a", " "), assistant("\n"), user("b")) == [("user", [block("a"), block("b")])]
    own = assistant(Thinking("", {"signature": "s"}), "\n", "", "b")
    assert turns(user("a"), own)[1][1] == [
        {"type": "thinking", "thinking": "", "signature": "s"},
        block("\n"),
        block("b"),
    ]


def test_nothing_to_say_is_refused_before_the_call() -> None:
    with pytest.raises(InvalidInput, match="nothing to send"):
        encode(user(" "))


def test_a_history_that_begins_with_the_model_gets_a_beginning() -> None:
    assert [role for role, _ in turns(assistant("Hello."), user("Hi"))] == ["user", "assistant", "user"]


def test_unsigned_thinking_goes_back_only_where_nothing_is_signed() -> None:
    history = (user("a"), assistant(Thinking("Hm."), "b"), user("c"), assistant(Thinking("So."), "d"), user("e"))
    request = encode(*history)
    assert [len(turn["content"]) for turn in (request.json or {})["messages"]] == [1] * 5
    assert len(request.warnings) == 1
    assert turns(*history, quirks=Quirks(unsigned_thinking=True))[1][1][0] == {
        "type": "thinking",
        "thinking": "Hm.",
        "signature": "",
    }


@pytest.mark.parametrize("cut", ['{"a": ', "[1]", '{"a": NaN}', '"\\ud800"'])
def test_arguments_that_are_no_object_go_back_as_words(cut: str) -> None:
    sent = turns(user("a"), assistant(ToolCall("t", "f", cut)))[1][1][0]["input"]
    assert sent == {"arguments": [1] if cut == "[1]" else cut}


def test_opaque_blocks_go_back_untouched() -> None:
    opaque = {"type": "redacted_thinking", "data": "x", "more": None}
    assert turns(user("a"), assistant(Opaque(opaque), "b"))[1][1] == [opaque, block("b")]


def test_what_a_model_drew_is_shown_by_the_user() -> None:
    found = turns(user("Draw."), assistant("Here:", PNG), user("What is it?"))
    assert found[1:] == [
        ("assistant", [block("Here:")]),
        ("user", [block("(From the turn before:)"), PNG_BLOCK, block("What is it?")]),
    ]
    shown = ("user", [block("(From the turn before:)"), PNG_BLOCK])
    assert turns(user("Draw."), assistant("Here:", PNG))[1:] == [("assistant", [block("Here:")]), shown]
    two = turns(user("Draw."), assistant("Here:", PNG), assistant("Well?"))
    assert two[1:] == [("assistant", [block("Here:")]), shown, ("assistant", [block("Well?")])]


MEDIA: list[tuple[Media, dict[str, Any]]] = [
    (
        Media("image/jpg", data="aGk="),
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
    ),
    (
        Media("image/x-any", url="https://example.com/a"),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
    ),
    (
        Media("application/pdf", data="JVBERg==", name="a.pdf"),
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
    ),
    (
        Media("application/pdf", url="https://example.com/a"),
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a"}},
    ),
    (
        Media("text/csv", data=b64encode("é,1".encode()).decode(), name="a.csv"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é,1"}, "title": "a.csv"},
    ),
    (Media("application/json", data="", name="a.json"), block("(The file a.json is empty.)")),
    (Media("text/plain", data="Cg=="), block("(The file is empty.)")),
]


@pytest.mark.parametrize(("part", "want"), MEDIA)
def test_files_are_spelled_by_what_they_are(part: Media, want: dict[str, Any]) -> None:
    assert turns(user(part))[0][1] == [want]


@pytest.mark.parametrize(
    "part",
    [
        Media("audio/wav", data="aGk="),
        Media("video/mp4", url="https://example.com/a"),
        Media("image/tiff", data="aGk="),
        Media("application/zip", data="aGk="),
        Media("text/plain", url="https://example.com/a"),
    ],
)
def test_files_that_no_model_reads_are_refused_with_advice(part: Media) -> None:
    with pytest.raises(Unsupported, match=r"transcribe|pictures|convert|download"):
        encode(user(part))


def test_addresses_are_refused_where_nobody_fetches_them() -> None:
    with pytest.raises(Unsupported, match="download"):
        encode(user(Media("image/png", url="https://example.com/a")), quirks=Quirks(media_urls=False))


@pytest.mark.parametrize("part", [Media("image/png"), Media("text/plain", data="abcde")])
def test_files_without_content_are_refused(part: Media) -> None:
    with pytest.raises(InvalidInput):
        encode(user(part))
