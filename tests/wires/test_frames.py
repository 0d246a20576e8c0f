"""Bytes to payloads: every way to cut, end and decorate the lines of a stream gives the same payloads."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.errors import TooLarge
from mcp_llm.wires.frames import Frames

if TYPE_CHECKING:
    from mcp_llm.wires.base import Framing

Payloads = list[tuple[str | None, bytes]]


def read(pieces: list[bytes], framing: Framing = "sse", **caps: int) -> Payloads:
    frames = Frames(framing, **caps)
    found = [payload for piece in pieces for payload in frames.feed(piece)]
    return found + frames.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


NEWLINES = (b"\n", b"\r", b"\r\n")
STREAM = (
    b': comment\n\nevent: start\ndata: {"a":1}\nid: 7\nretry: 10\n\n\n'
    b'data:{"b":2}\n\ndata: one\ndata:  two\ndata\n\nevent: ping\n\ndata: \xe2\x80\xa8\xc2\x85\n\n'
)
EVENTS: Payloads = [
    ("start", b'{"a":1}'),
    (None, b'{"b":2}'),
    (None, b"one\n two\n"),
    (None, b"\xe2\x80\xa8\xc2\x85"),
]


@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_lines_end_at_lf_cr_or_crlf_and_a_byte_order_mark_is_no_data(newline: bytes, bom: bytes) -> None:
    assert read([bom + STREAM.replace(b"\n", newline)]) == EVENTS


@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16])
def test_pieces_of_any_size_give_the_same_events(newline: bytes, size: int) -> None:
    data = b"\xef\xbb\xbf" + STREAM.replace(b"\n", newline)
    assert read([data[at : at + size] for at in range(0, len(data), size)]) == EVENTS


@given(
    places=st.lists(st.integers(0, 1000), max_size=12),
    newlines=st.lists(st.sampled_from(NEWLINES), min_size=22, max_size=22),
)
def test_cutting_anywhere_changes_nothing_even_with_mixed_line_ends(places: list[int], newlines: list[bytes]) -> None:
    lines = STREAM.split(b"\n")
    ends = newlines[: len(lines)]
    for index, following in enumerate(lines[1:]):
        if not following and ends[index] == b"\r":
            ends[index] = b"\r\n"  # a lone CR would take the LF of the empty line for its own
    data = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    assert read(cut(data, places)) == EVENTS


lines_of_events = st.lists(
    st.one_of(
        st.binary(max_size=12).map(lambda data: b"data:" + data),
        st.sampled_from([b"", b"data", b"data: x", b"event: e", b": c", b"id: 1", b"garbage", b" data: no"]),
    ),
    max_size=20,
)


@given(lines=lines_of_events, places=st.lists(st.integers(0, 400), max_size=20))
def test_any_lines_read_the_same_whole_and_cut(lines: list[bytes], places: list[int]) -> None:
    data = b"\n".join(lines)
    assert read(cut(data, places)) == read([data])


@given(data=st.binary(max_size=300), places=st.lists(st.integers(0, 300), max_size=10))
def test_any_bytes_read_the_same_whole_and_cut(data: bytes, places: list[int]) -> None:
    assert read(cut(data, places)) == read([data])
    assert read(cut(data, places), "lines") == read([data], "lines")


def test_an_empty_piece_between_cr_and_lf_does_not_make_two_lines_of_them() -> None:
    assert read([b"data: a\r", b"", b"\ndata: b\r\n\r\n"]) == [(None, b"a\nb")]


@pytest.mark.parametrize("before", [b"", b"\n\n", b" \r\n", b"\xef\xbb\xbf\n"])
def test_a_json_body_is_given_whole_at_the_end_whatever_was_asked(before: bytes) -> None:
    frames = Frames("sse")
    assert [frames.feed(piece) for piece in (before, b'{"a":\n', b"\n1}")] == [[], [], []]
    assert frames.whole
    assert frames.close() == [(None, b'{"a":\n\n1}')]


def test_one_json_value_a_line_ends_with_or_without_a_newline() -> None:
    assert read([b'{"a":1}\n\n{"b":', b'2}\r\n{"c":3}'], "lines") == [
        (None, b'{"a":1}'),
        (None, b'{"b":2}'),
        (None, b'{"c":3}'),
    ]


def test_events_are_understood_where_lines_were_expected() -> None:
    assert read([b'data: {"a":1}\n\n'], "lines") == [(None, b'{"a":1}')]


def test_the_last_event_needs_no_blank_line_after_it() -> None:
    assert read([b"event: e\ndata: x"]) == [("e", b"x")]


@pytest.mark.parametrize("data", [b"", b"\n\n", b": only\n\n: comments\n", b"event: lonely\n\n", b"<html>\n</html>"])
def test_a_body_without_payload_gives_none(data: bytes) -> None:
    assert read([data]) == []


@pytest.mark.parametrize(
    "data",
    [
        b"data: " + b"x" * 50,
        b"data: " + b"x" * 50 + b"\n\n",
        b"data: xxxxxxxxx\n" * 6,
        b"{" + b" " * 60,
        b": " + b"x" * 50,
        b"data\n" * 50,
        b"data:\n" * 50,
        b"data: \n" * 50,
    ],
)
def test_a_cap_stops_a_line_an_event_and_a_body(data: bytes) -> None:
    with pytest.raises(TooLarge, match="over"):
        read([data[at : at + 8] for at in range(0, len(data), 8)], max_event=40, max_body=50)


def test_an_event_may_be_as_long_as_the_cap() -> None:
    assert read([b"data: " + b"x" * 20 + b"\n\n"], max_event=20) == [(None, b"x" * 20)]
    assert read([b"data: x\n" * 20 + b"\n"], max_event=39) == [(None, b"\n".join([b"x"] * 20))]
    with pytest.raises(TooLarge, match="over"):
        read([b"data: x\n" * 20 + b"\n"], max_event=38)


def test_many_small_events_are_under_no_cap() -> None:
    assert len(read([b"data: xxxxxxxx\n\n"] * 100, max_event=20)) == 100
