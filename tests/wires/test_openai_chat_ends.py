"""Replies of the Chat Completions dialect: how they end, what they cost, media, and errors."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from wires.completions import DONE, answer, chunk, read, said_before, sent, sse, whole

from mcp_llm.errors import BadRequest, Disconnected, Garbled, Overloaded, ProviderError, RateLimited, Refused
from mcp_llm.types.message import Media, Text
from mcp_llm.types.usage import Usage

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


def likely(*tokens: str) -> dict[str, Any]:
    return {"content": [{"token": token, "logprob": -0.5, "bytes": None} for token in tokens], "refusal": None}


def test_log_probabilities_of_a_stream_are_those_of_the_whole() -> None:
    expected = answer(Text("Hi you"), extras={"logprobs": likely("Hi", " you")})
    events = [chunk({"role": "assistant", "content": ""})]
    for token in ("Hi", " you"):
        events.append(chunk({"content": token}))
        events[-1]["choices"][0]["logprobs"] = likely(token)
    assert read(sse(*events, chunk({}, "stop"), DONE)) == expected
    body = json.loads(whole({"content": "Hi you"}))
    body["choices"][0]["logprobs"] = likely("Hi", " you")
    assert read(json.dumps(body).encode()) == expected


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
    assert used(prompt_tokens=3, completion_tokens=1, total_tokens=6, citation_tokens=2) == Usage(input=3, output=3)
    assert used(prompt_tokens=3, completion_tokens=1, total_tokens=7, citation_tokens=2) == Usage(input=3, output=1)


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
