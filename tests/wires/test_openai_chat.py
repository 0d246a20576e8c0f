"""Replies of the Chat Completions dialect as OpenAI and its many relatives send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wires.completions import DONE, answer, read, said_before, sent, sse, whole

from mcp_llm.errors import Disconnected
from mcp_llm.types.message import Text, Thinking, ToolCall
from mcp_llm.types.usage import Usage

# Words and thoughts


STREAM = sse(
    {"id": "c1", "model": "m1", "choices": [], "prompt_filter_results": []},
    [{"role": "assistant", "content": ""}],
    [{"reasoning_content": "Hm"}],
    [{"reasoning_content": "m."}],
    [{"content": "Hel"}],
    [{"content": "lo é"}, "stop"],
    {"id": "c1", "model": "m1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    DONE,
)


@pytest.mark.parametrize("size", range(1, 65))
def test_a_stream_gives_the_same_answer_wherever_it_is_cut(size: int) -> None:
    assert read(STREAM, size) == answer(Thinking("Hmm."), Text("Hello é"), usage=Usage(input=3, output=4))


def test_a_whole_body_gives_what_its_stream_gives() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    assert read(whole({"reasoning_content": "Hmm.", "content": "Hello é"}, usage=usage)) == read(STREAM)


def test_a_stream_may_end_without_the_marker_once_there_was_a_finish_reason() -> None:
    assert read(sse([{"content": "a"}, "stop"])) == answer(Text("a"))


def test_a_stream_may_end_without_a_finish_reason_once_there_was_the_marker() -> None:
    assert read(sse([{"content": "a"}], DONE)) == answer(Text("a"), stop_raw=None)


def test_a_stream_with_neither_is_cut() -> None:
    text, error = said_before(sse([{"content": "a"}], [{"content": "b"}]))
    assert (text, type(error)) == ("ab", Disconnected)


def test_an_answer_without_any_choice_ends_for_an_unknown_reason() -> None:
    assert read(sse({"id": "c1", "model": "m1", "choices": []}, DONE)) == answer(stop="other", stop_raw=None)


def test_only_the_first_choice_is_read_and_a_missing_index_is_the_first() -> None:
    first = {"delta": {"content": "a"}, "finish_reason": None}
    second = {"index": 1, "delta": {"content": "X"}, "finish_reason": "length"}
    body = sse(
        {"id": "c1", "model": "m1", "choices": [first]},
        {"id": "c1", "model": "m1", "choices": [second]},
        {"id": "c1", "model": "m1", "choices": [second, {**first, "finish_reason": "stop"}]},
        DONE,
    )
    assert read(body) == answer(Text("aa"))


def test_a_message_beside_the_delta_is_not_read_twice() -> None:
    def both(delta: str, message: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": delta}, "message": {"content": message}, "finish_reason": finish}
        return {"id": "c1", "model": "m1", "choices": [choice]}

    assert read(sse(both("a", "a"), both("b", "ab", "stop"))) == answer(Text("ab"))
    body = {"id": "c1", "model": "m1", "choices": [both("", "ab", "stop")["choices"][0] | {"delta": {}}]}
    assert read(json.dumps(body).encode()) == answer(Text("ab"))


def test_messages_in_place_of_deltas_are_read_once() -> None:
    def only(message: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "message": {"content": message}, "finish_reason": finish}
        return {"id": "c1", "model": "m1", "choices": [choice]}

    assert read(sse(only("a"), only("ab", "stop"), DONE)) == answer(Text("ab"))


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm."},
        {"reasoning_text": "Hm."},
        {"reasoning": "Hm.", "reasoning_content": "Hm."},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
        {"content": [{"type": "thinking", "thinking": "Hm."}]},
    ],
)
def test_thoughts_come_under_many_names_and_count_once(delta: dict[str, Any]) -> None:
    assert read(sse([delta], [{"content": "a"}, "stop"])) == answer(Thinking("Hm."), Text("a"))
    assert read(whole({"content": "", **delta})) == answer(Thinking("Hm."))


def test_strings_and_lists_may_be_mixed_in_one_answer() -> None:
    pieces = [{"type": "text", "text": "b"}, {"type": "reference", "reference_ids": [1]}, "c"]
    assert read(sse([{"content": "a"}], [{"content": pieces}, "stop"])) == answer(Text("abc"))


def test_content_that_was_parsed_already_becomes_json_again() -> None:
    assert read(whole({"content": {"name": "Zoë", "age": 3}})) == answer(Text('{"name": "Zoë", "age": 3}'))


@pytest.mark.parametrize("size", [*range(1, 20), 1000])
def test_thinking_tags_at_the_beginning_are_taken_off_however_they_are_cut(size: int) -> None:
    text = "\n<think>\nA < b</th\n</think>\n\nYes <think>no</think>."
    deltas = [[{"content": text[at : at + size]}] for at in range(0, len(text), size)]
    body = sse(*deltas, [{}, "stop"])
    assert read(body, think_tags=True) == answer(Thinking("A < b</th\n"), Text("Yes <think>no</think>."))
    assert read(body) == answer(Text(text))


@pytest.mark.parametrize("text", ["<thin", "a <think>b</think>", "\n <b>", " \n  ", "\n\n < \n<think>"])
def test_what_is_no_opening_tag_stays_text(text: str) -> None:
    assert read(sse([{"content": text}, "stop"]), think_tags=True) == answer(Text(text))
    assert read(sse(*[[{"content": char}] for char in text], [{}, "stop"]), think_tags=True) == answer(Text(text))


def test_a_thought_that_is_cut_off_is_no_answer() -> None:
    body = sse([{"content": "<think>A </thi"}, "length"])
    assert read(body, think_tags=True) == answer(Thinking("A </thi"), stop="length", stop_raw="length")


# Opaque state


def test_streamed_reasoning_details_are_joined_and_go_back_as_blocks() -> None:
    def details(*items: dict[str, Any], **more: Any) -> list[Any]:
        return [{"content": "", "reasoning_details": list(items), **more}]

    signed = {"type": "reasoning.text", "index": 0, "format": "f"}
    encrypted = {"type": "reasoning.encrypted", "index": 1, "data": "xyz", "id": "rs_1"}
    response = read(
        sse(
            details({**signed, "text": "Hm"}, reasoning="Hm"),
            details({**signed, "text": "m.", "signature": None}),
            details({**signed, "signature": "s1"}),
            details({**signed, "text": " More."}),
            details(encrypted),
            [{"content": "a"}, "stop"],
            DONE,
        )
    )
    blocks = [
        {**signed, "text": "Hmm.", "signature": "s1"},
        {**signed, "text": " More."},
        encrypted,
    ]
    assert response == answer(Thinking("Hmm. More.", {"reasoning_details": blocks}), Text("a"))
    assert sent(response, reasoning_field="reasoning_details") == [
        {"role": "assistant", "content": "a", "reasoning_details": blocks}
    ]
    assert sent(response) == [{"role": "assistant", "content": "a"}]


def test_whole_reasoning_details_go_back_byte_for_byte() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x"}, {"type": "reasoning.summary", "summary": "Hm."}]
    response = read(whole({"content": "a", "reasoning_details": details}))
    assert response == answer(Thinking("Hm.", {"reasoning_details": details}), Text("a"))


def test_state_beside_a_call_goes_back_with_it() -> None:
    extra = {"google": {"thought_signature": "s1"}}
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = read(whole({"content": None, "tool_calls": [{**call, "extra_content": extra}]}, "tool_calls"))
    assert response.message.parts == (ToolCall("a", "f", "{}", {"extra_content": extra}),)
    back = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}
    assert sent(response) == [{"role": "assistant", "content": None, "tool_calls": [back]}]


# Tool calls


def call(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    told = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in told.items() if value is not None}


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [call(0, "a", "f", ""), call(0, None, None, '{"x"'), call(1, "b", "g", "{}"), call(0, None, None, ":1}")],
            [ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")],
            id="interleaved by index",
        ),
        pytest.param(
            [call(1, "a", "f", "{"), call(1, "a", "f", "}")],
            [ToolCall("a", "f", "{}")],
            id="index from 1, all repeated",
        ),
        pytest.param(
            [call(0, "a", "f", "{"), call(0, "z9", None, "}")], [ToolCall("a", "f", "{}")], id="a new id every delta"
        ),
        pytest.param(
            [call(0, "a", "f", '{"x":1}'), call(0, "b", "f", "{}"), call(0, "c", "g", "")],
            [ToolCall("a", "f", '{"x":1}'), ToolCall("b", "f", "{}"), ToolCall("c", "g")],
            id="every call under index 0",
        ),
        pytest.param(
            [call(None, "a", "f", "{}"), call(None, "b", "f", "{}")],
            [ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")],
            id="no index",
        ),
        pytest.param(
            [call(None, "a", "f", "{"), call(None, None, None, "}"), call(None, "a", "f", " ")],
            [ToolCall("a", "f", "{} ")],
            id="no index, in pieces",
        ),
        pytest.param(
            [call(None, None, "f", "{}"), call(None, None, "f", "{"), call(None, None, "f", "}")],
            [ToolCall("call_0", "f", "{}"), ToolCall("call_1", "f", "{}")],
            id="neither index nor id",
        ),
        pytest.param(
            [call(0, "", "f", "{}"), call(1, "call_0", "g", "{}")],
            [ToolCall("call_1", "f", "{}"), ToolCall("call_0", "g", "{}")],
            id="an invented id is new",
        ),
        pytest.param(
            [call(0, "a", "f", "{}"), call(1, "a", "f", "{}")],
            [ToolCall("a", "f", "{}"), ToolCall("call_0", "f", "{}")],
            id="one id for two calls",
        ),
        pytest.param([call(0, "a", "f", {"x": "é"})], [ToolCall("a", "f", '{"x":"é"}')], id="arguments as an object"),
        pytest.param([call(0, "a", "f", None)], [ToolCall("a", "f")], id="no arguments"),
    ],
)
def test_calls_are_told_apart(deltas: list[dict[str, Any]], calls: list[ToolCall]) -> None:
    expected = answer(*calls, stop="tool_calls", stop_raw="tool_calls")
    assert read(sse(*[[{"tool_calls": [delta]}] for delta in deltas], [{}, "tool_calls"], DONE)) == expected
    assert read(sse([{"tool_calls": deltas}, "tool_calls"], DONE)) == expected


@pytest.mark.parametrize("finish", ["stop", "eos", "", None, "tool_use"])
def test_an_answer_with_calls_stops_for_them_whatever_its_word(finish: str | None) -> None:
    response = read(sse([{"content": "a", "tool_calls": [call(0, "a", "f", "{}")]}, finish], DONE))
    assert response == answer(Text("a"), ToolCall("a", "f", "{}"), stop="tool_calls", stop_raw=finish or None)


def test_a_call_that_was_cut_off_keeps_its_piece_and_its_reason() -> None:
    response = read(whole({"content": None, "tool_calls": [call(0, "a", "f", '{"x": "ab')]}, "length"))
    assert response == answer(ToolCall("a", "f", '{"x": "ab'), stop="length", stop_raw="length")


def test_the_function_call_of_old_is_a_tool_call() -> None:
    body = sse([{"function_call": {"name": "f"}}], [{"function_call": {"arguments": "{}"}}, "function_call"])
    assert read(body) == answer(ToolCall("call_0", "f", "{}"), stop="tool_calls", stop_raw="function_call")


def test_custom_calls_hold_text_and_go_back_as_such() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "f", "input": "ls -l"}}
    response = read(whole({"content": None, "tool_calls": [custom]}, "tool_calls"))
    assert response.message.parts == (ToolCall("a", "f", "ls -l", {"custom": True}),)
    assert sent(response) == [{"role": "assistant", "content": None, "tool_calls": [custom]}]
