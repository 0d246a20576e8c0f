"""What a server sends below its answer: HTTP/1.1 and compressed bodies, cut anywhere."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from mcp_llm.errors import Garbled
from mcp_llm.http.incoming import Cut, Incoming, Malformed
from mcp_llm.http.inflate import Inflater

from .streams import pieces
from .target import Target


def answered(given: list[bytes]) -> tuple[object, ...]:
    """Status, headers, body and how it ended, as a client reads them."""
    incoming, body = Incoming(), b""
    try:
        for piece in given:
            incoming.feed(piece)
            body += incoming.body()
            if incoming.done:
                break
        if not incoming.done:
            body += incoming.body()
            incoming.end()
        how = "whole"
    except (Malformed, Cut) as error:
        how = type(error).__name__
    return incoming.status, incoming.headers if incoming.head else None, body, how


def spoken(data: bytes) -> None:
    """However it is cut, the same reply or the same refusal, and no more bytes than came."""
    mark, body = data[:1], data[1:]
    whole = answered([body])
    assert answered(pieces(body, mark[0] if mark else 0)) == whole
    assert isinstance(whole[2], bytes)
    assert len(whole[2]) <= len(body)


def unpacked(coding: str, given: list[bytes]) -> tuple[bytes, bool]:
    """What comes of it, and whether it was sound."""
    inflater, found = Inflater(coding), b""
    try:
        for piece in given:
            for out in inflater.feed(piece):
                found += out
        for out in inflater.close():
            found += out
    except Garbled:
        return found, False
    return found, True


def inflated(data: bytes) -> None:
    """However it is cut, the same words, or damaged."""
    mark, body = data[:1], data[1:]
    for coding in ("gzip", "deflate"):
        whole, sound = unpacked(coding, [body])
        cut = unpacked(coding, pieces(body, mark[0] if mark else 0))
        # Of what is damaged more or less comes out before it is seen to be.
        assert cut == (whole, sound) if sound else not cut[1]


_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_WORDS: Final = b'data: {"a": "b"}\n\n' * 3
TARGETS: Final = (
    Target(
        "http",
        spoken,
        (
            b"\x01" + _HEAD + b"content-length: 2\r\n\r\n{}",
            b"\x01" + _HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n5;a=b\r\n[1,2]\r\n0\r\nx: y\r\n\r\n",
            b"\x02HTTP/1.1 100 Continue\r\n\r\n" + _HEAD + b"connection: close\r\n\r\n{}",
            b"\x02HTTP/1.0 503 No\nretry-after: 3\n\nlater",
            b"\x01HTTP/1.1 204 \r\n\r\n",
        ),
        (b"\r\n", b"\n", b": ", b"content-length", b"transfer-encoding", b"chunked", b"HTTP/1.", b"0\r\n\r\n", b"101"),
        ((_HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"0\r\n\r\n"),),
    ),
    Target(
        "inflate",
        inflated,
        (
            b"\x01" + gzip.compress(_WORDS, mtime=0),
            b"\x01" + gzip.compress(_WORDS, mtime=0) + gzip.compress(b"more", mtime=0),
            b"\x01" + zlib.compress(_WORDS),
            b"\x01" + zlib.compress(_WORDS)[2:-4],
        ),
        (b"\x1f\x8b\x08\x00", b"\x78\x9c", b"\x00"),
    ),
)
