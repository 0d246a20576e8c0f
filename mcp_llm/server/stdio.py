"""stdio without threads: JSON-RPC lines over the process's own pipes, which halves the cost of a call in the SDK's way.

All that has arrived is looked at before the next call begins: one call too many learns it at once, a cancellation is
not behind a thousand calls. A client that does not read is refused calls, and in the end not read from either. Files,
terminals and Windows handles cannot be awaited: there the SDK's transport serves. Descriptor 1 is taken away for good:
from `claim` on, whatever prints to stdout prints to stderr.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from . import malformed
from .pipes import Lines, Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .admission import Admission

AHEAD: Final = 4096
"""Messages that have been read and wait for their turn; while there are more, nothing is read."""
REFUSED: Final = 1024 * 1024
"""Bytes of refusals that the pipe has not taken: about 5,000 of them. While there are more, nothing is read."""


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
async def streams(pipes: tuple[int, int] | None, most: int) -> AsyncIterator[tuple[Any, Any]]:
    """(read stream, write stream) of session messages for the SDK's server loop, with `most` calls in flight."""
    if pipes is None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as pair:
            yield pair
        return
    from .admission import Admission

    admission = Admission(most)
    outgoing = _Outgoing(admission)
    incoming = Incoming(outgoing, admission)
    await outgoing.sink.open(pipes[1])
    await incoming.lines.open(pipes[0])
    try:
        yield incoming, outgoing
    finally:
        incoming.lines.close()
        outgoing.sink.close()


class Incoming:
    """The messages of the client; what is none is answered with an error here, because the SDK would only drop it."""

    def __init__(self, outgoing: _Outgoing, admission: Admission) -> None:
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter

        self.lines = Lines(self._take, self._end)
        self._outgoing = outgoing
        self._admission = admission
        self._message = SessionMessage
        self._parse = jsonrpc_message_adapter.validate_json
        self._ahead: deque[Any] = deque()
        self._arrived = anyio.Event()
        self._ended = False
        outgoing.incoming = self

    def _take(self, line: bytes) -> None:
        """A line has come: answer it here, or let it wait for its turn."""
        if not line.strip():
            return
        text = _text(line)
        if (message := self._read(text)) is None:
            told = malformed.answer(text)
        elif (told := self._admission.refused(message, len(text))) is None:
            self._ahead.append(self._message(message))
            self._arrived.set()
        if told is not None:
            self._outgoing.post(told)
        if len(self._ahead) >= AHEAD or self._outgoing.full:
            self.lines.pause()

    def _read(self, text: bytes) -> Any:
        try:
            return self._parse(text, by_name=False)
        except ValueError:
            if (again := malformed.mended(text)) is not None:
                with suppress(ValueError):
                    return self._parse(again, by_name=False)
        return None

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()

    def go_on(self) -> None:
        """There may be room again."""
        if len(self._ahead) < AHEAD and not self._outgoing.full:
            self.lines.resume()

    async def receive(self) -> Any:
        """The next message. Raises EndOfStream."""
        while True:
            while not self._ahead:
                if self._ended:
                    raise anyio.EndOfStream
                self._arrived = anyio.Event()
                await self._arrived.wait()
            item = self._ahead.popleft()
            self.go_on()
            if (told := self._admission.stopped(item.message)) is None:
                return item
            self._outgoing.post(told)

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

    incoming: Incoming

    def __init__(self, admission: Admission) -> None:
        from mcp.types import JSONRPCError, JSONRPCResponse

        self.sink = Sink(self._drained)
        self._admission = admission
        self._answers = (JSONRPCResponse, JSONRPCError)
        self._turn = anyio.Lock(fast_acquire=True)
        self._written = 0

    @property
    def full(self) -> bool:
        """Whether too many refusals wait; the one answer whose turn it is does not count."""
        return self.sink.waiting > REFUSED + self._written

    async def send(self, item: Any) -> None:
        message = item.message
        line = message.__pydantic_serializer__.to_json(message, by_alias=True, exclude_unset=True) + b"\n"
        answer = isinstance(message, self._answers)
        if answer and self._turn.locked():  # it may wait long, and the line has all of it: the words need not wait too
            for part in getattr(message, "result", {}).values():
                if isinstance(part, dict | list):
                    part.clear()
        self._admission.unread += len(line)
        try:
            async with self._turn:
                self._written = len(line)
                await self.sink.write(line)
        except anyio.BrokenResourceError:
            self.incoming.lines.close()
            raise
        finally:
            self._admission.unread -= len(line)
            if answer:
                self._admission.done(message.id)

    def post(self, line: bytes) -> None:
        """Send a line without waiting for anything."""
        try:
            self.sink.put(line)
        except anyio.BrokenResourceError:
            self.incoming.lines.close()

    def _drained(self) -> None:
        self.incoming.go_on()

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
