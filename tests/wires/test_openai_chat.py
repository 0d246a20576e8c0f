"""Replies of the Chat Completions dialect as OpenAI and its many relatives send them."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from mcp_llm.errors import BadRequest, Disconnected, Garbled, Overloaded, ProviderError, RateLimited, Refused
from mcp_llm.types.chat import ChatRequest, ChatResponse, Fold
from mcp_llm.types.message import Media, Message, Text, Thinking, ToolCall, ToolResult, user
from mcp_llm.types.usage import Usage
from mcp_llm.wires.chat import openai
from mcp_llm.wires.reply import Reply

DONE = "[DONE]"


def sse(*events: Any) -> bytes:
    """A stream of these payloads; a list stands for one choice's delta and finish reason."""
    lines = []
    for event in events:
        if isinstance(event, list):
            event = chunk(*event)
        lines.append(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n")
    return "".join(lines).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "c1", "model": "m1", "choices": [choice], **more}).encode()


def read(body: bytes, size: int | None = None, **quirks: Any) -> ChatResponse:
    fold, reply = Fold(), Reply(openai, openai.Quirks(**quirks))
    step = size or len(body)
    for at in range(0, len(body), step):
        for part in reply.feed(body[at : at + step]):
            fold.add(part)
    for part in reply.close():
        fold.add(part)
    return fold.response()


def said_before(body: bytes) -> tuple[str, ProviderError]:
    """The words before the error, and the error."""
    fold, reply = Fold(), Reply(openai, openai.Quirks())
    for part in reply.feed(body):
        fold.add(part)
    with pytest.raises(ProviderError) as caught:
        reply.close()
    return fold.text(), caught.value


def answer(*parts: Any, **fields: Any) -> ChatResponse:
    message = Message(role="assistant", parts=parts)
    return ChatResponse(message=message, **{"stop": "stop", "stop_raw": "stop", "model": "m1", "id": "c1", **fields})


def sent(response: ChatResponse, **quirks: Any) -> list[dict[str, Any]]:
    """The history that this answer becomes, without the results of its calls."""
    results = [ToolResult(call.id, call.name, (Text("ok"),)) for call in response.message.tool_calls]
    request = ChatRequest(messages=(user("hi"), response.message, user(*results, "and?")))
    body = openai.encode(request, "m1", openai.Quirks(**quirks)).json
    assert body is not None
    return [message for message in body["messages"] if message["role"] == "assistant"]


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


@pytest.mark.parametrize("text", ["<thin", "a <think>b</think>", "\n <b>"])
def test_what_is_no_opening_tag_stays_text(text: str) -> None:
    assert read(sse([{"content": text}, "stop"]), think_tags=True) == answer(Text(text))


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


# The end


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("network_error", "error"),
        ("error", "error"),
        ("weird", "other"),
    ],
)
def test_finish_reasons_have_one_vocabulary(word: str, stop: str) -> None:
    assert read(sse([{"content": "a"}, word], [{}, word], DONE)) == answer(Text("a"), stop=stop, stop_raw=word)


def test_a_refusal_is_no_answer() -> None:
    expected = answer(stop="content_filter", note="I cannot.")
    assert read(sse([{"refusal": "I can"}], [{"refusal": "not."}], [{"content": ""}, "stop"], DONE)) == expected
    assert read(whole({"content": None, "refusal": "I cannot."})) == expected


def test_citations_are_kept_as_they_come() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    body = sse(
        chunk({"content": "a"}, citations=["https://a.example"]),
        chunk({"content": "b"}, citations=["https://a.example", "https://b.example"]),
        chunk({"annotations": [cited]}, "stop", search_results=[{"title": "A"}]),
    )
    extras = {"citations": [cited, "https://a.example", "https://b.example"], "search_results": [{"title": "A"}]}
    assert read(body) == answer(Text("ab"), extras=extras)


# Usage


def used(**usage: Any) -> Usage:
    return read(whole({"content": "a"}, usage=usage)).usage


def test_usage_told_with_every_chunk_is_not_added_up() -> None:
    first, last = ({"prompt_tokens": 3, "completion_tokens": count} for count in (1, 2))
    body = sse(chunk({"content": "a"}, usage=first), chunk({"content": "b"}, "stop", usage=last), DONE)
    assert read(body) == answer(Text("ab"), usage=Usage(input=3, output=2))


@pytest.mark.parametrize("place", ["x_groq", "choice"])
def test_usage_is_found_in_corners(place: str) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    last = chunk({"content": "a"}, "stop")
    if place == "choice":
        last["choices"][0]["usage"] = usage
    else:
        last[place] = {"id": "r", "usage": usage}
    assert read(sse(last)) == answer(Text("a"), usage=Usage(input=3, output=1))


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 2}},
        {"cached_tokens": 2},
        {"prompt_cache_hit_tokens": 2},
        {"cache_read_input_tokens": 2, "prompt_tokens_details": {"cached_tokens": None}},
    ],
)
def test_cached_tokens_have_many_names(cached: dict[str, Any]) -> None:
    assert used(prompt_tokens=3, completion_tokens=1, **cached) == Usage(input=3, output=1, cached=2)


def test_reasoning_counted_beside_the_output_belongs_to_it() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 5}}
    beside = used(prompt_tokens=3, completion_tokens=1, total_tokens=9, **details)
    inside = used(prompt_tokens=3, completion_tokens=6, total_tokens=9, **details)
    cited = used(prompt_tokens=3, completion_tokens=1, total_tokens=11, reasoning_tokens=5, citation_tokens=2)
    assert beside == inside == Usage(input=3, output=6, reasoning=5)
    assert cited == Usage(input=3, output=8, reasoning=5)


@pytest.mark.parametrize(
    ("money", "usd"),
    [
        ({"cost": 0.00014}, Decimal("0.00014")),
        ({"cost": 0}, Decimal(0)),
        ({"cost": {"total_cost": 0.005}}, Decimal("0.005")),
        ({"cost_in_usd_ticks": 37756000}, Decimal("0.0037756000")),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, Decimal("0.21")),
        ({"cost": "much"}, None),
        ({"cost": -1}, None),
    ],
)
def test_money_is_exactly_what_the_vendor_says(money: dict[str, Any], usd: Decimal | None) -> None:
    assert used(prompt_tokens=1, completion_tokens=2, **money) == Usage(input=1, output=2, usd=usd)


def test_counts_that_are_none_are_unknown() -> None:
    assert used(prompt_tokens=None, completion_tokens="7", prompt_tokens_details=[], total_tokens=1e400) == Usage()


# Media


def test_images_become_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}}
    linked = {"type": "image_url", "image_url": "https://example.com/a.JPG?x=1"}
    expected = answer(
        Text("See:"), Media("image/webp", data="aGk="), Media("image/jpeg", url="https://example.com/a.JPG?x=1")
    )
    assert read(sse([{"content": "See:"}], [{"images": [image, linked]}, "stop"])) == expected
    assert read(whole({"content": [{"type": "text", "text": "See:"}, image, linked]})) == expected


def test_speech_is_its_words_and_its_sound() -> None:
    halves = [b64encode(sound).decode() for sound in (b"\x01", b"\x02\x03")]
    body = sse(
        [{"audio": {"id": "au_1", "transcript": "Hel"}}],
        [{"audio": {"data": halves[0]}}],
        [{"audio": {"transcript": "lo", "data": halves[1]}}],
        [{}, "stop"],
    )
    echo = {"audio": {"id": "au_1"}}
    sound = Media("audio/L16;rate=24000", data=b64encode(b"\x01\x02\x03").decode(), echo=echo)
    assert read(body) == answer(Text("Hello"), sound)
    response = read(whole({"content": None, "audio": {"id": "au_1", "transcript": "Hello", "data": "UklGRg=="}}))
    assert response == answer(Text("Hello"), Media("audio/wav", data="UklGRg==", echo=echo))
    assert sent(response) == [{"role": "assistant", "content": "Hello", "audio": {"id": "au_1"}}]


# Errors


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"error": {"message": "Slow down", "code": 429}}, RateLimited, "Slow down"),
        ({"error": {"message": "Bad", "type": "invalid_request_error"}}, BadRequest, "Bad"),
        ({"error": "boom", "status_code": 503}, Overloaded, "boom"),
        ({"x_groq": {"error": "over capacity"}, "choices": []}, Overloaded, "over capacity"),
        ({"object": "error", "message": "No", "code": 400}, BadRequest, "No"),
        (
            {
                "choices": [
                    {"delta": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "up"}}
                ]
            },
            Overloaded,
            "up",
        ),
    ],
)
def test_an_error_in_the_stream_is_raised_after_the_words_before_it(
    event: dict[str, Any], kind: type[ProviderError], message: str
) -> None:
    text, error = said_before(sse([{"content": "a"}], event, [{"content": "b"}, "stop"], DONE))
    assert (text, type(error), error.message) == ("a", kind, message)


def test_an_event_named_error_is_one() -> None:
    body = sse([{"content": "a"}]) + b'event: error\ndata: {"message": "gone", "code": 500}\n\n'
    text, error = said_before(body)
    assert (text, type(error), error.message) == ("a", Overloaded, "gone")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "filtered", "code": "content_filter"}}, Refused),
        ({"error": {"message": "down", "code": 502}, "choices": None}, Overloaded),
        ({"detail": "Invalid API key", "code": 401}, ProviderError),
        ({"hello": "world"}, Garbled),
        ([], Garbled),
    ],
)
def test_a_body_without_an_answer_is_an_error_though_its_status_is_200(body: Any, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        read(json.dumps(body).encode())


@pytest.mark.parametrize("key", ["id", "model", "choices", "usage", "citations"])
@pytest.mark.parametrize("value", [0, "x", [1], {"a": 1}, True, -1.5])
def test_nonsense_is_read_or_garbled_and_nothing_else(key: str, value: Any) -> None:
    for body in (sse({**chunk({"content": "a"}, "stop"), key: value}, DONE), whole({"content": "a"}, **{key: value})):
        with contextlib.suppress(Garbled, Disconnected):
            assert read(body).text in {"a", ""}


@pytest.mark.parametrize(
    "key", ["content", "reasoning", "reasoning_details", "tool_calls", "images", "audio", "refusal", "annotations"]
)
@pytest.mark.parametrize("value", [3, "x", [1], [{}], {"a": 1}, [{"index": {}, "function": 1}], True])
def test_nonsense_in_a_delta_is_read_or_garbled_and_nothing_else(key: str, value: Any) -> None:
    for body in (sse([{"role": "assistant", key: value}, "stop"], DONE), whole({key: value})):
        with contextlib.suppress(Garbled):
            assert read(body).stop in {"stop", "tool_calls", "content_filter"}
