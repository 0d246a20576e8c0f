"""Compressed replies, cut wherever a network cuts them."""

from __future__ import annotations

import gzip
import zlib

import pytest

from mcp_llm.errors import Garbled
from mcp_llm.http.inflate import Inflater

WORDS = b"data: Hello there\n\n" * 40


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def inflated(coding: str, *pieces: bytes) -> bytes:
    inflater = Inflater(coding)
    return b"".join([*(out for piece in pieces for out in inflater.feed(piece)), *inflater.close()])


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(WORDS)),
        ("gzip", gzip.compress(WORDS[:100]) + gzip.compress(WORDS[100:])),
        ("gzip", gzip.compress(WORDS) + bytes(9)),
        ("deflate", zlib.compress(WORDS)),
        ("deflate", raw(WORDS)),
    ],
    ids=["gzip", "two members", "padding", "zlib", "raw"],
)
def test_cut_anywhere_it_is_the_same(coding: str, body: bytes) -> None:
    assert inflated(coding, body) == WORDS
    assert inflated(coding, *(bytes([byte]) for byte in body)) == WORDS
    for at in range(len(body)):
        assert inflated(coding, body[:at], body[at:]) == WORDS


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_ends_too_early_is_no_reply(coding: str) -> None:
    body = gzip.compress(WORDS) if coding == "gzip" else zlib.compress(WORDS)
    for size in range(1, len(body)):
        with pytest.raises(Garbled, match="too early"):
            inflated(coding, body[:size])
    assert inflated(coding) == b""
