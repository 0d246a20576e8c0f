"""Bytes from a child -> JSON objects: lines with a cap, bad UTF-8 replaced, and nothing that freezes or fills memory.

Parsing holds the interpreter, so what would parse for long - many values, not many bytes - is counted beforehand.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import anyio.lowlevel
import anyio.to_thread
from pydantic_core import from_json

from .text import mended

MOST_LINE: Final = 16 * 1024 * 1024
MOST_VALUES: Final = 400_000
"""Values in one message: about 50 ms of parsing and 40 MB."""
COUNTED_FROM: Final = 256 * 1024
_SLICE: Final = 256 * 1024
THREAD_FROM: Final = 64 * 1024
_MOST_LEVELS: Final = 100

# Possessive, and with an end that may be missing: what can be gone back over costs 120 bytes of memory a character, and
# a string that never ends would be looked through again from each of its quotes.
_TOKENS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)


class TooLong(Exception):
    """A line passed the cap."""


class Lines:
    """Cuts a stream of bytes into lines, each at most `most` bytes. Linear however the bytes are cut."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now. Raises TooLong."""
        first, *rest = data.split(b"\n")
        self._size += len(first)
        if self._size > self._most:
            self._pieces.clear()
            raise TooLong
        self._pieces.append(first)
        if not rest:
            return []
        whole = [b"".join(self._pieces), *rest[:-1]]
        self._pieces = [rest[-1]]
        self._size = len(rest[-1])
        return whole


class Values:
    """Counts the values of a JSON text as its bytes pass, roughly: what stands outside strings before each value."""

    def __init__(self) -> None:
        self.count = 0
        self._inside = False
        self._kept = b""

    def feed(self, data: bytes) -> int:
        """The count so far."""
        data = self._kept + data
        self._kept = b""
        # A backslash at the end may belong to what comes next.
        stripped = data.rstrip(b"\\")
        if (len(data) - len(stripped)) % 2:
            self._kept, data = b"\\", data[:-1]
        pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[self._inside :: 2])
        self.count += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if len(pieces) % 2 == 0:
            self._inside = not self._inside
        return self.count


async def is_heavy(line: bytes) -> bool:
    """Whether a line holds more values than may be parsed; counts in slices, so that others can run."""
    if len(line) < COUNTED_FROM:
        return False
    values = Values()
    for start in range(0, len(line), _SLICE):
        if values.feed(line[start : start + _SLICE]) > MOST_VALUES:
            return True
        await anyio.lowlevel.checkpoint()
    return False


async def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, None where it is none: a log line, half a message, a batch."""
    line = line.strip()
    if not line.startswith(b"{"):
        return None
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        large = len(line) > THREAD_FROM
        value = await anyio.to_thread.run_sync(_repaired, line) if large else _repaired(line)
    return value if isinstance(value, dict) else None


def _repaired(line: bytes) -> Any:
    """With U+FFFD for bad UTF-8 and half surrogates, null for NaN and for what is nested too deep."""
    try:
        text = _shallow(line.decode("utf-8", "replace"))
        return mended(json.loads(text, strict=False, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return None


def _shallow(text: str) -> str:
    """The text with null in place of every value below 100 levels. Raises ValueError where a string never ends."""
    if text.count("{") + text.count("[") <= _MOST_LEVELS:
        return text
    kept: list[str] = []
    level = start = 0
    for token in _TOKENS.finditer(text):
        mark = text[token.start()]
        if mark == '"' and token.end() == len(text):
            raise ValueError("a string has no end")
        if mark in "{[":
            level += 1
            if level == _MOST_LEVELS + 1:
                kept.append(text[start : token.start()])
        elif mark in "}]":
            level -= 1
            if level == _MOST_LEVELS:
                kept.append("null")
                start = token.end()
    if level > _MOST_LEVELS:
        return text
    kept.append(text[start:])
    return "".join(kept)
