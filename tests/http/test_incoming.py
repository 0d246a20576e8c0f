"""HTTP replies from bytes: wherever they are cut they read alike, what is none is told, and no bytes do worse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.http.incoming import HEAD, INTERIM, Cut, Incoming, Malformed

Read = tuple[int, dict[str, str], bytes, bool]
"""Status, headers, body, and whether another request may follow."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = OK + b"transfer-encoding: chunked\r\n\r\n"
CHUNKED = {"transfer-encoding": "chunked"}
ONE = {"content-length": "1"}


def read(pieces: list[bytes]) -> Read:
    """The reply in these pieces, after which the connection ends if it has to."""
    incoming, left, body = Incoming(), list(pieces), b""
    while not incoming.done:
        if left:
            incoming.feed(left.pop(0))
        else:
            incoming.end()
        body += incoming.body()
    for piece in left:
        incoming.feed(piece)
    return incoming.status, incoming.headers, body + incoming.body(), incoming.lasting


def cuts(data: bytes) -> list[list[bytes]]:
    """The bytes as a whole, one by one, and in two at every place."""
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        *([data[:at], data[at:]] for at in range(len(data))),
    ]


WHOLE: dict[str, tuple[bytes, Read]] = {
    "a length": (OK + b"Content-Length: 1\r\n\r\nx", (200, ONE, b"x", True)),
    "nothing": (OK + b"content-length:0\r\n\r\n", (200, {"content-length": "0"}, b"", True)),
    "no body by its status": (
        b"HTTP/1.1 304 Not\r\ncontent-length: 9\r\n\r\n",
        (304, {"content-length": "9"}, b"", True),
    ),
    "to the end": (OK + b"\r\nall that comes", (200, {}, b"all that comes", False)),
    "the last of its connection": (
        OK + b"connection: x, Close\r\ncontent-length: 1\r\n\r\nx",
        (200, {"connection": "x, Close", **ONE}, b"x", False),
    ),
    "the older version": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", (200, ONE, b"x", False)),
    "chunks": (CHUNKS + b"2\r\nte\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n", (200, CHUNKED, b"te0123456789", True)),
    "trailers": (CHUNKS + b"1\r\nx\r\n0\r\nsum: 1\r\nstatus: 2\r\n\r\n", (200, CHUNKED, b"x", True)),
    "interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK + b"content-length: 1\r\n\r\nx",
        (200, ONE, b"x", True),
    ),
    "a header twice": (OK + b"a: 1\r\nA: 2\r\ncontent-length: 1\r\n\r\nx", (200, {"a": "1, 2", **ONE}, b"x", True)),
    "Latin letters": (OK + b"a: \xe4 : \r\ncontent-length: 1\r\n\r\nx", (200, {"a": "ä :", **ONE}, b"x", True)),
    "lines that end in LF": (b"HTTP/1.1 200 OK\ncontent-length: 1\n\nx", (200, ONE, b"x", True)),
    "another behind it": (
        OK + b"content-length: 1\r\n\r\nx" + OK + b"content-length: 1\r\n\r\ny",
        (200, ONE, b"x", False),
    ),
    "rubbish behind it": (OK + b"content-length: 1\r\n\r\nx<html>", (200, ONE, b"x", False)),
    "a blank line behind it": (OK + b"content-length: 1\r\n\r\nx\r\n", (200, ONE, b"x", True)),
}


@pytest.mark.parametrize(("data", "wanted"), WHOLE.values(), ids=WHOLE)
def test_a_reply_reads_alike_wherever_it_is_cut(data: bytes, wanted: Read) -> None:
    for pieces in cuts(data):
        assert read(pieces) == wanted


NONE = {
    "a page": b"<html>hello</html>",
    "another protocol": b"ICY 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a header without a colon": OK + b"no colon\r\n\r\n",
    "a space before the colon": OK + b"a : c\r\n\r\n",
    "a zero byte": OK + b"a: b\x00\r\n\r\n",
    "a folded header": OK + b"a: b\r\n c\r\n\r\n",
    "a bare CR": OK + b"a: b\rc: d\r\n\r\n",
    "a length below zero": OK + b"content-length: -1\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
    "a length beyond all": OK + b"content-length: 99999999999999999999\r\n\r\n",
    "a length beside chunks": OK + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
    "a coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "no coding": OK + b"transfer-encoding: identity\r\n\r\nx",
    "a chunk without its size": CHUNKS + b"x\r\n",
    "a chunk below zero": CHUNKS + b"-1\r\nx\r\n",
    "a chunk that is longer than it says": CHUNKS + b"1\r\nxy\r\n0\r\n\r\n",
    "interim replies without end": b"HTTP/1.1 100 Go\r\n\r\n" * (INTERIM + 1),
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_what_is_no_reply_is_told_wherever_it_is_cut(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(Malformed):
            read(pieces)


def test_what_was_right_of_a_body_is_handed_out_before_the_fault_is_told() -> None:
    incoming = Incoming()
    incoming.feed(CHUNKS + b"3\r\ntea\r\nzz\r\n")
    assert incoming.body() == b"tea"
    with pytest.raises(Malformed, match="chunk size"):
        incoming.body()
    with pytest.raises(Malformed, match="chunk size"):
        incoming.end()


@pytest.mark.parametrize("data", [b"", b"HTTP/1", OK, OK + b"content-length: 2\r\n\r\nx", CHUNKS, CHUNKS + b"2\r\nx"])
def test_an_end_that_comes_too_early_is_told(data: bytes) -> None:
    with pytest.raises(Cut):
        read([data] if data else [])


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 ", OK + b"a: ", CHUNKS + b"5;", CHUNKS + b"0\r\na: "])
def test_what_is_no_body_has_a_bound(start: bytes) -> None:
    with pytest.raises(Malformed, match="no body"):
        read([start, *[b"x" * 1000] * (HEAD // 1000 + 1)])


@given(
    st.lists(st.binary(max_size=40)),
    st.sampled_from([b"", b"HTTP/1.1 ", OK, CHUNKS, OK + b"content-length: 9\r\n\r\n"]),
)
def test_no_bytes_do_worse_than_being_no_reply(pieces: list[bytes], start: bytes) -> None:
    try:
        status, _, body, _ = read([start, *pieces] if start else pieces)
    except (Malformed, Cut):
        return
    assert 101 <= status <= 999
    assert len(body) <= len(b"".join(pieces))


def test_the_next_reply_is_that_of_the_next_request() -> None:
    incoming = Incoming()
    for word in (b"x", b"y"):
        incoming.begin()
        incoming.feed(OK + b"content-length: 1\r\n\r\n" + word)
        assert (incoming.body(), incoming.done, incoming.lasting) == (word, True, True)


INTERIM_CHUNKS = b"HTTP/1.1 199 Soon\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = OK + b"content-length: 1\r\n\r\nx"


@pytest.mark.parametrize(
    "early", [INTERIM_CHUNKS + b"2\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 199 Soon\r\ncontent-length: 2\r\n\r\n{}"]
)
def test_the_body_of_an_interim_reply_never_becomes_that_of_the_reply(early: bytes) -> None:
    for pieces in cuts(early + PLAIN):
        with pytest.raises(Malformed, match="interim reply with a body"):
            read(pieces)


def test_the_trailers_of_an_interim_reply_are_not_the_replys_headers() -> None:
    for pieces in cuts(INTERIM_CHUNKS + b"0\r\nretry-after: 9\r\n\r\n" + PLAIN):
        assert read(pieces) == (200, ONE, b"x", True)
