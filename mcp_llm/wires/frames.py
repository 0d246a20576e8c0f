"""Bytes cut anywhere -> whole payloads: server-sent events (WHATWG HTML, 9.2.6), NDJSON lines, or one JSON body.

Which of them it is, the first byte says: providers send whole JSON where a stream was asked for and the other way
round, with content types that lie. Lines end at CR, LF or CRLF and nowhere else: U+2028 inside a payload is data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_llm.errors import TooLarge

from .excerpts import LOOKED_AT

if TYPE_CHECKING:
    from .base import Framing

MAX_EVENT = 8 * 1024 * 1024
MAX_BODY = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_DATA = frozenset({b"data:", b"data"})
_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")


class Frames:
    """Feed it bytes, get `(event name, data)` pairs; `whole` is True when the body turned out to be one JSON value."""

    def __init__(self, framing: Framing, *, max_event: int = MAX_EVENT, max_body: int = MAX_BODY) -> None:
        self.whole = False
        self.head = b""
        self._framing: Framing = framing
        self._beginning = True
        self._known = False
        self._max_event = max_event
        self._max_body = max_body
        self._rest: list[bytes] = []
        self._size = 0
        self._skip_lf = False
        self._event: str | None = None
        self._data: list[bytes] = []
        self._event_size = 0

    @property
    def opened(self) -> bool:
        """Whether the first bytes, few as they may be, are those of server-sent events."""
        head = self.head.removeprefix(_BOM).lstrip()
        return bool(head) and any(head.startswith(name) or name.startswith(head) for name in _FIELDS)

    @property
    def begun(self) -> bool:
        """Whether a payload has begun that is not complete yet; an unfinished comment is none."""
        return bool(self._data) or (bool(self._rest) and not self._rest[0].startswith(b":"))

    def feed(self, data: bytes) -> list[tuple[str | None, bytes]]:
        """The payloads that are complete with these bytes."""
        if len(self.head) < LOOKED_AT:
            self.head += data[: LOOKED_AT - len(self.head)]
        if not self._known:
            data = self._sniff(data)
            if not data:
                return []
        if self.whole:
            self._keep(data, self._max_body, "reply")
            return []
        if self._skip_lf and data:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\n" not in data and b"\r" not in data:
            if data:
                self._keep(data, self._max_event, "event")
            return []
        if self._rest:
            data = b"".join([*self._rest, data])
            self._rest.clear()
            self._size = 0
        lines = data.splitlines()
        if data.endswith(b"\r"):
            self._skip_lf = True
        elif not data.endswith(b"\n"):
            self._keep(lines.pop(), self._max_event, "event")
        return self._lines(lines)

    def close(self) -> list[tuple[str | None, bytes]]:
        """What the end of the body completes: the whole JSON value, a last line, an event without its blank line."""
        rest = b"".join(self._rest)
        self._rest.clear()
        if self.whole:
            return [(None, rest)] if rest.strip() else []
        found = self._lines([rest]) if rest else []
        return found + self._lines([b""])

    def _sniff(self, data: bytes) -> bytes:
        if self._beginning:
            data = b"".join([*self._rest, data])
            self._rest.clear()
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest.append(data)
                return b""
            self._beginning = False
            data = data.removeprefix(_BOM)
        # Blanks before the first payload keep the connection awake; they mean nothing.
        data = data.lstrip()
        if data:
            self._known = True
            if data[:1] in (b"{", b"["):
                self.whole = self._framing == "sse"
            elif self._framing == "lines":
                self._framing = "sse"
        return data

    def _keep(self, data: bytes, limit: int, what: str) -> None:
        self._size += len(data)
        if self._size > limit:
            raise TooLarge(f"the provider sent {what} data over the cap of {limit} bytes; the request was stopped")
        self._rest.append(data)

    def _lines(self, lines: list[bytes]) -> list[tuple[str | None, bytes]]:
        found: list[tuple[str | None, bytes]] = []
        if self._framing == "lines":
            return [(None, line) for line in lines if line.strip()]
        for line in lines:
            if line[:5] in _DATA:
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._event_size += len(value) + 1  # with the line feed that joins it to the one before
                if self._event_size > self._max_event + 1:
                    raise TooLarge(f"the provider sent an event over {self._max_event} bytes; the request was stopped")
                self._data.append(value)
            elif not line:
                if self._data:
                    found.append((self._event, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
                    self._data.clear()
                    self._event_size = 0
                self._event = None
            elif line.startswith(b"event:"):
                self._event = line[6:].strip().decode("utf-8", "replace")
        return found
