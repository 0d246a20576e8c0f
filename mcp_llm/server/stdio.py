"""stdio without threads: JSON-RPC lines over the process's own pipes, read and written by the event loop itself.

The SDK's transport makes three worker-thread hops a message; this one none, which halves the cost of a call. Files,
terminals and Windows handles cannot be awaited this way: there the SDK's transport serves.

File descriptor 1 is taken away for good: from `claim` on, whatever prints to stdout prints to stderr.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

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
    from mcp.shared._context_streams import create_context_streams
    from mcp.shared.message import SessionMessage

    incoming, read_stream = create_context_streams[Any](0)
    write_stream, outgoing = create_context_streams[SessionMessage](0)
    lines = await _Lines.open(pipes[0])
    sink = await _Sink.open(pipes[1])

    async def receive() -> None:
        from mcp.types import jsonrpc_message_adapter

        async with incoming:
            while (line := await lines.next()) is not None:
                if not line.strip():
                    continue
                try:
                    message: Any = SessionMessage(jsonrpc_message_adapter.validate_json(_text(line), by_name=False))
                except ValueError as exc:
                    message = exc
                try:
                    await incoming.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return

    async def send() -> None:
        async with outgoing:
            async for message in outgoing:
                data = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await sink.write(data.encode("utf-8", "replace") + b"\n")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        tasks.start_soon(send)
        try:
            yield read_stream, write_stream
        finally:
            tasks.cancel_scope.cancel()
            lines.close()
            sink.close()


def _text(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace").encode()
    return line


class _Lines:
    """The lines of a pipe; None at its end. A line over the cap is given as one that no parser takes."""

    def __init__(self) -> None:
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

        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as exc:
            return exc.partial or None
        except asyncio.LimitOverrunError:
            while data := await self._reader.read(READ):
                if b"\n" in data:
                    break
            return b"the line is longer than a message may be"

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
