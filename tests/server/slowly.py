"""A provider that is slow, and the tool  for the tests of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from mcp_llm.app import App
from mcp_llm.types.chat import Delta, End
from mcp_llm.types.message import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mcp import Client

    from mcp_llm.types.chat import ChatRequest, Chunk


def text(result: Any) -> str:
    return str(result.content[0].text)


class Slow:
    """A provider that says a word and goes on when it is let; counts how often it was asked and hung up on."""

    def __init__(self) -> None:
        self.said, self.go = anyio.Event(), anyio.Event()
        self.asked = 0
        self.cut = 0
        self.error: Exception | None = None

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        self.asked += 1
        yield Delta(0, Text("half "))
        yield Delta(0, Text("an "))
        self.said.set()
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cut += 1
            raise
        if self.error is not None:
            raise self.error
        yield Delta(0, Text("answer"))
        yield End(stop="stop", model=model)


async def ready(client: Client, opened: list[Any], slow: Slow) -> App:
    await client.call_tool("list_models", {})
    opened[0].register("slow", slow)
    assert isinstance(opened[0], App)
    return opened[0]


async def runs(client: Client, action: str, run_id: str | None = None, **more: Any) -> Any:
    given = {"action": action, **more} | ({"run_id": run_id} if run_id else {})
    result = await client.call_tool("runs", given)
    assert not result.is_error, text(result)
    return result


async def soon(look: Callable[[], Awaitable[Any]]) -> Any:
    """What it gives as soon as it is true."""
    while True:
        if found := await look():
            return found
        await anyio.sleep(0.002)


ASK = {"prompt": "a question", "model": "slow:x"}
