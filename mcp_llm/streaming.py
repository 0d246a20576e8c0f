"""The answer in pieces, for Python: an async context manager, and an ordinary iterator where nothing is async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import anyio

from mcp_llm.background import background, opened
from mcp_llm.llm import generate as operation
from mcp_llm.types.chat import Delta
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from anyio.abc import TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from mcp_llm.llm.generate import Ask
    from mcp_llm.types.chat import Chunk
    from mcp_llm.types.result import Generated

WAITING: Final = 64
"""Pieces that may wait for a slow reader; then the provider is made to wait."""


class Stream:
    """One call. Leaving it early stops the call and closes its connection."""

    def __init__(self, ask: Ask) -> None:
        self.result: Generated | None = None
        """The whole result, once the pieces have ended."""
        self._ask = ask
        self._tasks: TaskGroup | None = None
        self._receive: MemoryObjectReceiveStream[str] | None = None
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        send, self._receive = anyio.create_memory_object_stream[str](WAITING)
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._produce, send)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        assert self._receive is not None
        self._receive.close()
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, exc, trace)
        except BaseExceptionGroup as group:
            if group.exceptions == (exc,):
                return None  # the body's own error goes on as it is, without a group around it
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._receive is None:
            raise RuntimeError("open the stream first: `async with stream(...) as pieces`")
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                error, self._error = self._error, None
                raise error from None
            raise StopAsyncIteration from None

    async def _produce(self, send: MemoryObjectSendStream[str]) -> None:
        async def pass_on(chunks: list[Chunk]) -> None:
            if text := _text(chunks):
                await send.send(text)

        async with send:
            try:
                self.result = await operation.generate(await opened.get(), self._ask, on_chunks=pass_on)
            except Exception as exc:
                self._error = exc

    def __iter__(self) -> Iterator[str]:
        """The pieces, read on the background loop; an iterator that is dropped early stops the call."""
        portal = background.portal()
        opening = portal.wrap_async_context_manager(self)
        opening.__enter__()
        try:
            while (piece := portal.call(self._next)) is not None:
                yield piece
        finally:
            # Not `with`: a dropped iterator's GeneratorExit must not be raised on the loop, where it would end it.
            opening.__exit__(None, None, None)

    async def _next(self) -> str | None:
        try:
            return await anext(self)
        except StopAsyncIteration:  # which cannot be raised out of a coroutine's thread
            return None


def _text(chunks: list[Chunk]) -> str:
    return "".join(chunk.part.text for chunk in chunks if isinstance(chunk, Delta) and isinstance(chunk.part, Text))
