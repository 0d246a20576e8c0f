"""Replies that are broken, endless or bombs: the real error with what had come, never an empty success."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from faults.asking import CANARY, ask, failing, rows
from faults.memory import needs_linux, peak_since
from faults.replies import SSE, ok, sse
from faults.server import FaultServer, Reply

from mcp_llm.errors import Disconnected, Garbled, Overloaded, ProviderError, RateLimited, TooLarge

if TYPE_CHECKING:
    from faults.asking import Asking

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
GZIP = {"content-type": "application/json", "content-encoding": "gzip"}
OK = ok("openai", stream=True)


def event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def stream(*events: dict[str, Any], body: bytes = b"", **more: Any) -> Reply:
    return Reply(headers=SSE, body=sse(list(events)) + body, framing="chunked", **more)


def whole(body: bytes, **more: Any) -> Reply:
    return Reply(body=body, **more)


FIRST = sse([event({"content": "Once upon"})])


# F7, T25: too much


TOO_MUCH: list[tuple[str, Reply, str | None]] = [
    ("a stream without end", stream(forever=sse([event({"content": "x" * 65_536})])), "x" * MIB),
    ("an event without end", stream(body=FIRST + b'data: {"choices":[{"', forever=b"x" * 65_536), "Once upon"),
    ("a line without end", stream(forever=b"x" * 65_536), None),
    ("whole JSON without end", stream(body=b'{"choices":[{"', forever=b"x" * 65_536), None),
    ("a length of 10 TiB", Reply(body=b"{", length=10 * 1024**4, hang=1), None),
    ("a gzip bomb", Reply(headers=GZIP, body=gzip.compress(b'{"a":"' + b"x" * (200 * MIB))), None),
    ("a gzip bomb in a stream", Reply(headers=GZIP, body=gzip.compress(b"data: " + b"x" * (200 * MIB))), None),
]


@needs_linux
@pytest.mark.parametrize(("name", "reply", "partial"), TOO_MUCH)
async def test_too_much_is_stopped_at_a_cap_and_costs_little_memory(
    asking: Asking, name: str, reply: Reply, partial: str | None
) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts={"connect": 2, "first_byte": 5, "idle": 5, "total": 30}) as service:
            before = peak_since(mark=True)
            error = await failing(service, model)
            grown = peak_since() - before
            found = await rows(service)
    print(f"{name}: {grown:.0f} MiB more")
    assert isinstance(error, TooLarge)
    assert error.partial == partial
    assert (len(server.requests), found) == (1, [("acme", "too_large")])
    assert grown <= 64


SAID = b'{"error":{"message":"bad key"}}'


@needs_linux
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(401, body=SAID), "bad key"),
        (Reply(401, forever=b"x" * 65_536, framing="chunked"), "the reply begins: 'xxx"),
        (Reply(401, body=SAID, length=10 * 1024**4, hang=len(SAID)), "bad key"),
        (Reply(401, body=SAID, framing="chunked", hang=len(SAID)), "bad key"),
        (Reply(401, body=SAID, framing="chunked", hang=0), "no explanation was given"),
        (Reply(401, body=SAID, framing="chunked", hang=9), """the reply begins: '{"error":'"""),
        (Reply(401, body=SAID, framing="chunked", reset=9), "no explanation was given"),
        (Reply(401, {"content-length": "500"}, SAID, framing="none", close=True), "bad key"),
        (Reply(401, {"content-encoding": "br"}, SAID), "no explanation was given"),
        (Reply(401, GZIP, SAID), "no explanation was given"),
        (Reply(401, GZIP, gzip.compress(b"x" * (200 * MIB))), "the reply begins: 'xxx"),
    ],
)
async def test_nothing_that_happens_to_the_body_of_an_error_hides_its_status(
    asking: Asking, reply: Reply, words: str
) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open(timeouts={"connect": 2, "first_byte": 2, "idle": 2, "total": 0.7}) as service:
            before = peak_since(mark=True)
            error = await failing(service, model)
            grown = peak_since() - before
            found = await rows(service)
    assert str(error).startswith("acme:m HTTP 401: ")
    assert words in str(error)
    assert (error.kind, len(server.requests), found) == ("auth", 1, [("acme", "auth")])
    assert grown <= 64


# F8: what is no answer


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (whole(b'{"choices":[{"message":'), Disconnected),
        (whole(b"[]"), Garbled),
        (whole(b"1"), Garbled),
        (whole(b"null"), Garbled),
        (whole(b'"hello"'), Garbled),
        (whole(b""), Garbled),
        (whole(b"{}"), Garbled),
        (whole(b'{"choices":[]}'), Garbled),
        (whole(b'{"choices":null}'), Garbled),
        (whole(b'{"choices":{}}'), Garbled),
        (whole(b'{"choices":[1]}'), Garbled),
        (whole(b"\xff\xfe\x00 what is this"), Garbled),
        (whole(b"<html><body>Welcome to the hotel</body></html>", headers={"content-type": "text/html"}), Garbled),
        (whole(b"[" * 100_000), None),
        (whole(b'{"error":{"type":"overloaded_error","message":"Overloaded"}}'), Overloaded),
        (whole(b'{"error":{"code":"rate_limit_exceeded","message":"Slow down"}}'), RateLimited),
        (stream(body=b"data: {]\n\n"), Garbled),
        (stream({"choices": "none"}), Garbled),
        (stream(body=b'event: error\ndata: {"error":{"message":"no"}}\n\n'), ProviderError),
        (stream(body=b"data: [DONE]\n\n"), Garbled),
        (stream(body=b": only a comment\n\n"), Disconnected),
    ],
)
async def test_what_is_no_answer_is_an_error_and_never_an_empty_success(
    asking: Asking, reply: Reply, kind: type[ProviderError] | None
) -> None:
    with FaultServer([reply]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
    assert isinstance(error, kind or ProviderError)
    assert len(found) == len(server.requests) <= 3
    for word in ("KeyError", "IndexError", "UnicodeDecodeError", "Traceback", "\x00"):
        assert word not in str(error)


async def test_what_cannot_be_read_is_quoted_in_its_first_200_characters(asking: Asking) -> None:
    with FaultServer([whole(b"\x1b[2Jhello " + b"y" * 5000)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert isinstance(error, Garbled)
    assert "\\x1b[2Jhello yyy" in str(error)
    assert "y" * 180 in str(error)
    assert "y" * 200 not in str(error)


async def test_a_key_quoted_in_what_cannot_be_read_is_masked(asking: Asking) -> None:
    with FaultServer([whole(f"<p>{CANARY}</p>".encode())]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert "<p>***</p>" in str(error)


async def test_correct_json_under_a_wrong_content_type_is_read(asking: Asking) -> None:
    right = ok("openai")
    with FaultServer([Reply(headers={"content-type": "text/plain"}, body=right.body)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            assert (await ask(service, model)).response == "Hello there"


# F9: an answer that breaks off


async def test_an_error_in_the_middle_of_a_stream_is_told_with_what_had_come(asking: Asking) -> None:
    error_event = {"error": {"code": "server_error", "message": f"lost {CANARY}"}}
    with FaultServer([stream(event({"content": "Once upon"}), error_event), OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
            found = await rows(service)
    assert isinstance(error, Overloaded)
    assert (error.partial, str(error)) == ("Once upon", "acme:m: lost ***")
    assert (len(server.requests), found) == (1, [("acme", "overloaded")])


async def test_broken_json_among_good_events_is_told_with_what_had_come(asking: Asking) -> None:
    broken = stream(event({"content": "Once upon"}), body=b"data: {]\n\n" + FIRST + b"data: [DONE]\n\n")
    with FaultServer([broken, OK]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert isinstance(error, Garbled)
    assert (error.partial, len(server.requests)) == ("Once upon", 1)


async def test_a_stream_without_its_last_event_is_no_success(asking: Asking) -> None:
    with FaultServer([stream(event({"content": "Once upon"}))]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            error = await failing(service, model)
    assert isinstance(error, Disconnected)
    assert (error.partial, len(server.requests)) == ("Once upon", 1)


async def test_text_after_the_end_is_ignored(asking: Asking) -> None:
    twice = stream(
        event({"content": "Once"}), event({}, "stop"), body=b"data: [DONE]\n\n" + FIRST + b"data: [DONE]\n\n"
    )
    with FaultServer([twice]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
    assert (answer.response, answer.finish_reason) == ("Once", "stop")


async def test_half_a_tool_call_is_given_as_the_text_it_is_and_marked_as_cut_off(asking: Asking) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "remove", "arguments": '{"path": "/tm'}}
    with FaultServer([stream(event({"tool_calls": [call]}), event({}, "length"), body=b"data: [DONE]\n\n")]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
    assert answer.finish_reason == "length"
    assert answer.tool_calls is not None
    assert [(one.name, one.arguments) for one in answer.tool_calls] == [("remove", '{"path": "/tm')]


async def test_an_empty_answer_says_so(asking: Asking) -> None:
    body = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}).encode()
    with FaultServer([whole(body)]) as server:
        model = asking.provider("acme", server.url)
        async with asking.open() as service:
            answer = await ask(service, model)
    assert answer.response == ""
    assert any("the answer is empty: the token limit was used up" in words for words in answer.warnings)
