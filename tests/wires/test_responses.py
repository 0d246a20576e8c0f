"""The Responses dialect: what replies become, and that recorded output items go back as they came."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from wires.items import (
    ME,
    REASONING,
    Item,
    added,
    completed,
    delta,
    done,
    function_call,
    message,
    read,
    sent_back,
    sse,
    whole,
)

from mcp_llm.errors import Disconnected, Garbled, Overloaded, RateLimited
from mcp_llm.types.chat import ChatRequest, ChatResponse
from mcp_llm.types.message import Media, Message, Text, Thinking, ToolCall, ToolResult, user
from mcp_llm.types.usage import Usage
from mcp_llm.wires.chat import responses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Corpus

STREAM = (
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": [], "error": None}},
    added(0, {**REASONING, "summary": [], "encrypted_content": None}),
    delta("reasoning_summary_text", "On", summary_index=0),
    delta("reasoning_summary_text", "e.", summary_index=0),
    delta("reasoning_summary_text", "Two.", summary_index=1),
    done(0, REASONING),
    added(1, message(status="in_progress")),
    delta("output_text", "Hel", 1, content_index=0, obfuscation="xy"),
    {"type": "keepalive"},
    delta("output_text", "lo", 1, content_index=0),
    delta("output_text", "!", 1, content_index=1),
    done(1, message("Hello", "!", phase="commentary")),
    added(2, {**function_call(arguments=""), "status": "in_progress"}),
    delta("function_call_arguments", '{"at": ', 2),
    delta("function_call_arguments", '"sea"}', 2),
    done(2, function_call()),
)


# Replies


def test_a_stream_is_read_with_its_opaque_state() -> None:
    items = (REASONING, message("Hello", "!", phase="commentary"), function_call())
    answer = read(sse(*STREAM, completed(*items)))
    piece = {"type": "output_text", "annotations": [], "logprobs": []}
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary"}
    assert answer == ChatResponse(
        message=Message(
            role="assistant",
            parts=(
                Thinking("One.\n\nTwo.", {"item": REASONING}),
                Text("Hello", {"part": piece, "item": head}),
                Text("!", {"part": piece}),
                ToolCall(
                    "call_a",
                    "look",
                    '{"at": "sea"}',
                    {"item": {"type": "function_call", "id": "fc_1", "status": "completed"}},
                ),
            ),
            origin=ME,
        ),
        stop="tool_calls",
        stop_raw="completed",
        model="gpt-x",
        id="resp_1",
    )
    assert sent_back(answer) == list(items)
    assert read(whole(output=list(items))) == answer


def test_the_terminal_event_may_leave_the_items_out() -> None:
    full = completed(REASONING, message("Hello", "!", phase="commentary"), function_call())
    assert read(sse(*STREAM, completed())) == read(sse(*STREAM, full))


def test_the_items_may_come_in_the_terminal_event_only() -> None:
    full = completed(REASONING, message("Hello", "!"), function_call())
    bare = [event for event in STREAM if event["type"] != "response.output_item.done"]
    assert sent_back(read(sse(*bare, full))) == [REASONING, message("Hello", "!"), function_call()]
    assert sent_back(read(sse(full))) == [REASONING, message("Hello", "!"), function_call()]


def test_words_that_no_delta_brought_come_from_the_item() -> None:
    events = (delta("output_text", "Hel", content_index=0), done(0, message("Hello")), completed())
    assert read(sse(*events)).text == "Hello"


def test_an_item_that_is_finished_without_its_words_does_not_lose_them() -> None:
    answer = read(sse(delta("output_text", "Hello", content_index=0), done(0, message()), completed()))
    assert sent_back(answer) == [{"type": "message", "role": "assistant", "content": "Hello"}]


def test_item_ids_may_change_between_events() -> None:
    events = (
        added(0, function_call(id="a", arguments="")),
        {**delta("function_call_arguments", '{"at": "sea"}'), "item_id": "b"},
        done(0, function_call(id="c")),
        completed(function_call(id="d")),
    )
    answer = read(sse(*events))
    assert [(call.id, call.arguments) for call in answer.message.tool_calls] == [("call_a", '{"at": "sea"}')]


@pytest.mark.parametrize("finished", [True, False], ids=["items are finished", "items come last"])
def test_without_an_index_items_are_known_by_their_ids_and_come_once(finished: bool) -> None:
    said, call = message("Hello"), function_call(id="f1", arguments='{"at": "sea"}')
    events: list[Item] = [
        {"type": "response.output_text.delta", "item_id": said["id"], "delta": "Hel"},
        {"type": "response.function_call_arguments.delta", "item_id": "f1", "delta": '{"at": '},
        {"type": "response.output_text.delta", "item_id": said["id"], "delta": "lo"},
    ]
    if finished:
        events.append({"type": "response.output_item.done", "output_index": 0, "item": said})
    answer = read(sse(*events, completed(said, call)))
    assert answer.text == "Hello"
    assert [one.arguments for one in answer.message.tool_calls] == ['{"at": "sea"}']
    assert sent_back(answer) == [said, call]


def test_items_of_one_id_are_all_kept() -> None:
    twice = [REASONING, message("a"), REASONING]
    assert sent_back(read(whole(output=twice))) == twice


def test_other_items_keep_their_place_even_when_they_are_finished_late() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    events = (
        added(0, {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}),
        delta("output_text", "a", 1, content_index=0),
        done(1, message("a")),
        done(0, search),
        completed(),
    )
    answer = read(sse(*events))
    assert answer.stop == "stop"
    assert sent_back(answer) == [search, message("a")]


def test_a_custom_tool_call_is_a_call_with_free_text() -> None:
    item = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_a", "name": "sql", "input": "SELECT 1"}
    answer = read(whole(output=[item]))
    assert [(call.name, call.arguments) for call in answer.message.tool_calls] == [("sql", "SELECT 1")]
    assert answer.stop == "tool_calls"
    history = (answer.message, user(ToolResult("call_a", "sql", (Text("1"),))))
    body = responses.encode(ChatRequest(messages=history), "m", responses.Quirks()).json
    assert body is not None
    assert body["input"] == [item, {"type": "custom_tool_call_output", "call_id": "call_a", "output": "1"}]


def test_a_made_image_is_media_and_the_last_one_counts() -> None:
    item = {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "output_format": "webp",
        "result": "BB",
    }
    partial = {
        "type": "response.image_generation_call.partial_image",
        "output_index": 0,
        "partial_image_b64": "AA",
        "output_format": "webp",
    }
    answer = read(sse(added(0, {**item, "result": None}), partial, done(0, item), completed()))
    rest = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "output_format": "webp"}
    assert answer.message.parts == (Media("image/webp", "BB", echo={"item": rest}),)
    assert sent_back(answer) == [item]


def test_a_refusal_is_no_text_but_a_note() -> None:
    item = message("Well. ")
    item["content"].append({"type": "refusal", "refusal": "I will not."})
    answer = read(sse(delta("refusal", "I will ", content_index=1), done(0, item), completed(item)))
    assert (answer.text, answer.stop, answer.note) == ("Well. ", "content_filter", "I will not.")
    assert sent_back(answer) == [item]
    alone = message(content=[{"type": "refusal", "refusal": "No."}])
    assert sent_back(read(whole(output=[alone]))) == [alone]


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({}, ("stop", "completed")),
        ({"status": "complete"}, ("stop", "complete")),
        ({"status": None}, ("stop", None)),
        ({"output": [function_call()]}, ("tool_calls", "completed")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("length", "max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ("content_filter", "content_filter"),
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, ("other", "steered")),
        ({"status": "incomplete"}, ("other", "incomplete")),
        ({"status": "queued"}, ("other", "queued")),
        ({"status": "cancelled"}, ("cancelled", "cancelled")),
    ],
)
def test_the_status_says_why_it_stopped(fields: Item, stop: tuple[str, str | None]) -> None:
    answer = read(whole(**fields))
    assert (answer.stop, answer.stop_raw) == stop


@pytest.mark.parametrize(
    ("ended", "fields", "stop"),
    [
        ("completed", {}, ("stop", "completed")),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, ("length", "max_output_tokens")),
        ("incomplete", {"status": None}, ("other", "incomplete")),
        ("cancelled", {}, ("cancelled", "cancelled")),
    ],
)
def test_the_last_event_says_it_where_the_response_does_not(ended: str, fields: Item, stop: tuple[str, str]) -> None:
    answer = read(sse(delta("output_text", "Hi"), {"type": f"response.{ended}", "response": {"id": "r", **fields}}))
    assert (answer.text, answer.stop, answer.stop_raw) == ("Hi", *stop)


def test_a_call_that_was_cut_off_keeps_its_text_and_ends_with_length() -> None:
    cut = function_call(arguments='{"at": "se', status="incomplete")
    details = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    answer = read(whole(output=[cut], **details))
    assert (answer.stop, answer.message.tool_calls[0].arguments) == ("length", '{"at": "se')


@pytest.mark.parametrize(
    ("usage", "want"),
    [
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 3},
                "total_tokens": 14,
            },
            Usage(input=9, output=5, cached=4, cache_write=2, reasoning=3),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5}, Usage(input=9, output=5)),
        ({"input_tokens": 1, "cost_in_usd_ticks": 12_500_000}, Usage(input=1, usd=Decimal("0.00125"))),
        ({"input_tokens": 1, "cost": 0.25}, Usage(input=1, usd=Decimal("0.25"))),
        ({"input_tokens": 1, "cost": {"total_cost": 0.5}}, Usage(input=1, usd=Decimal("0.5"))),
        ({"input_tokens": "9", "input_tokens_details": [], "cost": True}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_is_read_from_what_is_known_of_it(usage: object, want: Usage) -> None:
    assert read(whole(usage=usage)).usage == want


def test_sources_are_told_beside_the_answer() -> None:
    cited = message("a")
    cited["content"][0]["annotations"] = [{"type": "url_citation", "url": "https://a.example"}]
    search = {
        "type": "web_search_call",
        "id": "ws",
        "action": {"type": "search", "sources": [{"url": "https://b.example"}]},
    }
    assert read(whole(output=[search, cited])).extras == {
        "citations": [{"type": "url_citation", "url": "https://a.example"}],
        "search_results": [{"url": "https://b.example"}],
    }
    likely = message("a")
    likely["content"][0]["logprobs"] = [{"token": "a", "logprob": -0.1}]
    assert read(sse(done(0, likely), completed(likely))).extras == {"logprobs": [{"token": "a", "logprob": -0.1}]}
    assert read(whole(output=[message("a")])).extras is None


@pytest.mark.parametrize(
    "body",
    [
        sse({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}),
        sse({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}),
        sse(
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}}
        ),
        whole(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}),
        json.dumps({"error": {"code": "rate_limit_exceeded", "message": "slow down"}}).encode(),
    ],
)
def test_an_error_inside_a_good_status_is_raised(body: bytes) -> None:
    with pytest.raises(RateLimited, match="slow down"):
        read(body)


def test_a_failure_without_a_reason_still_says_something() -> None:
    with pytest.raises(Overloaded, match="without a reason"):
        read(whole(status="failed"))
    with pytest.raises(Overloaded, match="without a reason"):
        read(sse(delta("output_text", "Hi"), {"type": "response.failed", "response": {"id": "r"}}))


def test_a_stream_without_its_end_was_cut_off() -> None:
    with pytest.raises(Disconnected):
        read(sse(*STREAM))


def test_an_answer_of_another_api_is_garbled() -> None:
    with pytest.raises(Garbled, match="Responses API"):
        read(json.dumps({"id": "x", "choices": []}).encode())


# Recorded traffic


def recorded(corpus: Corpus) -> Iterator[tuple[str, bytes, list[Item], bytes | None]]:
    """Id, body, the output items it holds in order, and for a stream its last event's response as a body of its own."""
    for case in corpus["openai-responses"]:
        if case.status >= 400 or case.expected["outcome"] != "ok" or case.expected.get("status") in (None, "failed"):
            continue
        if not case.is_stream:
            yield case.id, case.body, json.loads(case.body)["output"], None
            continue
        items: dict[int, Item] = {}
        last = None
        for line in case.body.split(b"\n"):
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if event["type"] == "response.output_item.done":
                items[event["output_index"]] = event["item"]
            elif event["type"] in ("response.completed", "response.incomplete"):
                last = event["response"]
                for index, item in enumerate(last["output"]):
                    items.setdefault(index, item)
        output = [items[index] for index in sorted(items)]
        # The vendor encrypts the same reasoning anew in the last event: compare with what the items said.
        yield case.id, case.body, output, json.dumps({**last, "output": output}).encode() if last else None


def test_recorded_items_go_back_as_they_came(corpus: Corpus) -> None:
    cases = list(recorded(corpus))
    assert len(cases) > 200
    assert [name for name, body, items, _ in cases if sent_back(read(body)) != items] == []


def test_a_stream_and_its_last_event_read_alike(corpus: Corpus) -> None:
    cases = [(name, body, last) for name, body, _, last in recorded(corpus) if last]
    assert len(cases) > 50
    assert [name for name, body, last in cases if read(body) != read(last)] == []
