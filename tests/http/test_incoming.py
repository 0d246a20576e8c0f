"""HTTP replies from bytes: cut anywhere they read alike, as h11 reads them, and what is none is told."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_llm.http.incoming import HEAD, Cut, Incoming, Malformed

Read = tuple[int, dict[str, str], bytes, bool]
"""Status, headers, body, and whether another request may follow."""


def read(pieces: list[bytes], *, ended: bool = True) -> list[Read]:
    """The replies in these pieces; where `ended`, the connection ends after them."""
    incoming, left, found = Incoming(), list(pieces), list[Read]()

    def more() -> bool:
        if left:
            incoming.feed(left.pop(0))
            return True
        if ended:
            incoming.end()
        return False

    while left or incoming.unread:
        while not incoming.head():
            if not more():
                return found
        status, headers, body = incoming.status, incoming.headers, b""
        while True:
            if data := incoming.body():
                body += data
            elif incoming.done or not more():
                break
        found.append((status, headers, body, incoming.lasting))
    return found


def cuts(data: bytes) -> list[list[bytes]]:
    """The bytes as a whole, one by one, and in two at every place."""
    places = range(1, min(99, len(data)))
    return [[data], [data[at : at + 1] for at in range(len(data))], *([data[:at], data[at:]] for at in places)]


OK = b"HTTP/1.1 200 OK\r\n"
WHOLE: list[tuple[bytes, list[Read]]] = [
    (OK + b"content-length: 3\r\n\r\ntea", [(200, {"content-length": "3"}, b"tea", True)]),
    (OK + b"Content-Length:0\r\n\r\n", [(200, {"content-length": "0"}, b"", True)]),
    (OK + b"content-length: 2, 2\r\n\r\nhi", [(200, {"content-length": "2, 2"}, b"hi", True)]),
    (b"HTTP/1.1 204\r\n\r\n", [(204, {}, b"", True)]),
    (b"HTTP/1.1 304 Not\r\ncontent-length: 9\r\n\r\n", [(304, {"content-length": "9"}, b"", True)]),
    (OK + b"\r\nall that comes", [(200, {}, b"all that comes", False)]),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", [(200, {"content-length": "1"}, b"x", False)]),
    (
        OK + b"connection: x, Close\r\ncontent-length: 1\r\n\r\nx",
        [(200, {"connection": "x, Close", "content-length": "1"}, b"x", False)],
    ),
    (
        OK + b"transfer-encoding: Chunked\r\ncontent-length: 9\r\n\r\n2\r\nte\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n",
        [(200, {"transfer-encoding": "Chunked", "content-length": "9"}, b"te0123456789", True)],
    ),
    (
        OK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nsum: 1\r\nmore: 2\r\n\r\n",
        [(200, {"transfer-encoding": "chunked"}, b"x", True)],
    ),
    (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK + b"content-length: 1\r\n\r\nx",
        [(200, {"content-length": "1"}, b"x", True)],
    ),
    (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", [(101, {"upgrade": "x"}, b"", False)]),
    (OK + b"a: 1\r\nA: 2\r\ncontent-length: 0\r\n\r\n", [(200, {"a": "1, 2", "content-length": "0"}, b"", True)]),
    (OK + b"a: 1\r\n\t 2 \r\ncontent-length: 0\r\n\r\n", [(200, {"a": "1 2", "content-length": "0"}, b"", True)]),
    (OK + b"a: \xe4 : \r\ncontent-length: 0\r\n\r\n", [(200, {"a": "ä :", "content-length": "0"}, b"", True)]),
    (b"HTTP/1.1 200 OK\ncontent-length: 1\n\nx", [(200, {"content-length": "1"}, b"x", True)]),
    (
        (OK + b"content-length: 1\r\n\r\nx") + (b"HTTP/1.1 500 No\r\ncontent-length: 1\r\n\r\ny"),
        [(200, {"content-length": "1"}, b"x", True), (500, {"content-length": "1"}, b"y", True)],
    ),
]


@pytest.mark.parametrize(("data", "wanted"), WHOLE, ids=range(len(WHOLE)))
def test_a_reply_reads_alike_wherever_it_is_cut(data: bytes, wanted: list[Read]) -> None:
    for pieces in cuts(data):
        assert read(pieces) == wanted


CHUNKS = OK + b"transfer-encoding: chunked\r\n\r\n"
NONE = [
    b"<html>hello</html>",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/1.1 200OK\r\n\r\n",
    b" HTTP/1.1 200 OK\r\n\r\n",
    OK + b"no colon\r\n\r\n",
    OK + b"a b: c\r\n\r\n",
    OK + b"a : c\r\n\r\n",
    OK + b": c\r\n\r\n",
    OK + b" folded: first\r\n\r\n",
    OK + b"a: b\x00\r\n\r\n",
    OK + b"a: b\rc: d\r\n\r\n",
    OK + b"content-length: -1\r\n\r\n",
    OK + b"content-length: +1\r\n\r\nx",
    OK + b"content-length: 1, 2\r\n\r\nx",
    OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
    OK + b"content-length: 0x1\r\n\r\nx",
    OK + b"content-length:\r\n\r\nx",
    OK + "content-length: ²\r\n\r\nx".encode("latin-1"),
    OK + b"content-length: 9999999999999999999\r\n\r\n",
    OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
    OK + b"transfer-encoding: chunked, chunked\r\n\r\n",
    OK + b"transfer-encoding: identity\r\ncontent-length: 1\r\n\r\nx",
    CHUNKS + b"x\r\n",
    CHUNKS + b"-1\r\nx\r\n",
    CHUNKS + b"1_0\r\nx\r\n",
    CHUNKS + b" 1\r\nx\r\n",
    CHUNKS + b"\r\n1\r\nx\r\n",
    CHUNKS + b"1\r\nxy\r\n0\r\n\r\n",
    CHUNKS + b"1\r\nx0\r\n\r\n",
    CHUNKS + b"1;\n2\r\nx\r\n",
    CHUNKS + b"1000000000000000\r\nx",
]


@pytest.mark.parametrize("data", NONE, ids=range(len(NONE)))
def test_what_is_no_reply_is_told_wherever_it_is_cut(data: bytes) -> None:
    for pieces in cuts(data):
        with pytest.raises(Malformed, match=r".+"):
            read(pieces)


@pytest.mark.parametrize("data", [data for data, wanted in WHOLE if len(wanted) == 1 and wanted[0][1]])
def test_a_connection_that_ends_in_the_middle_is_told(data: bytes) -> None:
    for at in range(1, len(data)):
        with pytest.raises(Cut):
            read([data[:at]])


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 " + b"x" * HEAD, CHUNKS + b"1;" + b"x" * HEAD, CHUNKS + b"0\r\na: "])
def test_a_line_without_end_is_not_kept_for_ever(start: bytes) -> None:
    with pytest.raises(Malformed):
        read([start, *[b"y" * 1000] * (HEAD // 1000 + 2)], ended=False)


def test_bytes_after_a_reply_are_seen() -> None:
    incoming = Incoming()
    incoming.feed(OK + b"content-length: 1\r\n\r\nxHTTP/1.1 200 forged")
    assert incoming.head()
    assert (incoming.body(), incoming.done, incoming.unread) == (b"x", True, True)


# h11 as the measure


def by_h11(data: bytes) -> Read | None:
    """What h11 makes of one reply after which the connection ends; None where it says that it is none."""
    connection = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "h"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    status, headers, body = 0, dict[str, str](), b""
    left = [data, b""]
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if not left:
                    return None
                connection.receive_data(left.pop(0))
            elif isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    key, text = name.decode(), value.decode("latin-1")
                    headers[key] = f"{headers[key]}, {text}" if key in headers else text
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, body, connection.their_state is h11.DONE
    except h11.RemoteProtocolError:
        return None


def by_us(pieces: list[bytes]) -> Read | None:
    try:
        found = read(pieces)
    except (Malformed, Cut):
        return None
    return found[0] if found else None


names = st.sampled_from(["a", "X-Thing", "connection", "Content-Type", "date", "keep-alive"])
values = st.sampled_from(
    ["", "x", "close", "keep-alive, Upgrade", 'a="b", c', "text/event-stream; charset=utf-8", "\xe4"]
)
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    fields = [f"{name}: {value}\r\n" for name, value in draw(st.lists(st.tuples(names, values), max_size=4))]
    chunks = draw(bodies)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    body = b"".join(chunks)
    if framing == "length":
        fields.append(f"Content-Length: {len(body)}\r\n")
    elif framing == "chunked":
        fields.append("Transfer-Encoding: chunked\r\n")
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    version, status = draw(st.sampled_from([1, 0])), draw(st.sampled_from([200, 204, 304, 404, 529]))
    return f"HTTP/1.{version} {status} Scripted\r\n{''.join(fields)}\r\n".encode("latin-1") + body


def in_pieces(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(replies(), st.lists(st.integers(0, 400), max_size=5))
def test_a_reply_reads_as_h11_reads_it(data: bytes, places: list[int]) -> None:
    if (theirs := by_h11(data)) is not None and theirs[0] in {204, 304}:
        data = data[: data.index(b"\r\n\r\n") + 4]  # a body that must not be there is the next reply's beginning
    ours, theirs = by_us(in_pieces(data, places)), by_h11(data)
    assert ours is not None
    assert theirs is not None
    assert ours[:3] == theirs[:3]
    assert ours[3] <= theirs[3]


@given(replies(), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), min_size=1, max_size=3))
def test_a_damaged_reply_is_told_or_read_as_h11_reads_it(data: bytes, damages: list[tuple[int, bytes]]) -> None:
    for place, bytes_ in damages:
        at = place % len(data)
        data = data[:at] + bytes_ + data[at + 1 :]
    ours, theirs = by_us([data]), by_h11(data)
    if ours is not None and theirs is not None:
        assert ours[:3] == theirs[:3]
        assert ours[3] <= theirs[3]
