"""Lines to and from two pipes by the event loop itself: given as they come, written whole, and never without end.

Nothing here knows what a line says. A reader that has enough is paused, and then the other side's own pipe fills up.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import anyio

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

MAX_LINE: Final = 32 * 1024 * 1024
"""Bytes of one line; of a longer one only the beginning is kept, as one that no parser takes."""
SHOWN: Final = 4096
"""Bytes kept of a line that is too long: its id may be among them."""


class Lines:
    """Gives every line of a pipe to `take` as it comes, and tells `end` when there are no more."""

    def __init__(self, take: Callable[[bytes], None], end: Callable[[], None]) -> None:
        self._take = take
        self._end = end
        self._begun = bytearray()
        self._long = False
        self._paused = False
        self._over = False
        self._transport: asyncio.ReadTransport

    async def open(self, fd: int) -> None:
        """Begin to read."""
        import asyncio

        loop = asyncio.get_running_loop()
        protocol: Any = self  # asyncio asks for no more than the methods below
        await loop.connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb", buffering=0))

    def connection_made(self, transport: asyncio.ReadTransport) -> None:
        """Asyncio's: it can be read from."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes have come."""
        pieces = data.split(b"\n")
        last = pieces.pop()
        for piece in pieces:
            if self._over:
                return
            if self._begun:
                self._grow(piece)
                piece = self._whole()
            self._take(piece)
        self._grow(last)

    def _grow(self, piece: bytes) -> None:
        if not self._long:
            self._begun += piece
            if len(self._begun) > MAX_LINE:
                del self._begun[SHOWN:]
                self._long = True

    def _whole(self) -> bytes:
        line = bytes(self._begun) + (b" ..." if self._long else b"")
        self._begun, self._long = bytearray(), False
        return line

    def eof_received(self) -> None:
        """Asyncio's: the other side has closed it."""
        if self._begun and not self._over:
            self._take(self._whole())

    def connection_lost(self, _: Exception | None) -> None:
        """Asyncio's: it is over, whoever ended it."""
        if not self._over:
            self._over = True
            self._end()

    def pause(self) -> None:
        """Read nothing until `resume`; what has come already is still given."""
        if not self._paused and not self._over:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self._over:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Give nothing more, and say that this is the end."""
        self._transport.close()
        self.connection_lost(None)


class Sink:
    """Writes whole lines to a pipe. `drained` is told when none of those that had to wait does so any more."""

    def __init__(self, drained: Callable[[], None] = lambda: None) -> None:
        self._drained = drained
        self._empty: anyio.Event | None = None
        self._transport: asyncio.WriteTransport

    async def open(self, fd: int) -> None:
        """Get ready to write."""
        import asyncio

        loop = asyncio.get_running_loop()
        protocol: Any = self
        await loop.connect_write_pipe(lambda: protocol, os.fdopen(fd, "wb", buffering=0))

    def connection_made(self, transport: asyncio.WriteTransport) -> None:
        """Asyncio's: it can be written to."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # `resume_writing` comes when the pipe has it all

    def pause_writing(self) -> None:
        """Asyncio's: the pipe is full."""
        self._empty = anyio.Event()

    def resume_writing(self) -> None:
        """Asyncio's: everything has left."""
        if self._empty is not None:
            self._empty.set()
            self._empty = None
        self._drained()

    def connection_lost(self, _: Exception | None) -> None:
        """Asyncio's: nobody reads any more, so nothing waits any more."""
        self.resume_writing()

    @property
    def waiting(self) -> int:
        """Bytes that the pipe has not taken yet."""
        return self._transport.get_write_buffer_size()

    def put(self, line: bytes) -> None:
        """Write a line, now or when the pipe takes it. Raises BrokenResourceError once nobody reads."""
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(line)

    async def write(self, line: bytes) -> None:
        """Write a line and wait until the pipe has it. Raises BrokenResourceError once nobody reads."""
        self.put(line)
        if (empty := self._empty) is not None:
            await empty.wait()
            if self._transport.is_closing():
                raise anyio.BrokenResourceError

    def close(self) -> None:
        """Let go; what was waited for has left."""
        if not self._transport.is_closing():
            self._transport.abort()
