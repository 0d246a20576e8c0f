"""Undoes `content-encoding: gzip` or `deflate` piece by piece, so that a bomb is noticed before it is in memory.

Compression is never asked for: replies are small beside the time a model takes, and a compressing proxy holds back the
events of a stream. Some servers compress all the same; two codings on top of each other are refused.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from mcp_llm.errors import Garbled

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 64 * 1024


class Inflater:
    """One reply's decompressor. Raises Garbled for damaged or cut data."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        # 16+15: gzip. 15: zlib, which is what "deflate" means (RFC 9110, 8.4.1.2); raw deflate is sent as well.
        self._bits = 31 if self._gzip else 15
        self._stream = zlib.decompressobj(self._bits)
        self._started = False
        self._held = b""
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded pieces, at most 64 KiB each, made one at a time."""
        if self._held:
            data, self._held = self._held + data, b""
        while data and not self._over:
            if len(data) == 1 and (self._stream.eof or not self._started):
                self._held = data  # what begins here, two bytes tell
                return
            if self._stream.eof:
                if not self._gzip or not data.startswith(b"\x1f\x8b"):
                    self._over = True  # padding after the end is ignored, whatever it looks like
                    return
                self._stream = zlib.decompressobj(self._bits)
            try:
                piece = self._stream.decompress(data, PIECE)
            except zlib.error:
                if self._started or self._gzip:
                    raise Garbled("the reply's compressed data are damaged") from None
                self._started = True
                self._stream = zlib.decompressobj(-15)
                continue
            self._started = True
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece

    def close(self) -> Iterator[bytes]:
        """What is left. Raises when the compressed data end too early."""
        if self._held and not self._started:
            raise Garbled("the reply's compressed data end too early")
        if not self._stream.eof and self._started:
            rest = self._stream.flush()
            if rest:
                yield rest
            if not self._stream.eof:
                raise Garbled("the reply's compressed data end too early")
