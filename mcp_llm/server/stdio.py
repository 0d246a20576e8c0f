"""stdio without threads: JSON-RPC lines over the process's own pipes, read and written by the event loop itself.

The SDK's transport makes three worker-thread hops a message; this one none, which halves the cost of a call. Files,
terminals and Windows handles cannot be awaited this way: there the SDK's transport serves.

File descriptor 1 is taken away for good: from `claim` on, whatever prints to stdout prints to stderr.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from . import malformed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

MAX_LINE: Final = 32 * 1024 * 1024
"""Bytes of one message; a longer one is answered with a parse error and skipped."""
READ: Final = 256 * 1024


def claim() -> tuple[int, int] | None:
    """Keep stdin and stdout for the protocol and point descriptors 0 and 1 elsewhere; None where that cannot be done.

    Called before anything heavy is imported, so that a library that prints while loading cannot spoil the first line.
    """
    if sys.platform == "win32":
        return None
    try:
        modes = [os.fstat(fd).st_mode for fd in (0, 1)]
        if not all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes):
            return None
        kept = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
    except OSError:
        return None
    return kept


@asynccontextmanager
async def streams(pipes: tuple[int, int] | None) -> AsyncIterator[tuple[Any, Any]]:
    """(read stream, write stream) of session messages for the SDK's server loop."""
    if pipes is None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as pair:
            yield pair
        return
    lines = await _Lines.open(pipes[0])
    sink = await _Sink.open(pipes[1])
    try:
        outgoing = _Outgoing(sink, lines)
        yield _Incoming(lines, outgoing), outgoing
    finally:
        lines.close()
        sink.close()


class _Incoming:
    """The messages of the client; what is none is answered with an error here, because the SDK would only drop it.

    Read by whoever asks for the next, and written below by whoever answers: with a task and a memory stream for each
    direction, as the SDK's transports have them, a call costs 1.2 times as much.
    """

    def __init__(self, lines: _Lines, outgoing: _Outgoing) -> None:
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter

        self._lines = lines
        self._outgoing = outgoing
        self._message = SessionMessage
        self._parse = jsonrpc_message_adapter.validate_json

    async def receive(self) -> Any:
        while (line := await self._lines.next()) is not None:
            if not line.strip():
                continue
            text = _text(line)
            try:
                return self._message(self._parse(text, by_name=False))
            except ValueError:
                if (again := malformed.mended(text)) is not None:
                    with suppress(ValueError):
                        return self._message(self._parse(again, by_name=False))
                if (told := malformed.answer(text)) is not None:
                    await self._outgoing.write(told)
        raise anyio.EndOfStream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """The pipe is `streams`' to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class _Outgoing:
    """Whole lines to the client, one message after another; once it is gone there is nothing more to read either."""

    def __init__(self, sink: _Sink, lines: _Lines) -> None:
        self._sink = sink
        self._lines = lines
        self._turn = anyio.Lock(fast_acquire=True)

    async def send(self, item: Any) -> None:
        data = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        await self.write(data.encode("utf-8", "replace") + b"\n")

    async def write(self, line: bytes) -> None:
        """A whole line, after those before it."""
        async with self._turn:
            try:
                await self._sink.write(line)
            except anyio.BrokenResourceError:
                self._lines.end()
                raise

    async def aclose(self) -> None:
        """The pipe is `streams`' to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def _text(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace").encode()
    return line


class _Lines:
    """The lines of a pipe; None at its end. A line over the cap is given as one that no parser takes."""

    def __init__(self) -> None:
        self._begun = b""
        self._reader: asyncio.StreamReader
        self._transport: asyncio.BaseTransport

    @classmethod
    async def open(cls, fd: int) -> _Lines:
        import asyncio

        self = cls()
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=MAX_LINE)
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(fd, "rb", buffering=0)
        )
        return self

    async def next(self) -> bytes | None:
        import asyncio

        if self._begun:
            begun, self._begun = self._begun, b""
            line, end, rest = begun.partition(b"\n")
            if end:
                self._begun = rest
                return line
            return begun + (await self.next() or b"")
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as exc:
            return exc.partial or None
        except asyncio.LimitOverrunError:
            head = await self._reader.read(READ)
            while data := await self._reader.read(READ):
                if b"\n" in data:
                    # What follows the line is the beginning of the next one.
                    self._begun = data.partition(b"\n")[2]
                    break
            return head[:4096] + b" ..."

    def end(self) -> None:
        """Give nothing more."""
        self._transport.close()
        self._reader.feed_eof()

    def close(self) -> None:
        self._transport.close()


class _Sink:
    """Writes to a pipe and waits while the client does not read: nothing piles up here."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport
        self._protocol: Any

    @classmethod
    async def open(cls, fd: int) -> _Sink:
        import asyncio

        self = cls()
        loop = asyncio.get_running_loop()
        transport, self._protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(fd, "wb", buffering=0)
        )
        transport.set_write_buffer_limits(high=0)  # `write` returns when the pipe has it all
        self._transport = transport
        return self

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(data)
        try:
            await self._protocol._drain_helper()
        except ConnectionResetError:
            raise anyio.BrokenResourceError from None

    def close(self) -> None:
        """Let go; what was written has left, because `write` waits for it."""
        self._transport.abort()
