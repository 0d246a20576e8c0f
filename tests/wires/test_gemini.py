"""Replies of Google's dialect: parts one to one, ends, errors, and everything recorded."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from wires.folding import folded

from mcp_llm.errors import Disconnected, Garbled, Overloaded, ProviderError, RateLimited
from mcp_llm.types.chat import ChatRequest, ChatResponse
from mcp_llm.types.message import Media, Message, Opaque, Part, Text, Thinking, ToolCall, ToolResult, assistant, user
from mcp_llm.types.usage import Usage
from mcp_llm.wires.chat import gemini

if TYPE_CHECKING:
    from pathlib import Path


decoded = partial(folded, gemini)


def fragment(*parts: Any, finish: str | None = None, **rest: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **rest}


def stream(*fragments: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(item).encode() + b"\r\n\r\n" for item in fragments)


def parts(*fragments: Any) -> tuple[Part, ...]:
    return decoded(stream(*fragments)).message.parts


def call(name: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"functionCall": {**({"name": name} if name else {}), **rest}}


def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
    return call(partialArgs=[{"jsonPath": path, **value}], willContinue=more)


def test_a_stream_of_text_becomes_one_part_with_its_end() -> None:
    body = stream(
        fragment({"text": "Hel"}, usageMetadata={"promptTokenCount": 9}, modelVersion="gemini-4-carbon"),
        fragment({"text": "lo"}, responseId="r1"),
        fragment({"text": ""}, finish="STOP", usageMetadata={"candidatesTokenCount": 2, "thoughtsTokenCount": None}),
    )
    assert decoded(body) == ChatResponse(
        message=assistant("Hello"),
        stop="stop",
        stop_raw="STOP",
        usage=Usage(input=9, output=2),
        model="gemini-4-carbon",
        id="r1",
    )


def test_parts_of_one_fragment_are_never_joined() -> None:
    assert parts(fragment({"text": "a"}, {"text": "b"}), fragment({"text": "c"}, finish="STOP")) == (
        Text("a"),
        Text("bc"),
    )


def test_thoughts_and_words_get_parts_of_their_own() -> None:
    thought = {"text": "hm", "thought": True}
    assert parts(
        fragment(thought), fragment(thought), fragment({"text": "a"}), fragment(thought), fragment(finish="STOP")
    ) == (Thinking("hmhm"), Text("a"), Thinking("hm"))


def test_a_signature_closes_its_part_and_joins_no_other() -> None:
    signed = {"text": "", "thoughtSignature": "c2ln"}
    assert parts(fragment({"text": "a"}), fragment(signed), fragment({"text": "b"}, finish="STOP")) == (
        Text("a"),
        Text("", {"thoughtSignature": "c2ln"}),
        Text("b"),
    )


def test_calls_keep_signature_and_id_and_get_an_id_where_the_wire_has_none() -> None:
    response = decoded(
        stream(
            fragment({**call("f", args={"a": 1.0, "b": "ü"}), "thoughtSignature": "c2ln"}, call("g", id="x", args={})),
            fragment(call("h"), finish="STOP"),
        )
    )
    assert response.stop == "tool_calls"
    assert response.stop_raw == "STOP"
    assert response.message.parts == (
        ToolCall("call_0", "f", '{"a":1.0,"b":"ü"}', {"thoughtSignature": "c2ln", "id": None}),
        ToolCall("x", "g", "{}", {"id": "x"}),
        ToolCall("call_2", "h", "", {"id": None}),
    )


def test_streamed_arguments_become_one_json_text() -> None:
    assert parts(
        fragment({**call("f", willContinue=True), "thoughtSignature": "c2ln"}),
        fragment(piece("$.a", stringValue="Bos", willContinue=True)),
        fragment(piece("$.a", stringValue="ton", willContinue=True)),
        fragment(piece("$.a", stringValue="")),
        fragment(piece("$.b[0]['x y'].c", numberValue=0.5)),
        fragment(piece("$.b[1]", boolValue=False)),
        fragment(piece("$.b[2]", nullValue="NULL_VALUE")),
        fragment(call()),
        fragment(call("g", willContinue=True)),
        fragment(piece("$.a", more=False, stringValue="x")),
        fragment({"text": "done"}, finish="STOP"),
    ) == (
        ToolCall(
            "call_0",
            "f",
            '{"a":"Boston","b":[{"x y":{"c":0.5}},false,null]}',
            {"thoughtSignature": "c2ln", "id": None},
        ),
        ToolCall("call_1", "g", '{"a":"x"}', {"id": None}),
        Text("done"),
    )


def test_streamed_arguments_without_an_end_mark_are_whole_when_the_model_stopped() -> None:
    body = stream(
        fragment(call("f", willContinue=True)), fragment(piece("$.a", stringValue="x")), fragment(finish="STOP")
    )
    assert decoded(body).message.tool_calls == (ToolCall("call_0", "f", '{"a":"x"}', {"id": None}),)


def test_arguments_that_the_limit_cut_off_do_not_look_complete() -> None:
    response = decoded(
        stream(
            fragment(call("f", willContinue=True)),
            fragment(piece("$.a", stringValue="half", willContinue=True)),
            fragment(finish="MAX_TOKENS"),
        )
    )
    assert response.stop == "length"
    assert response.message.tool_calls == (ToolCall("call_0", "f", '{"a":"half', {"id": None}),)


@pytest.mark.parametrize("path", ["$.a[99999]", "a", "$", "$.a.", "$[0]", "$.a[0].b"])
def test_a_path_that_leads_nowhere_is_garbled(path: str) -> None:
    body = stream(
        fragment(call("f", willContinue=True)),
        fragment(piece("$.a[0]", numberValue=1)),
        fragment(piece(path, numberValue=1)),
    )
    with pytest.raises(Garbled):
        decoded(body)


def test_what_has_no_neutral_meaning_stays_as_it_is() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}
    draft = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}, "thought": True}
    image = {"inlineData": {"mimeType": "image/png", "data": "bbbb"}, "thoughtSignature": "c2ln"}
    assert parts(fragment(code, draft, image, finish="STOP")) == (
        Opaque(code),
        Opaque(draft),
        Media("image/png", data="bbbb", echo={"thoughtSignature": "c2ln"}),
    )


def test_usage_adds_thoughts_to_output_and_tool_results_to_input() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 7,
    }
    response = decoded(stream(fragment({"text": "a"}, finish="STOP", usageMetadata=usage)))
    assert response.usage == Usage(input=15, output=10, cached=4, reasoning=7)


def test_a_blocked_prompt_is_a_content_filter_with_its_reason() -> None:
    body = json.dumps({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}).encode()
    assert decoded(body) == ChatResponse(
        message=Message(role="assistant", parts=()),
        stop="content_filter",
        stop_raw="PROHIBITED_CONTENT",
        note="PROHIBITED_CONTENT",
    )


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("SOMETHING_NEW", "other"),
    ],
)
def test_every_finish_reason_has_a_word(raw: str, stop: str) -> None:
    response = decoded(stream({"candidates": [{"finishReason": raw, "finishMessage": "because"}]}))
    note = None if stop == "length" else "because"
    assert (response.stop, response.stop_raw, response.note) == (stop, raw, note)


def test_grounding_and_citations_are_told_at_the_end() -> None:
    first, last = fragment({"text": "a"}), fragment({"text": "b"}, finish="STOP")
    first["candidates"][0] |= {
        "citationMetadata": {"citationSources": [{"uri": "u1"}]},
        "groundingMetadata": {"webSearchQueries": ["q"]},
    }
    last["candidates"][0] |= {
        "citationMetadata": {"citationSources": [{"uri": "u2"}]},
        "groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}]},
    }
    assert decoded(stream(first, last)).extras == {
        "citationMetadata": {"citationSources": [{"uri": "u1"}, {"uri": "u2"}]},
        "groundingMetadata": {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "u"}}]},
        "citations": [{"web": {"uri": "u"}}, {"uri": "u1"}, {"uri": "u2"}],
    }


def test_log_probabilities_grow_over_the_fragments() -> None:
    first, last = fragment({"text": "a"}), fragment({"text": "b"}, finish="STOP")
    first["candidates"][0]["logprobsResult"] = {"chosenCandidates": [{"token": "a", "logProbability": -0.1}]}
    last["candidates"][0]["logprobsResult"] = {"chosenCandidates": [{"token": "b", "logProbability": -2}]}
    chosen = [{"token": "a", "logProbability": -0.1}, {"token": "b", "logProbability": -2}]
    assert decoded(stream(first, last)).extras == {"logprobs": {"chosenCandidates": chosen}}


def test_other_candidates_are_left_alone() -> None:
    other = {"index": 1, "content": {"parts": [{"text": "no"}]}, "finishReason": "MAX_TOKENS"}
    body = fragment({"text": "yes"}, finish="STOP")
    body["candidates"].append(other)
    response = decoded(stream(body))
    assert (response.text, response.stop) == ("yes", "stop")


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_in_the_stream_is_raised_as_what_it_is(wrap: Any) -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    with pytest.raises(Overloaded, match="overloaded"):
        decoded(stream(fragment({"text": "a"}), wrap(error)))


def test_an_error_tells_how_long_to_wait() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]
    error = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": details}}
    with pytest.raises(RateLimited) as caught:
        decoded(stream(error))
    assert caught.value.retry_after == 34.4


def test_a_stream_without_a_finish_reason_was_cut() -> None:
    with pytest.raises(Disconnected):
        decoded(stream(fragment({"text": "a"})))


def test_a_json_array_is_the_same_as_the_stream_of_its_items() -> None:
    items = [fragment({"text": "a"}), fragment({"text": "b"}, finish="STOP")]
    assert decoded(json.dumps(items, indent=1).encode()) == decoded(stream(*items))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"choices":[]}',
        b'{"candidates":[{"content":{"parts":[{"text":5}]},"finishReason":"STOP"}]}',
        b'{"candidates":[{"content":{"parts":["a"]},"finishReason":"STOP"}]}',
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}}]},"finishReason":"STOP"}]}',
        b'{"candidates":[{"content":{"parts":[{"inlineData":{}}]},"finishReason":"STOP"}]}',
        b'{"candidates":{"a":1}}',
    ],
)
def test_a_reply_of_another_shape_is_garbled(body: bytes) -> None:
    with pytest.raises(Garbled):
        decoded(body)


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _cases(tapes: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    expected = {record["id"]: record for record in _records(tapes / "google-gemini.expected.jsonl")}
    cases = _records(tapes / "google-gemini.jsonl")
    return [(case, expected[case["id"]]) for case in cases if case["response"]["status"] == 200]


def test_every_recorded_reply_reads_as_the_vendors_sdk_reads_it(tapes: Path, report: list[str]) -> None:
    cases = _cases(tapes)
    wrong = []
    for case, want in cases:
        response = decoded(case["response"]["body"].encode())
        calls = [(item.name, json.loads(item.arguments or "{}")) for item in response.message.tool_calls]
        thoughts = "".join(part.text for part in response.message.parts if isinstance(part, Thinking))
        got = [response.text, thoughts.strip(), response.stop_raw, response.model]
        finish = want["finish_reason"] or want.get("block_reason")
        if got != [want["text"], want["reasoning"].strip(), finish, want.get("model")] or (
            "tool_calls" not in want.get("not_judged", ())
            and calls != [(item["name"], item["arguments"] or {}) for item in want.get("tool_calls", ())]
        ):
            wrong.append(case["id"])
    report.append(f"gemini: {len(cases) - len(wrong)} of {len(cases)} replies")
    assert wrong == []


def test_a_recorded_reply_reads_the_same_wherever_its_bytes_are_cut(tapes: Path) -> None:
    bodies = [case["response"]["body"].encode() for case, _ in _cases(tapes)]
    for number, body in enumerate(body for body in bodies if len(body) < 3000):
        assert decoded(body, 1 + number % 64) == decoded(body)


def test_recorded_parts_go_back_as_they_came(tapes: Path) -> None:
    count = 0
    for case, _ in _cases(tapes):
        body = case["response"]["body"]
        if not body.lstrip().startswith("{"):
            continue
        candidates = json.loads(body).get("candidates") or [{}]
        sent = (candidates[0].get("content") or {}).get("parts") or []
        wanted = [part for part in sent if part != {"text": ""}]
        message = decoded(body.encode()).message
        results = [ToolResult(item.id, item.name, (Text("ok"),)) for item in message.tool_calls]
        history = (user("hi"), message, Message(role="user", parts=tuple(results) or (Text("go on"),)))
        turns = (gemini.encode(ChatRequest(messages=history), "m", gemini.Quirks()).json or {})["contents"]
        assert [part for turn in turns if turn["role"] == "model" for part in turn["parts"]] == wanted
        if results:
            answered = [part["functionResponse"].get("id") for part in turns[-1]["parts"]]
            assert answered == [part["functionCall"].get("id") for part in wanted if "functionCall" in part]
        count += 1
    assert count > 100


def test_a_recorded_stream_that_is_cut_never_reads_as_complete(tapes: Path) -> None:
    for case, _ in _cases(tapes):
        body = case["response"]["body"]
        if body.startswith("data:") and len(body) < 20_000:
            with pytest.raises(ProviderError):
                decoded(body[: int(len(body) * 0.7)].encode())
