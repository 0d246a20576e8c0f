"""The decoding path from bytes to chunks, over a wire small enough to see through."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import Disconnected, Error, Garbled, Overloaded, ProviderError
from mcp_llm.types.chat import ChatResponse, Chunk, Delta, End, Fold
from mcp_llm.types.message import Opaque, Part, Text, Thinking, ToolCall, assistant
from mcp_llm.wires.excerpts import excerpt
from mcp_llm.wires.failures import from_data
from mcp_llm.wires.reply import Reply, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.types.chat import ChatRequest
    from mcp_llm.types.message import Json
    from mcp_llm.wires.base import Frame, Framing, HttpRequest

KINDS = {"say": Text, "think": Thinking}


class Decoder:
    """Reads `{"say": ...}`, `think`, `call` (arguments), `keep` (an echo), `error` and `end` (a note)."""

    def __init__(self, quirks: Any) -> None:
        self.quirks = quirks
        self.done = False
        self.note: str | None = None

    def feed(self, frame: Frame) -> Iterator[Chunk]:
        if frame.data is None:
            self.done = True
            return
        if "error" in frame.data:
            raise from_data(frame.data)
        for slot, (key, value) in enumerate(frame.data.items()):
            if key == "end":
                self.done, self.note = True, value
            else:
                yield Delta(slot, self.part(key, value))

    def part(self, key: str, value: Json) -> Part:
        if key == "call":
            return ToolCall("c", "f", value)
        return Opaque(value) if key == "keep" else KINDS[key](value + "")

    def close(self) -> Iterator[Chunk]:
        if not self.done:
            raise Disconnected("the stream was cut")
        yield End("stop", note=self.note, extras={"note": [self.note]})


class Wire:
    """The least a chat wire has."""

    Quirks = dict
    Decoder = Decoder

    def __init__(self, framing: Framing = "sse") -> None:
        self.framing: Framing = framing

    def encode(self, request: ChatRequest, model: str, quirks: Any) -> HttpRequest:
        raise AssertionError("nothing is sent here")


def read(*pieces: bytes, framing: Framing = "sse") -> ChatResponse:
    reply = Reply(Wire(framing), {})
    fold = Fold()
    for piece in pieces:
        for chunk in reply.feed(piece):
            fold.add(chunk)
    for chunk in reply.close():
        fold.add(chunk)
    return fold.response()


def events(*payloads: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def answer(*parts: Part | str, note: str | None = "") -> ChatResponse:
    return ChatResponse(message=assistant(*parts), stop="stop", note=note, extras={"note": [note]})


SPOKEN = [{"say": "Grüße, "}, {"say": "\u2028 \U0001f600"}, {"say": "!", "think": "hm"}, {"end": ""}]


def test_events_lines_one_body_and_one_array_are_the_same_answer() -> None:
    whole = answer("Grüße, \u2028 \U0001f600!", Thinking("hm"))
    assert read(events(*SPOKEN)) == whole
    assert read("\n".join(json.dumps(item) for item in SPOKEN).encode(), framing="lines") == whole
    assert read(json.dumps(SPOKEN, indent=1).encode()) == whole
    assert read(json.dumps({"say": "Grüße, \u2028 \U0001f600!", "think": "hm", "end": ""}).encode()) == whole


@given(
    words=st.lists(st.text(st.characters(), max_size=8), max_size=8),
    ascii_only=st.booleans(),
    places=st.lists(st.integers(0, 2000), max_size=10),
)
def test_text_of_any_kind_cut_anywhere_comes_out_as_it_went_in(
    words: list[str], ascii_only: bool, places: list[int]
) -> None:
    payloads: list[Json] = [*({"say": word} for word in words), {"end": ""}]
    data = "".join(f"data: {json.dumps(item, ensure_ascii=ascii_only)}\n\n" for item in payloads).encode()
    ends = [0, *sorted(place % len(data) for place in places), len(data)]
    text = "".join(words)
    assert read(*(data[a:b] for a, b in itertools.pairwise(ends))) == answer(*([text] if text else []))


@given(st.text(max_size=20), st.lists(st.integers(0, 40), max_size=6))
def test_halves_of_a_surrogate_pair_in_two_deltas_are_one_character(text: str, places: list[int]) -> None:
    units = text.encode("utf-16-le")
    size = len(units) // 2
    ends = [0, *sorted(place % (size + 1) for place in places), size]
    halves = [units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in itertools.pairwise(ends)]
    for key, part in (("say", Text(text)), ("think", Thinking(text)), ("call", ToolCall("c", "f", text))):
        got = read(events({key: ""}, *({key: half} for half in halves), {"end": ""}))
        assert got == answer(*([part] if text or key == "call" else []))


@given(st.lists(st.text(st.characters(categories=["Cs", "L"]), max_size=4), max_size=6))
def test_lone_surrogates_become_replacement_characters_so_that_every_answer_can_be_encoded(texts: list[str]) -> None:
    payloads = [{"say": text, "call": text, "keep": {"kept": [text]}} for text in texts]
    got = read(events({"say": "x"}, *payloads, {"end": "".join(texts)}))
    assert got.model_dump_json()
    joined = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert got.text == "x" + joined
    assert got.note == joined


def test_a_first_half_at_the_very_end_is_not_lost() -> None:
    assert read(events({"say": "a\ud83d"}, {"end": ""})) == answer("a\ufffd")
    assert read(events({"call": "\ud83d"}, {"end": ""})) == answer(ToolCall("c", "f", "\ufffd"))


def test_bytes_that_are_no_utf8_are_replaced_not_refused() -> None:
    assert read(b'data: {"say": "caf\xe9"}\n\ndata: {"end": ""}\n\n') == answer("caf\ufffd")


@pytest.mark.parametrize(
    "noise", [b"data:\n\n", b"data: \n\n", b"data: null\n\n", b": busy\n\n", b"\r\n\r\n", b"event: x\n\n"]
)
def test_events_without_content_are_passed_over(noise: bytes) -> None:
    assert read(noise + events({"say": "a"}) + noise + events({"end": ""}) + noise) == answer("a")


def test_the_done_marker_is_a_frame_without_data() -> None:
    assert read(b'data: {"say": "a"}\n\ndata: [DONE]\n\n') == answer("a", note=None)
    assert read(b'data: {"say": "a"}\r\n\r\nevent: data\r\ndata:  [DONE] ') == answer("a", note=None)


def test_done_says_that_nothing_more_has_to_be_read() -> None:
    reply = Reply(Wire(), {})
    assert not reply.done
    reply.feed(events({"say": "a"}))
    assert not reply.done
    reply.feed(events({"end": ""}))
    assert reply.done


def test_words_before_an_error_in_the_same_bytes_are_kept() -> None:
    reply = Reply(Wire(), {})
    assert reply.feed(events({"say": "so far"}, {"error": {"message": "busy", "code": 503}}, {"say": "x"})) == [
        Delta(0, Text("so far"))
    ]
    assert reply.done
    for ask in (reply.close, lambda: reply.feed(b"data: {}\n\n")):
        with pytest.raises(Overloaded, match="busy"):
            ask()


def test_an_error_by_itself_is_raised_where_it_arrives() -> None:
    reply = Reply(Wire(), {})
    reply.feed(events({"say": "so far"}))
    with pytest.raises(Overloaded, match="busy"):
        reply.feed(events({"error": {"message": "busy", "code": 503}}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n ",
        b"<!DOCTYPE html><html>busy</html>",
        b"upstream connect error",
        b"null",
        b"data: <html>\n\n",
        b"data: {'say': 1}\n\ndata: x\n\n",
        b'{"say": "a",,}',
        b"{" + b'"a":{' * 100_000 + b"}" * 100_001,
        b"[" * 100_000 + b"]" * 100_000,
        b"\x00\x00\x00",
        b"\x1f\x8b\x08\x00",
        events(["a"]),
        events("a"),
        events(1),
        events({"say": None}),
        events({"say": {}}),
        events({"sing": "la"}),
        events({"say": "a"}, {"say": []}),
        b'{"say": 1e999}',
        b"[1]",
    ],
)
def test_garbage_is_garbled_and_nothing_else(body: bytes) -> None:
    with pytest.raises(Garbled) as caught:
        read(body)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@given(st.binary(max_size=200))
def test_whatever_the_bytes_only_our_own_errors_come_out(data: bytes) -> None:
    for framing in ("sse", "lines"):
        for body in (data, b"data: " + data + b"\n\n", b"{" + data, b'data: {"say": "a"}\n\ndata: ' + data):
            with contextlib.suppress(Error):
                read(body, framing=framing)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["say", "think", "call", "keep", "error", "end"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(json_values, max_size=4))
def test_whatever_the_json_only_our_own_errors_come_out(values: list[Json]) -> None:
    with contextlib.suppress(Error):
        read(events(*values)).model_dump_json()


def test_every_beginning_of_a_stream_is_cut_until_its_end_has_come() -> None:
    data = events({"say": "a [1] é \U0001f600", "think": "b"}) + b"data: [DONE]\n\n"
    enough = data.index(b"[DONE]") + len(b"[DONE]")
    for size in range(data.index(b"{") + 1, len(data)):
        if size < enough:
            with pytest.raises(Disconnected):
                read(data[:size])
        else:
            assert read(data[:size]).text == "a [1] é \U0001f600"


def test_every_beginning_of_a_body_is_a_cut_reply() -> None:
    data = json.dumps({"say": "a} ]\U0001f600", "keep": {"b": [1, True, None]}, "end": ""}, ensure_ascii=False).encode()
    for size in range(1, len(data)):
        with pytest.raises(Disconnected):
            read(data[:size])


def test_errors_of_a_reply_are_errors_of_a_provider() -> None:
    with pytest.raises(ProviderError) as caught:
        read(b"data: {")
    assert caught.value.may_retry


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[31m\n\x00", "\\x1b[31m\\n\\x00"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"x" * 500, "x" * 200),
    ],
)
def test_an_excerpt_is_short_and_printable(data: bytes, text: str) -> None:
    assert excerpt(data) == text


def test_parse_lets_lone_surrogates_through() -> None:
    assert parse(b'["\\ud83d"]') == ["\ud83d"]
