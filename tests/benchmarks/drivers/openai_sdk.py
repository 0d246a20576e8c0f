"""The openai SDK, retries off."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = [{"role": "user", "content": drive.PROMPT}]


class OpenAI:
    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.sdk = import_module("openai")

    def completions(self, base: str) -> Any:
        if base not in self.clients:
            self.clients[base] = self.sdk.AsyncOpenAI(base_url=base, api_key="x", max_retries=0)
        return self.clients[base].chat.completions

    async def call(self, base: str) -> str:
        reply = await self.completions(base).create(model="bench-1", messages=MESSAGES)
        return str(reply.choices[0].message.content)

    async def stream(self, base: str) -> AsyncIterator[object]:
        async for chunk in await self.completions(base).create(model="bench-1", messages=MESSAGES, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk


@asynccontextmanager
async def opened() -> AsyncIterator[OpenAI]:
    yield OpenAI()


if __name__ == "__main__":
    drive.main(opened)
