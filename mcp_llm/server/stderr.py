"""stderr of a server: what nobody reads is lost, and nothing waits for it - no call, not the event loop.

A pipe that is full would stop whoever writes next, for as long as the program that started us does not read. Only the
end waits, a moment, for the last words: why a server ended is what its reader, who may only be slow, wants to know.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

PIECE: Final = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes without waiting when it says that it takes any."""
TURN: Final = 0.1
LAST_SECONDS: Final = 0.3
"""That the end of the process waits for somebody who reads, all in all."""
LAST_WORDS: Final = 16 * 1024
"""Bytes that are kept for it."""
_GONE: Final = (OSError, ValueError, AttributeError)
"""Closed over there, closed here, none at all."""


class Spare(io.RawIOBase):
    """Writes to a descriptor while it takes what comes; a line that it does not take now is gone.

    Those after which nothing was taken any more are the last words, for `finish`.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._last = bytearray()
        self._turn = threading.RLock()  # a warning may come while a line is written

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor, which stays open when this is closed."""
        return self._fd

    def isatty(self) -> bool:
        """Whether a person may be there."""
        return os.isatty(self._fd)

    def write(self, data: Buffer) -> int:
        """Write it now, as far as that can be done; nobody is told how far that was."""
        whole = bytes(data)
        with self._turn:
            written = self._pass_on(whole)
            if written:
                self._last.clear()
            self._last += whole[written:]
            if (more := len(self._last) - LAST_WORDS) > 0:
                del self._last[: self._last.find(b"\n", more) + 1 or more]
        return len(whole)

    def finish(self) -> None:
        """Write the last words, to somebody who begins to read within LAST_SECONDS."""
        with self._turn:
            self._pass_on(bytes(self._last), time.monotonic() + LAST_SECONDS)
            self._last.clear()

    def _pass_on(self, data: bytes, until: float = 0.0) -> int:
        """Write what is taken now, or until then; how much that was. Who is gone has taken everything."""
        written = 0
        for piece in _pieces(data):
            try:
                if not ready(self._fd, max(0.0, until - time.monotonic())):
                    return written
                written += os.write(self._fd, piece)
            except OSError:
                return len(data)
        return written


def spare() -> None:
    """From now on nothing that this process writes to stderr makes it wait: log lines, warnings and tracebacks too."""
    if sys.platform == "win32":  # has no way to ask
        return
    with suppress(*_GONE):
        fd = sys.stderr.fileno()
        sys.stderr = io.TextIOWrapper(Spare(fd), sys.stderr.encoding, "backslashreplace", write_through=True)
        atexit.register(_finish)
        if os.path.sameopenfile(sys.stdout.fileno(), fd):  # it was taken from those who print
            sys.stdout = sys.stderr


def _finish() -> None:
    raw = getattr(sys.stderr, "buffer", None)
    if isinstance(raw, Spare):
        raw.finish()


def ready(fd: int, seconds: float = 0.0) -> bool:
    """Whether a piece can be written now, or so many seconds from now, without waiting; or will fail at once."""
    if sys.platform == "win32":
        return True
    asked = select.poll()
    asked.register(fd, select.POLLOUT)
    return bool(asked.poll(seconds * 1000))


def say(words: str) -> None:
    """One line for whoever runs the server. May be called from any thread."""
    with suppress(*_GONE):
        sys.stderr.write(f"mcp-llm: {words}\n")
        sys.stderr.flush()


def log(text: str, stay: Callable[[], bool]) -> None:
    """Write lines, by a thread that waits for who reads slowly while `stay`, asked ten times a second, says so.

    What is left then is written as everything else is: while it is taken.
    """
    stream = sys.stderr
    spared = isinstance(getattr(stream, "buffer", None), Spare)
    with suppress(*_GONE):
        for piece in _pieces(text.encode("ascii", "backslashreplace")):
            while spared and not ready(stream.fileno(), TURN):
                spared = stay()
            stream.write(piece.decode())
            stream.flush()


def _pieces(data: bytes) -> list[bytes]:
    """Whole lines, as many as a pipe takes at once; of a longer line its parts."""
    found: list[bytes] = []
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + PIECE) + 1 or start + PIECE
        found.append(data[start:end])
        start = end
    return found
