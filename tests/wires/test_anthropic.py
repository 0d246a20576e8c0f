"""Replies of Anthropic's dialect: what the recorded traffic seldom has, and blocks that go back as they came."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from wires.folding import folded

from mcp_llm.errors import AuthError, Disconnected, Garbled, Overloaded
from mcp_llm.types.chat import ChatRequest, ChatResponse
from mcp_llm.types.message import Opaque, Part, Text, Thinking, ToolCall, user
from mcp_llm.types.usage import Usage
from mcp_llm.wires.chat import anthropic
from mcp_llm.wires.reply import Reply

if TYPE_CHECKING:
    from pathlib import Path

START = {"type": "message_start", "message": {"id": "m1", "model": "claude-x", "content": [], "usage": None}}
STOP = {"type": "message_stop"}
Event = dict[str, Any] | str


def finish(reason: str | None, **more: Any) -> Event:
    return {"type": "message_delta", "delta": {"stop_reason": reason, **more}, "usage": {"output_tokens": 1}}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[Event]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(*words: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": word} for word in words]


def arguments(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def fold(body: bytes, quirks: anthropic.Quirks | None = None) -> ChatResponse:
    return folded(anthropic, body, quirks=quirks)


def sse(*events: Event) -> bytes:
    return "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events).encode()


def streamed(*events: Event, quirks: anthropic.Quirks | None = None) -> ChatResponse:
    return fold(sse(START, *events, STOP), quirks)


def whole(*content: dict[str, Any], quirks: anthropic.Quirks | None = None, **more: Any) -> ChatResponse:
    message = {"type": "message", "id": "m1", "model": "claude-x", "role": "assistant", "content": list(content)}
    return fold(json.dumps({**message, "stop_reason": "end_turn", **more}).encode(), quirks)


def parts(response: ChatResponse) -> tuple[Part, ...]:
    return response.message.parts


def replayed(response: ChatResponse) -> list[dict[str, Any]]:
    request = ChatRequest(messages=(user("Hi"), response.message))
    body = anthropic.encode(request, "claude-x", anthropic.Quirks()).json or {}
    content: list[dict[str, Any]] = body["messages"][1]["content"]
    return content


CITED = {"type": "web_search_result_location", "url": "https://example.com", "cited_text": "It is so."}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
    {"type": "thinking", "thinking": "", "signature": "b21pdHRlZA=="},
    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    {"type": "text", "text": "\n"},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x", "n": 1.0}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"title": None, "url": "u"}]},
    {"type": "text", "text": "It is ", "citations": [CITED, CITED]},
    {"type": "text", "text": "so."},
    {"type": "block_of_tomorrow", "list": [], "nothing": None},
    {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "f",
        "input": {"b": 1, "a": [None, "é"]},
        "caller": {"type": "direct"},
    },
    {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
]


def stream_of(blocks: list[dict[str, Any]]) -> list[Event]:
    """The blocks as the vendor streams them."""
    events: list[Event] = []
    for index, whole_block in enumerate(blocks):
        start, deltas = copy.deepcopy(whole_block), []
        if start["type"] == "text":
            deltas = text(*start["text"])
            deltas += [{"type": "citations_delta", "citation": item} for item in start.pop("citations", ())]
            start["text"] = ""
        elif start["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": word} for word in start["thinking"]]
            deltas.append({"type": "signature_delta", "signature": start["signature"]})
            start |= {"thinking": "", "signature": ""}
        elif "input" in start:
            deltas = arguments("", *json.dumps(start["input"])) if start["input"] else arguments("")
            start["input"] = {}
        events += block(index, start, *deltas)
    return events


def test_every_block_goes_back_as_it_came() -> None:
    assert replayed(whole(*BLOCKS)) == BLOCKS
    assert replayed(streamed(*stream_of(BLOCKS), finish("tool_use"))) == BLOCKS
    assert json.dumps(replayed(whole(*BLOCKS))[-2]["input"]) == json.dumps(BLOCKS[-2]["input"])


def test_a_stream_and_its_whole_are_the_same_answer() -> None:
    stream = streamed(*stream_of(BLOCKS), finish("tool_use"))
    body = whole(*BLOCKS, stop_reason="tool_use", usage={"output_tokens": 1})
    spaced = json.dumps(BLOCKS[-2]["input"])
    assert [part for part in parts(stream) if not isinstance(part, ToolCall)] == [
        part for part in parts(body) if not isinstance(part, ToolCall)
    ]
    assert parts(stream)[-2] == ToolCall("toolu_1", "f", spaced, {"caller": {"type": "direct"}})
    assert parts(body)[-2] == ToolCall("toolu_1", "f", '{"b":1,"a":[null,"é"]}', {"caller": {"type": "direct"}})
    assert stream.model_copy(update={"message": body.message}) == body
    assert body.extras == {"citations": [CITED, CITED]}


def test_blocks_of_servers_are_no_calls_of_ours() -> None:
    response = streamed(*block(0, {"type": "mcp_tool_use", "id": "x", "name": "f", "input": {}}), finish("end_turn"))
    assert response.message.tool_calls == ()
    assert (parts(response), response.stop) == (
        (Opaque({"type": "mcp_tool_use", "id": "x", "name": "f", "input": {}}),),
        "stop",
    )


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "content_filter"),
        ("reason_of_tomorrow", "other"),
        (None, "other"),
    ],
)
def test_stop_reasons_have_one_vocabulary(raw: str | None, stop: str) -> None:
    for response in (streamed(finish(raw)), whole(stop_reason=raw)):
        assert (response.stop, response.stop_raw) == (stop, raw)


@pytest.mark.parametrize(("raw", "stop"), [("end_turn", "tool_calls"), (None, "tool_calls"), ("max_tokens", "length")])
def test_an_answer_with_calls_stops_for_them_unless_it_was_cut(raw: str | None, stop: str) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    response = streamed(*block(0, call, *arguments('{"a": ')), finish(raw))
    assert response.stop == stop
    assert response.message.tool_calls == (ToolCall("t", "f", '{"a": '),)


def test_arguments_that_come_with_the_start_of_a_call_are_kept() -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    assert parts(streamed(*block(0, start), finish("tool_use"))) == (ToolCall("t", "f", '{"a":1}'),)
    given_twice = streamed(*block(0, start, *arguments('{"a": 1}')), finish("tool_use"))
    assert parts(given_twice) == (ToolCall("t", "f", '{"a": 1}'),)
    never_ended = streamed(*block(0, start)[:-1], finish("tool_use"))
    assert parts(never_ended) == (ToolCall("t", "f", '{"a":1}'),)


def test_calls_without_an_id_get_one_each() -> None:
    call = {"type": "tool_use", "name": "f", "input": {}}
    assert [item.id for item in whole(call, call).message.tool_calls] == ["call_0", "call_1"]


def test_a_refusal_is_told_in_the_note() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This could do harm."}
    assert streamed(finish("refusal", stop_details=details)).note == "This could do harm."
    assert whole(stop_reason="refusal", stop_details={**details, "explanation": None}).note == "cyber"
    assert whole(stop_reason="refusal", stop_details=None).note is None


def test_usage_is_cumulative_and_its_input_holds_the_cache() -> None:
    first = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 1,
    }
    last = {
        "input_tokens": 20,
        "cache_read_input_tokens": None,
        "cache_creation": {"ephemeral_1h_input_tokens": None},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
        "cost": 0.000112,
    }
    start = {"type": "message_start", "message": {"content": [], "usage": first}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}
    assert fold(sse(start, delta, STOP)).usage == Usage(
        input=127, output=50, cached=100, cache_write=7, cache_write_1h=4, reasoning=30, usd=Decimal("0.000112")
    )


def test_unknown_usage_is_none() -> None:
    assert whole().usage == Usage()
    assert whole(usage={"output_tokens": 3}).usage == Usage(output=3)


def test_unknown_events_and_deltas_are_passed_over() -> None:
    response = streamed(
        {"type": "ping"},
        "[DONE]",
        {"type": "event_of_tomorrow", "index": 0},
        *block(
            0, {"type": "text", "text": "a"}, *text("b"), {"type": "delta_of_tomorrow"}, *arguments("{}"), *text("c")
        ),
        finish("end_turn"),
    )
    assert parts(response) == (Text("abc"),)


def test_a_second_head_in_one_stream_begins_after_what_there_is() -> None:
    response = streamed(
        *block(0, {"type": "text", "text": ""}, *text("one")),
        *block(1, {"type": "tool_use", "id": "a", "name": "f", "input": {}}, *arguments('{"x'))[:-1],
        START,
        *block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "two"}),
        *block(1, {"type": "tool_use", "id": "b", "name": "f", "input": {}}, *arguments("{}")),
        finish("tool_use"),
    )
    assert parts(response) == (Text("one"), ToolCall("a", "f", '{"x'), Thinking("two"), ToolCall("b", "f", "{}"))


def test_compaction_and_what_a_model_of_another_name_said_are_kept() -> None:
    fallback = {"type": "fallback", "from": {"model": "claude-x"}, "to": {"model": "claude-y"}}
    response = streamed(
        *block(0, {"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "so far"}),
        *block(1, fallback),
        finish("compaction"),
    )
    assert parts(response) == (Opaque({"type": "compaction", "content": "so far"}), Opaque(fallback))
    assert (response.model, response.stop) == ("claude-y", "pause")


def test_a_container_and_the_stop_sequence_are_told() -> None:
    response = streamed(finish("stop_sequence", stop_sequence="END", container={"id": "c1"}))
    assert response.extras == {"stop_sequence": "END", "container": {"id": "c1"}}


def test_the_input_of_the_json_tool_is_the_answer() -> None:
    quirks = anthropic.Quirks(json_mode="tool")
    call = {"type": "tool_use", "id": "t", "name": "json_answer", "input": {}}
    stream = streamed(*block(0, call, *arguments("", '{"a"', ": 1}")), finish("tool_use"), quirks=quirks)
    body = whole({**call, "input": {"a": 1}}, stop_reason="tool_use", quirks=quirks)
    assert (parts(stream), stream.stop) == ((Text('{"a": 1}'),), "stop")
    assert (parts(body), body.stop) == ((Text('{"a":1}'),), "stop")
    ordinary = whole({**call, "input": {"a": 1}}, stop_reason="tool_use")
    assert (parts(ordinary), ordinary.stop) == ((ToolCall("t", "json_answer", '{"a":1}'),), "tool_calls")


def test_an_error_in_the_stream_is_raised_after_what_was_said() -> None:
    reply = Reply(anthropic, anthropic.Quirks())
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    said = reply.feed(sse(START, *block(0, {"type": "text", "text": "Hel"}), error))
    assert [chunk.part for chunk in said if hasattr(chunk, "part")] == [Text("Hel")]
    assert reply.done
    with pytest.raises(Overloaded, match="Overloaded"):
        reply.close()


@pytest.mark.parametrize("wrapped", [{"type": "error"}, {}])
def test_an_error_in_a_whole_reply_is_raised(wrapped: dict[str, str]) -> None:
    body = {**wrapped, "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    with pytest.raises(AuthError, match="invalid x-api-key"):
        fold(json.dumps(body).encode())


@pytest.mark.parametrize("end", [[], [finish("end_turn")], ["[DONE]"]])
def test_a_stream_without_its_end_is_cut(end: list[Event]) -> None:
    with pytest.raises(Disconnected):
        fold(sse(START, *block(0, {"type": "text", "text": "Hel"}), *end))


def test_a_gateways_own_end_marker_ends_a_finished_message() -> None:
    body = sse(START, *block(0, {"type": "text", "text": "Hel"}), finish("end_turn"), "[DONE]")
    assert (fold(body).text, fold(body).stop) == ("Hel", "stop")


@pytest.mark.parametrize("body", [b"{}", b'{"object": "list"}', b'{"type": "message", "content": [{}]}', b"[1]"])
def test_json_that_is_no_message_is_garbled(body: bytes) -> None:
    with pytest.raises(Garbled):
        fold(body)


def test_recorded_blocks_go_back_as_they_came(tapes: Path, report: list[str]) -> None:
    """Whole replies only: what a stream recorded is compared with its whole in test_whole.py."""
    wrong: dict[str, Any] = {}
    count = 0
    for line in (tapes / "anthropic-messages.jsonl").read_text(encoding="utf-8").split("\n"):
        case: dict[str, Any] = json.loads(line or '{"response": {"status": 0}}')
        body = case["response"].get("body", "")
        if case["response"]["status"] != 200 or not body.lstrip().startswith("{"):
            continue
        recorded = json.loads(body)["content"]
        want = [{key: value for key, value in item.items() if key != "citations" or value} for item in recorded]
        if want:
            count += 1
            got = replayed(fold(body.encode()))
            if json.dumps(got, sort_keys=True) != json.dumps(want, sort_keys=True):
                wrong[case["id"]] = (got, want)
    report.append(f"echo: {count - len(wrong)}/{count} anthropic-messages")
    assert count > 90
    assert wrong == {}
