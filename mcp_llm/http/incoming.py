"""HTTP/1.1 replies out of the bytes of one connection, read by llhttp (httptools), the parser of Node and of uvicorn.

What a client adds to it is here: interim replies are passed over, what comes behind a reply is noticed, and what is no
body has a bound. Pure: no sockets, no clock; it writes nothing.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD: Final = 100 * 1024
"""Bytes in a row that may be no body: headers, sizes of chunks, trailers."""
INTERIM: Final = 16
"""Replies 1xx that may come before the one asked for; they mean nothing to us."""


class Malformed(Exception):
    """These bytes are no HTTP; the text says what is wrong with them."""


class Cut(Exception):
    """The connection ended before a reply, or in the middle of one."""


class Incoming:
    """The replies of one connection: `begin` one, `feed` bytes until it has a `head`, then take the `body`.

    `status` and `headers` (lower-case names, several values joined by commas) are those of the reply; `done` is True
    when its body is whole, `lasting` when another request may follow then.
    """

    __slots__ = (
        "_fault",
        "_interim",
        "_parser",
        "_pieces",
        "_quiet",
        "done",
        "head",
        "headers",
        "lasting",
        "status",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        # Small servers end their lines in LF alone; no reply can be read in two ways for it.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._pieces: list[bytes] = []
        self._fault: str | None = None
        self.lasting = True
        self.begin()

    def begin(self) -> None:
        """Another request is sent, and its reply is what comes next."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head = self.done = False
        self._interim = self._quiet = 0

    def feed(self, data: bytes) -> None:
        """The next bytes of the connection. Raises Malformed, behind the last piece of a body that was right."""
        if self._fault is None:
            before = len(self._pieces)
            try:
                self._parser.feed_data(data)
            except HttpParserUpgrade:
                self._wrong("a switch of protocols")
            except HttpParserError as exc:
                self._wrong(str(exc))
            self._quiet = 0 if self.done or len(self._pieces) > before else self._quiet + len(data)
            if self._quiet > HEAD:
                self._wrong("too many bytes that are no body")
        if self._fault is not None and not self._pieces:
            raise Malformed(self._fault)

    def body(self) -> bytes:
        """What is here of the body, without what frames it; b"" where it is done or more comes. Raises Malformed."""
        if not self._pieces:
            if self._fault is not None:
                raise Malformed(self._fault)
            return b""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return data

    def end(self) -> None:
        """The connection has ended. Raises Cut unless that is how the body ends, Malformed where it had failed."""
        if self._fault is not None:
            raise Malformed(self._fault)
        if not self.head or "content-length" in self.headers or "transfer-encoding" in self.headers:
            raise Cut
        self.done, self.lasting = True, False

    def _wrong(self, what: str) -> None:
        self.lasting = False
        if not self.done and self._fault is None:  # what comes behind a whole reply spoils only what would follow
            self._fault = what

    # What the parser calls

    def on_message_begin(self) -> None:
        """The first byte of a reply, of which no more than one was asked for."""
        if self.done:
            self.lasting = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind the head, a trailer, which nobody asked for."""
        if not self.head:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """The end of a head, an interim one's too."""
        if self.head or self._fault is not None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            self.headers.clear()
            if self._interim > INTERIM:
                self._wrong(f"more than {INTERIM} interim replies")
            return
        self.status, self.head = status, True
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            self._wrong("a transfer coding that was not asked for")

    def on_body(self, data: bytes) -> None:
        """Bytes of the body; those of a reply that nobody asked for are nobody's."""
        if not self.head:
            self._wrong("an interim reply with a body")  # RFC 9110, 15.2: it would become part of the real one
        elif not self.done and self._fault is None:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The end of a reply."""
        if not self.head:
            self.headers.clear()  # trailers of an interim one
        elif not self.done:
            self.done = True
            self.lasting = self.lasting and self._parser.should_keep_alive()
