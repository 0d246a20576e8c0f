"""One exchange of the transport with a server of the tests, and how it is looked at."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from canary import KEY

from mcp_llm.errors import (
    Error,
)
from mcp_llm.http.transport import Deadlines, Exchange, Transport
from mcp_llm.wires.base import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEADERS = {"Authorization": f"Bearer {KEY}"}
ASK = HttpRequest("POST", "/chat", {"prompt": "the secret prompt"}, query={"key": "in-the-url"})
QUICK = Deadlines(connect=2, first_byte=2, idle=2, total=5)


@asynccontextmanager
async def asked(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> AsyncIterator[Exchange]:
    with anyio.fail_after(10):
        async with transport.stream(url, ASK, HEADERS, deadlines) as exchange:
            yield exchange


async def ask(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> bytes:
    async with asked(transport, url, deadlines) as exchange:
        return await exchange.body()


async def failing(transport: Transport, url: str, deadlines: Deadlines = QUICK) -> Error:
    """The error of a call, which tells neither the key nor the query nor the prompt."""
    with pytest.raises(Error) as caught:
        await ask(transport, url, deadlines)
    assert not {KEY, "in-the-url", "secret prompt"} & set(str(caught.value).split())
    assert KEY not in str(caught.value)
    assert "in-the-url" not in str(caught.value)
    return caught.value


async def skim(exchange: Exchange) -> None:
    async for _ in exchange.chunks():
        pass


async def in_thread(function: Any, *args: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *args)


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """The longest time for which the event loop gave nobody else a turn, in seconds."""
    longest = [0.0]

    async def watch() -> None:
        while True:
            last = time.monotonic()
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                longest[0] = max(longest[0], time.monotonic() - last)

    watching = anyio.create_task_group()
    async with watching:
        watching.start_soon(watch)
        try:
            yield longest
        finally:
            watching.cancel_scope.cancel()
