"""The anthropic SDK on its own API, retries off."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASK: dict[str, Any] = {
    "model": "bench-1",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": drive.PROMPT}],
}


class Anthropic:
    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.sdk = import_module("anthropic")

    def messages(self, base: str) -> Any:
        if base not in self.clients:
            self.clients[base] = self.sdk.AsyncAnthropic(base_url=base, api_key="x", max_retries=0)
        return self.clients[base].messages

    async def call(self, base: str) -> str:
        return str((await self.messages(base).create(**ASK)).content[0].text)

    async def stream(self, base: str) -> AsyncIterator[object]:
        async for event in await self.messages(base).create(**ASK, stream=True):
            if event.type == "content_block_delta":
                yield event


@asynccontextmanager
async def opened() -> AsyncIterator[Anthropic]:
    yield Anthropic()


if __name__ == "__main__":
    drive.main(opened)
