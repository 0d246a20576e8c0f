"""HTTP/1.1 replies out of the bytes of one connection (RFC 9112): heads, and bodies by length, in chunks or to the end.

A reader of our own because h11, one state machine for both sides of a connection, cost an eighth of an agent's turn
(0.87 of its CPU without). Pure: no sockets, no clock; it writes nothing.
"""

from __future__ import annotations

import re
from typing import Final

HEAD: Final = 100 * 1024
"""Bytes that one unfinished head or line may have."""

INTERIM: Final = 16
"""Replies 1xx that may come before the one asked for; they mean nothing to us."""

_BLANK: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(r"HTTP/1\.([0-9]) ([0-9]{3})(?: .*)?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00\x0b-\x0d]")
"""What could end a value for one reader and not for another. Other control characters are escaped where they show."""
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class Malformed(Exception):
    """These bytes are no HTTP; the text says what is wrong with them."""


class Cut(Exception):
    """The connection ended before a reply, or in the middle of one."""


class Incoming:
    """The replies of one connection, one after another: `feed` bytes, ask for the `head`, then for the `body`.

    `status` and `headers` (lower-case names, several values joined by commas) are those of the last head; `done` is
    True when its body is whole, `lasting` when another request may follow then.
    """

    __slots__ = ("_chunked", "_data", "_ended", "_interim", "_left", "_open", "done", "headers", "lasting", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done = True
        self.lasting = True
        self._data = b""
        self._interim = 0
        self._chunked = False
        self._left: int | None = 0
        """Bytes to come of the body, or of the chunk; None: all that come until the connection ends."""
        self._open = False
        """In a chunk, whose bytes are followed by an end of line."""
        self._ended = False
        """The last chunk has come, and what follows are trailers."""

    @property
    def unread(self) -> bool:
        """Whether there are bytes that belong to no reply yet."""
        return bool(self._data)

    def feed(self, data: bytes) -> None:
        """The next bytes of the connection."""
        self._data = self._data + data if self._data else data

    def end(self) -> None:
        """The connection has ended. Raises Cut unless that is how the body ends."""
        if self.done or self._left is not None:
            raise Cut
        self.done = True

    def head(self) -> bool:
        """Whether the head of a final reply is here; interim ones are passed over. Raises Malformed."""
        while True:
            found = _BLANK.search(self._data)
            if found is None:
                if not self._data.startswith(b"HTTP/"[: len(self._data)]):
                    raise Malformed("it begins with no status line")
                if len(self._data) > HEAD:
                    raise Malformed("too many bytes of headers")
                return False
            head, self._data = self._data[: found.start()], self._data[found.end() :]
            minor = self._read(head.decode("latin-1").replace("\r\n", "\n").removesuffix("\r"))
            if self.status >= 200 or self.status == 101:
                self._interim = 0
                self._frame(minor)
                return True
            self._interim += 1
            if self._interim > INTERIM:
                raise Malformed(f"more than {INTERIM} interim replies")

    def body(self) -> bytes:
        """What is here of the body, without what frames it; b"" where it is done or more has to come."""
        if self.done:
            return b""
        if self._chunked:
            return self._pieces()
        data = self._data
        if self._left is None:
            self._data = b""
            return data
        if len(data) > self._left:
            data, self._data = data[: self._left], data[self._left :]
        else:
            self._data = b""
        self._left -= len(data)
        self.done = not self._left
        return data

    def _read(self, head: str) -> int:
        """Status and headers; the minor version."""
        if _CONTROL.search(head):
            raise Malformed("a control character in the headers")
        first, *lines = head.split("\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise Malformed("the status line is none")
        self.status = int(status[2])
        headers: dict[str, str] = {}
        name = ""
        for line in lines:
            if line[:1] in {" ", "\t"} and name:  # an old way to go on with a value
                headers[name] = f"{headers[name]} {line.strip()}"
                continue
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise Malformed("a header line is none")
            name, value = name.lower(), value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers = headers
        return int(status[1])

    def _frame(self, minor: int) -> None:
        """How long the body is (section 6.3)."""
        headers = self.headers
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        self._chunked = self._open = self._ended = False
        self._left = None
        if self.status in {101, 204, 304}:
            self._left = 0
        elif coding is not None:  # stronger than a length
            if coding.lower() != "chunked":
                raise Malformed("a transfer coding that was not asked for")
            self._chunked, self._left = True, 0
        elif length is not None:
            if "," in length and len(same := {one.strip() for one in length.split(",")}) == 1:
                length = same.pop()
            if not _LENGTH.fullmatch(length):
                raise Malformed("the content length is none")
            self._left = int(length)
        self.done = self._left == 0 and not self._chunked
        closes = "connection" in headers and "close" in {
            word.strip() for word in headers["connection"].lower().split(",")
        }
        self.lasting = minor >= 1 and not closes and self._left is not None and self.status != 101

    def _pieces(self) -> bytes:
        """The bytes of all chunks that are here."""
        data, at, pieces = self._data, 0, []
        while True:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            if self._open:
                if len(data) - at < 2:
                    break
                if data[at : at + 2] != b"\r\n":
                    raise Malformed("a chunk does not end where it should")
                at += 2
                self._open = False
            end = data.find(b"\r\n", at)
            if self._ended and end > at:  # trailers, which nobody asked for: passed over as a whole
                end = data.find(b"\r\n\r\n", at)
                at, end = (end + 2, end + 2) if end >= 0 else (at, end)
            if end < 0:
                if len(data) - at > HEAD:
                    raise Malformed("a line between chunks is too long")
                break
            line, at = data[at:end], end + 2
            if self._ended:
                self.done = True
                break
            size = _SIZE.fullmatch(line)
            if size is None:
                raise Malformed("the size of a chunk is none")
            self._left = int(size[1], 16)
            self._open, self._ended = self._left > 0, self._left == 0
        self._data = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
